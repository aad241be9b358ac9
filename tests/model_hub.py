"""A model hub on loopback that speaks as much of the hub's protocol as realign uses, and fails as it is told to."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"
TOKEN = "hf_secret"
PIECE_BYTES = 65_536


@dataclass
class Repository:
    """A model; large files lie with a server of their own, which the hub redirects to."""

    files: Mapping[str, bytes]
    commit: str = COMMIT
    gated: bool = False
    private: bool = False

    def is_large(self, file: str) -> bool:
        return file.endswith((".safetensors", ".bin"))

    def describe(self, name: str) -> dict[str, Any]:
        siblings: list[dict[str, Any]] = []
        for file, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            large = {"lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}}
            siblings.append(
                {"rfilename": file, "size": len(data), "blobId": blob, **(large if self.is_large(file) else {})}
            )
        return {"id": name, "sha": self.commit, "gated": "auto" if self.gated else False, "siblings": siblings}


@dataclass
class ModelHub:
    """What the hub has, and how it misbehaves."""

    repositories: dict[str, Repository] = field(default_factory=dict[str, Repository])
    address: str = ""
    store_address: str = ""
    cuts: int = 0  # so many answers of large files break off in the middle
    damages: bool = False  # large files come with another last byte
    ignores_ranges: bool = False
    busy: int = 0  # so many answers are 503
    detours: int = 0  # so many answers for large files redirect once more
    forbids: int = 0  # so many answers for large files are 403
    wait_s: float = 0.0  # before each piece of a large file
    asked: list[str] = field(default_factory=list[str])  # "PATH" or "PATH START-END" for a range
    tokens: dict[str, set[str | None]] = field(default_factory=dict[str, set[str | None]])  # by server

    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.address, "HF_HUB_OFFLINE": "", "HF_TOKEN": ""}


@contextmanager
def model_hub(repositories: Mapping[str, Repository] | None = None) -> Generator[ModelHub]:
    """A hub that runs until the block ends."""
    hub = ModelHub(dict(repositories or {}))
    servers = [_serving(hub, is_store=is_store) for is_store in (False, True)]
    hub.address, hub.store_address = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _serving(hub: ModelHub, *, is_store: bool) -> ThreadingHTTPServer:
    class Handler(_Handler):
        of = hub
        store = is_store

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    of: ModelHub
    store: bool
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's
        """Says nothing."""

    def do_GET(self) -> None:
        hub, path = self.of, unquote(urlsplit(self.path).path)
        span = self.headers.get("Range", "").removeprefix("bytes=")
        hub.asked.append(f"{path} {span}".strip())
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        hub.tokens.setdefault("store" if self.store else "hub", set()).add(token)
        if hub.busy:
            hub.busy -= 1
            self._refuse(503, "")
        elif found := re.fullmatch(r"/api/models/(.+?)/revision/(.+)", path):
            self._describe(found[1], found[2], token)
        elif found := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[2], found[3], token, span)
        else:
            self._refuse(404, "")

    def _describe(self, name: str, revision: str, token: str | None) -> None:
        found = self.of.repositories.get(name)
        if found is None or (found.private and token != TOKEN):
            self._refuse(404 if token else 401, "RepoNotFound")
        elif revision not in ("main", found.commit):
            self._refuse(404, "RevisionNotFound")
        else:
            self._answer(json.dumps(found.describe(name)).encode())

    def _resolve(self, name: str, revision: str, file: str, token: str | None, span: str) -> None:
        found = self.of.repositories.get(name)
        if found is None or file not in found.files or revision != found.commit:
            self._refuse(404, "EntryNotFound")
        elif self.store and self.of.detours:
            self.of.detours -= 1
            self._redirect(f"{self.of.store_address}{self.path}")
        elif self.store and self.of.forbids:
            self.of.forbids -= 1
            self._refuse(403, "")
        elif self.store:
            self._send(found.files[file], span)
        elif found.gated and token != TOKEN:
            self._refuse(403 if token else 401, "GatedRepo")
        elif found.is_large(file):
            self._redirect(f"{self.of.store_address}{self.path}")
        else:
            self._answer(found.files[file])

    def _send(self, data: bytes, span: str) -> None:
        hub = self.of
        start, _, end = span.partition("-")
        first, last = (int(start), int(end) + 1 if end else len(data)) if span and not hub.ignores_ranges else (0, None)
        if hub.damages:
            data = data[:-1] + bytes([data[-1] ^ 1])
        body = data[first:last]
        self.send_response(206 if span and not hub.ignores_ranges else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        is_cut = hub.cuts > 0 and len(body) > PIECE_BYTES
        hub.cuts -= is_cut
        for at in range(0, len(body) // 2 if is_cut else len(body), PIECE_BYTES):
            time.sleep(hub.wait_s)
            self.wfile.write(body[at : at + PIECE_BYTES])
        self.close_connection = is_cut

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, cause: str) -> None:
        self.send_response(status)
        if cause:
            self.send_header("X-Error-Code", cause)
        self.send_header("Content-Length", "0")
        self.end_headers()
