"""Contents of a report: gathered from the daemon, from its data directory where that is here, and from this machine."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from realign_client.api import Client, connect
from realign_client.data_folder import LEDGER, entries, is_in_use, strangers
from realign_client.endpoint import data_dir
from realign_client.errors import BadUsage, ClientError
from realign_client.plain import plain, plain_status
from realign_client.report.documents import NODE, log_lines, record_rule, spec_rule, status_rule
from realign_client.report.redaction import Aliases

LOG_BYTES = 256 * 1024  # from its end
LOGS = ("realignd.log", "realignd.out")
PACKAGES = (
    *(
        "realign-cluster",
        "grpcio",
        "protobuf",
        "cryptography",
        "zeroconf",
        "typer",
        "mlx",
        "mlx-lm",
        "numpy",
        "msgpack",
    ),
    *("structlog", "pypdfium2", "pyarrow", "scipy", "llguidance", "math-verify", "rensa"),
)
# Names of settings are ours, but for those of shares.
_VARIABLE = re.compile(
    "REALIGN_(?:DATA_DIR|NODE_NAME|LISTEN|CLUSTER_TAG|ENDPOINT|CLIENT_DIR"
    "|(?:NODE|NETWORK|CLUSTER|ENGINE|BENCHMARK|MODELS|COST|LIMITS|POWER)__[A-Z_]+)"
)


async def gather_report(job: str, endpoint: str | None) -> dict[str, bytes]:
    """The files of a report, by name; `job` may be empty. What cannot be had is named in missing.json.

    Raises:
        BadUsage: neither a daemon nor the data directory knows the job.
    """
    report = _Report(Aliases(secrets.token_bytes(16)))
    folder = data_dir()
    report.put("machine.json", _machine())
    report.put("data_directory.json", _data_directory(folder))
    for name in LOGS:
        report.put_lines(name, _tail(folder / name))
    try:
        async with connect(endpoint) as client:
            await report.ask(client, job)
    except ClientError as error:
        report.miss("daemon", error)
    if not is_in_use(folder):
        report.read_ledger(folder / LEDGER, job)
    if job and not report.has_job:
        raise BadUsage(f"there is no job {job!r} that can be read here; `realignctl jobs` lists them")
    return report.files()


class _Report:
    """What has been gathered."""

    def __init__(self, alias: Aliases) -> None:
        self._alias = alias
        self._files: dict[str, bytes] = {}
        self._missing: dict[str, str] = {}
        self.has_job = False

    def put(self, name: str, document: object) -> None:
        self._files[name] = json.dumps(document, indent=1).encode() + b"\n"

    def put_lines(self, name: str, text: str) -> None:
        lines = list(log_lines(text, self._alias))
        if lines:
            self._files[f"{name}.jsonl"] = "".join(f"{line}\n" for line in lines).encode()

    def put_job(self, record: object, spec: object) -> None:
        self.has_job = True
        self.put("job.json", {"record": record_rule(self._alias)(record), "spec": spec_rule(self._alias)(spec)})

    def miss(self, name: str, error: Exception) -> None:
        self._missing[name] = type(error).__name__  # its text may name files and addresses

    def files(self) -> dict[str, bytes]:
        if self._missing:
            self.put("missing.json", self._missing)
        return self._files

    async def ask(self, client: Client, job: str) -> None:
        """What the daemon says; each part by itself, as an older daemon, or a caller with fewer rights, has not all."""

        async def status() -> None:
            self.put("status.json", status_rule(self._alias)(plain_status(await client.status())))

        async def node() -> None:
            self.put("node.json", NODE(plain(await client.description())))

        async def of_job() -> None:
            document = plain(await client.job(job))
            self.put_job(document, document["spec"])

        parts: dict[str, Callable[[], Awaitable[None]]] = {"status": status, "node": node}
        for name, part in (parts | ({"job": of_job} if job else {})).items():
            try:
                await part()
            except ClientError as error:
                self.miss(name, error)

    def read_ledger(self, ledger: Path, job: str) -> None:
        """What a ledger says that no daemon uses now."""
        if not ledger.is_file():
            return
        try:
            with _opened(ledger) as connection:
                self.put("ledger.json", _rows(connection))
                if job and not self.has_job:
                    self._read_job(connection, job)
        except (sqlite3.DatabaseError, OSError, ValueError) as error:
            self.miss("ledger", error)

    def _read_job(self, connection: sqlite3.Connection, job: str) -> None:
        query = (
            "SELECT spec, COALESCE(record, 'null') FROM jobs LEFT JOIN records USING (job_id) "
            "WHERE SUBSTR(job_id, 1, LENGTH(?))=? LIMIT 2"
        )
        found = connection.execute(query, (job, job)).fetchall()
        if len(found) == 1:
            spec, record = (json.loads(text) for text in found[0])
            self.put_job(record, spec)


@contextmanager
def _opened(ledger: Path) -> Generator[sqlite3.Connection]:
    """The ledger, read where it lies. What a crash has left in its log is only seen in a copy: reading it writes."""
    log = ledger.with_name(f"{ledger.name}-wal")
    with TemporaryDirectory() as scratch:
        if log.is_file() and log.stat().st_size:
            target = Path(scratch) / ledger.name
            for file, copy in ((ledger, target), (log, target.with_name(log.name))):
                shutil.copyfile(file, copy)
            connection = sqlite3.connect(target)
        else:
            connection = sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            yield connection
        finally:
            connection.close()


def _machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "macos": platform.mac_ver()[0],
        "chip": _chip(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: _version(name) for name in PACKAGES},
        "variables": sorted(filter(_VARIABLE.fullmatch, os.environ)),
    }


def _chip() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _data_directory(folder: Path) -> dict[str, Any]:
    return {
        "entries": {entry.path.name: {"files": entry.files, "bytes": entry.size_bytes} for entry in entries(folder)},
        "others": len(strangers(folder)),
        "in_use": is_in_use(folder),
    }


def _rows(connection: sqlite3.Connection) -> dict[str, Any]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name").fetchall()
    return {
        "schema": connection.execute("PRAGMA user_version").fetchone()[0],
        "rows": {name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for (name,) in tables},  # noqa: S608 - the schema's own names
    }


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_BYTES))
            if size > LOG_BYTES:
                file.readline()  # the rest of a line
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
