"""Token: the text of an invitation. It names the cluster's authority by its hash and holds a secret that works once."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field

PREFIX = "ra1"
DIGEST_BYTES = 32  # sha256
SECRET_BYTES = 16  # 128 random bits: not to be guessed, and short enough to read out
WHERE_FROM = "copy the whole line that `realignctl cluster invite` printed"

_ALPHABET = re.compile(r"[a-z2-7]*")


class BadToken(ValueError):
    """The text is no invitation; `str` says what is wrong without repeating any of it, as it may hold a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An invitation to one cluster."""

    authority_sha256: bytes  # of the newest authority's certificate (DER)
    secret: bytes = field(repr=False)

    @classmethod
    def mint(cls, authority_sha256: bytes) -> Token:
        """A token with a new secret."""
        return cls(authority_sha256=authority_sha256, secret=secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Token:
        """Reads what `text` wrote; every token has one spelling only.

        Raises:
            BadToken: it is something else.
        """
        prefix, *rest = text.strip().split(".")
        if prefix != PREFIX and re.fullmatch(r"ra\d+", prefix):
            raise BadToken(f"this invitation is of the form {prefix}, which this realign cannot read; upgrade it")
        if prefix != PREFIX or len(rest) != len(("digest", "secret")):
            raise BadToken(f"this is no invitation of realign; {WHERE_FROM}")
        digest = _decoded(rest[0], size=DIGEST_BYTES, part="second")
        return cls(authority_sha256=digest, secret=_decoded(rest[1], size=SECRET_BYTES, part="third"))

    @property
    def secret_text(self) -> str:
        """The secret as it is sent."""
        return _encoded(self.secret)

    def text(self) -> str:
        """What a person copies. Whoever reads it can join, so it belongs in no log."""
        return f"{PREFIX}.{_encoded(self.authority_sha256)}.{self.secret_text}"


def parse_secret(text: str) -> bytes:
    """The secret that was sent as `Token.secret_text`. Raises BadToken."""
    return _decoded(text, size=SECRET_BYTES, part="third")


def _encoded(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _decoded(text: str, *, size: int, part: str) -> bytes:
    expected = -(-size * 8 // 5)
    if len(text) != expected:
        raise BadToken(f"the {part} part of the invitation has {len(text)} characters, not {expected}; {WHERE_FROM}")
    if not _ALPHABET.fullmatch(text):
        raise BadToken(f"the {part} part of the invitation has characters other than a-z and 2-7; {WHERE_FROM}")
    data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    if _encoded(data) != text:  # the last character carries bits that belong to nothing
        raise BadToken(f"the {part} part of the invitation was mistyped at its end; {WHERE_FROM}")
    return data
