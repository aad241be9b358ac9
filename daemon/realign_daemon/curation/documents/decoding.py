"""Decoding: the characters of a file, from what it says of its encoding, or why it has none."""

from __future__ import annotations

import codecs
import re

from realign_daemon.curation.documents.document import DocumentError

# A web page declares its encoding in its first 1,024 bytes (HTML standard, "determining the character encoding").
_DECLARED_WITHIN = 1024
_DECLARED = re.compile(
    rb"""(?:<meta\b[^>]*?\bcharset|<\?xml\b[^>]*?\bencoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
# Python knows more codecs than there are encodings of text ("hex", "idna", "unicode_escape").
_TEXT_CODEC = re.compile(
    r"utf-8|cp\d+|iso8859-\d+|koi8-\w|mac-\w+|gb\w+|big5\w*|euc_\w+|shift_jis\w*|iso2022\w*|tis-620"
)
# What pages that declare these are in truth written in (Encoding standard, "names and labels").
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gbk"}
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decode_utf8(data: bytes, name: str) -> str | DocumentError:
    """The bytes as UTF-8 without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return DocumentError(
            kind="not_utf8",
            file=name,
            message=f"{name} is not UTF-8 text (byte {error.start}, line {line}): save it as UTF-8 and use that",
        )


def decode_markup(data: bytes, name: str) -> str | DocumentError:
    """An HTML or XML file by its byte order mark, else by the encoding that it declares, else as UTF-8."""
    declared = _DECLARED.search(data[:_DECLARED_WITHIN])
    encoding = "utf-16" if data.startswith(_UTF16_MARKS) else _codec(declared[1].decode()) if declared else "utf-8"
    if encoding == "utf-8" or data.startswith(codecs.BOM_UTF8):
        return decode_utf8(data, name)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        return DocumentError(
            kind="not_utf8",
            file=name,
            message=f"{name} says that it is {encoding} text, which it is not (byte {error.start}): save it as UTF-8 "
            f"and let it say so",
        )


def _codec(label: str) -> str:
    """Python's name for a declared encoding; UTF-8 for what cannot be meant, as UTF-16 in a tag of single bytes."""
    try:
        codec = codecs.lookup(label).name
    except LookupError:
        return "utf-8"
    codec = _MEANT.get(codec, codec)
    return codec if _TEXT_CODEC.fullmatch(codec) else "utf-8"
