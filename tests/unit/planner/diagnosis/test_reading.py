"""What single commands print, and what is read from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realign_planner.diagnosis.answer import Answer
from realign_planner.diagnosis.machine import read_machine
from realign_planner.diagnosis.rdma import is_enabled, read_devices
from realign_planner.diagnosis.service import firewall, kind_of_service
from realign_planner.diagnosis.thunderbolt import ability, read_ports


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("26.3\n", (26, 3, 0)),
        ("26.3.1\n", (26, 3, 1)),
        ("ProductName:\t\tmacOS\nProductVersion:\t\t26.2\nBuildVersion:\t\t25C56\n", (26, 2, 0)),
        ("", None),
        ("sw_vers: error 26\n", None),
    ],
)
def test_the_version_of_macos_is_read_alone_or_among_other_lines(text: str, version: tuple[int, ...] | None) -> None:
    assert read_machine({"sw_vers": Answer(text=text)}).macos == version


@pytest.mark.parametrize(
    ("answer", "enabled"),
    [
        (Answer(text="enabled\n"), True),
        (Answer(text="RDMA is enabled.\n"), True),
        (Answer(text="disabled\n"), False),
        (Answer(text="disabled\n", status=1), False),
        (Answer(text="RDMA is not enabled\n"), False),
        (Answer(text="enabled\n", status=1), None),
        (Answer(text="enabled\n", status=None), None),
        (Answer(text="aktiviert\n"), None),
        (Answer(text="error: not permitted to tell whether it is enabled\n"), None),
        (None, None),
    ],
)
def test_rdma_counts_as_enabled_only_when_it_surely_is(answer: Answer | None, enabled: bool | None) -> None:
    assert is_enabled(answer) is enabled


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        (
            "    device          \t   node GUID\n    ------\n    rdma_en2  \te0c5797d9c8fac05\n    rdma_en3\te1c\n",
            ("rdma_en2", "rdma_en3"),
        ),
        ("    device          \t   node GUID\n    ------          \t----------------\n", ()),
        ("", ()),
        ("Segmentation fault", None),
        (None, None),
    ],
)
def test_devices_are_listed_or_there_are_none_or_it_is_not_known(
    text: str | None, devices: tuple[str, ...] | None
) -> None:
    assert read_devices(text) == devices


def profiler(*buses: dict[str, Any]) -> str:
    return json.dumps({"SPThunderboltDataType": list(buses)})


def test_a_dock_is_no_link_and_a_mac_behind_unknown_keys_is() -> None:
    tag = {"current_speed_key": "80 Gb/s", "receptacle_id_key": "3", "new_key": {"deep": [1]}}
    dock = {"domain_uuid_key": "A", "receptacle_1_tag": tag, "_items": [{"_name": "Dock", "switch_uid_key": "0x1"}]}
    mac = {"domain_uuid_key": "b", "receptacle_1_tag": tag, "_items": [{"x": 1}, {"domain_uuid_key": "c"}]}

    ports = read_ports(profiler(dock, mac, {"_name": "a bus without a receptacle"}))

    assert ports is not None
    assert [(port.domain, port.peer, port.gbps, port.receptacle) for port in ports] == [
        ("A", "", 80, "3"),
        ("B", "C", 80, "3"),
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"SPThunderboltDataType": 3}', '{"SPThunderboltDataType"', None])
def test_what_is_no_list_of_ports_is_not_known(text: str | None) -> None:
    assert read_ports(text) is None


@pytest.mark.parametrize(
    ("chip", "speed", "expected"),
    [
        ("Apple M4 Max", None, "yes"),
        ("Apple M4 Pro", "40 Gb/s", "yes"),  # by its chip: the cable is slow
        ("Apple M3 Ultra", None, "yes"),
        ("Apple M3 Max", "Up to 40 Gb/s", "no"),
        ("Apple M1", None, "no"),
        ("Apple M4", "Up to 40 Gb/s", "no"),
        ("Apple M5", "Up to 120 Gb/s", "yes"),
        ("Apple M5", "Up to 40 Gb/s", "no"),
        ("Apple M5", None, "unknown"),
        ("Apple M9 Mega", "Up to 240 Gb/s", "yes"),
        ("Intel(R) Core(TM) i9-9980HK CPU @ 2.40GHz", None, "no"),
        ("Apple M4 Max (Virtual)", None, "no"),
        ("", None, "unknown"),
    ],
)
def test_hardware_can_do_rdma_when_a_port_is_fast_or_the_chip_has_thunderbolt_5(
    chip: str, speed: str | None, expected: str
) -> None:
    bus = {"receptacle_1_tag": {"current_speed_key": speed}}

    assert ability(chip, read_ports(profiler(bus)) if speed else None) == expected


@pytest.mark.parametrize(
    ("state", "block_all", "expected"),
    [
        ("Firewall is disabled. (State = 0)", "Firewall has block all state set to disabled.", "off"),
        ("Firewall is enabled. (State = 1)", "Firewall has block all state set to disabled.", "on"),
        ("Firewall is enabled. (State = 1)", "Firewall has block all state set to enabled.", "blocks_all"),
        ("Firewall is blocking all non-essential incoming connections. (State = 2)", "", "blocks_all"),
        ("Block all ENABLED!", "Block all DISABLED!", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_the_firewall_is_what_its_state_or_block_all_says(state: str, block_all: str, expected: str) -> None:
    assert firewall(Answer(text=state), Answer(text=block_all)) == expected


def test_an_agent_is_told_by_its_type_whichever_domain_prints_it() -> None:
    agent = Answer(text="x = {\n\tpath = /Users/USER/Library/LaunchAgents/a.plist\n\ttype = LaunchAgent\n}\n")
    absent = Answer(text="Could not find service", status=113)

    assert kind_of_service({"launchctl_system": agent, "launchctl_user": absent}) == "agent"
    assert kind_of_service({"launchctl_system": absent, "launchctl_user": absent}) == "none"
    assert kind_of_service({"launchctl_system": Answer(text="?")}) == "unknown"
    assert kind_of_service({}) == "unknown"
