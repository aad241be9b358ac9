"""Machines that are broken in one way each: doctor names that way first."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.unit.client.doctor.recorded import BROKEN, DATA, broken, pair

from realign_client.cli import run
from realign_client.doctor.recording import write_recording
from realign_client.errors import BadUsage
from realign_planner.diagnosis.causes import CAUSES

LADDER = ["macos", "mlx", "thunderbolt", "rdma_ctl", "rdma_devices", "rdma_port", "rdma_network", "cable", "self_test"]

# Folder of tests/data/doctor/broken -> the check that finds it and the cause that it names.
EXPECTED = {
    "macos_26_1": ("macos", "macos_too_old"),
    "macos_26_2": ("macos", "macos_unsafe"),
    "wheel_for_macos_15": ("mlx", "wrong_wheel"),
    "old_mlx": ("mlx", "mlx_too_old"),
    "thunderbolt_4_enabled": ("thunderbolt", "thunderbolt_too_old"),
    "slow_cable": ("thunderbolt", "link_too_slow"),
    "rdma_disabled": ("rdma_ctl", "rdma_disabled"),
    "not_restarted": ("rdma_devices", "rdma_no_devices"),
    "hung_tool": ("rdma_devices", "cannot_tell"),
    "port_down": ("rdma_port", "port_down"),
    "in_bridge": ("rdma_network", "port_in_bridge"),
    "no_ipv4": ("rdma_network", "port_without_ipv4"),
    "wrong_port": ("cable", "wrong_cable_end"),
    "self_test_hangs": ("self_test", "self_test_hung"),
    "self_test_wrong_value": ("self_test", "self_test_wrong"),
    "self_test_wrong_size": ("self_test", "self_test_failed"),
    "mixed_macos": ("same_versions", "nodes_differ"),
    "mixed_mlx": ("same_versions", "nodes_differ"),
    "no_gid": ("log_port_without_ipv4", "port_without_ipv4"),
    "errno_22": ("log_queue_pair_refused", "queue_pair_refused"),
    "errno_16": ("log_rdma_exhausted", "rdma_exhausted"),
    "protection_domain": ("log_rdma_exhausted", "rdma_exhausted"),
    "errno_12": ("log_memory_regions_exhausted", "memory_regions_exhausted"),
    "device_gone": ("log_device_renamed", "device_renamed"),
    "errno_60": ("log_peer_left_group", "peer_left_group"),
    "errno_2": ("log_peer_left_group", "peer_left_group"),
    "ring_peer_lost": ("log_peer_left_group", "peer_left_group"),
    "daemon_silent": ("daemon", "daemon_silent"),
    "launch_agent": ("local_network", "local_network_privacy"),
    "firewall_blocks_all": ("firewall", "firewall_blocks"),
    "firewall_blocks_python": ("firewall", "firewall_blocks"),
    "one_way": ("reach", "not_reachable"),
    "copied_node": ("reach", "not_reachable"),
    "clock": ("clock", "clock_wrong"),
    "peers_clock": ("clock", "clock_wrong"),
    "apple_python": ("python", "apple_python"),
    "full_disk": ("disk", "disk_low"),
    "no_sandbox": ("sandbox", "no_sandbox"),
}


def examined(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `doctor --recorded FOLDER --json` prints: one document, whose exit code is that of the process."""
    code = run(["doctor", "--recorded", str(folder), "--json"])
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (document["exit_code"], document["ok"], shown.err) == (code, code == 0, "")
    return document


def states(document: dict[str, Any]) -> dict[str, str]:
    return {check["id"]: check["state"] for check in document["checks"]}


def test_every_broken_machine_has_its_cause_here_and_every_cause_its_machine() -> None:
    assert sorted(EXPECTED) == BROKEN
    assert {cause for _, cause in EXPECTED.values()} == set(CAUSES)


