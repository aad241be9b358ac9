"""Oracle: which promises were broken, judged by what lies on the disks once everything has ended. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.remains import Decided, Remains

# Blocked: a gate thought little of what a small sample gave, which is an end like another.
WELL = ("completed", "completed_with_errors", "blocked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened to a cluster."""

    acknowledged: Sequence[str]  # jobs whose id a person was told
    earlier: Sequence[Remains]  # of nodes that were killed, each time
    final: Sequence[Remains]  # of every node
    states: Mapping[str, Mapping[str, str]]  # node -> job -> how it ended, as the node said last
    in_flight: int  # units that may have been in flight where something was killed or given up


def violations(story: Story) -> tuple[str, ...]:
    """One sentence for each promise that was broken, none when all was well."""
    return (
        *_lost_jobs(story),
        *_lost_results(story),
        *_decided_twice(story),
        *_computed_twice(story),
        *_unequal(story),
        *_unended(story),
        *_repeated(story),
    )


def computed_again(final: Sequence[Remains]) -> int:
    """How many computations of units were not the first of their unit, by the fault of a home.

    Units that jobs of two homes use are left out, as are those of a job that got another home: while the only node that
    has their results is away, another home computes them anew, and rightly.
    """
    done = Counter(key for node in final for key in node.done)
    homes: defaultdict[str, set[str]] = defaultdict(set)
    moved = {one.job_id for node in final for one in node.decided if b'"rehome"' in one.value}
    for node in final:
        for job_id, key in node.uses:
            homes[key] |= {node.homes.get(job_id, ""), *({"moved"} if job_id in moved else ())}
    return sum(times - 1 for key, times in done.items() if len(homes[key]) <= 1)


def _lost_jobs(story: Story) -> Iterator[str]:
    for node in story.final:
        for job_id in story.acknowledged:
            if job_id not in node.homes:
                yield f"{node.node} does not know {job_id}, whose submit was acknowledged"


def _lost_results(story: Story) -> Iterator[str]:
    for node in story.final:
        for before in story.earlier:
            if lost := before.results - node.results:
                yield f"{node.node} lacks {len(lost)} results that {before.node} had on its disk when it was killed"


def _decided_twice(story: Story) -> Iterator[str]:
    values: defaultdict[tuple[str, int, int], set[bytes]] = defaultdict(set)
    every: Iterator[Decided] = (decided for node in (*story.earlier, *story.final) for decided in node.decided)
    for one in every:
        values[one.job_id, one.instance, one.config_epoch].add(one.value)
    for (job_id, instance, config_epoch), found in sorted(values.items()):
        if len(found) > 1:
            yield f"{len(found)} values were decided of {job_id}/{instance} in config epoch {config_epoch}: {found}"


def _computed_twice(story: Story) -> Iterator[str]:
    again = computed_again(story.final)
    if again > story.in_flight:
        yield f"{again} units were computed again, and at most {story.in_flight} had been in flight"


def _unequal(story: Story) -> Iterator[str]:
    first, *others = story.final
    for other in others:
        apart = first.journal ^ other.journal
        if apart:
            kinds = dict(Counter(kind for kind, _, _ in apart))
            some = sorted((kind, ref) for kind, ref, _ in apart)[:3]
            yield f"the journals of {first.node} and {other.node} differ in {kinds}, such as {some}"


def _unended(story: Story) -> Iterator[str]:
    for node, jobs in story.states.items():
        for job_id in story.acknowledged:
            state = jobs.get(job_id, "unknown")
            if state not in WELL:
                yield f"{node} says of {job_id}: {state}"


def _repeated(story: Story) -> Iterator[str]:
    for node in story.final:
        for file in node.repeated:
            yield f"{file.rows} rows of {file.path} stand there twice"
