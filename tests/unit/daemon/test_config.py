"""Where settings come from, which wins, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from realign_daemon.cluster.addresses import Address
from realign_daemon.config import load
from realign_daemon.errors import BadConfig


def toml(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "realignd.toml"
    file.write_text(text)
    return file


def test_without_anything_the_defaults_hold() -> None:
    config = load()

    assert config.network.listen is None
    assert not config.network.insecure_lan
    assert config.node.data_dir == Path.home() / ".realign"
    assert config.cluster.tag.startswith("user-")


def test_flags_win_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    file = toml(tmp_path, '[node]\nname = "file"\n[cluster]\ntag = "file"\n[benchmark]\nmodel = "file"\n')
    environment = {"REALIGN_NODE_NAME": "environment", "REALIGN_CLUSTER__TAG": "environment"}

    config = load(file=file, environment=environment, flags={"node.name": "flag", "cluster.tag": None})

    assert (config.node.name, config.cluster.tag, config.benchmark.model) == ("flag", "environment", "file")


def test_every_kind_of_value_can_come_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    file = toml(
        tmp_path,
        """
        [network]
        peers = ["127.0.0.1:1", "localhost:2"]
        discovery = false
        [engine]
        duty_fraction = 0.5
        env = {MLX_METAL_FAST_SYNCH = "0"}
        [models]
        dirs = ["/models"]
        [limits]
        queued_jobs = 3
        [cost]
        usd_per_node_hour = 2
        """,
    )
    environment = {
        "REALIGN_NETWORK__PEERS": "127.0.0.1:1, localhost:2",
        "REALIGN_NETWORK__DISCOVERY": "no",
        "REALIGN_ENGINE__DUTY_FRACTION": "0.5",
        "REALIGN_ENGINE__ENV": "MLX_METAL_FAST_SYNCH=0",
        "REALIGN_MODELS__DIRS": "/models",
        "REALIGN_LIMITS__QUEUED_JOBS": "3",
        "REALIGN_COST__USD_PER_NODE_HOUR": "2",
    }

    config = load(file=file)

    assert config == load(environment=environment)
    assert config.network.peers == (Address(host="127.0.0.1", port=1), Address(host="localhost", port=2))
    assert (config.network.discovery, config.limits.queued_jobs, config.models.dirs) == (False, 3, (Path("/models"),))


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"network.listn": "x"}, "there is no setting listn in [network]; the nearest one is listen"),
        ({"netwrk.listen": "x"}, "there is no section [netwrk]; the nearest one is network"),
        ({"network.listen": "7000"}, "'7000' is not an address"),
        ({"engine.duty_fraction": 0}, "engine.duty_fraction is 0.0"),
        ({"engine.duty_fraction": "nan"}, "engine.duty_fraction cannot be 'nan'"),
        ({"network.discovery": "perhaps"}, "true or false is needed"),
        ({"limits.queued_jobs": 1.5}, "a whole number"),
        ({"cluster.tag": " "}, "cluster.tag is empty"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(flags: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadConfig) as refused:
        load(flags=flags)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name = 'x'", "name must be inside a section"),
        ("[node", "is not valid TOML"),
        ("[nod]", "nearest one is node"),
        ("[node]\nnam = 1", "realignd.toml: there is no setting nam in [node]; the nearest one is name"),
    ],
)
def test_a_wrong_file_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(BadConfig) as refused:
        load(file=toml(tmp_path, text))
    assert sentence in str(refused.value)


def test_a_missing_file_is_refused_and_an_unknown_short_variable_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot be read"):
        load(file=tmp_path / "none.toml")
    assert load(environment={"REALIGN_ENDPOINT": "x"}) == load()


def test_an_unknown_long_variable_is_refused_by_its_name() -> None:
    with pytest.raises(BadConfig, match="REALIGN_NODE__NAM: there is no setting nam"):
        load(environment={"REALIGN_NODE__NAM": "x"})
