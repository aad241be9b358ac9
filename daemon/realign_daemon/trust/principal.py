"""Principal: who makes a call. Refusal: why somebody may not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from realign_daemon.cluster.facts import NodeId
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.roles import Role

KEY_SHOWN = 8  # characters of a key's hash that tell two members of one name apart


def label(name: str, spki: SpkiHash) -> str:
    """A member's name, told apart from others of that name."""
    return f"{name} ({spki[:KEY_SHOWN]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One sentence: what is refused, and what to do."""

    reason: str
    who: str = field(default="", compare=False)  # is refused, as a Principal's label; empty: nobody known


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose identity was checked: `kind` says who it is, `role` what it may."""

    kind: Literal["owner", "node", "client"]
    role: Role
    name: str
    spki: SpkiHash | None = None  # None for the owner of this machine
    node_id: NodeId | None = None  # of a node only

    @property
    def key(self) -> str:
        """What a job remembers as its owner."""
        return self.spki or self.kind

    @property
    def label(self) -> str:
        """For the audit: a name that no other member can take."""
        return label(self.name, self.spki) if self.spki else self.name


# Whoever may open the unix socket of mode 0600 is the machine's user, who could read the keys and the ledger as well.
OWNER = Principal(kind="owner", role="owner", name="owner")
