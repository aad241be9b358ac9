"""No bytes that a client sends, to whatever method, end a node, stay with it, or make it speak of its program."""

from __future__ import annotations

from tests.fuzz.rpc_bytes import fuzz

INPUTS = 2_000  # `python tests/fuzz/rpc_bytes.py --inputs 100000` for more
GROWTH_BYTES = 64 * 2**20  # caches fill and arenas stay; a leak shows in the long run


async def test_a_server_takes_any_bytes_for_any_method() -> None:
    report = await fuzz(INPUTS)
    assert report.findings == []
    assert report.inputs == INPUTS
    assert report.fds_end <= report.fds_start + 2
    assert report.rss_end - report.rss_start < GROWTH_BYTES
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"} < report.codes.keys()
