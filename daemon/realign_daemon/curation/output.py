"""Output: the folder of a job that has ended, from its desk and its material."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from realign_daemon.clock import Clock
from realign_daemon.curation.card import CardModel, CardSource, data_set_card
from realign_daemon.curation.computations import Computations
from realign_daemon.curation.coverage import coverage, sections_asked
from realign_daemon.curation.desk import COMPUTE_TIMEOUT_S, Desk
from realign_daemon.curation.export import (
    ADAPTER_FOLDER,
    MODEL_FOLDER,
    data_set_files,
    lines,
    without_repeats,
    write_folder,
)
from realign_daemon.curation.formats.further import further_files
from realign_daemon.curation.material import Material
from realign_daemon.curation.record import JobRecord, JobState
from realign_daemon.curation.spec import JobSpec
from realign_daemon.curation.stages.hygiene import hygiene_report, redacted
from realign_daemon.curation.summary import Document, NodeWork, Performance, summary_document
from realign_daemon.curation.summary import Output as OutputFigures
from realign_daemon.curation.sums import SUMS, sums
from realign_daemon.curation.written import EXHIBITS, Written, of_material
from realign_daemon.housekeeping.folders import MARK, StoredFile, files_of, job_ids_of, remove_folders
from realign_daemon.work.blobs import BlobStore


class Output:
    """Writes output folders under a root; those of jobs whose end is not final under `provisional` beside it."""

    def __init__(
        self,
        *,
        root: Path,
        blobs: BlobStore,
        computations: Computations,
        clock: Clock,
        usd_per_node_hour: float | None,
    ) -> None:
        self._root = root
        self._provisional = root.with_name("provisional")
        self._blobs = blobs
        self._computations = computations
        self._clock = clock
        self._usd_per_node_hour = usd_per_node_hour
        self._writing = asyncio.Lock()

    async def write(self, desk: Desk, material: Material, *, state: JobState) -> None:
        """Writes what a job made that ended so, and puts the folder and the summary into its record.

        Raises:
            OSError: the disk is full; nothing half is left.
        """
        record = desk.record
        material.rows, repeated = without_repeats(material.rows)
        material.dropped.extend(repeated)
        tiers = {f"{verdict.stage}.{verdict.metric}": verdict.tier for verdict in record.gates}
        material.rows = [replace(row, provenance={**row.provenance, "gates": tiers}) for row in material.rows]
        if desk.spec.choice("pii", "redact") != "keep":
            await _redact(desk, material)
        record.adapter, record.fused = material.adapter, material.fused
        record.trained_rows = sum(not row.is_held_out for row in material.rows) if material.tuned else None
        record.sources = material.sources
        read = [*material.chunks, *(one.chunk for one in material.records)]
        record.sections = sections_asked(read, material.prompts)
        await self.put(desk.spec, record, of_material(material), state=state)
        record.exhibits = {}  # they lie in the folder now

    async def put(self, spec: JobSpec, record: JobRecord, written: Written, *, state: JobState) -> None:
        """Writes these rows and drops as the job's output, with its summary, card and adapter.

        Cancelled while files are written it still writes all of them: no folder is left half of one run.

        Raises:
            OSError: the disk is full; nothing half is left.
        """
        async with self._writing:
            await self._put(spec, record, written, state)

    async def files(self, job_id: str) -> tuple[StoredFile, ...]:
        """What lies in the job's folder, or the provisional one where there is no other."""
        final = await asyncio.to_thread(files_of, self._root, job_id)
        return final or await asyncio.to_thread(files_of, self._provisional, job_id)

    async def remove(self, job_ids: Collection[str]) -> tuple[StoredFile, ...]:
        """Removes the folders of these jobs, while none is being written; the files that are gone.

        Raises:
            OSError: something could not be removed.
        """
        async with self._writing:
            removed = await asyncio.to_thread(remove_folders, self._root, job_ids)
            return (*removed, *await asyncio.to_thread(remove_folders, self._provisional, job_ids))

    def is_provisional(self, folder: str) -> bool:
        """Whether this is a folder of this node that is not final."""
        return bool(folder) and Path(folder).parent == self._provisional

    def has(self, job_id: str, folder: str) -> bool:
        """Whether this is a folder of this node, there, and the job's: two nodes may have given out one name twice."""
        path = Path(folder)
        return path.parent in (self._root, self._provisional) and _is_of(path, job_id)

    def final_folder(self, spec: JobSpec) -> str:
        """Where the job's files lie once its end is final, or will."""
        return str(_folder(self._root, spec))

    async def keep_provisional(self, of: Callable[[], Collection[str]]) -> None:
        """Removes what is provisional of all jobs but these; `of` is asked while nothing is written. Raises OSError."""
        async with self._writing:
            others = await asyncio.to_thread(job_ids_of, self._provisional) - set(of())
            if others:
                await asyncio.to_thread(remove_folders, self._provisional, others)

    async def remove_provisional(self, job_id: str) -> None:
        """Removes what the job wrote before its end was final. Raises OSError."""
        async with self._writing:
            await asyncio.to_thread(remove_folders, self._provisional, [job_id])

    async def _put(self, spec: JobSpec, record: JobRecord, written: Written, state: JobState) -> None:
        folder = _folder(self._provisional if record.provisional else self._root, spec)
        summary = self._summary(spec, record, written, folder) | {"state": state}
        further = await further_files(written.rows, spec.choice("exports", "jsonl"), self._compute)
        card = _card(spec, record, written, further)
        # Hundreds of megabytes in a large job: in a thread, or heartbeats would stop meanwhile.
        files = await asyncio.to_thread(_files, written, summary=summary, card=card)
        files |= {**further, MARK: spec.job_id.encode()}
        adapter, model = (self._blobs.path(blob) if blob else None for blob in (record.adapter, record.fused))
        folders = {ADAPTER_FOLDER: adapter, MODEL_FOLDER: model}
        files[SUMS] = await asyncio.to_thread(sums, files, folders)
        await _to_its_end(lambda: write_folder(folder, files, adapter=adapter, model=model))
        record.summary, record.output = summary, str(folder)
        if not record.provisional:
            with suppress(OSError):  # custody removes it later
                await asyncio.to_thread(remove_folders, self._provisional, [spec.job_id])

    async def _compute(self, function: str, arguments: dict[str, object]) -> Any:  # noqa: ANN401 - plain data
        return await self._computations.call(function, arguments, timeout_s=COMPUTE_TIMEOUT_S)

    def _summary(self, spec: JobSpec, record: JobRecord, written: Written, folder: Path) -> Document:
        plan = record.plan or {}
        nodes = sorted(record.nodes.values(), key=lambda node: (-node.units, node.name))
        running_s = record.worked_for_s(self._clock.unix())
        batch_sizes = {node["name"]: node["batch_size"] for node in plan.get("nodes", ())}
        machines = tuple(node.name for node in nodes) or tuple(batch_sizes)  # as planned where all was there already
        return summary_document(
            data_type=spec.data_type,
            skill=spec.skill,
            stages_completed=sum(stage.state == "done" for stage in record.stages),
            verdicts=record.gates,
            overrides=spec.overrides,
            reports={name: value for name, value in record.reports.items() if name not in _gated(record)},
            performance=Performance(
                machines=machines,
                batch_size=batch_sizes.get(machines[0]) if machines else None,
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
                examples=sum(not row.is_held_out for row in written.rows),
                held_out=sum(row.is_held_out for row in written.rows),
            ),
            usd_per_node_hour=self._usd_per_node_hour,
            predicted=plan.get("predicted"),
            pilot=record.pilot,
            coverage=coverage(record.sections, written.rows),
            self_test=record.self_test,
            provenance={
                "job": spec.job_id,
                "realign": spec.realign_version,
                "seed": spec.seed,
                "sources": record.sources,
                "models": {role: {"name": pin.name, "sha256": pin.model} for role, pin in spec.roles.items()},
                "templates": spec.template_versions,
                "settings": spec.settings,
                "reused_units": record.reused,  # computed for an earlier job, so in no figure of this one
            },
            energy=None,
            warnings=record.warnings,
        )