@pytest.mark.parametrize("name", BROKEN)
def test_a_machine_that_is_broken_in_one_way_is_told_that_way_first(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = examined(broken(name, tmp_path / name), capsys)

    check_id, cause = EXPECTED[name]
    found = next(check for check in document["checks"] if check["cause"] is not None)
    assert (found["id"], found["cause"], document["exit_code"]) == (check_id, cause, CAUSES[cause].exit_code)
    assert found["sentence"]
    assert found["fix"]
    assert "{" not in found["sentence"] + found["fix"]


@pytest.mark.parametrize("name", [name for name in BROKEN if EXPECTED[name][0] in LADDER])
def test_the_ladder_ends_at_the_first_step_that_failed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = examined(broken(name, tmp_path / name), capsys)

    ladder = document["checks"][: len(LADDER)]
    assert [check["id"] for check in ladder] == LADDER
    reached = [check["state"] for check in ladder]
    failed = reached.index("failed") if "failed" in reached else len(LADDER)
    assert {check["state"] for check in ladder[failed + 1 :]} <= {"skipped"}
    assert "failed" not in {check["state"] for check in ladder[:failed]}


def test_nothing_is_wrong_with_a_healthy_pair_but_no_link_was_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = examined(pair(tmp_path / "pair"), capsys)

    assert document["exit_code"] == 0
    assert document["backend"] == "ring"
    assert {name for name, state in states(document).items() if state != "ok"} == {"self_test"}


def test_a_link_whose_test_has_passed_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pair(tmp_path / "pair")
    note(folder, event="group.formed")

    assert examined(folder, capsys)["backend"] == "jaccl"


@pytest.mark.parametrize("name", ["linux", "m1"])
def test_where_there_can_be_no_rdma_nothing_is_wrong_and_the_ring_is_named(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = examined(DATA / name, capsys)

    assert (document["exit_code"], document["backend"]) == (0, "ring")
    for check in document["checks"][: len(LADDER)]:
        assert check["state"] == "skipped"
        assert "ring over TCP" in check["sentence"]


def test_a_group_that_never_formed_for_a_cause_that_is_known_is_told_that_cause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pair(tmp_path / "mac")
    said = "rank 0 (jaccl): MLX 0.32.4 could not join ([jaccl] Changing queue pair to RTR failed with errno 22)"
    note(folder, event="group.formed")
    note(folder, event="group.over", reason=said)

    document = examined(folder, capsys)

    assert document["exit_code"] == CAUSES["queue_pair_refused"].exit_code
    assert states(document)["self_test"] == "skipped"


def test_a_group_that_never_formed_for_a_cause_that_is_not_known_has_failed_the_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pair(tmp_path / "mac")
    note(folder, event="group.over", reason="rank 1 of group 3f2a (jaccl): MLX 0.40.0 could not join (something new)")

    assert examined(folder, capsys)["exit_code"] == CAUSES["self_test_failed"].exit_code


@pytest.mark.parametrize("later", [{"event": "group.over", "reason": "nobody used it for 120 s"}, {"event": "x"}])
def test_a_group_that_formed_and_ended_later_has_passed_the_test(
    later: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pair(tmp_path / "mac")
    note(folder, event="group.formed")
    note(folder, **later)

    assert examined(folder, capsys)["backend"] == "jaccl"


@pytest.mark.parametrize("after", [{"event": "server.listening"}, None])
def test_neither_a_ring_nor_a_group_before_the_daemons_start_says_anything_of_rdma(
    after: dict[str, str] | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pair(tmp_path / "mac")
    note(folder, event="group.formed", backend="jaccl" if after else "ring")
    if after:
        note(folder, **after)

    assert run(["doctor", "--recorded", str(folder)]) == 0
    assert "RDMA is ready as far as can be seen here; the first group" in capsys.readouterr().out


def note(folder: Path, **fields: str) -> None:
    """Adds a line to the recorded log, of a group over RDMA where nothing else is said."""
    line = json.dumps({"backend": "jaccl", "group": "3f2a", "timestamp": "2026-05-17T06:41:00Z", **fields})
    with (folder / "daemon_log").open("a") as log:
        log.write(f"{line}\n")


@pytest.mark.parametrize(
    ("device", "far_end", "state"),
    [("rdma_en2", "B", "ok"), ("rdma_en3", "B", "skipped"), ("rdma_en2", "C", "skipped")],
)
def test_without_a_peers_recording_the_daemons_own_look_at_the_cable_counts(
    device: str, far_end: str, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pair(tmp_path / "mac")
    (folder / "peers" / "studio").rename(tmp_path / "elsewhere")
    status = json.loads((folder / "daemon_status").read_text())
    own, other = (member["facts"] for member in status["members"])
    own["rdma"] = [{"device": device, "domain": "A", "peer_domain": "B"}]
    other["rdma"] = [{"device": "rdma_en4", "domain": far_end, "peer_domain": "A"}]
    (folder / "daemon_status").write_text(json.dumps(status))

    assert states(examined(folder, capsys))["cable"] == state


def test_an_unreachable_address_in_a_group_counts_although_nodes_are_connected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken("errno_60", tmp_path / "mac")
    log = folder / "daemon_log"
    log.write_text(log.read_text().replace("(error: 60)", "(error: 65)"))

    assert examined(folder, capsys)["exit_code"] == CAUSES["not_reachable"].exit_code


def test_a_bridge_that_is_down_is_not_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = broken("in_bridge", tmp_path / "mac")
    text = (folder / "ifconfig").read_text().replace("bridge0: flags=8863<UP,", "bridge0: flags=8862<")
    (folder / "ifconfig").write_text(re.sub(r"^(en2: .*)$", r"\1\n\tinet 10.0.0.1", text, flags=re.MULTILINE))

    assert examined(folder, capsys)["exit_code"] == 0


def test_of_several_causes_all_are_listed_and_the_first_of_the_ladder_gives_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken("rdma_disabled", tmp_path / "mac")
    (folder / "disk").write_text((DATA / "broken" / "full_disk" / "disk").read_text())
    (folder / "sw_vers").write_text("26.2\n")

    document = examined(folder, capsys)

    causes = [check["cause"] for check in document["checks"] if check["cause"]]
    assert (causes, document["exit_code"]) == (["macos_unsafe", "rdma_disabled", "nodes_differ", "disk_low"], 11)


def test_what_could_not_be_read_gives_way_to_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = broken("hung_tool", tmp_path / "mac")
    (folder / "disk").write_text((DATA / "broken" / "full_disk" / "disk").read_text())

    assert examined(folder, capsys)["exit_code"] == CAUSES["disk_low"].exit_code


def test_failures_from_before_the_daemons_last_start_are_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken("errno_16", tmp_path / "mac")
    log = folder / "daemon_log"
    log.write_text(log.read_text() + '{"event": "server.listening"}\n')

    assert examined(folder, capsys)["exit_code"] == 0


def test_a_person_reads_the_cause_what_was_seen_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(["doctor", "--recorded", str(broken("no_ipv4", tmp_path / "mac"))]) == CAUSES["port_without_ipv4"].exit_code
    )

    text = capsys.readouterr().out
    assert "port_without_ipv4 · blocks RDMA only · exit code 20" in text
    assert "sudo networksetup -setdhcp RDMA-en2" in text


def test_a_peers_recording_can_be_given_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = broken("wrong_port", tmp_path / "mac")
    peer = (folder / "peers" / "studio").rename(tmp_path / "studio")

    assert run(["doctor", "--recorded", str(folder), "--json"]) == 0
    assert run(["doctor", "--recorded", str(folder), "--peer", str(peer)]) == CAUSES["wrong_cable_end"].exit_code
    assert "studio" in capsys.readouterr().out


def test_a_recording_is_read_or_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--recorded", str(DATA / "linux"), "--record", str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("folder", ["none", "empty"])
def test_a_folder_without_a_recording_is_refused(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()

    assert run(["doctor", "--recorded", str(tmp_path / folder)]) == 2
    assert "--record" in capsys.readouterr().err


def test_two_peers_whose_folders_are_named_alike_are_both_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken("wrong_port", tmp_path / "mac")
    (folder / "peers" / "studio").rename(tmp_path / "studio")
    for place in ("a", "b"):
        shutil.copytree(tmp_path / "studio", tmp_path / place / "rec")
    (tmp_path / "b" / "rec" / "sw_vers").write_text("26.4\n")
    peers = [word for place in ("a", "b") for word in ("--peer", str(tmp_path / place / "rec"))]

    run(["doctor", "--recorded", str(folder), *peers])
    assert f"{tmp_path}/b/rec" in capsys.readouterr().out


def test_a_log_that_this_user_may_not_read_is_not_said_to_be_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = pair(tmp_path / "mac")
    (folder / "daemon_log").write_text("tail: cannot open '/data/realignd.log' for reading: Permission denied\n")
    (folder / "daemon_log.rc").write_text("1\n")

    log = next(check for check in examined(folder, capsys)["checks"] if check["id"] == "log")
    assert (log["state"], log["sentence"]) == (
        "unknown", "this user may not read the daemon's log; run doctor as the daemon's user",
    )  # fmt: skip


def test_a_recording_is_not_made_where_a_file_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadUsage, match=r"cannot be made \(File exists\); name a new folder with --record"):
        write_recording({}, tmp_path / "file")


def test_a_stray_file_beside_the_peers_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pair(tmp_path / "mac")
    (folder / "peers" / ".DS_Store").touch()

    assert examined(folder, capsys)["exit_code"] == 0
