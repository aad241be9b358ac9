"""Hub answer: what the model hub says to one request, or why it says nothing. Runs in a worker child.

Of the hub's protocol two requests are used: a model's description (`/api/models/ID/revision/REV?blobs=true`), and a
range of a file (`/ID/resolve/COMMIT/FILE`), which is redirected to where the bytes lie.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import quote, urlsplit

HUB: Final = "https://huggingface.co"
STALL_S = 30.0  # without a byte; a phone that changes cells is silent for some ten seconds
NOT_FOUND, UNAUTHORISED, FORBIDDEN = 404, 401, 403
AGENT = "realign"
_TOKEN = re.compile(r"[!-~]+")  # what else stood in it, the error of an HTTP client would quote

Refused = Literal["missing", "gated", "unreachable", "damaged", "full"]


class HubRefusal(Exception):
    """The hub gives nothing; the text is one sentence."""

    def __init__(self, refused: Refused, sentence: str) -> None:
        self.refused: Refused = refused
        super().__init__(sentence)


class Broken(Exception):
    """The connection broke, or the hub is busy: worth another try."""


class Answer:
    """An answer whose body is read piece by piece."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.is_part = response.status == http.client.PARTIAL_CONTENT
        length = response.headers.get("Content-Length", "")
        self.size_bytes = int(length) if length.isdecimal() else None  # of what comes; None where it does not say

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end, or where the connection was closed. Raises Broken."""
        try:
            return self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise Broken(_why(error)) from error


def endpoint() -> str:
    """Where the hub is, without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def path_of(name: str, revision: str, file: str) -> str:
    """The path of a file of a model."""
    return f"/{quote(name)}/resolve/{quote(revision, safe='')}/{quote(file)}"


@contextmanager
def asked(path: str, *, model: str, start: int | None = None, end: int | None = None) -> Generator[Answer]:
    """The hub's answer; with `start` to a request for the bytes from there to `end`, the last one excluded.

    Raises:
        HubRefusal: it does not have what is asked for, or not for this token.
        Broken: it can't be reached now, or answers that it is busy.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise HubRefusal("unreachable", "HF_HUB_OFFLINE is set for realignd, so the hub is not asked; take it away")
    request = urllib.request.Request(endpoint() + path, headers={"User-Agent": AGENT})  # noqa: S310 - see _opener
    if start is not None:
        request.add_header("Range", f"bytes={start}-{'' if end is None else end - 1}")
    _authorise(request)
    try:
        response = cast("http.client.HTTPResponse", _opener().open(request, timeout=STALL_S))
    except urllib.error.HTTPError as error:
        raise _refusal(error, model) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Broken(_why(error)) from error
    with response:
        yield Answer(response)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows the hub to where the bytes lie. The token goes to the hub itself and to nobody else."""

    def redirect_request(  # noqa: PLR0917 - its base's
        self,
        req: urllib.request.Request,
        fp: object,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme not in (before.scheme, "https"):
            raise HubRefusal("unreachable", f"the hub redirects to {after.scheme}://{after.netloc}, which is not safe")
        request = super().redirect_request(req, fp, code, msg, headers, newurl)  # pyright: ignore[reportArgumentType] - the base's own type is IO
        if request is not None and _is_hub(newurl):
            _authorise(request)
        return request


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https alone, through the proxies of the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _authorise(request: urllib.request.Request) -> None:
    token = _token()
    if token and not _TOKEN.fullmatch(token):
        raise HubRefusal("gated", "the hub's token on this node is not one word; log in again with `hf auth login`")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")


def _token() -> str:
    """The token by the variables and in the file that the hub's own tools read; empty without one."""
    environment = os.environ
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if environment.get(variable):
            return environment[variable].strip()
    home = environment.get("HF_HOME") or f"{environment.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    try:
        return Path(environment.get("HF_TOKEN_PATH") or f"{home}/token").expanduser().read_text("utf-8").strip()
    except (OSError, ValueError, RuntimeError):
        return ""


def _is_hub(url: str) -> bool:
    """Whether the address is one of the hub itself."""
    asked_at, hub = urlsplit(url), urlsplit(endpoint())
    return (asked_at.scheme, asked_at.netloc) == (hub.scheme, hub.netloc)


def _refusal(error: urllib.error.HTTPError, model: str) -> Exception:
    if not _is_hub(error.url):  # where the bytes lie: an address that the hub gave has run out, or a proxy objects
        return Broken(f"{urlsplit(error.url).netloc} answers {error.code} {error.reason}")
    cause = error.headers.get("X-Error-Code", "")
    log_in = "log in with `hf auth login`, or set HF_TOKEN, where realignd runs"
    if cause == "GatedRepo" or error.code == FORBIDDEN:
        return HubRefusal(
            "gated",
            f"{model} is gated: accept its licence at {endpoint()}/{model} and {log_in}, then try again",
        )
    if cause == "RevisionNotFound":
        return HubRefusal("missing", f"{model} has no such revision on the hub; see {endpoint()}/{model}/commits")
    if error.code in (NOT_FOUND, UNAUTHORISED):
        return HubRefusal(
            "missing",
            f"the hub has no model {model}, or shows it to others only: check the name at {endpoint()}/{model}, "
            f"and if it is private {log_in}",
        )
    return Broken(f"it answers {error.code} {error.reason}")


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"it said nothing for {STALL_S:.0f} s"
    return str(reason) or type(reason).__name__
