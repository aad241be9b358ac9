"""Principal: who makes a call. Refusal: why somebody may not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from realign_daemon.cluster.facts import NodeId
from realign_daemon.trust.keys import SpkiHash
from realign_daemon.trust.roles import Role

KEY_SHOWN = 8  # characters of a key's hash that tell two members of one name apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One sentence: what is refused, and what to do."""

    reason: str


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
        return f"{self.name} ({self.spki[:KEY_SHOWN]})" if self.spki else self.name


# Whoever may open the unix socket of mode 0600 is the machine's user, who could read the keys and the ledger as well.
OWNER = Principal(kind="owner", role="owner", name="owner")
