"""What is released of the wire stays readable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from realign_proto.v1 import (
    cluster_pb2,
    curation_pb2,
    decision_pb2,
    facts_pb2,
    files_pb2,
    groups_pb2,
    host_pb2,
    housekeeping_pb2,
    journal_pb2,
    models_pb2,
    status_pb2,
    trust_pb2,
    work_pb2,
)
from released import broken_promises, wire_of

MODULES = (
    *(cluster_pb2, curation_pb2, decision_pb2, facts_pb2, files_pb2, groups_pb2, host_pb2),
    *(housekeeping_pb2, journal_pb2, models_pb2, status_pb2, trust_pb2, work_pb2),
)
Change = Callable[[FileDescriptorProto], object]
RELEASED = Path(__file__).parents[3] / "proto" / "released.json"


def a_file() -> FileDescriptorProto:
    """A message with two fields, an enum and a service."""
    file = FileDescriptorProto(name="p.proto", package="p")
    message = file.message_type.add(name="M")
    message.field.add(name="one", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    message.field.add(name="two", number=2, type="TYPE_UINT32", label="LABEL_OPTIONAL")
    file.enum_type.add(name="E").value.add(name="UNSPECIFIED", number=0)
    file.service.add(name="S").method.add(name="Ask", input_type=".p.M", output_type=".p.M")
    return file


def after(change: Change) -> tuple[str, ...]:
    """What is broken once the file was changed so."""
    changed = a_file()
    change(changed)
    return broken_promises(wire_of(FileDescriptorSet(file=[a_file()])), wire_of(FileDescriptorSet(file=[changed])))


def field(file: FileDescriptorProto, index: int) -> FieldDescriptorProto:
    return file.message_type[0].field[index]


def remove(file: FileDescriptorProto, *, numbers: bool, names: bool) -> None:
    message = file.message_type[0]
    del message.field[1]
    if numbers:
        message.reserved_range.add(start=2, end=3)
    if names:
        message.reserved_name.append("two")


def test_todays_wire_keeps_what_is_released() -> None:
    today = FileDescriptorSet()
    for module in MODULES:
        module.DESCRIPTOR.CopyToProto(today.file.add())

    assert broken_promises(json.loads(RELEASED.read_text()), wire_of(today)) == ()


HARMLESS: Mapping[str, Change] = {
    "a field": lambda file: file.message_type[0].field.add(name="three", number=3, type="TYPE_BOOL"),
    "an enum value": lambda file: file.enum_type[0].value.add(name="NEW", number=1),
    "a method": lambda file: file.service[0].method.add(name="Tell", input_type=".p.M", output_type=".p.M"),
    "a message": lambda file: file.message_type.add(name="N"),
    "a field gone whose number and name are reserved": lambda file: remove(file, numbers=True, names=True),
}
BREAKING: Mapping[str, Change] = {
    "p.M lost 2 (two uint32)": lambda file: setattr(field(file, 1), "number", 7),
    "p.M lost 2 (two uint32); put it back": lambda file: remove(file, numbers=True, names=False),
    "p.M lost 2 (two uint32); put it back, or": lambda file: remove(file, numbers=False, names=True),
    "p.M had 2 = two uint32 and has zwei uint32": lambda file: setattr(field(file, 1), "name", "zwei"),
    "p.M had 2 = two uint32 and has two uint64": lambda file: setattr(field(file, 1), "type", 4),
    "p.M had 2 = two uint32 and has two repeated uint32": lambda file: setattr(field(file, 1), "label", 3),
    "enum p.E had 0 = UNSPECIFIED and has NONE": lambda file: setattr(file.enum_type[0].value[0], "name", "NONE"),
    "enum p.E is gone": lambda file: file.ClearField("enum_type"),
    "service p.S lost Ask (p.M -> p.M)": lambda file: file.service[0].ClearField("method"),
    "service p.S had Ask = p.M -> p.M and has p.M -> stream p.M": lambda file: setattr(
        file.service[0].method[0], "server_streaming", True
    ),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_is_new_breaks_nothing(change: Change) -> None:
    assert after(change) == ()


@pytest.mark.parametrize(("what", "change"), BREAKING.items(), ids=BREAKING)
def test_what_an_older_node_would_misread_is_named(what: str, change: Change) -> None:
    (sentence,) = after(change)

    assert sentence.startswith(what)


def test_what_was_reserved_stays_so() -> None:
    reserving = a_file()
    remove(reserving, numbers=True, names=True)
    released = wire_of(FileDescriptorSet(file=[reserving]))

    (sentence,) = broken_promises(released, wire_of(FileDescriptorSet(file=[a_file()])))

    assert sentence == "p.M no longer reserves 2, two; what was reserved once is so for ever"
