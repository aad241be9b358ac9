"""Measurement: how fast this machine computes, and how fast it runs the loaded model."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import psutil

from realign_daemon.engine.api import BatchPoint, ComputeBenchmark, ModelBenchmark, Sampler
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.generate import Sequences
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.shard import on_cpu

# What "an example" is in examples_per_s: a short question and a short answer.
PROMPT_TOKENS = 64
NEW_TOKENS = 32
_PREFILL_TOKENS = 512  # prefill_tps is measured on one prompt of this length, or half the context if that is less
_ENOUGH_GAIN = 1.05  # a doubled batch that gives less than 5 % more is past the peak
_MISSES = 2  # sizes without a gain before the search ends: one dip may be another program's doing
_NOISY_VARIATION = 0.10
_NOISY_LOAD_PER_CORE = 0.5
_REPETITIONS = 7
_DTYPES = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
_SAMPLE_S = 0.25  # shorter samples of the matrix product scattered by more than 10 % on a shared machine

Alive = Callable[[], None]


class Bench:
    """Medians, and whether they can be trusted. Rests as the duty says, so a slowed engine measures as slow."""

    def __init__(
        self, duty: Duty, alive: Alive, *, budget_s: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`alive` is called after every step; what it raises ends the measurement."""
        self._duty, self._alive, self._clock = duty, alive, clock
        self._ends_at = clock() + budget_s
        self.noisy = os.getloadavg()[0] / (os.cpu_count() or 1) > _NOISY_LOAD_PER_CORE

    def left_s(self) -> float:
        """What is left of the budget."""
        return self._ends_at - self._clock()

    def step(self, work: Callable[[], object]) -> float:
        """The seconds that one step of work takes, its rest included."""
        started = self._clock()
        with self._duty.step():
            work()
            mx.synchronize()
        self._alive()
        return self._clock() - started

    def median_s(self, work: Callable[[], float], *, repetitions: int) -> float:
        """The median of some runs of `work`, which times itself; fewer runs when the budget ends, one at least."""
        samples = [work()]
        while len(samples) < repetitions and self.left_s() > samples[-1]:
            samples.append(work())
        middle = statistics.median(samples)
        if len(samples) > 2:  # noqa: PLR2004 - two samples have no spread worth the name
            self.noisy |= statistics.stdev(samples) / middle > _NOISY_VARIATION
        return middle


def measure_compute(duty: Duty, alive: Alive, *, budget_s: float) -> ComputeBenchmark:
    """GFLOPS of chained square products by dtype, and GB/s of a matrix-vector product in the dtype that is served.

    Chained, so that nothing can be skipped or overlapped. The vector product reads far more than any cache holds;
    it is computed in float32 on the CPU and bfloat16 on a GPU.
    """
    bench = Bench(duty, alive, budget_s=budget_s)
    share_s = budget_s / (len(_DTYPES) + 1)
    gflops = {name: round(_gflops(bench, dtype, share_s), 1) for name, dtype in _DTYPES.items()}
    return ComputeBenchmark(gflops=gflops, bandwidth_gbs=round(_bandwidth(bench, share_s), 2), noisy=bench.noisy)


