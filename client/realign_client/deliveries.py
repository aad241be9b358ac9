"""Delivery: the files of a job that were promised to a folder here, kept until they lie there."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from realign_client.api import Client
from realign_client.endpoint import data_dir
from realign_client.errors import ClientError, UnknownJob
from realign_client.render.jobs import ENDED
from realign_client.terminal import note

FILE = "deliveries.json"  # {job id: absolute folder}, in the data directory


def pending() -> dict[str, Path]:
    """The folder that each job's files are promised to. A damaged file promises nothing."""
    try:
        document: Any = json.loads((data_dir() / FILE).read_text("utf-8"))
        return {str(job_id): Path(folder) for job_id, folder in document.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def promise(job_id: str, folder: Path) -> None:
    """Remembers that the job's files go to the folder. Where that cannot be written down it says so and goes on."""
    target = folder.expanduser().absolute()
    try:
        _change(lambda promised: promised | {job_id: target})
    except OSError as error:
        note(f"the delivery to {target} cannot be remembered ({error}); realignctl fetch {job_id} gets the files")


def forget(job_id: str) -> None:
    """Ends the promise, if there is one. Where that cannot be written down it says so and goes on."""
    if job_id not in pending():
        return
    try:
        _change(lambda promised: {other: folder for other, folder in promised.items() if other != job_id})
    except OSError as error:
        note(f"the delivery of {job_id} cannot be forgotten ({error}); it is made again at the next contact")


async def deliver(client: Client, *, besides: str = "") -> Mapping[str, Path]:
    """Fetches the promised files of every job that has ended, but for the job `besides`; the promises that still wait.

    Never fails: what went wrong is noted on stderr, and the promise stays for the next contact.
    """
    waiting: dict[str, Path] = {}
    for job_id, folder in pending().items():
        if job_id == besides:
            continue
        try:
            job = await client.job(job_id)
            if job.state not in ENDED:
                waiting[job_id] = folder
                continue
            if job.output:
                await client.fetch(job_id, folder)
                note(f"delivered {job_id} to {folder}")
            else:
                note(f"{job_id} ended as {job.state} without files; nothing goes to {folder}")
        except UnknownJob:  # its home is away, or this is another cluster: the promise stands
            continue
        except (ClientError, OSError, ValueError, KeyError, TypeError) as error:  # the last three: a strange summary
            note(f"{job_id} was not delivered to {folder} ({error}); it is tried again at the next contact")
            continue
        forget(job_id)
    return waiting


def _change(change: Callable[[dict[str, Path]], dict[str, Path]]) -> None:
    """Replaces the file in one step; one client at a time, so that two submits at once both keep their promise."""
    target = data_dir() / FILE
    with _alone(target.with_suffix(".lock")):
        document = {job_id: str(folder) for job_id, folder in change(pending()).items()}
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
