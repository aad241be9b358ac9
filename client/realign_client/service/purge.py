"""Purge: takes everything of a daemon off this machine, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from realign_client.data_folder import LOCAL, Entry, entries, has_proof, strangers
from realign_client.deliveries import pending
from realign_client.errors import BadUsage
from realign_client.render.figures import size
from realign_client.render.table import table
from realign_client.service.running import SOCKET, stop_running

SOCKET_FOLDER = "realign-"  # begins the name of the folder of a socket that does not lie in the data directory


def check_folder(folder: Path, *, home: Path) -> None:
    """Raises BadUsage when the folder is not a data directory of ours, or not surely."""
    if folder.is_symlink():
        raise BadUsage(
            f"{folder} is a link to {folder.readlink()}, and no link is followed; set REALIGN_DATA_DIR to what it "
            "leads to, and remove the link yourself"
        )
    if home.resolve().is_relative_to(folder.resolve()):
        raise BadUsage(f"{folder} holds your home folder, so it is no data directory; check REALIGN_DATA_DIR")
    if folder.exists() and not folder.is_dir():
        raise BadUsage(f"{folder} is no folder; check REALIGN_DATA_DIR")
    if strangers(folder) and not has_proof(folder):
        raise BadUsage(f"{folder} does not look like a data directory of realign; check REALIGN_DATA_DIR")


def purge_lines(folder: Path, service_file: Path | None) -> list[str]:
    """What goes, and what stays though it lies there. Empty when there is nothing of ours."""
    found = entries(folder)
    rows = [(_name(entry), str(entry.files), size(entry.size_bytes)) for entry in found]
    if service_file is not None:
        rows.append((str(service_file), "1", size(service_file.stat().st_size)))
    if not rows:
        return []
    total = size(sum(entry.size_bytes for entry in found))
    outputs = sum(path.is_dir() and not path.name.startswith(".") for path in _below(folder / "curated"))
    kept = [f"stays, as it is not realign's: {path}" for path in strangers(folder)]
    waiting = [f"not delivered yet: {job} to {promised.folder}" for job, promised in pending().items()]
    return [
        *table(("WHAT", "FILES", "SIZE"), rows, right=(1, 2)),
        f"{sum(entry.files for entry in found)} files, {total}, in {folder}",
        *([f"among them the output of {outputs} jobs; what was fetched elsewhere stays"] if outputs else []),
        *waiting,
        *kept,
    ]


def purge(folder: Path) -> None:
    """Ends what runs on the folder and removes what is ours in it, and the folder itself when nothing else is there.

    Raises:
        LocalFailure: a daemon does not end.
        OSError: something cannot be removed; another call goes on.
    """
    for data_dir in (folder / LOCAL, folder):
        stop_running(data_dir)
        _remove_far_socket(data_dir)
    for entry in entries(folder):
        if entry.path.is_dir() and not entry.path.is_symlink():
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink(missing_ok=True)
    if folder.is_dir() and not strangers(folder):
        folder.rmdir()


def _remove_far_socket(folder: Path) -> None:
    """Removes a socket that a crash has left outside of the folder, whose path was too long for one."""
    pointer = folder / "socket"
    if pointer.is_symlink() or not pointer.is_file():
        return
    left = Path(pointer.read_text("utf-8").strip())
    inside = left.parent
    if left.name == SOCKET and inside.name.startswith(SOCKET_FOLDER) and inside.is_dir() and not inside.is_symlink():
        left.unlink(missing_ok=True)
        inside.rmdir()


def _name(entry: Entry) -> str:
    return f"{entry.path.name} -> {entry.leads_to} (the link only)" if entry.leads_to else entry.path.name


def _below(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
