"""What goes for a person: the files of a job, and garbage. Pure."""

from __future__ import annotations

from realign_client.render.figures import size
from realign_client.render.table import table
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1 import housekeeping_pb2

SHOWN_FILES = 40  # of a job: an output folder has some ten


def removal_lines(listed: pb.FileList) -> list[str]:
    """What removing the job deletes."""
    job, files = listed.job, listed.files
    lines = [f"{job.id} · {job.state} · home {job.home}", *table(("FILE", "SIZE"), _rows(listed), right=(1,))]
    if len(files) > SHOWN_FILES:
        lines.append(f"and {len(files) - SHOWN_FILES} more")
    total = size(sum(file.size_bytes for file in files))
    where = f" in {job.output}" if job.output and files else ""
    return [*lines, f"{len(files)} files, {total}{where}; its spec and its record on every node"]


def garbage_lines(garbage: housekeeping_pb2.Garbage, *, is_for_real: bool) -> list[str]:
    """What went, or would go, from each node, and what stayed for a reason."""
    rows = [(node.node, kind.kind, str(kind.count), size(kind.bytes)) for node in garbage.nodes for kind in node.kinds]
    total = size(sum(kind.bytes for node in garbage.nodes for kind in node.kinds))
    remarks = [f"{node.node}: {remark}" for node in garbage.nodes for remark in node.remarks]
    if not rows:
        return ["nothing to remove", *remarks]
    done = "removed" if is_for_real else "would be removed"
    in_ledger = any(row[1] in {"results", "computations"} for row in rows)
    return [
        *table(("NODE", "KIND", "COUNT", "SIZE"), rows, right=(2, 3)),
        f"{total} {done}",
        *(["the ledger's file keeps its size: the room in it is used again"] if in_ledger else []),
        *remarks,
    ]


def _rows(listed: pb.FileList) -> list[tuple[str, str]]:
    return [(file.path, size(file.size_bytes)) for file in listed.files[:SHOWN_FILES]]
