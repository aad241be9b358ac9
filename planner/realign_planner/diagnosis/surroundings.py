"""Surroundings: what is looked at beside the ladder: the daemon, its log, its network and the machine under it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from realign_planner.diagnosis.answer import Answer, said
from realign_planner.diagnosis.check import Check, Topic
from realign_planner.diagnosis.log_failures import failures_in, name_taken_in, no_route_in
from realign_planner.diagnosis.neighbours import Neighbour
from realign_planner.diagnosis.sameness import compare_versions
from realign_planner.diagnosis.service import firewall, kind_of_service
from realign_planner.diagnosis.situation import Situation

SETTLED_S = 60.0  # after its start a daemon has been dialled by all others: they try every 4 s (daemon: cluster/timing)
FIRST_POSSIBLE_UNIX_S = 1_767_225_600  # 2026-01-01: there was no realign before
FLOOR_BYTES = 2 * 1024**3  # with less than this, or than 2 %, a node takes no work (daemon: host/disk_room)
FLOOR_FRACTION = 0.02

_DF = re.compile(r"[ \t](\d{1,18})[ \t]+\d{1,18}[ \t]+(\d{1,18})[ \t]+\d{1,3}%")
_OF_GROUP = re.compile(r"\[(?:ring|jaccl)\]")  # with which MLX begins what it says
_EARLY = re.compile(r"not valid yet|\bclocks\b")  # what a node says that was met with a wrong clock


def look_around(situation: Situation) -> list[Check]:
    """All that can stand in the way of the cluster or of this node's work, in the order of the causes."""
    looks = (look(topic, situation) for topic, look in _LOOKS)
    return [compare_versions(situation), *_failures(situation), *looks]


def _failures(situation: Situation) -> Iterable[Check]:
    """One check for each kind of failure in the log."""
    title = "failures in the log"
    found = failures_in(situation.log or "")
    for cause, line in found.items():
        yield Topic(id=f"log_{cause}", title=title).failed(cause, line, interface="PORT")
    if situation.log is None:
        yield _no_log(Topic(id="log", title=title), situation.answers.get("daemon_log"))
    elif not found:
        yield Topic(id="log", title=title).ok("none of RDMA or the ring since the daemon's last start")


def _no_log(topic: Topic, answer: Answer | None) -> Check:
    if answer is not None and "permission denied" in answer.text.lower():
        return topic.unknown("this user may not read the daemon's log; run doctor as the daemon's user", answer.text)
    return topic.skipped("the daemon has left no log here")


def _daemon(topic: Topic, situation: Situation) -> Check:
    status = situation.answers.get("daemon_status")
    if status is None:
        return topic.skipped(
            "no daemon is installed here, so what only it knows is left out: `realignctl daemon install`"
        )
    if status.status != 0:
        return topic.failed("daemon_silent", status.text)
    if situation.cluster is None:
        return topic.unknown("the daemon answered with something else than its status", status.text)
    return topic.ok(f"it answers; living nodes: {len(situation.cluster.nodes)}")


def _local_network(topic: Topic, situation: Situation) -> Check:
    if not situation.machine.is_mac:
        return topic.skipped("only macOS keeps programs from the local network")
    kind = kind_of_service(situation.answers)
    no_route = no_route_in(situation.log or "")
    if kind == "agent":
        return topic.failed("local_network_privacy", no_route or "launchctl prints it as a LaunchAgent")
    if kind == "unknown":
        return topic.unknown("whether the daemon is a LaunchAgent, which macOS keeps from it, is not known", no_route)
    return topic.ok("the daemon is a LaunchDaemon" if kind == "daemon" else "launchd runs no daemon here")


def _firewall(topic: Topic, situation: Situation) -> Check:
    if not situation.machine.is_mac:
        return topic.skipped("asked on a Mac only; whether others reach this machine is looked at below")
    answers = situation.answers
    state = firewall(answers.get("firewall_state"), answers.get("firewall_block_all"))
    unreached = [node.name for node in _others(situation) if node.dials_here is False]
    if state == "blocks_all":
        return topic.failed("firewall_blocks", said(answers, "firewall_state") or "block all is on")
    if state == "on" and unreached:
        return topic.failed("firewall_blocks", f"it is on, and {', '.join(unreached)} cannot connect to this node")
    if state == "unknown":
        return topic.unknown("`socketfilterfw --getglobalstate` did not say it")
    return topic.ok(f"it is {state}")


