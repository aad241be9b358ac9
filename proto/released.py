"""Released: what nodes and clients that are out there know of the wire, and whether today's still agrees with it.

`released.json` holds every name, number and type of the wire as of the last release. A node of that release must be
able to read what today's says, in protobuf and in JSON: the rules are those of `buf breaking` with WIRE_JSON, only that
no type gives way to another one, however like it is on the wire, and no method goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

# Of each message, enum ("enum NAME") and service ("service NAME") what its numbers or method names mean: one line each.
Wire = Mapping[str, Mapping[str, str]]

RESERVED: Final = "reserved"


def wire_of(files: FileDescriptorSet) -> dict[str, dict[str, str]]:
    """The wire that these .proto files describe."""
    wire: dict[str, dict[str, str]] = {}
    for file in files.file:
        for message in file.message_type:
            _add_message(wire, f"{file.package}.{message.name}", message)
        for enum in file.enum_type:
            _add_enum(wire, f"{file.package}.{enum.name}", enum)
        for service in file.service:
            methods = {method.name: _signature(method) for method in service.method}
            wire[f"service {file.package}.{service.name}"] = methods
    return wire


def broken_promises(released: Wire, today: Wire) -> tuple[str, ...]:
    """What a node of the release would misread of today's wire, or miss in it: one sentence each."""
    return tuple(_breaks(released, today))


def _breaks(released: Wire, today: Wire) -> Iterator[str]:
    for name, meanings in released.items():
        now = today.get(name)
        if now is None:
            yield f"{name} is gone; put it back"
            continue
        for key, meaning in meanings.items():
            if key == RESERVED:
                gone = sorted(set(meaning.split()) - set(now.get(RESERVED, "").split()))
                if gone:
                    yield f"{name} no longer reserves {', '.join(gone)}; what was reserved once is so for ever"
            elif key not in now:
                wanted = {key, meaning.split()[0]}
                if name.startswith("service ") or not wanted <= set(now.get(RESERVED, "").split()):
                    yield f"{name} lost {key} ({meaning}); put it back, or of a field reserve number and name"
            elif now[key] != meaning:
                yield f"{name} had {key} = {meaning} and has {now[key]}; give what is new a number of its own"


def _add_message(wire: dict[str, dict[str, str]], name: str, message: DescriptorProto) -> None:
    fields = {str(field.number): _field(field, message) for field in sorted(message.field, key=lambda one: one.number)}
    numbers = (number for span in message.reserved_range for number in range(span.start, span.end))
    wire[name] = fields | _reserved(numbers, message.reserved_name)
    for nested in message.nested_type:
        _add_message(wire, f"{name}.{nested.name}", nested)
    for enum in message.enum_type:
        _add_enum(wire, f"{name}.{enum.name}", enum)


def _add_enum(wire: dict[str, dict[str, str]], name: str, enum: EnumDescriptorProto) -> None:
    values = {str(value.number): value.name for value in enum.value}
    numbers = (number for span in enum.reserved_range for number in range(span.start, span.end + 1))
    wire[f"enum {name}"] = values | _reserved(numbers, enum.reserved_name)


def _reserved(numbers: Iterable[int], names: Iterable[str]) -> dict[str, str]:
    text = " ".join((*map(str, numbers), *names))
    return {RESERVED: text} if text else {}


def _field(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    """Name, type, how often, and the oneof that it belongs to: `optional` makes one of its own."""
    label = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    kind = field.type_name.removeprefix(".") or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    choice = ""
    if field.HasField("oneof_index") and not field.proto3_optional:
        choice = f" in {message.oneof_decl[field.oneof_index].name}"
    return f"{field.name} {label}{kind}{' optional' if field.proto3_optional else ''}{choice}"


def _signature(method: MethodDescriptorProto) -> str:
    def side(type_name: str, *, streams: bool) -> str:
        return f"{'stream ' if streams else ''}{type_name.removeprefix('.')}"

    asked = side(method.input_type, streams=method.client_streaming)
    return f"{asked} -> {side(method.output_type, streams=method.server_streaming)}"
