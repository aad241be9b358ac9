"""Pins: which weights the name of a model stands for, of those that nodes have or that are offered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import PurePath

from realign_daemon.curation.colleague import Holding
from realign_daemon.curation.spec import ModelPin
from realign_daemon.errors import NothingFits

Known = Sequence[Sequence[Holding]]  # what is offered, then what each node has


def pin(name: str, repo: str | None, known: Known) -> ModelPin:
    """The weights of that name or hub id. Raises NothingFits when nobody has any."""
    found = holding(name, repo, known)
    if found is None:
        weights = repo or name
        raise NothingFits(
            f"no living node has the weights of {weights}; have one fetch them (realignctl models pull {weights}), "
            "or put the folder under [models] dirs, or try --model pocket"
        )
    return ModelPin(
        name=found.name,
        model=found.model,
        params_b=found.params_b,
        bits=found.bits,
        weight_bytes=found.weight_bytes,
        templates=found.templates,
        revision=found.revision,
        endpoint=found.endpoint,
        remote=found.remote,
    )


def holding(name: str, repo: str | None, known: Known) -> Holding | None:
    """The model by name, hub id or last part of either: what is offered, else the weights that most nodes hold."""
    asked = {text.lower() for text in (name, repo or name, PurePath(name).name)}
    offered, *held = ([one for one in holdings if _names(one.name) & asked] for holdings in known)
    if offered:
        return offered[0]
    found: dict[str, list[Holding]] = {}
    for one in chain.from_iterable(held):
        found.setdefault(one.model, []).append(one)
    return max(found.values(), key=lambda copies: (len(copies), copies[0].model))[0] if found else None


def offer_of(pin: ModelPin) -> Holding:
    """Weights that a spec is pinned to, for planning it again."""
    return Holding(
        name=pin.name,
        model=pin.model,
        params_b=pin.params_b,
        active_params_b=pin.params_b,
        bits=pin.bits,
        weight_bytes=pin.weight_bytes,
        templates=pin.templates,
        is_measured=False,
        revision=pin.revision,
        endpoint=pin.endpoint,
        remote=pin.remote,
    )


def _names(name: str) -> set[str]:
    return {name.lower(), PurePath(name).name.lower()}