def _reach(topic: Topic, situation: Situation) -> Check:
    others, no_route = _others(situation), no_route_in(situation.log or "")
    here = [f"{node.name} does not reach this node" for node in others if node.dials_here is False]
    there = [f"this node does not reach {node.name}" for node in others if node.is_dialled is False]
    if problems := [*filter(None, [name_taken_in(situation.log or "")]), *here, *there]:
        return topic.failed("not_reachable", ", ".join(problems))
    if no_route and (not others or _OF_GROUP.search(no_route)):
        return topic.failed("not_reachable", no_route)
    if situation.cluster is None:
        return topic.skipped("only a daemon that answers knows them")
    if not others:
        return topic.skipped("no other node is connected, or the daemon has just started")
    return topic.ok(f"nodes that dial this one and are dialled by it: {len(others)}")


def _clock(topic: Topic, situation: Situation) -> Check:
    text = (said(situation.answers, "date") or "").strip()
    is_time = re.fullmatch(r"\d{1,12}", text) is not None
    if is_time and int(text) < FIRST_POSSIBLE_UNIX_S:
        return topic.failed("clock_wrong", f"it shows {text} s after 1970")
    early = next(
        (reason for reason in (situation.cluster.refused if situation.cluster else ()) if _EARLY.search(reason)), ""
    )
    if early:
        return topic.failed("clock_wrong", early)
    return topic.ok("no sign that it is wrong") if is_time else topic.unknown("`date` did not say the time", text)


def _python(topic: Topic, situation: Situation) -> Check:
    software = situation.machine.software
    if software is None:
        return topic.skipped("the daemon's Python is not known")
    text = f"Python {software.python}, SQLite {software.sqlite}"
    is_apples = situation.machine.is_mac and software.is_apples
    return topic.failed("apple_python", f"{software.base}: {text}") if is_apples else topic.ok(text)


def _disk(topic: Topic, situation: Situation) -> Check:
    figures = _DF.search(said(situation.answers, "disk") or "")
    if figures is None:
        return topic.unknown("`df` did not say how much is free")
    total_bytes, free_bytes = (int(figure) * 1024 for figure in figures.groups())
    text = f"{free_bytes / 1e9:.1f} of {total_bytes / 1e9:.1f} GB are free"
    is_low = free_bytes < max(FLOOR_BYTES, int(total_bytes * FLOOR_FRACTION))
    return topic.failed("disk_low", text) if is_low else topic.ok(text)


def _sandbox(topic: Topic, situation: Situation) -> Check:
    answer, software = situation.answers.get("sandbox"), situation.machine.software
    if answer is not None and answer.status == 0:
        return topic.ok("a program can be confined")
    if answer is not None and answer.status is not None:
        return topic.failed("no_sandbox", answer.text)
    if answer is not None or situation.machine.is_mac or (software is not None and software.has_bubblewrap):
        return topic.unknown("the sandbox could not be tried")
    return topic.failed("no_sandbox", "there is no bwrap")


def _environment(topic: Topic, situation: Situation) -> Check:
    value = (said(situation.answers, "fast_synch") or "").strip()
    set_for_all = value not in ("", "0")
    return topic.ok(
        "MLX_METAL_FAST_SYNCH=1 can wedge the GPU until a restart: engines of one node have it, groups of nodes do not"
        f"{', but launchd gives it to every program here' if set_for_all else ''}; MLX knows no MLX_METAL_PREALLOCATE",
        f"launchctl getenv MLX_METAL_FAST_SYNCH: {value}" if set_for_all else "",
    )


def _others(situation: Situation) -> list[Neighbour]:
    """The other living nodes, once the daemon is up for long enough to judge by them."""
    cluster = situation.cluster
    if cluster is None or cluster.uptime_s < SETTLED_S:
        return []
    return [node for node in cluster.nodes if not node.is_self]


_LOOKS: tuple[tuple[Topic, Callable[[Topic, Situation], Check]], ...] = (
    (Topic(id="daemon", title="daemon"), _daemon),
    (Topic(id="local_network", title="local network"), _local_network),
    (Topic(id="firewall", title="firewall"), _firewall),
    (Topic(id="reach", title="connections both ways"), _reach),
    (Topic(id="clock", title="clock"), _clock),
    (Topic(id="python", title="the daemon's Python"), _python),
    (Topic(id="disk", title="room on the disk"), _disk),
    (Topic(id="sandbox", title="sandbox for programs"), _sandbox),
    (Topic(id="environment", title="environment"), _environment),
)
