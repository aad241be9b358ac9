"""Identity: who this node is, for as long as its key lives, and which run of the daemon this is."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from realign_daemon.cluster.facts import BootId, NodeId
from realign_daemon.durable_file import private_folder
from realign_daemon.trust.keys import node_id
from realign_daemon.trust.store import TrustStore

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()

OLD_FILE = "node.json"  # in which versions before certificates kept an id that nothing could prove
ID_BYTES = 16  # 128 random bits: no two runs ever mint the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A node and one run of its daemon."""

    node: NodeId
    boot: BootId
    is_new: bool = True  # the key was minted for this run


def load_identity(data_dir: Path, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> Identity:
    """The identity that follows from the key in the folder, minted at the first call; the boot id is new every time.

    Raises:
        BadConfig, Damaged: the key can be read by others, or not by this daemon.
    """
    private_folder(data_dir)
    store = TrustStore(data_dir)
    is_new = not store.has_key
    node = node_id(store.load().key.public_key())
    old = data_dir / OLD_FILE
    if old.exists():
        log.warning("identity.replaced", node=node, reason="a node's id now follows from its key", dropped=str(old))
        old.unlink()
    boot = base64.b32encode(random_bytes(ID_BYTES)).decode().rstrip("=").lower()
    return Identity(node=node, boot=BootId(boot), is_new=is_new)
