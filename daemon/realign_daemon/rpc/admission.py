"""Admission: a submit over the wire: passed on to the leader, or taken in here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import grpc.aio

from realign_daemon.config import LimitsConfig
from realign_daemon.curation.data_sets import DataSets
from realign_daemon.curation.intake import Request
from realign_daemon.curation.job import Job
from realign_daemon.curation.jobs import Jobs
from realign_daemon.curation.replicas import Replicas
from realign_daemon.errors import Full, NotAllowed
from realign_daemon.housekeeping.sweep import keep
from realign_daemon.rpc.caller import caller, may_not
from realign_daemon.rpc.homes import FORWARD_TIMEOUT_S, JobHomes, Routes, passed_on, relayed
from realign_daemon.rpc.job_convert import request_from_wire
from realign_daemon.rpc.request_bounds import check_bounds
from realign_daemon.rpc.sources import Sources, contents
from realign_daemon.rpc.upload import begun_with, first
from realign_daemon.work.blobs import BlobStore
from realign_proto.v1 import curation_pb2 as pb
from realign_proto.v1.curation_pb2_grpc import CurationStub

Completed = Callable[[Request], Awaitable[Request]]

LIST_QUESTIONS = "/realign.v1.Curation/ListQuestions"
ON_ONE_DISK = "the job is on the disk of {} only so far: do not switch that machine off before another has it, too"


class Admission:
    """Takes jobs in at the leader."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        data_sets: DataSets,
        blobs: BlobStore,
        routes: Routes,
        homes: JobHomes,
        node_name: str,
        limits: LimitsConfig,
        sources: Sources,
        replicas: Replicas | None,
        completed: Completed | None,
        asking: Completed | None = None,
    ) -> None:
        """Without `replicas` no other nodes hold its jobs; `completed` adds to a request what its models need.

        `asking` adds the model of a server that the request names. Raises NotAllowed, BadInput, NothingFits.
        """
        self._jobs = jobs
        self._data_sets = data_sets
        self._blobs = blobs
        self._routes = routes
        self._homes = homes
        self._node_name = node_name
        self._limits = limits
        self._sources = sources
        self._replicas = replicas
        self._completed = completed
        self._asking = asking

    async def submit(self, messages: AsyncIterator[pb.SubmitRequest], *, is_forwarded: bool) -> pb.SubmitReply:
        """The answer to a submit, whose first message is the request and whose others are its files."""
        parts = aiter(messages)
        wire = await first(parts)
        check_bounds(request_from_wire(wire), self._limits)
        client = caller().key
        if not is_forwarded:
            wire = await self._sources.located(wire, client)
        leader = None if is_forwarded else self._routes.leader()
        reply = await (self._passed_on(wire, parts, leader) if leader else self._admitted(wire, parts))
        await self._sources.release(wire, client)
        return reply

    async def _passed_on(
        self, wire: pb.JobRequest, parts: AsyncIterator[pb.SubmitRequest], leader: grpc.aio.Channel
    ) -> pb.SubmitReply:
        submission = begun_with(wire, parts)
        reply = await passed_on(
            CurationStub(leader).Submit(submission, timeout=FORWARD_TIMEOUT_S, metadata=self._homes.metadata)
        )
        self._homes.remember(reply.job_id, leader)
        return reply

    async def _admitted(self, wire: pb.JobRequest, parts: AsyncIterator[pb.SubmitRequest]) -> pb.SubmitReply:
        client = caller().key
        earlier = self._replicas and await self._replicas.submitted(wire.client_token, client)
        if earlier and self._jobs.find(earlier.job_id) is None:
            told = json.loads(earlier.record or "{}")
            plan_json = json.dumps(told.get("plan"))
            return pb.SubmitReply(
                job_id=earlier.job_id, warnings=told.get("warnings", ()), plan_json=plan_json, copies=2
            )
        if not earlier:  # what comes again waits already
            self._check_queue()
        await self._sources.receive(wire, parts, client)
        await self._sources.bring(wire)
        await asyncio.to_thread(keep, map(self._blobs.path, contents(wire)))
        request = await self._request(wire)
        if self._asking is not None:
            request = await self._asking(request)
        if self._completed is not None:
            request = await self._completed(request)
        return await self._submitted(await self._jobs.submit(request, owner=client))

    async def _submitted(self, job: Job) -> pb.SubmitReply:
        """The answer to a submit, once another node has the job, too, or that takes too long."""
        copies = await self._replicas.copies(job.spec.job_id) if self._replicas else 1
        alone = copies == 1 and bool(self._routes.others())
        return pb.SubmitReply(
            job_id=job.spec.job_id,
            warnings=[*job.record.warnings, *([ON_ONE_DISK.format(self._node_name)] if alone else ())],
            plan_json=json.dumps(job.record.plan),
            copies=copies,
        )

    def _check_queue(self) -> None:
        """Raises Full when the client that calls has as many jobs waiting here as one may."""
        client, most = caller(), self._limits.client_queued_jobs
        waiting = sum(job.owner == client.key and job.record.state == "queued" for job in self._jobs.all())
        if client.kind == "client" and waiting >= most:
            raise Full(
                f"{client.name} has {waiting} jobs queued here, and {most} are the most for one; cancel one or wait"
            )

    async def _request(self, wire: pb.JobRequest) -> Request:
        """The request; what the rows of the job to append to ask is fetched from its home, wherever that is."""
        request = request_from_wire(wire)
        if not wire.append_job:
            return request
        job = self._jobs.find(wire.append_job)
        if job is not None:
            if reason := may_not(LIST_QUESTIONS, job.owner):
                raise NotAllowed(reason)
            questions = await self._data_sets.questions(job)
        else:
            reference = pb.JobRef(job_id=wire.append_job)
            home = self._homes.of(wire.append_job)
            asked = home.ListQuestions(reference, timeout=FORWARD_TIMEOUT_S, metadata=self._homes.metadata)
            questions = [question async for part in relayed(asked) for question in part.questions]
        lines = "".join(json.dumps({"prompt": question}) + "\n" for question in questions)
        return replace(request, earlier=await asyncio.to_thread(self._blobs.put_bytes, lines.encode()))
