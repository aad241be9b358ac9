"""The status of a node and its cluster for a person. Pure."""

from __future__ import annotations

import datetime as dt

from realign_client.render.figures import duration, number, rate, size
from realign_client.render.table import table
from realign_proto.v1 import facts_pb2, status_pb2

NO_ROOM = "         too little of the disk is free: no results or files of other nodes are taken in; free some space"


def status_lines(status: status_pb2.NodeStatus) -> list[str]:
    """The node, who leads, the members, what was measured, the engine and the jobs at work."""
    node, leader = status.node, status.leader
    machine = f"{node.chip}, {size(node.memory_bytes)}"
    power = f"power {status.power.source or 'unknown'}{_battery(status.power)}"
    lines = [
        f"{node.name} ({node.id[:12]}) · realign {node.version} · {machine} · up {duration(node.uptime_s)}",
        f"leader   {leader.name} (term {leader.term})" if leader.id else "leader   none yet",
        f"engine   {_engine(status.engine)}",
        f"disk     {size(status.disk.free_bytes)} free · {power}",
        f"ledger   {status.ledger.rows} results, {status.ledger.under_replicated} with too few copies",
        *([NO_ROOM] if status.ledger.lacks_room else []),
        "",
        *member_lines(status),
        *(f"refused {one.address or 'a caller'}: {one.reason}" for one in status.refused),
    ]
    if status.HasField("benchmark"):
        lines += ["", *benchmark_lines(status.benchmark)]
    if status.jobs:
        lines += ["", *_job_lines(status)]
    return lines


def member_lines(status: status_pb2.NodeStatus) -> list[str]:
    """The nodes of the cluster, this one included, and what each can do."""
    rows = [
        (
            member.name + ("*" if member.id == status.leader.id else ""),
            _state(member),
            "here" if member.id == status.node.id else f"{member.last_seen_s:.1f}s ago",
            member.facts.chip or "-",
            f"{size(member.facts.free_bytes)} of {size(member.facts.memory_bytes)}",
            _speed(member.facts),
            member.version,
            ", ".join(member.addresses),
        )
        for member in status.members
    ]
    header = ("NODE", "STATE", "SEEN", "CHIP", "FREE MEMORY", "SPEED", "VERSION", "ADDRESSES")
    remarks = [remark for member in status.members if member.state != "dead" for remark in _remarks(member.facts)]
    return [*table(header, rows, right=(2, 4, 5)), *remarks]


def benchmark_lines(benchmark: facts_pb2.HostBenchmark) -> list[str]:
    """What was measured on a machine."""
    gflops = ", ".join(f"{dtype} {value:,.0f} GFLOPS" for dtype, value in sorted(benchmark.gflops.items()))
    rows = [
        (
            model.model + (" (noisy)" if model.noisy else ""),
            f"{model.prefill_tps:,.0f}",
            f"{model.decode_tps:,.0f}",
            str(model.peak_batch_size),
            number(model.examples_per_s),
        )
        for model in benchmark.models
    ]
    measured = f"measured {benchmark.measured_at}: {gflops or 'no GFLOPS'}, {number(benchmark.bandwidth_gbs)} GB/s"
    header = ("MODEL", "PREFILL TOK/S", "DECODE TOK/S", "BEST BATCH", "EX/S")
    return [measured, *(table(header, rows, right=(1, 2, 3, 4)) if rows else ())]


def _job_lines(status: status_pb2.NodeStatus) -> list[str]:
    rows = [
        (
            job.id,
            job.state,
            job.stage or "-",
            f"{job.units_done}/{job.units_total}",
            rate(job.examples_per_s),
            duration(job.eta_s) if job.HasField("eta_s") else "-",
        )
        for job in status.jobs
    ]
    return table(("JOB", "STATE", "STAGE", "UNITS", "SPEED", "LEFT"), rows, right=(3, 4, 5))


def _engine(engine: facts_pb2.EngineState) -> str:
    parts = [engine.state or "absent"]
    if engine.model:
        parts.append(engine.model)
    if engine.HasField("group"):
        group = engine.group
        kind = f"{group.parallelism} over {group.backend}"
        parts.append(f"rank {group.rank} of {group.size} in a group ({kind}): {', '.join(group.nodes)}")
    if engine.pid:
        parts.append(f"pid {engine.pid}, {size(engine.rss_bytes)}")
    if engine.last_error:
        parts.append(engine.last_error)
    return " · ".join(parts)


def _state(member: status_pb2.Member) -> str:
    if member.state != "alive":
        return member.state
    return "witness" if member.facts.witness else "paused" if member.facts.paused else member.state


def _speed(facts: facts_pb2.NodeFacts) -> str:
    if facts.witness:
        return "-"
    speeds = [model.examples_per_s for model in facts.benchmark.models]
    return rate(max(speeds)) if speeds else "not measured"


def _remarks(facts: facts_pb2.NodeFacts) -> list[str]:
    """What keeps a node from working, and that its machine slept."""
    left = f", for another {duration(facts.pause_left_s)}" if facts.HasField("pause_left_s") else ""
    remarks = [f"{facts.name} takes no work: {facts.refusal}{left}"] if facts.refusal else []
    if facts.HasField("last_sleep"):
        woke = dt.datetime.fromtimestamp(facts.last_sleep.woke_unix_s).astimezone()
        remarks.append(f"{facts.name} slept for {duration(facts.last_sleep.slept_s)}, until {woke:%a %H:%M}")
    return remarks


def _battery(power: facts_pb2.Power) -> str:
    return f" ({power.battery_fraction:.0%})" if power.HasField("battery_fraction") else ""
