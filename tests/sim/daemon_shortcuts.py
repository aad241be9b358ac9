"""Shortcuts: what simulated daemons need not do again, as it comes out the same, or in full, as nobody looks at it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from typing import Any
from unittest.mock import patch

from realign_daemon import grouping
from realign_daemon.cluster import peers
from realign_daemon.cluster.beats import Beat
from realign_daemon.cluster.facts import MeasuredLink, NodeFacts
from realign_daemon.curation import intake
from realign_daemon.rpc import cluster_servicer, convert, link_survey
from realign_daemon.rpc.link_survey import LinkSurvey
from realign_planner import strategy
from realign_planner.nodes import ClusterFacts
from realign_planner.plan import PlanRequest
from realign_proto.v1 import cluster_pb2, facts_pb2

ECHO_BYTES = 1024  # how fast links are matters to groups of machines only, and a small model needs none

_dumps = json.dumps
_mlx_version = cache(grouping.mlx_version)
_detected = cache(strategy.detect)
_plans: dict[tuple[object, ...], object] = {}


@contextmanager
def shortcuts() -> Generator[None]:
    """Holds for one world: a second world of the same seed has beats of the same names, and perhaps others in them."""
    written = _writing_once(convert.beat_to_wire)
    instead: tuple[tuple[object, str, Any], ...] = (
        (intake, "make_plan", _planned),
        (strategy, "detect", _detected),
        (peers, "beat_to_wire", written),
        (cluster_servicer, "beat_to_wire", written),
        (convert, "facts_from_wire", _reading_once(convert.facts_from_wire)),
        (grouping, "mlx_version", _mlx_version),
        (traceback, "format_exc", str),  # grpc.aio writes one for a log that nobody keeps
        (json, "dumps", _in_one_line),
        (link_survey, "TURNS", 1),
        (link_survey, "MAX_ECHO_BYTES", ECHO_BYTES),
        (LinkSurvey, "links", _no_links),
    )
    with ExitStack() as patches:
        for owner, name, shortcut in instead:
            patches.enter_context(patch.object(owner, name, shortcut))
        yield


def _in_one_line(value: object, *, indent: int | None = None, **how: Any) -> str:
    return _dumps(value, **how)


def _no_links(_: LinkSurvey) -> tuple[MeasuredLink, ...]:
    return ()


def _planned(request: PlanRequest, cluster: ClusterFacts, **known: Any) -> object:
    asked = replace(request, text=""), _detected(request.text), cluster, repr(known)  # it reads no more in the text
    if asked not in _plans:
        _plans[asked] = strategy.make_plan(request, cluster, **known)
    return _plans[asked]


def _writing_once(write: Callable[[Beat], cluster_pb2.Beat]) -> Callable[[Beat], cluster_pb2.Beat]:
    written: dict[tuple[str, int], cluster_pb2.Beat] = {}

    def write_once(beat: Beat) -> cluster_pb2.Beat:
        name = beat.boot, beat.sequence
        if name not in written:
            written[name] = write(beat)
        return written[name]

    return write_once


def _reading_once(read: Callable[[facts_pb2.NodeFacts], NodeFacts]) -> Callable[[facts_pb2.NodeFacts], NodeFacts]:
    known: dict[bytes, NodeFacts] = {}

    def read_once(wire: facts_pb2.NodeFacts) -> NodeFacts:
        content = wire.SerializeToString()
        if content not in known:
            known[content] = read(wire)
        return known[content]

    return read_once
