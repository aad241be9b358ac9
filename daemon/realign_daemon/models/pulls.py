"""Pulls: models that come to this machine, from a node that has them or else from the hub. One at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

import structlog

from realign_daemon.clock import Clock
from realign_daemon.engine.api import LocalModel, ModelId
from realign_daemon.engine.models import POCKET
from realign_daemon.errors import BadInput, Damaged, Full, NotFound, Unreachable, WrongState
from realign_daemon.models.arrival import HUB, Arrived, Wanted
from realign_daemon.models.hub import Offer
from realign_daemon.models.manifest import Manifest, checked, checked_name
from realign_daemon.models.room import must_have_room, must_leave_room
from realign_daemon.models.store import ModelStore
from realign_daemon.models.transfer import (
    LEAST_PACE,
    Copy,
    HubFiles,
    Pace,
    TooSlow,
    copied,
    downloaded,
    not_stored,
    stored,
)

log = structlog.get_logger()

REPORT_S = 1.0
REVISION_CHARACTERS = 250  # Git keeps a branch in a file of that name


class Shelf(Protocol):
    """See host.machine.Machine."""

    @property
    def models(self) -> Sequence[LocalModel]:
        """Every model that is here."""
        ...

    def find(self, name: str) -> LocalModel | None:
        """The model of this name that is here."""
        ...

    async def manifest(self, model: LocalModel) -> Manifest:
        """The files of one that is here. Raises OSError when one has gone."""
        ...

    def models_room_bytes(self) -> int:
        """What models may still take of the disk."""
        ...

    async def look_for_models(self) -> None:
        """Looks again at what is here."""
        ...


class Pulls:
    """Brings models here. What has come of one that broke off stays, and the next pull goes on behind it."""

    def __init__(
        self,
        *,
        store: ModelStore,
        hub: HubFiles,
        copies: Callable[[Wanted], Sequence[Copy]],
        shelf: Shelf,
        users: Callable[[ModelId], Awaitable[Sequence[str]]],
        clock: Clock,
        pace: Pace = LEAST_PACE,
    ) -> None:
        """`copies` are those on other nodes, best first; `users` the jobs that have not ended and need a model.

        A node that does not keep the pace is left for the next one.
        """
        self._store = store
        self._hub = hub
        self._copies = copies
        self._shelf = shelf
        self._users = users
        self._clock = clock
        self._pace = pace
        self._turn = asyncio.Lock()
        self._changing = asyncio.Lock()

    async def pull(self, wanted: Wanted) -> AsyncGenerator[Arrived]:
        """How it goes, about once a second, until the model is here. Leaving the stream stops the pull.

        Raises:
            NotFound, BadInput: there is no such model, or this machine's token does not get it.
            Full: the disk has no room for it.
            WrongState: a job needs other weights of that name, which would have to go.
            HubUnreachable, Unreachable, Damaged: it did not come.
        """
        checked_name(wanted.name)
        if len(wanted.revision) > REVISION_CHARACTERS:
            raise BadInput(f"{wanted.revision[:40]}… is no revision; give a branch, a tag or a commit of {wanted.name}")
        while not await self._has_turn():
            yield Arrived(source="")
        try:
            async with aclosing(self._pull(wanted)) as steps:
                async for arrived in steps:
                    yield arrived
        finally:
            self._turn.release()

    async def remove(self, name: str) -> LocalModel:
        """Takes away a model that realign brought here.

        Raises:
            NotFound: there is none of that name.
            WrongState: a job that has not ended needs it, or it was put here by somebody else.
        """
        async with self._changing:
            model = self._shelf.find(name)
            if model is None:
                raise NotFound(f"this node has no model {name!r}; `realignctl models list` lists what each has")
            if model.name == POCKET:
                raise WrongState("the pocket model is a part of realign and stays with it")
            if not self._store.has(model.path):
                raise WrongState(
                    f"{model.name} lies in {model.path}, where realign did not put it; remove it with what did "
                    "(for the hub's cache `hf cache rm`)"
                )
            await self._must_be_unused(model)
            await asyncio.to_thread(self._store.remove, model.name)
        await self._shelf.look_for_models()
        log.info("model.removed", model=model.name, sha256=model.model)
        return model

    async def _has_turn(self) -> bool:
        """Waits a moment for the pulls before this one; whether they are done."""
        try:
            async with asyncio.timeout(REPORT_S):
                return await self._turn.acquire()
        except TimeoutError:
            return False

    async def _pull(self, wanted: Wanted) -> AsyncGenerator[Arrived]:
        if self._is_here(wanted):
            return
        if wanted.name.lower() == POCKET:
            raise WrongState("the pocket model comes with realign itself; upgrade the nodes to the same version")
        offer: Offer | None = None
        if wanted.model is None and wanted.revision:
            offer = await self._hub.look_up(wanted.name, wanted.revision)
            wanted = _pinned(wanted, offer)
        if self._is_here(wanted) or await self._is_linked(wanted):
            return
        async with aclosing(self._from_nodes(wanted)) as steps:
            async for arrived in steps:
                yield arrived
        if self._is_here(wanted):
            return
        if offer is None:
            self._must_be_on_the_hub(wanted)
            yield Arrived(source=HUB)
            offer = await self._offered(wanted)
        if not self._is_here(_pinned(wanted, offer)):
            async with aclosing(
                self._bring(offer.manifest, HUB, downloaded(self._hub, offer.manifest, self._store))
            ) as steps:
                async for arrived in steps:
                    yield arrived

    async def _from_nodes(self, wanted: Wanted) -> AsyncGenerator[Arrived]:
        """Copies it from the first node that gives it; none may.

        Where there are several, those that give it too slowly come once more after all others, then at any pace.

        Raises:
            Full: there is no room, as far as the nodes tell its size truly.
        """
        full: Full | None = None
        queue: deque[tuple[Copy, Pace | None]] = deque((copy, self._pace) for copy in self._copies(wanted))
        while queue:
            copy, pace = queue.popleft()
            yield Arrived(source=copy.node)
            try:
                async with aclosing(self._copied(copy, wanted, pace if queue else None)) as steps:
                    async for arrived in steps:
                        yield arrived
            except TooSlow as error:
                log.warning("model.copy_slow", model=wanted.name, node=copy.node, reason=str(error))
                queue.append((copy, None))
            except (ConnectionError, Damaged) as error:
                log.warning("model.copy_failed", model=wanted.name, node=copy.node, reason=str(error))
            except Full as error:  # the hashes hold, the sizes are the node's own word
                full = error
            else:
                return
        if full is not None:
            raise full

    async def _is_linked(self, wanted: Wanted) -> bool:
        """Whether the same weights were here under another name; they have this one, too, from now on."""
        twin = next((model for model in self._shelf.models if model.model == wanted.model), None)
        if twin is None:
            return False
        await self._must_not_replace(wanted.name)
        try:
            manifest = replace(await self._shelf.manifest(twin), name=wanted.name, revision=wanted.revision)
            checked(manifest, expected=twin.model)
            async with self._changing:
                await asyncio.to_thread(self._store.link, manifest, twin.path)
        except (OSError, Damaged) as error:  # its files have gone or changed since the last look
            log.warning("model.not_linked", model=wanted.name, to=twin.name, reason=str(error))
            return False
        await self._shelf.look_for_models()
        log.info("model.linked", model=wanted.name, to=twin.name)
        return True

    async def _copied(self, copy: Copy, wanted: Wanted, pace: Pace | None) -> AsyncGenerator[Arrived]:
        manifest = checked(await copy.manifest(), expected=copy.model)
        if wanted.model is not None:
            manifest = replace(manifest, revision=wanted.revision or manifest.revision)
        if wanted.model is not None or manifest.name.lower() != wanted.name.lower():  # its own name for it, or a lie
            manifest = replace(manifest, name=wanted.name)
        async with aclosing(self._bring(manifest, copy.node, copied(copy, manifest, self._store, pace=pace))) as steps:
            async for arrived in steps:
                yield arrived

    def _is_here(self, wanted: Wanted) -> bool:
        model = self._shelf.find(wanted.name)
        if model is None or (wanted.model is not None and wanted.model != model.model):
            return False
        return wanted.model is not None or wanted.revision in ("", model.revision)

    def _must_be_on_the_hub(self, wanted: Wanted) -> None:
        if "/" not in wanted.name and wanted.model is None and not self._copies(wanted):
            raise NotFound(
                f"no node that can be reached has a model {wanted.name}; to fetch one from the hub give its whole id, "
                f"such as owner/{wanted.name}"
            )
        if "/" not in wanted.name or (wanted.model is not None and not wanted.revision):
            raise Unreachable(
                f"{wanted.name} is not from the hub, and no node that has it could give it; see `realignctl nodes`"
            )

    async def _offered(self, wanted: Wanted) -> Offer:
        offer = await self._hub.look_up(wanted.name, wanted.revision)
        if wanted.model not in (None, offer.model):
            raise Damaged(
                f"the hub has other weights of {wanted.name} under {wanted.revision[:12]} than the job was made with; "
                "submit it again"
            )
        return offer

    async def _bring(self, manifest: Manifest, source: str, steps: AsyncGenerator[None]) -> AsyncGenerator[Arrived]:
        """Goes the steps, saying how far it is, and publishes the model at their end."""
        await self._must_not_replace(manifest.name)
        async with self._changing:
            await asyncio.to_thread(self._store.forget, self._clock.unix())
        arrived_bytes = self._store.arrived_bytes(manifest)
        must_have_room(manifest, arrived_bytes=arrived_bytes, room_bytes=self._shelf.models_room_bytes())
        log.info("model.pulling", model=manifest.name, revision=manifest.revision, source=source)
        began_s = self._clock.continuous()
        reported_s = float("-inf")
        async with aclosing(stored(steps)) as pieces:
            async for _ in pieces:
                now_s = self._clock.continuous()
                if now_s - reported_s >= REPORT_S:
                    reported_s, done = now_s, self._store.arrived_bytes(manifest)
                    must_leave_room(manifest, room_bytes=self._shelf.models_room_bytes())
                    rate = (done - arrived_bytes) / (now_s - began_s) if now_s > began_s else 0.0
                    yield Arrived(
                        source=source, bytes_done=done, bytes_total=manifest.size_bytes, bytes_per_s=max(0.0, rate)
                    )
        async with self._changing:
            try:
                await asyncio.to_thread(self._store.publish, manifest)
            except OSError as error:
                raise not_stored(error) from error
        await self._shelf.look_for_models()
        took_s = self._clock.continuous() - began_s
        log.info("model.pulled", model=manifest.name, source=source, bytes=manifest.size_bytes, took_s=took_s)
        yield Arrived(source=source, bytes_done=manifest.size_bytes, bytes_total=manifest.size_bytes)

    async def _must_not_replace(self, name: str) -> None:
        """Raises WrongState where other weights would have to go and a job needs them, or the place is taken."""
        self._store.path(name)
        other = self._shelf.find(name)
        if other is not None and self._store.has(other.path):
            await self._must_be_unused(other)

    async def _must_be_unused(self, model: LocalModel) -> None:
        if users := await self._users(model.model):
            raise WrongState(
                f"{model.name} is needed by {', '.join(users)}; wait for the end of it, or `realignctl cancel` it first"
            )


def _pinned(wanted: Wanted, offer: Offer) -> Wanted:
    """What is wanted, by its content and as the hub spells it."""
    return replace(wanted, name=offer.manifest.name, revision=offer.manifest.revision, model=offer.model)
