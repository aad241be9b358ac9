"""Markup: the tags of an HTML or XML file with their exact places, which parsers that build trees do not give.

Every regular expression here takes whatever stands there to the end of the file, so that broken or hostile markup costs
one pass and never two.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple

_MARKUP = re.compile(
    r"""
    (?:<!--.*?(?:-->|\Z) | <!\[CDATA\[.*?(?:\]\]>|\Z) | <[!?][^>]*(?:>|\Z))
    | <(?P<slash>/?)(?P<name>[a-zA-Z][^\s/>]*)
      (?P<attributes>(?: =\s*+(?:"[^"]*+"|'[^']*+') | [^>=]++ | = )*+)(?:>|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s=>"'/]+)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s>"']+)))?"""
)
# Elements whose content is no markup.
_SCRIPTS = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style")}


class Tag(NamedTuple):
    """A tag from `start` to `end` (exclusive) of the file; a comment and the like has no name."""

    name: str  # in small letters, with its prefix
    start: int
    end: int
    is_closing: bool
    is_empty: bool  # closes itself, as in <br/>
    raw_attributes: str

    @property
    def attributes(self) -> dict[str, str]:
        """Values by name in small letters; empty for an attribute without a value."""
        return {
            found["name"].lower(): html.unescape(found["double"] or found["single"] or found["bare"] or "")
            for found in _ATTRIBUTE.finditer(self.raw_attributes)
        }


def tags(text: str) -> Iterator[Tag]:
    """The tags in order. What stands between two is text, or the content of a script or style element."""
    at = 0
    while found := _MARKUP.search(text, at):
        name, attributes, closing = (found["name"] or "").lower(), found["attributes"] or "", bool(found["slash"])
        empty = attributes.endswith("/")
        yield Tag(name, found.start(), found.end(), closing, empty, attributes)
        at = found.end()
        script = None if closing or empty else _SCRIPTS.get(name)
        if script is not None:
            end = script.search(text, at)
            at = end.start() if end else len(text)


def plain(text: str) -> str:
    """Markup as the words that a reader sees: tags out, entities resolved, white space joined."""
    return " ".join(html.unescape(_MARKUP.sub("", text)).split())
