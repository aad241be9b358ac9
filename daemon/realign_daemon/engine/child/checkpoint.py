"""Checkpoint: all that a training run needs to go on from a step as if it had never stopped, and its file."""

# pyright: reportUnknownMemberType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import mlx.core as mx

from realign_daemon.durable_file import replace_file
from realign_daemon.engine.api import Train, TrainPoint
from realign_daemon.engine.child.dataset import Dataset, fingerprint
from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.codec import encode, structured

Arrays = Mapping[str, mx.array]
Warn = Callable[[str, str], None]  # an event's name and the reason

_FORMAT = 1  # another number for another content: files of an older one are ignored
_SEAL_BYTES = hashlib.sha256().digest_size
# Writing takes at most a twentieth of the time: LoRA weights and moments of a 7B model are a few hundred megabytes.
_WORK_PER_WRITE = 20.0
_AFTER_FAILURE_S = 60.0  # a full disk is no reason to stop training, nor to try at every step


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a run has measured so far."""

    step_losses: tuple[float, ...] = ()
    points: tuple[TrainPoint, ...] = ()
    trained_tokens: int = 0
    best_loss: float = math.inf
    evaluations_since_best: int = 0
    kept_margins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A run between two steps. The order of batches is not in it: it follows from seed and step."""

    journal: Journal
    weights: Arrays
    kept: Arrays  # the weights of the best evaluation; empty without patience
    optimiser: Arrays
    reference: array[float]


class CheckpointFile:
    """The last checkpoint of one task on disk.

    A seal at its end, a hash over the content and all that the run follows from, tells whether it is whole and of this
    very run. That includes what computes it (another MLX may round otherwise, and the result would be neither's) and
    the data set in tokens (a chat template may write the day's date).
    """

    def __init__(
        self,
        path: Path,
        *,
        every_s: float,
        warn: Warn,
        clock: Callable[[], float] = time.monotonic,
        peers: Peers | None = None,
    ) -> None:
        """Saves at most every `every_s`. `warn` is told what became of a file that cannot be read or written.

        Of a group only rank 0 has a file. Any other number of ranks may go on from it, and then rounds otherwise.
        """
        self._path, self._every_s, self._warn, self._clock = path, every_s, warn, clock
        self._peers = peers or Peers()
        self._run = b""
        self._due_at_s = clock() + every_s

    def open(self, task: Train, data: Dataset) -> Checkpoint | None:
        """Makes this the file of a run; the checkpoint in it, or None when there is none that can be trusted."""
        computed_by = f"{_FORMAT} {version('mlx')} {version('mlx-lm')} {mx.default_device()}"
        self._run = computed_by.encode() + encode(task) + fingerprint(data)
        body = self._peers.share(self._trusted() if self._peers.leads else b"")
        if not body:
            return None
        loaded = mx.load(io.BytesIO(body), format="safetensors", return_metadata=True)  # pyright: ignore[reportArgumentType] - any file will do
        arrays, metadata = cast("tuple[dict[str, mx.array], dict[str, str]]", loaded)
        mx.eval(arrays)
        return Checkpoint(
            journal=structured(json.loads(metadata["journal"]), Journal),
            weights=_under("weights.", arrays),
            kept=_under("kept.", arrays),
            optimiser=_under("optimiser.", arrays),
            reference=array("f", cast("list[float]", arrays["reference"].tolist())),
        )

    def save_if_due(self, make: Callable[[], Checkpoint]) -> None:
        """Replaces the file when the last time was long enough ago."""
        started_s = self._clock()
        if started_s < self._due_at_s or not self._peers.leads:
            return
        try:
            replace_file(self._path, self._sealed(make()))
            rest_s = _WORK_PER_WRITE * (self._clock() - started_s)
        except OSError as error:
            self._warn("checkpoint.not_written", f"{self._path}: {error}")
            rest_s = _AFTER_FAILURE_S
        self._due_at_s = self._clock() + max(self._every_s, rest_s)

    def _trusted(self) -> bytes:
        """What is in the file before its seal; nothing where there is no file or not this run's."""
        try:
            content = memoryview(self._path.read_bytes())
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._warn("checkpoint.ignored", f"{self._path} cannot be read: {error}")
            return b""
        body, seal = content[:-_SEAL_BYTES], content[-_SEAL_BYTES:]
        if bytes(seal) != self._seal(body):
            self._warn("checkpoint.ignored", f"{self._path} is damaged or another run's")
            return b""
        return bytes(body)

    def _sealed(self, checkpoint: Checkpoint) -> bytes:
        arrays = {"reference": mx.array(checkpoint.reference.tolist(), dtype=mx.float32)}
        for prefix in ("weights", "kept", "optimiser"):
            named = cast("Arrays", getattr(checkpoint, prefix))
            arrays |= {f"{prefix}.{name}": value for name, value in named.items()}
        file = io.BytesIO()
        mx.save_safetensors(file, arrays, {"journal": json.dumps(asdict(checkpoint.journal))})  # pyright: ignore[reportArgumentType] - any file will do
        file.seek(0, io.SEEK_END)
        file.write(self._seal(file.getbuffer()))
        return file.getvalue()

    def _seal(self, body: Any) -> bytes:
        seal = hashlib.sha256(self._run)
        seal.update(body)
        return seal.digest()


def _under(prefix: str, arrays: Arrays) -> dict[str, mx.array]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