def _folder(root: Path, spec: JobSpec) -> Path:
    """The job's own folder; a second job of the same name and day gets its id behind it."""
    folder = root / spec.folder_name
    if folder.exists() and not _is_of(folder, spec.job_id):
        return root / f"{spec.folder_name}_{spec.job_id.rpartition('-')[2]}"
    return folder


def _is_of(folder: Path, job_id: str) -> bool:
    mark = folder / MARK
    return mark.is_file() and mark.read_text("utf-8") == job_id


async def _redact(desk: Desk, material: Material) -> None:
    """Takes personal data out of what lies beside the rows: what was dropped, and what the stages show."""
    dropped = await redacted(desk, [one.content for one in material.dropped])
    material.dropped = [
        replace(one, content=content) for one, (content, _) in zip(material.dropped, dropped, strict=True)
    ]
    shown = await redacted(desk, list(material.exhibits.values()))
    material.exhibits = {name: items for name, (items, _) in zip(material.exhibits, shown, strict=True)}


def _files(written: Written, *, summary: Document, card: str) -> dict[str, bytes]:
    files = data_set_files(written.rows, written.dropped, summary=summary, card=card)
    shown = ({"stage": stage, "item": item} for stage, items in written.exhibits.items() for item in items)
    return {**files, EXHIBITS: lines(shown)}


async def _to_its_end(work: Callable[[], None]) -> None:
    """Does the work in a thread, and returns no sooner than it: a thread goes on when who waits for it is cancelled."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def _gated(record: JobRecord) -> set[str]:
    return {verdict.metric for verdict in record.gates}


def _card(spec: JobSpec, record: JobRecord, written: Written, further: Iterable[str]) -> str:
    return data_set_card(
        name=spec.folder_name,
        data_type=spec.data_type,
        request=spec.request,
        version=spec.realign_version,
        train_rows=sum(not row.is_held_out for row in written.rows),
        valid_rows=sum(row.is_held_out for row in written.rows),
        sources=[CardSource(name=source["name"], sha256=source["sha256"]) for source in record.sources],
        models=[
            CardModel(role=role, name=pin.name, sha256=f"unverified, at {pin.endpoint}" if pin.endpoint else pin.model)
            for role, pin in (*spec.roles.items(), *(("judge", pin) for pin in spec.judges))
        ],
        templates=spec.template_versions,
        verdicts=record.gates,
        overrides=spec.overrides,
        rejected_reasons=[dropped.reason for dropped in written.dropped],
        has_adapter=record.adapter is not None,
        trained_rows=record.trained_rows,
        warnings=record.warnings,
        hygiene=hygiene_report(written.dropped, written.rows),
        further=list(further),
    )