def measure_model(loaded: Loaded, duty: Duty, alive: Alive, *, budget_s: float, max_batch_size: int) -> ModelBenchmark:
    """Speeds by batch size, doubled until it is no use: two doublings under 5 % more than the best, no memory, no time.

    The sampler is the keyed one of real tasks, at temperature 1, and no sequence ends early. prefill_tps is that of a
    single long prompt, decode_tps that of the best batch size.
    """
    peers = loaded.peers  # whose clocks and free memory differ, and who must all measure the same
    bench = Bench(duty, alive, budget_s=budget_s, clock=peers.clock(time.perf_counter))
    room = loaded.vocabulary.context_tokens
    prompt_tokens, new_tokens = min(PROMPT_TOKENS, room // 2), min(NEW_TOKENS, room // 2 - 1)
    _run(bench, loaded, 1, prompt_tokens, 2)  # kernels are compiled and buffers made in the first run
    prefill_tokens = min(_PREFILL_TOKENS, room // 2)
    prefill_s = bench.median_s(lambda: _run(bench, loaded, 1, prefill_tokens, 1).whole_s, repetitions=3)
    points: list[BatchPoint] = []
    batch_size, misses = 1, 0
    while True:
        mx.reset_peak_memory()
        before_bytes = mx.get_active_memory()
        timings: list[_Timing] = []

        def once(size: int = batch_size, timings: list[_Timing] = timings) -> float:
            timings.append(_run(bench, loaded, size, prompt_tokens, new_tokens))
            return timings[-1].whole_s

        whole_s = bench.median_s(once, repetitions=3)
        decode_tps = round(statistics.median(timing.decode_tps for timing in timings), 2)
        examples_per_s = round(batch_size / whole_s, 4)
        points.append(BatchPoint(batch_size=batch_size, decode_tps=decode_tps, examples_per_s=examples_per_s))
        best_before = max((point.examples_per_s for point in points[:-1]), default=0.0)
        misses = 0 if points[-1].examples_per_s >= best_before * _ENOUGH_GAIN else misses + 1
        batch_bytes = mx.get_peak_memory() - before_bytes
        is_full = peers.any(2 * batch_bytes > psutil.virtual_memory().available)
        if misses == _MISSES or is_full or bench.left_s() < 2 * whole_s:
            break
        batch_size *= 2
        if batch_size > max_batch_size:
            break
    best = max(points, key=lambda point: point.examples_per_s)
    return ModelBenchmark(
        prefill_tps=round(prefill_tokens / prefill_s, 2),
        decode_tps=best.decode_tps,
        peak_batch_size=best.batch_size,
        examples_per_s=best.examples_per_s,
        points=tuple(points),
        noisy=bench.noisy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timing:
    whole_s: float
    decode_tps: float  # tokens per second over the steps that wrote any


def _run(bench: Bench, loaded: Loaded, batch_size: int, prompt_tokens: int, new_tokens: int) -> _Timing:
    sequences = Sequences(loaded, batch_size, ends=False)
    sampler = Sampler(temperature=1.0, max_tokens=new_tokens)
    for row in range(batch_size):
        prompt = [(row + 7 * place) % loaded.vocabulary_size for place in range(prompt_tokens)]
        sequences.add_tokens(row, prompt, sampler, row)
    whole_s = decode_s = 0.0
    try:
        while sequences:
            before = sequences.written
            took = bench.step(sequences.step)
            whole_s += took
            decode_s += took if sequences.written > before else 0.0
    finally:
        sequences.close()
    return _Timing(whole_s=whole_s, decode_tps=sequences.written / decode_s)


def _gflops(bench: Bench, dtype: mx.Dtype, share_s: float) -> float:
    # 1024 is past the knee on a CPU (512: 259, 1024: 297 GFLOPS); 16 bits are slow there at any size (512: 4.7,
    # 1024: 4.4), so they get the smaller one; a GPU needs more to fill all its cores. Measured 2026-11-22.
    size = (1024 if dtype == mx.float32 else 512) if on_cpu() else 4096
    weights = (mx.random.normal((size, size)) / size**0.5).astype(dtype)
    start = mx.random.normal((size, size)).astype(dtype)
    mx.eval(weights, start)

    def chain(links: int) -> float:
        product = start
        for _ in range(links):
            product = product @ weights
        return bench.step(lambda: mx.eval(product)) / links

    link_s = _per_link_s(bench, chain, share_s)
    return 2 * size**3 / link_s / 1e9


def _bandwidth(bench: Bench, share_s: float) -> float:
    dtype, size = (mx.float32, 4096) if on_cpu() else (mx.bfloat16, 8192)
    matrices = [mx.full((size, size), 1 / size, dtype) for _ in range(4)]
    start = mx.random.normal((size, 1)).astype(dtype)
    mx.eval(matrices, start)

    def chain(links: int) -> float:
        vector = start
        for link in range(links):
            vector = matrices[link % len(matrices)] @ vector
        return bench.step(lambda: mx.eval(vector)) / links

    return matrices[0].nbytes / _per_link_s(bench, chain, share_s) / 1e9


def _per_link_s(bench: Bench, chain: Callable[[int], float], share_s: float) -> float:
    """The median seconds of one link, over samples long enough to be steady as far as the share of time allows."""
    chain(1)
    guess_s = chain(1)
    links = max(1, int(min(_SAMPLE_S, share_s / (_REPETITIONS + 1)) / guess_s))
    repetitions = max(1, min(_REPETITIONS, int(share_s / (links * guess_s))))
    return bench.median_s(lambda: chain(links), repetitions=repetitions)
