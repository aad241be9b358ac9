"""Archive: the files inside an EPUB, read within bounds and only when it is not locked."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from io import BytesIO
from urllib.parse import unquote

from realign_daemon.curation.documents.decoding import decode_markup
from realign_daemon.curation.documents.document import DocumentError, DocumentErrorKind
from realign_daemon.curation.documents.markup import Tag, tags

# The longest novels have 6 MB of text; what unpacks to more is a bomb, or a library that should come book by book.
MAX_UNPACKED_BYTES = 64 * 1024 * 1024
_LOCK = "META-INF/encryption.xml"
# These scramble fonts, which nobody reads here (EPUB Open Container Format, "font obfuscation"; Adobe's older one).
_FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_ENCRYPTED_FLAG = 0x1
# NotImplementedError is how zipfile says that it knows no such compression.
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError)


class Unusable(Exception):
    """The book cannot be used; `kind` and the text say why. Caught where the file's name is known."""

    def __init__(self, kind: DocumentErrorKind, reason: str) -> None:
        """`reason` follows the file's name in a sentence."""
        self.kind: DocumentErrorKind = kind
        super().__init__(reason)


class Archive:
    """A book's files by their path. Nothing is ever written to the disk.

    Raises:
        Unusable: it is no zip archive, holds names that lead out of it, or its content is encrypted.
    """

    def __init__(self, data: bytes) -> None:
        """`data` is the whole archive."""
        self._unpacked_bytes = 0
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except _DAMAGE as error:
            raise _damaged(f"its archive cannot be opened ({error})") from error
        for entry in self._zip.infolist():
            if entry.filename.startswith("/") or ".." in entry.filename.replace("\\", "/").split("/"):
                raise _damaged(f"it holds a name that leads out of it ({entry.filename!r})")
            if entry.flag_bits & _ENCRYPTED_FLAG:
                raise _encrypted()
        if _LOCK in self and any(_locks_text(tag) for tag in tags(self.text(_LOCK))):
            raise _encrypted()

    def __contains__(self, path: object) -> bool:
        return path in self._zip.NameToInfo

    def text(self, path: str) -> str:
        """A file's characters.

        Raises:
            Unusable: it is missing, damaged or not text, or all that was read is more than MAX_UNPACKED_BYTES.
        """
        if path not in self:
            raise _damaged(f"{path} is missing in it")
        entry = self._zip.getinfo(path)
        if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise _damaged(f"{path} in it is compressed in a way that EPUB does not know")
        self._unpacked_bytes += entry.file_size
        if self._unpacked_bytes > MAX_UNPACKED_BYTES:
            limit = MAX_UNPACKED_BYTES // (1024 * 1024)
            raise Unusable(
                "damaged", f"unpacks to more than {limit} MiB of text, as no book does: use one that does not"
            )
        try:
            with self._zip.open(entry) as file:
                # Nothing beyond the stated size is unpacked, and the checksum tells whether that was true.
                data = file.read(entry.file_size + 1)
        except _DAMAGE as error:
            raise _damaged(f"{path} in it cannot be read ({error})") from error
        decoded = decode_markup(data, path)
        if isinstance(decoded, DocumentError):
            raise Unusable(decoded.kind, f"cannot be used: in it {decoded.message}")
        return decoded


def resolved(reference: str, base: str) -> tuple[str, str]:
    """The path and the fragment that a reference in the file `base` means."""
    path, _, fragment = reference.partition("#")
    joined = posixpath.join(posixpath.dirname(base), unquote(path)) if path else base
    return posixpath.normpath(joined), unquote(fragment)


def _locks_text(tag: Tag) -> bool:
    is_method = tag.name.rpartition(":")[2] == "encryptionmethod" and not tag.is_closing
    return is_method and tag.attributes.get("algorithm") not in _FONT_SCRAMBLING


def _damaged(reason: str) -> Unusable:
    return Unusable("damaged", f"is damaged and cannot be read as an EPUB: {reason}: export or download it again")


def _encrypted() -> Unusable:
    return Unusable("encrypted", "is encrypted (it has copy protection): use a copy without")
