"""A content that arrives in pieces, on a disk that fills up meanwhile."""

from __future__ import annotations

import hashlib
import resource
from pathlib import Path

import pytest

from realign_daemon.engine.api import Sha256
from realign_daemon.files.partial import Partial
from realign_daemon.shortage import shortage

CONTENT = bytes(range(256)) * 16
ROOM = 1500


async def test_a_piece_that_the_disk_takes_in_part_is_a_shortage_and_the_content_goes_on_behind_it(
    tmp_path: Path,
) -> None:
    partial = Partial(tmp_path / "content", Sha256(hashlib.sha256(CONTENT).hexdigest()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))  # a short write, as at the end of a disk
    try:
        with pytest.raises(OSError, match=f"only {ROOM} of {len(CONTENT)} bytes") as error:
            partial.add(0, CONTENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert shortage(error.value) == "disk"
    assert partial.bytes_here == ROOM
    partial.add(ROOM, CONTENT[ROOM:])
    await partial.check()
