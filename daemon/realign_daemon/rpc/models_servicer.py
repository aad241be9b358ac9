"""Models servicer: what models lie where, and how they come and go; and their files for other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio

from realign_daemon.engine.api import LocalModel, ModelId
from realign_daemon.errors import NotFound, RealignError, Unreachable
from realign_daemon.models.arrival import Wanted
from realign_daemon.models.manifest import Manifest, is_read
from realign_daemon.models.pulls import Pulls
from realign_daemon.rpc.context import Context
from realign_daemon.rpc.homes import is_forwarded, passed_on, passing_on, relayed
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.work.blobs import CHUNK_BYTES
from realign_proto.v1 import models_pb2 as pb
from realign_proto.v1.models_pb2_grpc import ModelsServicer as ModelsService
from realign_proto.v1.models_pb2_grpc import ModelsStub, add_ModelsServicer_to_server

LIST_TIMEOUT_S = 10.0
REMOVE_TIMEOUT_S = 60.0
_LARGEST_OFFSET = 2**62  # the wire holds offsets that no file does


class Shelf(Protocol):
    """See host.machine.Machine."""

    @property
    def models(self) -> tuple[LocalModel, ...]:
        """Every model that is here."""
        ...

    def find(self, name: str) -> LocalModel | None:
        """The model of this name."""
        ...

    async def manifest(self, model: LocalModel) -> Manifest:
        """The files of one that is here. Raises OSError when one has gone."""
        ...


class Others(Protocol):
    """See rpc.neighbours.Neighbours."""

    def other_nodes(self) -> Iterable[str]:
        """The ids of all other living nodes."""
        ...

    def named_channel(self, node: str) -> grpc.aio.Channel | None:
        """The channel of the node of this name or id; None when there is none, or it is not connected."""
        ...

    def name_of(self, node: str) -> str:
        """What people call the node of this id."""
        ...


class ModelsServicer(ModelsService):
    """Converts, and passes on what is for another node or for all."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        pulls: Pulls,
        is_own: Callable[[Path], bool],
        users: Callable[[], Awaitable[Mapping[ModelId, tuple[str, ...]]]],
        others: Others,
        name: str,
        node_id: str,
        own: SpkiHash,
    ) -> None:
        """`is_own`: a model's folder is one that realign made; `own` is this node's key."""
        self._shelf = shelf
        self._pulls = pulls
        self._is_own = is_own
        self._users = users
        self._others = others
        self._name = name
        self._names = (name, node_id)
        self._own = own

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service."""
        add_ModelsServicer_to_server(self, server)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ModelList:  # noqa: N802
        """This node's, and unless another node asks those of all others."""
        users = await self._users()
        found = pb.ModelList(models=[self._on_node(model, users) for model in self._shelf.models])
        if not is_forwarded(context):
            metadata = passing_on(self._own)

            async def ask(node: str) -> pb.ModelList:
                try:
                    stub = ModelsStub(self._channel(node))
                    return await passed_on(stub.ListModels(request, timeout=LIST_TIMEOUT_S, metadata=metadata))
                except RealignError as error:
                    return pb.ModelList(remarks=[f"node {self._others.name_of(node)} could not be asked: {error}"])

            for answer in await asyncio.gather(*map(ask, self._others.other_nodes())):
                found.MergeFrom(answer)
        found.models.sort(key=lambda model: (model.name.lower(), model.node))
        return found

    async def PullModel(  # noqa: N802 - the wire's name
        self, request: pb.PullModelRequest, context: Context
    ) -> AsyncIterator[pb.ModelArrived]:
        """How it goes, until the model is here, or on the node that is named."""
        if request.node and request.node not in self._names:
            _must_be_first(context, request.node)
            there = pb.PullModelRequest(name=request.name, revision=request.revision, sha256=request.sha256)
            stub = ModelsStub(self._channel(request.node))
            async for arrived in relayed(stub.PullModel(there, metadata=passing_on(self._own))):
                yield arrived
            return
        wanted = Wanted(name=request.name, revision=request.revision, model=ModelId(request.sha256) or None)
        async with aclosing(self._pulls.pull(wanted)) as steps:
            async for arrived in steps:
                yield pb.ModelArrived(
                    node=self._name,
                    source=arrived.source,
                    bytes_done=arrived.bytes_done,
                    bytes_total=arrived.bytes_total,
                    bytes_per_s=arrived.bytes_per_s,
                )
        model = self._shelf.find(wanted.name)
        if model is None:
            raise NotFound(f"{wanted.name} came, and is gone again; pull it once more")
        yield pb.ModelArrived(node=self._name, model=self._on_node(model, await self._users()))

    async def RemoveModel(  # noqa: N802 - the wire's name
        self, request: pb.RemoveModelRequest, context: Context
    ) -> pb.ModelOnNode:
        """What has gone from here, or from the node that is named."""
        if request.node and request.node not in self._names:
            _must_be_first(context, request.node)
            stub = ModelsStub(self._channel(request.node))
            there = pb.RemoveModelRequest(name=request.name)
            return await passed_on(stub.RemoveModel(there, timeout=REMOVE_TIMEOUT_S, metadata=passing_on(self._own)))
        return self._on_node(await self._pulls.remove(request.name), {})

    async def DescribeModel(  # noqa: N802 - the wire's name
        self,
        request: pb.ModelRef,
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> pb.ModelFiles:
        """The files of a model that is here."""
        model = self._holding(request.sha256)
        try:
            manifest = await self._shelf.manifest(model)
        except OSError as error:
            raise NotFound(f"the files of {model.name} have just gone from {self._name}") from error
        files = [pb.ModelFile(name=one.name, sha256=one.sha256, size_bytes=one.size_bytes) for one in manifest.files]
        return pb.ModelFiles(name=manifest.name, revision=manifest.revision, files=files)

    async def ReadModelFile(  # noqa: N802 - the wire's name
        self,
        request: pb.ModelFileRequest,
        context: Context,  # noqa: ARG002 - gRPC passes it
    ) -> AsyncIterator[pb.ModelBytes]:
        """The file's bytes, 1 MiB at a time."""
        model = self._holding(request.sha256)
        if not is_read(request.file):
            raise NotFound(f"{request.file[:80]!r} is no file of a model that other nodes get")
        try:
            file = await asyncio.to_thread((model.path / request.file).open, "rb")
        except OSError as error:
            raise NotFound(f"{request.file} of {model.name} is not on {self._name}") from error
        with file:
            file.seek(min(request.offset, _LARGEST_OFFSET))
            while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield pb.ModelBytes(data=data)

    def _holding(self, sha256: str) -> LocalModel:
        model = next((model for model in self._shelf.models if model.model == sha256), None)
        if model is None:
            raise NotFound(f"{self._name} has no model {sha256[:12]}; see `realignctl models list`")
        return model

    def _channel(self, node: str) -> grpc.aio.Channel:
        channel = self._others.named_channel(node)
        if channel is None:
            raise Unreachable(f"node {node!r} is not connected; see `realignctl nodes`")
        return channel

    def _on_node(self, model: LocalModel, users: Mapping[ModelId, tuple[str, ...]]) -> pb.ModelOnNode:
        return pb.ModelOnNode(
            node=self._name,
            name=model.name,
            sha256=model.model,
            revision=model.revision,
            size_bytes=model.weight_bytes,
            bits=model.bits,
            params_b=model.params_b,
            path=str(model.path),
            removable=self._is_own(model.path),
            used_by=users.get(model.model, ()),
        )


def _must_be_first(context: Context, node: str) -> None:
    """Raises NotFound for a call that was passed on already: the two nodes call each other by different names."""
    if is_forwarded(context):
        raise NotFound(f"this is not node {node!r}; see `realignctl nodes` for what they are called")
