"""Arrival: a model that is wanted on a machine, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass

from realign_daemon.engine.api import ModelId

HUB = "the hub"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model that is to be here. Where its content is given, no other will do."""

    name: str
    revision: str = ""  # branch, tag or commit; empty: any that is here or on another node, else main
    model: ModelId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """How much of a model is here."""

    source: str  # the node that it is copied from, or HUB; empty while another model comes first
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_per_s: float = 0.0
