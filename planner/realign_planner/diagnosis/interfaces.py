"""Interfaces: a Mac's network interfaces, their addresses and bridges, and which Thunderbolt port each one is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_BLOCK = re.compile(r"^([a-z]{2,12}\d{0,4}):[ \t]*flags=[0-9a-f]{1,8}<([A-Z0-9,_]*)>", re.MULTILINE)
_IPV4 = re.compile(r"^[ \t]+inet (\d{1,3}(?:\.\d{1,3}){3})\b", re.MULTILINE)
_MEMBER = re.compile(r"^[ \t]+member: ([a-z]{2,12}\d{1,4})\b", re.MULTILINE)
_PORT = re.compile(r"^Hardware Port: Thunderbolt (\d{1,2})[ \t]*\nDevice: ([a-z]{2,12}\d{1,4})[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One block of `ifconfig`."""

    name: str
    is_up: bool
    ipv4: tuple[str, ...]
    members: tuple[str, ...]  # of a bridge


def read_interfaces(text: str | None) -> tuple[Interface, ...] | None:
    """The interfaces that `ifconfig` lists; None when it lists none, as every machine has a loopback."""
    text = text or ""
    heads = list(_BLOCK.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    blocks = [(head, text[head.end() : end]) for head, end in zip(heads, ends, strict=True)] if heads else []
    return (
        tuple(
            Interface(
                name=head[1],
                is_up="UP" in head[2].split(","),
                ipv4=tuple(_IPV4.findall(body)),
                members=tuple(_MEMBER.findall(body)),
            )
            for head, body in blocks
        )
        or None
    )


def read_thunderbolt_interfaces(text: str | None) -> Mapping[str, str]:
    """Receptacle -> interface, from `networksetup -listallhardwareports`; empty when that could not be read."""
    return dict(_PORT.findall(text or ""))


def bridge_of(interface: str, interfaces: tuple[Interface, ...]) -> str | None:
    """The bridge that the interface is a member of; None when there is none, or when that is down."""
    return next((one.name for one in interfaces if one.is_up and interface in one.members), None)
