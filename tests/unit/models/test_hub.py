"""What is asked of the hub, and what comes of its answers, over real sockets."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest
from tests.model_hub import COMMIT, TOKEN, ModelHub, Repository
from tests.unit.models.conftest import FILES, NAME, READ

from realign_daemon.errors import BadInput, Damaged, Full, HubUnreachable, NotFound
from realign_daemon.models.hub import Hub, Offer
from realign_daemon.models.manifest import ModelFile
from realign_daemon.testing.inline_worker import InlineWorker

WEIGHTS = READ[1]


async def looked_up(name: str = NAME, revision: str = "") -> Offer:
    return await Hub(InlineWorker).look_up(name, revision)


def part(offer: Offer, name: str = WEIGHTS) -> ModelFile:
    return next(file for file in offer.manifest.files if file.name == name)


async def fetched(folder: Path, offer: Offer | None = None) -> bytes:
    """The first part of the weights, fetched into the folder."""
    offer = offer or await looked_up()
    path = folder / "part"
    await Hub(InlineWorker).download(offer.manifest, part(offer), path)
    return path.read_bytes()


async def test_a_model_is_known_by_commit_content_and_size_before_its_weights_come(hub: ModelHub) -> None:
    offer = await looked_up()
    assert (offer.manifest.name, offer.manifest.revision) == (NAME, COMMIT)
    assert [(file.name, file.size_bytes, file.sha256) for file in offer.manifest.files] == [
        (name, len(FILES[name]), hashlib.sha256(FILES[name]).hexdigest()) for name in READ
    ]
    assert (offer.params_b, offer.active_params_b, offer.bits, offer.templates) == (250e-6, 250e-6, 16, "pocket")
    store = [asked for asked in hub.asked if "safetensors" in asked]
    assert store
    assert all(asked.endswith("0-1048575") for asked in store)


async def test_only_what_the_engine_reads_is_asked_for_and_nothing_that_could_run(hub: ModelHub) -> None:
    await looked_up()
    assert not [asked for asked in hub.asked if asked.split()[0].endswith((".py", ".bin", ".md", "onnx", "index.json"))]


async def test_a_header_that_is_longer_than_a_first_look_is_read_whole(
    hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realign_daemon.models.hub_look.HEAD_BYTES", 16)
    assert (await looked_up()).params_b == 250e-6


async def test_a_branch_is_resolved_to_its_commit(hub: ModelHub) -> None:
    assert (await looked_up(revision="main")).manifest.revision == COMMIT
    with pytest.raises(NotFound, match="no such revision"):
        await looked_up(revision="nonesuch")


async def test_a_file_comes_whole(hub: ModelHub, tmp_path: Path) -> None:
    assert await fetched(tmp_path) == FILES[WEIGHTS]


@pytest.mark.parametrize("ignores_ranges", [False, True])
async def test_a_download_that_is_cut_goes_on_where_it_stopped(
    hub: ModelHub, tmp_path: Path, *, ignores_ranges: bool
) -> None:
    offer = await looked_up()
    hub.asked.clear()
    hub.cuts, hub.ignores_ranges = 2, ignores_ranges
    assert await fetched(tmp_path, offer) == FILES[WEIGHTS]
    starts = [int(asked.rpartition(" ")[2].removesuffix("-")) for asked in hub.asked if "store" not in asked]
    assert starts == sorted(starts)
    assert len(set(starts)) == 2 + (not ignores_ranges)


async def test_what_an_earlier_process_had_fetched_is_not_fetched_again(hub: ModelHub, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(FILES[WEIGHTS][:200_000])
    assert await fetched(tmp_path) == FILES[WEIGHTS]
    assert hub.asked[-1].endswith(" 200000-")


async def test_a_beginning_that_is_too_long_begins_anew(hub: ModelHub, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(bytes(len(FILES[WEIGHTS]) + 1))
    assert await fetched(tmp_path) == FILES[WEIGHTS]


async def test_a_file_that_is_not_what_was_announced_is_refused_and_not_kept(hub: ModelHub, tmp_path: Path) -> None:
    offer = await looked_up()
    hub.damages = True
    with pytest.raises(Damaged, match="came from the hub damaged"):
        await fetched(tmp_path, offer)
    assert not (tmp_path / "part").exists()


async def test_a_wrong_beginning_that_came_from_elsewhere_is_fetched_again(hub: ModelHub, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(bytes(1000))
    assert await fetched(tmp_path) == FILES[WEIGHTS]


async def test_a_small_file_that_is_not_what_git_calls_it_is_refused(
    hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(_: Repository, name: str) -> dict[str, object]:
        lists = [{"rfilename": file, "size": len(FILES[file]), "blobId": "0" * 40} for file in READ]
        return {"id": name, "sha": COMMIT, "siblings": lists}

    monkeypatch.setattr(Repository, "describe", describe)
    with pytest.raises(Damaged, match=r"config\.json of acme/tiny-1M came from the hub damaged"):
        await looked_up()


async def test_a_hub_that_is_busy_for_a_moment_is_asked_again(hub: ModelHub, tmp_path: Path) -> None:
    offer = await looked_up()
    hub.busy = 3
    assert await fetched(tmp_path, offer) == FILES[WEIGHTS]


async def test_an_address_of_the_bytes_that_has_run_out_is_asked_for_anew(hub: ModelHub, tmp_path: Path) -> None:
    offer = await looked_up()
    hub.forbids = 2
    assert await fetched(tmp_path, offer) == FILES[WEIGHTS]


async def test_a_hub_that_is_busy_for_long_is_named_and_what_has_come_stays(hub: ModelHub, tmp_path: Path) -> None:
    offer = await looked_up()
    (tmp_path / "part").write_bytes(FILES[WEIGHTS][:1000])
    hub.busy = 1000
    with pytest.raises(HubUnreachable, match=r"it answers 503.*what has come is kept"):
        await fetched(tmp_path, offer)
    assert (tmp_path / "part").stat().st_size == 1000


async def test_a_gated_model_names_its_licence_and_how_to_log_in(
    hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories[NAME].gated = True
    sentence = f"is gated: accept its licence at {hub.address}/{NAME} and log in with `hf auth login`, or set HF_TOKEN"
    for token in ("", "hf_another"):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(BadInput) as refusal:
            await looked_up()
        assert sentence in str(refusal.value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert (await looked_up()).manifest.name == NAME


async def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    hub: ModelHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    hub.repositories[NAME].gated = True
    hub.detours = 1
    await fetched(tmp_path)
    assert hub.tokens == {"hub": {TOKEN}, "store": {None}}


async def test_a_model_that_there_is_not_or_that_is_hidden_is_not_found(
    hub: ModelHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories[NAME].private = True
    for name in (NAME, "acme/nonesuch-7B"):
        for token in ("", "hf_another"):
            monkeypatch.setenv("HF_TOKEN", token)
            with pytest.raises(NotFound, match=f"the hub has no model {name}, or shows it to others only"):
                await looked_up(name)


async def test_a_model_without_safetensors_is_refused(hub: ModelHub) -> None:
    hub.repositories[NAME] = Repository({"config.json": b"{}", "pytorch_model.bin": b"x"})
    with pytest.raises(NotFound, match="has no weights that realign can use"):
        await looked_up()


async def test_without_a_network_the_hub_is_named(hub: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubUnreachable, match=r"http://127\.0\.0\.1:9 can't be reached .*check the network"):
        await looked_up()


async def test_a_hub_that_must_not_be_asked_is_not_asked(hub: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubUnreachable, match="HF_HUB_OFFLINE is set"):
        await looked_up()
    assert hub.asked == []


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b/c", "", "a/..", "-x/y", "acme/tiny\n"])
async def test_what_is_no_name_is_asked_of_nobody(hub: ModelHub, name: str) -> None:
    with pytest.raises(BadInput, match="is no name of a model"):
        await looked_up(name)
    assert hub.asked == []


async def test_a_full_disk_is_said_so_and_is_no_fault_of_the_hub(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = await looked_up()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("realign_daemon.models.hub_download.flush_to_disk", full)
    with pytest.raises(Full, match="the disk filled up while acme/tiny-1M was fetched; make room, then go on"):
        await fetched(tmp_path, offer)


async def test_a_token_of_two_lines_is_refused_and_not_quoted(hub: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\nhf_other")
    with pytest.raises(BadInput, match="is not one word; log in again") as refused:
        await looked_up()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "description",
    [
        b"[]",
        b'{"siblings": 5}',
        b'{"siblings": ["config.json"]}',
        b'{"siblings": [{"rfilename": "config.json", "size": "x"}]}',
    ],
)
async def test_a_hub_that_describes_no_model_is_said_to_have_done_so(
    hub: ModelHub, monkeypatch: pytest.MonkeyPatch, description: bytes
) -> None:
    def said(path: str, *_: object) -> bytes:
        assert path.startswith("/api/models/")
        return description

    monkeypatch.setattr("realign_daemon.models.hub_look._whole", said)
    with pytest.raises((Damaged, NotFound)):
        await looked_up()
