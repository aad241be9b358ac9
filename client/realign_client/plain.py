"""Plain values: a protobuf message as the dictionaries, lists and numbers that `--json` prints. Pure."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from realign_proto.v1 import status_pb2

JSON_SUFFIX = "_json"


def plain(message: Message) -> dict[str, Any]:
    """The message with every field it declares, in order, under its name in the .proto file.

    64-bit integers are numbers, not text. An optional field or a message that is not set is None. A field that holds
    JSON text appears parsed and without the suffix: `plan_json` is `plan`, None while it is empty.
    """
    return dict(_field(message, cast("FieldDescriptor", field)) for field in message.DESCRIPTOR.fields)


def plain_status(status: status_pb2.NodeStatus) -> dict[str, Any]:
    """The status document: `plain`, and the leader's `since` as a date and time in UTC (RFC 3339)."""
    document = plain(status)
    leader = document["leader"]
    if leader is not None and not leader["id"]:
        document["leader"] = None
    elif leader is not None:
        since = dt.datetime.fromtimestamp(leader["since_unix_s"], dt.UTC)
        leader["since"] = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    return document


def _field(message: Message, field: FieldDescriptor) -> tuple[str, Any]:
    name, value = field.name, getattr(message, field.name)
    if name.endswith(JSON_SUFFIX):
        return name.removesuffix(JSON_SUFFIX), json.loads(value) if value else None
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        return name, {key: _value(value[key]) for key in sorted(value)}
    if field.is_repeated:
        return name, [_value(item) for item in value]
    if field.has_presence and not message.HasField(name):
        return name, None
    return name, _value(value)


def _value(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    return plain(value) if isinstance(value, Message) else value
