"""Output: a finished or blocked job's folder, from its desk and its material."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from realign_daemon.clock import Clock
from realign_daemon.curation.card import CardModel, CardSource, data_set_card
from realign_daemon.curation.desk import Desk
from realign_daemon.curation.export import data_set_files, without_repeats, write_folder
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord
from realign_daemon.curation.spec import JobSpec
from realign_daemon.curation.summary import Document, NodeWork, Performance, summary_document
from realign_daemon.curation.summary import Output as OutputFigures
from realign_daemon.work.blobs import BlobStore

MARK = ".job"  # says whose folder it is, so that no job writes into another's


class Output:
    """Writes output folders under a root."""

    def __init__(self, *, root: Path, blobs: BlobStore, clock: Clock, usd_per_node_hour: float | None) -> None:
        self._root = root
        self._blobs = blobs
        self._clock = clock
        self._usd_per_node_hour = usd_per_node_hour

    async def write(self, desk: Desk, material: Material) -> None:
        """Writes what the job made, and puts the folder and the summary into its record.

        Raises:
            OSError: the disk is full; nothing half is left.
        """
        spec, record = desk.spec, desk.record
        material.rows, repeated = without_repeats(material.rows)
        tiers = {f"{verdict.stage}.{verdict.metric}": verdict.tier for verdict in record.gates}
        material.rows = [replace(row, provenance={**row.provenance, "gates": tiers}) for row in material.rows]
        material.dropped.extend(repeated)
        folder = self._folder(spec)
        record.summary = self._summary(spec, record, material, folder)
        card = _card(spec, record, material)
        files = data_set_files(material.rows, material.dropped, summary=record.summary, card=card)
        adapter = self._blobs.path(material.adapter) if material.adapter else None
        await asyncio.to_thread(write_folder, folder, {**files, MARK: spec.job_id.encode()}, adapter=adapter)
        record.output = str(folder)

    def _folder(self, spec: JobSpec) -> Path:
        """The job's own folder; a second job of the same name and day gets its id behind it."""
        folder = self._root / spec.folder_name
        mark = folder / MARK
        if folder.exists() and not (mark.is_file() and mark.read_text("utf-8") == spec.job_id):
            return self._root / f"{spec.folder_name}_{spec.job_id.rpartition('-')[2]}"
        return folder

    def _summary(self, spec: JobSpec, record: JobRecord, material: Material, folder: Path) -> Document:
        plan = record.plan or {}
        nodes = sorted(record.nodes.values(), key=lambda node: (-node.units, node.name))
        running_s = record.worked_s + (self._clock.unix() - record.started_unix_s if record.started_unix_s else 0.0)
        batch_sizes = {node["name"]: node["batch_size"] for node in plan.get("nodes", ())}
        return summary_document(
            data_type=spec.data_type,
            skill=spec.skill,
            stages_completed=sum(stage.state == "done" for stage in record.stages),
            verdicts=record.gates,
            overrides=spec.overrides,
            reports={name: value for name, value in record.reports.items() if name not in _gated(record)},
            performance=Performance(
                machines=tuple(node.name for node in nodes),
                batch_size=batch_sizes.get(nodes[0].name) if nodes else None,
                distribution=plan.get("strategy"),
                examples_processed=sum(node.examples for node in nodes),
                running_s=running_s,
                node_s=running_s * len(nodes),
                nodes=tuple(
                    NodeWork(
                        name=node.name,
                        units=node.units,
                        examples=node.examples,
                        examples_per_s=node.examples_per_s or None,
                    )
                    for node in nodes
                ),
            ),
            output=OutputFigures(
                path=str(folder / "train.jsonl"),
                examples=sum(not row.is_held_out for row in material.rows),
                held_out=sum(row.is_held_out for row in material.rows),
            ),
            usd_per_node_hour=self._usd_per_node_hour,
            predicted=plan.get("predicted"),
            provenance={
                "job": spec.job_id,
                "realign": spec.realign_version,
                "seed": spec.seed,
                "sources": [{"name": source.name, "sha256": source.sha256} for source in spec.sources],
                "models": {role: {"name": pin.name, "sha256": pin.model} for role, pin in spec.roles.items()},
                "templates": spec.template_versions,
                "settings": spec.settings,
                "reused_units": record.reused,  # computed for an earlier job, so in no figure of this one
            },
            energy=None,
        )


def _gated(record: JobRecord) -> set[str]:
    return {verdict.metric for verdict in record.gates}


def _card(spec: JobSpec, record: JobRecord, material: Material) -> str:
    return data_set_card(
        name=spec.folder_name,
        data_type=spec.data_type,
        request=spec.request,
        version=spec.realign_version,
        train_rows=sum(not row.is_held_out for row in material.rows),
        valid_rows=sum(row.is_held_out for row in material.rows),
        sources=[CardSource(name=source.name, sha256=source.sha256) for source in spec.sources],
        models=[CardModel(role=role, name=pin.name, sha256=pin.model) for role, pin in spec.roles.items()],
        templates=spec.template_versions,
        verdicts=record.gates,
        overrides=spec.overrides,
        rejected_reasons=[dropped.reason for dropped in material.dropped],
        has_adapter=material.adapter is not None,
    )
