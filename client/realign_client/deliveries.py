"""Delivery: the files of a job that were promised to a folder here, kept until they lie there."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from realign_client.api import Client
from realign_client.endpoint import data_dir
from realign_client.errors import ClientError, NoCluster, UnknownJob
from realign_client.render.jobs import ENDED
from realign_client.terminal import note

FILE = "deliveries.json"  # {job id: {"folder", "tries"}}, in the data directory
MOST_TRIES = 3  # of files that are there to be had: a folder that is gone or closed does not come back by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Where a job's files are to go, and how often they could not be put there."""

    folder: Path
    tries: int = 0


def pending() -> dict[str, Promise]:
    """What each job's files are promised to. A damaged file promises nothing."""
    try:
        document: Any = json.loads((data_dir() / FILE).read_text("utf-8"))
        return {
            str(job_id): Promise(folder=Path(promised["folder"]), tries=int(promised["tries"]))
            for job_id, promised in document.items()
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


def promise(job_id: str, folder: Path) -> None:
    """Remembers that the job's files go to the folder. Where that cannot be written down it says so and goes on."""
    target = folder.expanduser().absolute()
    try:
        _change(lambda promised: promised | {job_id: Promise(folder=target)})
    except OSError as error:
        note(f"the delivery to {target} cannot be remembered ({error}); realignctl fetch {job_id} gets the files")


def forget(job_id: str) -> None:
    """Ends the promise, if there is one. Where that cannot be written down it says so and goes on."""
    if job_id not in pending():
        return
    try:
        _change(lambda promised: {other: kept for other, kept in promised.items() if other != job_id})
    except OSError as error:
        note(f"the delivery of {job_id} cannot be forgotten ({error}); it is made again at the next contact")


async def deliver(client: Client, *, besides: str = "") -> Mapping[str, Path]:
    """Fetches the promised files of every job that has ended, but for the job `besides`; where others still go.

    Never fails: what went wrong is noted on stderr, and the promise stays for the next contact, MOST_TRIES times.
    """
    waiting: dict[str, Path] = {}
    for job_id, promised in pending().items():
        folder = promised.folder
        if job_id == besides:
            continue
        try:
            job = await client.job(job_id)
            if job.state not in ENDED or not (job.output or job.ended_unix_s):  # the latter: it is being written
                waiting[job_id] = folder
                continue
            if job.output:
                await client.fetch(job_id, folder)
                note(f"delivered {job_id} to {folder}")
            else:
                note(f"{job_id} ended as {job.state} without files; nothing goes to {folder}")
        except UnknownJob:  # its home is away, or this is another cluster: the promise stands
            continue
        except (ClientError, OSError) as error:
            _note_failure(job_id, promised, error)
            continue
        forget(job_id)
    return waiting


def _note_failure(job_id: str, promised: Promise, error: Exception) -> None:
    """Says what went wrong; the last time, also what to do. A home that does not answer costs no try."""
    is_away = isinstance(error, ClientError) and error.exit_code == NoCluster.exit_code
    tries = promised.tries + (not is_away)
    if tries >= MOST_TRIES:
        note(
            f"{job_id} could not be delivered to {promised.folder} in {tries} tries ({error}); get its files with: "
            f"realignctl fetch {job_id} --output DIR"
        )
        forget(job_id)
        return
    note(f"{job_id} was not delivered to {promised.folder} ({error}); it is tried again at the next contact")
    with suppress(OSError):  # it could not be counted: one try more does no harm
        _change(lambda all_promised: all_promised | {job_id: replace(promised, tries=tries)})


def _change(change: Callable[[dict[str, Promise]], dict[str, Promise]]) -> None:
    """Replaces the file in one step; one client at a time, so that two submits at once both keep their promise."""
    target = data_dir() / FILE
    with _alone(target.with_suffix(".lock")):
        document = {
            job_id: {"folder": str(promised.folder), "tries": promised.tries}
            for job_id, promised in change(pending()).items()
        }
        part = target.with_suffix(".part")
        part.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        part.replace(target)


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # this gives the lock back
