"""Source: a document that travels with a request, known by its content."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from realign_client.errors import BadUsage
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import files_pb2

SUPPORTED = (".pdf", ".txt", ".md", ".epub", ".html", ".htm", ".xhtml", ".jsonl", ".ndjson", ".parquet")
# What to make of files that are not read.
_WAYS_OUT = {
    ".docx .doc .odt .rtf .tex .pptx": "save it as PDF or HTML",
    ".json .csv .xlsx": "write one JSON object per line into a .jsonl file",
    ".mobi .azw3": "convert it to EPUB",
    ".gz .zip": "unpack it",
}
# What people call a document: with one of these endings a word in a request is taken for a file's name.
_DOCUMENT_ENDINGS = (*SUPPORTED, *" ".join(_WAYS_OUT).split())
_ENDING = "|".join(re.escape(ending) for ending in sorted(_DOCUMENT_ENDINGS, key=len, reverse=True))
_QUOTED = re.compile(rf"[\"'`]([^\"'`]+(?:{_ENDING}))[\"'`]", re.IGNORECASE)
_BARE = re.compile(rf"(?<![^\s\"'`(,])([^\s\"'`(),;]+(?:{_ENDING}))(?=$|[\s\"'`),;:!?]|\.(?:\s|$))", re.IGNORECASE)
SHARED = ("share:", "node:")  # share:NAME/relative/path, node:NODE/NAME/relative/path
CHUNK_BYTES = 1024 * 1024  # the wire's limit for one piece
# What travels for a file of no use: by it or by the file's name a daemon refuses that one file, and the job reports it.
_NOTHING = b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file on this machine and what the daemon knows it by; or one that a node has, which is known by its name."""

    path: Path | None  # None: a file of a node's share
    name: str
    sha256: str = ""
    size_bytes: int = 0
    fault: str = ""  # why it is of no use; its content stays here

    def announcement(self) -> pb.Source:
        """The source as a request names it."""
        return pb.Source(name=self.name, sha256=self.sha256, size_bytes=self.size_bytes)


def collect(given: Sequence[str]) -> tuple[SourceFile, ...]:
    """The files that `given` names, in order; a folder stands for the documents below it, sorted by path.

    What begins with `share:` or `node:` is a file that a node has: nothing of it is looked for here.
    Of a folder, hidden files and what nobody takes for a document are left alone. A file that is named twice, or beside
    its folder, is one source. Sources of the same name get their folder's, too. A file that is empty or of a kind that
    is not read has a `fault`.

    Raises:
        BadUsage: a path is missing or unreadable, a file of a share is of a kind that is not read, or no file is
            without a fault.
    """
    found: dict[Path | str, SourceFile] = {}
    for text in given:
        if text.startswith(SHARED):
            found.setdefault(text, _of_a_share(text))
            continue
        for source in _expand(Path(text).expanduser()):
            found.setdefault(source.path.resolve() if source.path else source.name, source)
    faults = [source.fault for source in found.values() if source.fault]
    if faults and len(faults) == len(found):
        raise BadUsage(faults[0])
    names = Counter(source.name for source in found.values())
    return tuple(
        source if names[source.name] == 1 else replace(source, name=_longer_name(Path(path), source.name))
        for path, source in found.items()
    )


def named_in(text: str) -> tuple[str, ...]:
    """File names of documents in a request, in order, each once; an address on the web is not one."""
    quoted = [(match.start(1), match.group(1)) for match in _QUOTED.finditer(text)]
    rest = _QUOTED.sub(lambda match: " " * len(match.group()), text)
    bare = [(match.start(1), match.group(1)) for match in _BARE.finditer(rest)]
    names = [name for _, name in sorted(quoted + bare) if "://" not in name]
    return tuple(dict.fromkeys(names))


def pieces(source: SourceFile, offset: int = 0) -> Iterator[files_pb2.UploadPart]:
    """The bytes of a file from an offset on, at most 1 MiB a piece; an empty piece where none are left.

    Raises:
        BadUsage: the file cannot be read any more.
    """
    if source.path is None:
        return
    if source.fault:
        data = _NOTHING[offset:]
        yield files_pb2.UploadPart(sha256=source.sha256, size_bytes=source.size_bytes, offset=offset, data=data)
        return
    try:
        with source.path.open("rb") as file:
            file.seek(offset)
            while True:
                data = file.read(min(CHUNK_BYTES, source.size_bytes - offset))
                yield files_pb2.UploadPart(sha256=source.sha256, size_bytes=source.size_bytes, offset=offset, data=data)
                offset += len(data)
                if not data or offset >= source.size_bytes:
                    return
    except OSError as error:
        raise _unreadable(source.path, error) from error


def _expand(path: Path) -> Iterator[SourceFile]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.name.lower().endswith(_DOCUMENT_ENDINGS))
        files = [file for file in found if file.is_file() and not _is_hidden(file.relative_to(path))]
        if not files:
            raise BadUsage(f"the folder {path} holds no source; supported are {' '.join(SUPPORTED)}")
        for file in files:
            yield _read(file, file.relative_to(path).as_posix())
    elif not path.exists():
        raise BadUsage(f"the source {path} does not exist; check the path")
    else:
        yield _read(path, path.name)


def _of_a_share(text: str) -> SourceFile:
    if not text.lower().endswith(SUPPORTED):
        raise BadUsage(_not_read(text))
    return SourceFile(path=None, name=text)


def _not_read(name: str) -> str:
    """Why a file of this name is not read."""
    ending = Path(name).suffix.lower()
    way_out = next((f"{way}; " for endings, way in _WAYS_OUT.items() if ending in endings.split()), "")
    return f"the source {name} cannot be read as a document; {way_out}supported are {' '.join(SUPPORTED)}"


def _of_no_use(path: Path, name: str, fault: str) -> SourceFile:
    sha256 = hashlib.sha256(_NOTHING).hexdigest()
    return SourceFile(path=path, name=name, sha256=sha256, size_bytes=len(_NOTHING), fault=fault)


def _is_hidden(path: Path) -> bool:
    """Whether nobody sees it in a folder, such as what macOS lays beside a file (`._book.pdf`)."""
    return any(part.startswith(".") for part in path.parts)


def _longer_name(path: Path, name: str) -> str:
    return "/".join(path.parts[-len(Path(name).parts) - 1 :])


def _read(path: Path, name: str) -> SourceFile:
    if path.suffix.lower() not in SUPPORTED:
        return _of_no_use(path, name, _not_read(str(path)))
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size_bytes = file.tell()
    except OSError as error:
        raise _unreadable(path, error) from error
    if size_bytes == 0:
        return _of_no_use(path, name, f"the source {path} is empty; name a file with text in it")
    return SourceFile(path=path, name=name, sha256=sha256, size_bytes=size_bytes)


def _unreadable(path: Path, error: OSError) -> BadUsage:
    return BadUsage(f"the source {path} cannot be read ({error.strerror}); check its permissions")
