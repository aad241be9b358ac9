"""Peers: the other ranks of a group as the main thread meets them, in collectives that all ranks take part in.

Where a rank asks something here, every rank must ask the same, in the same order. Whatever decides what is asked next
(a chosen token, a time, a file, a cancellation) is therefore rank 0's, never a rank's own: two machines may round the
same sum in two ways.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from realign_daemon.engine.ranks import Parallelism, Rank

# Bytes in one collective: enough for the link's full speed, and little beside a model.
_CHUNK_BYTES = 32 * 2**20
_TIME = struct.Struct(">d")


class Peers:
    """Alone there are none, and every question answers itself."""

    def __init__(self, rank: Rank | None = None, group: Any = None) -> None:
        """`group` is MLX's, formed by the rank's plan; both are given or neither."""
        self.group = group
        self.rank = 0 if rank is None else rank.rank
        self.size = 1 if rank is None else rank.plan.size
        self.parallelism: Parallelism | None = None if rank is None else rank.plan.parallelism
        self.split = () if rank is None else rank.plan.split
        # Everything in one stream: MLX gives the collectives of two to the sockets in an order that varies by rank.
        self.stream: mx.Stream | None = None if rank is None else mx.default_stream(mx.default_device())

    @property
    def leads(self) -> bool:
        """Whether this rank is the one that is asked, and that the others follow."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there are no other ranks."""
        return self.size == 1

    def sum(self, value: mx.array) -> mx.array:
        """The sum over all ranks, as soon as it is evaluated."""
        return value if self.is_alone else mx.distributed.all_sum(value, group=self.group, stream=mx.cpu)

    def agree(self, value: mx.array) -> mx.array:
        """What rank 0 has. The others' value is computed all the same: its collectives are needed."""
        if self.is_alone:
            return value
        return self.sum(mx.where(mx.array(self.leads), value, mx.zeros_like(value)))

    def sum_all(self, tree: Any) -> Any:
        """The sums of all arrays of a tree."""
        return self._together(self.sum, tree)

    def agree_all(self, tree: Any) -> Any:
        """All arrays of a tree as rank 0 has them."""
        return self._together(self.agree, tree)

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - it is the value itself
        """Whether the flag is set on some rank."""
        return flag if self.is_alone else cast("int", self.sum(mx.array(int(flag))).item()) > 0

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """Rank 0's clock, for decisions that depend on time."""
        return clock if self.is_alone else lambda: _TIME.unpack(self.share_known(_TIME.pack(clock()), _TIME.size))[0]

    def share(self, data: bytes) -> bytes:
        """Rank 0's bytes; what the others give is not looked at."""
        if self.is_alone:
            return data
        length = self.sum(mx.array(len(data) if self.leads else 0))
        return self.share_known(data, cast("int", length.item()))

    def share_known(self, data: bytes, length: int, *, of: int = 0) -> bytes:
        """One rank's bytes, of which all ranks know how many they are."""
        pieces: list[bytes] = []
        for start in range(0, length, _CHUNK_BYTES):
            end = min(start + _CHUNK_BYTES, length)
            own = (
                mx.array(cast("Any", memoryview(data[start:end])))
                if self.rank == of
                else mx.zeros((end - start,), dtype=mx.uint8)
            )
            pieces.append(bytes(memoryview(cast("Any", self.sum(own)))))
        return b"".join(pieces)

    @contextmanager
    def shared_file(self, path: Path) -> Generator[Path]:
        """A file of rank 0, whose path means nothing elsewhere, as a file of every rank's own for a while."""
        data = self.share(path.read_bytes() if self.leads and not self.is_alone else b"")
        if self.leads:
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="shared-") as folder:
            own = Path(folder) / path.name
            own.write_bytes(data)
            yield own

    def first_word(self, word: str) -> str:
        """What the first rank that has something to say says, with its number; empty when all are silent."""
        if self.is_alone:
            return word
        own = word.encode()
        lengths = self.sum(mx.array([len(own) if rank == self.rank else 0 for rank in range(self.size)])).tolist()
        for rank, length in enumerate(cast("list[int]", lengths)):
            if length:
                return f"rank {rank}: {self.share_known(own, length, of=rank).decode()}"
        return ""

    def _together(self, combine: Callable[[mx.array], mx.array], tree: Any) -> Any:
        """Combines many arrays in few collectives: each costs a round through the group, however small it is."""
        if self.is_alone:
            return tree
        leaves = cast("list[tuple[str, mx.array]]", tree_flatten(tree))
        combined: dict[str, mx.array] = {}
        for dtype in sorted({str(leaf.dtype) for _, leaf in leaves}):
            alike = [(name, leaf) for name, leaf in leaves if str(leaf.dtype) == dtype]
            flat = combine(mx.concatenate([leaf.reshape(-1) for _, leaf in alike]))
            start = 0
            for name, leaf in alike:
                combined[name] = flat[start : start + leaf.size].reshape(leaf.shape)
                start += leaf.size
        return tree_unflatten([(name, combined[name]) for name, _ in leaves])
