"""Post: one server, what is wanted of it, and what is known of its models. No clock, no I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from realign_daemon.endpoints.acquaintance import UNLISTED, may_chat
from realign_daemon.endpoints.endpoint_engine import EndpointEngine
from realign_daemon.endpoints.server import Server
from realign_daemon.engine.api import LocalModel

MOST_LISTED: Final = 8  # models of one server that are tried unasked: some list all there are in the world
LOOK_EVERY_S: Final = 30.0  # how soon a server that was started is noticed
# A server that is there may have to load a model to find out that it does not write: that is not to be its main work.
LONGEST_REST_S: Final = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A model that gave no answer, though its server did."""

    tries: int
    due_s: float  # when it may be asked again


@dataclass(slots=True, kw_only=True, eq=False)
class Post:
    """By the server's own names for its models."""

    server: Server
    names: Mapping[str, str]  # its name -> ours; empty: what it lists
    is_configured: bool  # else only what jobs want is asked for
    wanted: dict[str, str] = field(default_factory=dict[str, str])  # by jobs: its name -> prompt template set
    met: dict[str, tuple[LocalModel, EndpointEngine]] = field(
        default_factory=dict[str, tuple[LocalModel, EndpointEngine]]
    )
    up: dict[str, float] = field(default_factory=dict[str, float])  # those that answered last, and when
    missing: dict[str, Missing] = field(default_factory=dict[str, Missing])
    complaint: str = ""  # what was told last of the server as a whole
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    meeting: asyncio.Lock = field(default_factory=asyncio.Lock)
    confirming: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_settled(self) -> bool:
        """Whether all that is wanted has been met, as far as is known without its list."""
        named = self.names.keys() | self.wanted.keys()
        return bool(self.met) and not self.missing and named <= self.met.keys()

    def lists_too_many(self, said: Mapping[str, Any]) -> bool:
        """Whether the models of its list are too many to be tried unasked."""
        return self.is_configured and not self.names and len(self._listed(said)) > MOST_LISTED

    def unmet(self, said: Mapping[str, Any], now_s: float) -> tuple[str, ...]:
        """The models to ask now, given its list: those that are wanted, were not met, and have not just failed."""
        own = tuple(self.names)
        if self.is_configured and not self.names and not self.lists_too_many(said):
            own = self._listed(said)
        return tuple(
            remote
            for remote in dict.fromkeys((*own, *self.wanted))
            if remote not in self.met and not (remote in self.missing and now_s < self.missing[remote].due_s)
        )

    def note_missing(self, remote: str, now_s: float) -> bool:
        """Notes that a model gave no answer, and has it asked less and less often; whether that is news."""
        before = self.missing.get(remote)
        tries = before.tries + 1 if before else 1
        rest_s = min(LONGEST_REST_S, LOOK_EVERY_S * 2 ** min(tries, 10))
        self.missing[remote] = Missing(tries=tries, due_s=now_s + rest_s)
        return before is None

    def note_met(self, model: LocalModel, engine: EndpointEngine, now_s: float) -> bool:
        """Notes that a model has answered; whether it was not known as such."""
        before, _ = self.met.get(model.remote, (None, None))
        if before != model:
            self.met[model.remote] = (model, engine)
        self.missing.pop(model.remote, None)
        self.up[model.remote] = now_s
        return before != model

    def choice(self, said: Mapping[str, Any]) -> tuple[str, ...]:
        """The models that somebody who names none may mean."""
        return tuple(self.names) or self._listed(said)

    def _listed(self, said: Mapping[str, Any]) -> tuple[str, ...]:
        """Of a list all that may write; a server without one may have what it was started with."""
        return tuple(remote for remote, entry in said.items() if may_chat(remote, entry)) if said else (UNLISTED,)
