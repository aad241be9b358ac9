"""Hub: what there is on the model hub, and files of it. Each question is put by a worker child of its own.

Ending the child ends a download at once; what has come stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

import structlog

from realign_daemon.engine.api import ModelId, Sha256
from realign_daemon.errors import BadInput, Damaged, Full, HubUnreachable, NotFound, RealignError
from realign_daemon.models.hub_answer import Refused
from realign_daemon.models.manifest import Manifest, ModelFile, checked, checked_name
from realign_daemon.worker.errors import WorkerError

log = structlog.get_logger()

LOOK_UP_S = 180.0  # reads the header of each part of the weights
DOWNLOAD_S = 86_400.0  # of one file: the child itself gives up where nothing comes for a minute
REFUSALS: Mapping[Refused, type[RealignError]] = MappingProxyType(
    {
        "missing": NotFound,
        "gated": BadInput,
        "unreachable": HubUnreachable,
        "damaged": Damaged,
        "full": Full,
    }
)


class Child(Protocol):
    """See worker.supervisor.Worker."""

    async def call(self, function: str, arguments: dict[str, object], *, timeout_s: float) -> object:
        """What the function gives."""
        ...

    async def close(self) -> None:
        """Ends it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that the hub has."""

    manifest: Manifest
    params_b: float
    active_params_b: float
    bits: int
    templates: str

    @property
    def model(self) -> ModelId:
        """Its name by content."""
        return self.manifest.model


class Hub:
    """The hub of `HF_ENDPOINT`, with the token that the hub's own tools would use."""

    def __init__(self, child: Callable[[], Child]) -> None:
        """`child` gives a worker; nothing is started before it is called."""
        self._child = child

    async def look_up(self, name: str, revision: str = "") -> Offer:
        """What the hub has under the name: the revision, or what `main` is now.

        Raises:
            NotFound: no such model or revision, or none that can be used.
            BadInput: it is gated, or the name is none.
            HubUnreachable, Damaged: it can't be asked, or what it says can't be.
        """
        said = await self._ask("models.look_up", {"name": checked_name(name), "revision": revision}, LOOK_UP_S)
        files = [
            ModelFile(name=one["name"], sha256=Sha256(one["sha256"]), size_bytes=one["size_bytes"])
            for one in said["files"]
        ]
        files.sort(key=lambda file: file.name)
        offer = Offer(
            manifest=checked(Manifest(name=said["name"], revision=said["revision"], files=tuple(files))),
            params_b=said["params"] / 1e9,
            active_params_b=said["active_params"] / 1e9,
            bits=said["bits"],
            templates=said["templates"],
        )
        log.info("model.looked_up", model=offer.manifest.name, revision=offer.manifest.revision, files=len(files))
        return offer

    async def download(self, manifest: Manifest, file: ModelFile, path: Path) -> None:
        """Puts a file of a model at the path, behind what of it is there already. Returns once it is whole and right.

        Raises:
            NotFound, BadInput, HubUnreachable, Full: as look_up; or the disk is full.
            Damaged: what came is not what the hub announced; nothing of it is kept.
        """
        arguments: dict[str, object] = {
            "name": manifest.name,
            "revision": manifest.revision,
            "file": file.name,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
            "path": str(path),
        }
        await self._ask("models.download", arguments, DOWNLOAD_S)

    async def _ask(self, function: str, arguments: dict[str, object], timeout_s: float) -> Mapping[str, Any]:
        child = self._child()
        try:
            said = cast("dict[str, Any]", await child.call(function, arguments, timeout_s=timeout_s))
        except WorkerError as error:
            raise HubUnreachable(f"the hub could not be asked for {arguments['name']} ({error}); try again") from error
        finally:
            await child.close()
        if "refused" in said:
            raise REFUSALS[cast("Refused", said["refused"])](said["sentence"])
        return said
