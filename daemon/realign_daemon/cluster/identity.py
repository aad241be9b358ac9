"""Identity: who this node is, for as long as its data directory lives, and which run of the daemon this is."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from realign_daemon.cluster.facts import BootId, NodeId
from realign_daemon.durable_file import private_folder, replace_file
from realign_daemon.errors import BadConfig

if TYPE_CHECKING:
    from pathlib import Path

FILE = "node.json"
ID_BYTES = 16  # 128 random bits: no two nodes ever mint the same
ID_LENGTH = 26  # of those in base32, without padding


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A node and one run of its daemon."""

    node: NodeId
    boot: BootId


def load_identity(data_dir: Path) -> Identity:
    """The identity kept in the folder, minted at the first call; the boot id is new at every call.

    Raises:
        BadConfig: the file is damaged. A new identity would strand the jobs of the old one, so a person decides.
    """
    private_folder(data_dir)
    path = data_dir / FILE
    boot = BootId(_mint())
    try:
        content: object = json.loads(path.read_bytes())
    except FileNotFoundError:
        node = NodeId(_mint())
        replace_file(path, json.dumps({"node_id": node}).encode())
        return Identity(node=node, boot=boot)
    except ValueError:
        content = None
    node_id = cast("dict[str, object]", content).get("node_id") if isinstance(content, dict) else None
    if not isinstance(node_id, str) or len(node_id) != ID_LENGTH:
        message = f"{path} is damaged; restore it, or delete it to make this a new node that knows none of its old jobs"
        raise BadConfig(message)
    return Identity(node=NodeId(node_id), boot=boot)


def _mint() -> str:
    return base64.b32encode(secrets.token_bytes(ID_BYTES)).decode().rstrip("=").lower()
