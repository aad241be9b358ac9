"""Archive: the files of a report, written or shown."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from realign_client.errors import BadUsage

FOLDER = "realign-report"
SUFFIX = ".tar.gz"


def write_archive(files: Mapping[str, bytes], target: Path) -> Path:
    """Writes the files into an archive that only its owner can read; one that is there is replaced.

    Members bear no user, group or time of this machine.

    Raises:
        BadUsage: the name is not that of such an archive.
        OSError: it cannot be written.
    """
    if not target.name.endswith(SUFFIX) or target.is_dir():
        raise BadUsage(f"{target} is no name for the report; give one that ends in {SUFFIX} with --output")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(packed.getvalue())
    return part.replace(target)


def preview_lines(files: Mapping[str, bytes]) -> Iterator[str]:
    """Everything that is in it, for a person."""
    for name, content in sorted(files.items()):
        yield f"== {name} ({len(content)} bytes)"
        yield from content.decode().splitlines()
        yield ""
