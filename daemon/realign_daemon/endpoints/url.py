"""ServerUrl: where a server is, with nothing in it that is secret or that a server could be tricked by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

MOST_CHARACTERS: Final = 512
_PORTS: Final = {"http": 80, "https": 443}
_LABEL: Final = "[a-z0-9_-]{1,63}"  # longer or empty ones are refused by the system's resolver, in its own way
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|[0-9a-f:.]+:[0-9a-f:.]*")
# What people paste: the base that OpenAI's clients want, once or twice, or one of the addresses below it.
_END: Final = re.compile(r"(/v1)+(/models|/chat/completions)?$")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrl:
    """The part of a URL that comes before `/v1`."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port, as the Host header and people write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        """The URL; read_url gives the same value for it."""
        return f"{self.scheme}://{self.authority}{self.path}"


def read_url(text: str) -> ServerUrl:
    """The server that a URL names; `/v1` and what follows it may be there or not.

    Raises:
        ValueError: it is no plain http or https URL; the text says what is wrong, and repeats no secret of it.
    """
    problem = "a URL such as http://127.0.0.1:8080 is needed"
    if len(text) > MOST_CHARACTERS:
        raise ValueError(problem)
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(problem) from error
    host = (parts.hostname or "").lower()
    if "@" in parts.netloc:
        raise ValueError("a URL must hold no user name and no password: name the key's variable in api_key_env")
    if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or port == 0:
        raise ValueError(problem)
    if parts.query or parts.fragment:
        raise ValueError("a URL must end before '?' and '#': name the key's variable in api_key_env")
    path = _END.sub("", parts.path.rstrip("/"))
    if not _PATH.fullmatch(path) or ".." in path:
        raise ValueError(problem)
    return ServerUrl(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], path=path)
