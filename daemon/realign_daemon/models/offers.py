"""Offers: weights that no node has, as the hub has them, for a job that is being submitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from realign_daemon.curation.colleague import Colleague, Holding
from realign_daemon.curation.intake import Request, missing
from realign_daemon.errors import HubUnreachable, NothingFits
from realign_daemon.models.hub import Offer
from realign_daemon.models.manifest import is_weights


class Catalogue(Protocol):
    """See models.hub.Hub."""

    async def look_up(self, name: str, revision: str = "") -> Offer:
        """What the hub has under the name."""
        ...


class Offers:
    """Asks the hub about what a request needs and no living node has."""

    def __init__(self, hub: Catalogue, alive: Callable[[], Sequence[Colleague]]) -> None:
        self._hub = hub
        self._alive = alive

    async def completed(self, request: Request) -> Request:
        """The request, with what the hub offers for it: each model by commit and content, as it is now.

        Raises:
            BadInput, NotFound: there is no such model, or it is gated.
            NothingFits: no living node has it, and the hub can't be asked.
        """
        offered = [await self._offer(name) for name in missing(request, self._alive())]
        return replace(request, offered=(*request.offered, *offered))

    async def _offer(self, name: str) -> Holding:
        try:
            offer = await self._hub.look_up(name)
        except HubUnreachable as error:
            raise NothingFits(
                f"no living node has the weights of {name}, and {error}; or try --model pocket"
            ) from error
        return Holding(
            name=offer.manifest.name,
            model=offer.model,
            params_b=offer.params_b,
            active_params_b=offer.active_params_b,
            bits=offer.bits,
            weight_bytes=sum(file.size_bytes for file in offer.manifest.files if is_weights(file.name)),
            templates=offer.templates,
            is_measured=False,
            revision=offer.manifest.revision,
        )
