"""Config: every setting of a daemon, read once from flags, environment, a TOML file and defaults, in that order."""

from __future__ import annotations

import difflib
import os
import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_type_hints

from realign_daemon.cluster.addresses import Address
from realign_daemon.config_values import read_value
from realign_daemon.endpoints.settings import EndpointSettings
from realign_daemon.errors import BadConfig
from realign_daemon.files.share import SHARE_NAME

Section = Callable[..., object]  # a section's class, or FOLDERS
FOLDERS = Mapping[str, Path]

SHORT_NAMES = {
    "REALIGN_DATA_DIR": "node.data_dir",
    "REALIGN_NODE_NAME": "node.name",
    "REALIGN_LISTEN": "network.listen",
    "REALIGN_CLUSTER_TAG": "cluster.tag",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """[node]: this machine."""

    name: str = field(default_factory=lambda: socket.gethostname().partition(".")[0])
    data_dir: Path = field(default_factory=lambda: Path.home() / ".realign")
    witness: bool = False  # only votes: no engine, no jobs, no results


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """[network]: where to listen and how to find others."""

    # None: a free port, of loopback alone, and in a cluster of every address and the same one after a restart.
    listen: Address | None = None
    peers: tuple[Address, ...] = ()
    discovery: bool = True
    insecure_lan: bool = False  # lets the node listen and dial beyond loopback, without certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """[cluster]: which nodes belong together."""

    tag: str = field(default_factory=lambda: f"user-{os.getuid()}")
    provisional: bool = True  # jobs of a lost home run on without a majority, until it is back or somebody adopts them
    auto_adopt_after_s: float = 0.0  # of silence of a job's home; 0: only a person adopts. Two halves may both do it!


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """[engine]: the child process that runs models."""

    duty_fraction: float = 1.0  # share of the time it may work
    env: Mapping[str, str] = field(default_factory=dict[str, str])  # over the defaults of the engine
    idle_unload_s: float = 900.0  # an engine without work for so long gives its memory back
    watchdog_s: float = 60.0  # least time without progress before the child is killed
    model_memory_gb: float = 0.0  # that a model's weights and cache may take at most; 0: what the machine lets them
    endpoints: tuple[EndpointSettings, ...] = ()  # servers that are not ours, as engines of this node
    endpoint_hosts: tuple[str, ...] = ()  # "host" or "host:port" that jobs of others than admins may name


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkConfig:
    """[benchmark]: what is measured about this machine."""

    on_start: bool = True
    budget_s: float = 20.0
    model: str = "pocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """[models]: folders that hold models, besides what realign brings, LM Studio's folders and the hub's cache."""

    dirs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CostConfig:
    """[cost]: what an hour of a node costs; None leaves costs out of the summary."""

    usd_per_node_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """[limits]: what a client can ask of this node at most."""

    concurrent_calls: int = 256
    calls_per_s: float = 50.0  # of one client; 0: no limit
    queued_jobs: int = 64
    client_queued_jobs: int = 32  # of one client
    source_bytes: int = 2 * 1024**3  # of one job
    client_upload_bytes: int = 8 * 1024**3  # sent by one client and not named by a job yet
    rows_per_job: int = 1_000_000
    units_per_job: int = 10_000_000  # generations, judgements, scorings and training rows together
    tokens_per_answer: int = 32_768  # --set max_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerConfig:
    """[power]: when the machine is its owner's alone."""

    battery_floor_fraction: float = 0.3  # on a battery that is no fuller, no work is taken
    on_battery: bool = True  # false: on a battery none at all
    user_free_fraction: float = 0.25  # of the memory, stays free while somebody is logged in


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be set, checked."""

    node: NodeConfig = field(default_factory=NodeConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    benchmark: BenchmarkConfig = field(default_factory=BenchmarkConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)
    cost: CostConfig = field(default_factory=CostConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    shares: Mapping[str, Path] = field(default_factory=dict[str, Path])  # name -> folder whose files jobs may use
    power: PowerConfig = field(default_factory=PowerConfig)


def load(
    *, file: Path | None = None, environment: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None
) -> Config:
    """The settings in force.

    `flags` are keyed "section.key" and win; a value of None counts as not given. The environment has the short names
    and REALIGN_SECTION__KEY for every key, lists joined by commas and tables written K=V,K=V.

    Raises:
        BadConfig: an unknown key, a value of the wrong type or range, an unreadable file.
    """
    given: dict[str, tuple[object, str]] = {}
    given |= _from_file(file) if file else {}
    given |= _from_environment(environment or {})
    given |= {key: (value, f"flag {key}") for key, value in (flags or {}).items() if value is not None}
    config = _build(given)
    _check(config)
    return config


def _from_file(file: Path) -> dict[str, tuple[object, str]]:
    try:
        document: dict[str, object] = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        message = f"the configuration {file} cannot be read ({error.strerror}); check the path given to --config"
        raise BadConfig(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"the configuration {file} is not valid TOML: {error}"
        raise BadConfig(message) from error
    given: dict[str, tuple[object, str]] = {}
    for section, content in document.items():
        if not isinstance(content, dict):
            message = f"{file}: {section} must be inside a section such as [node]"
            raise BadConfig(message)
        for key, value in cast("dict[str, object]", content).items():
            given[f"{section}.{key}"] = (value, str(file))
        if not content:
            _section(section, str(file))
    return given


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    long: dict[str, tuple[object, str]] = {}
    short: dict[str, tuple[object, str]] = {}
    for name, value in environment.items():
        if name in SHORT_NAMES:
            short[SHORT_NAMES[name]] = (value, name)
        elif name.startswith("REALIGN_") and "__" in name:
            section, _, key = name.removeprefix("REALIGN_").lower().partition("__")
            long[f"{section}.{key}"] = (value, name)
    return short | long


def _section(name: str, origin: str) -> Section:
    sections = cast("dict[str, Section]", get_type_hints(Config))
    if name not in sections:
        message = f"{origin}: there is no section [{name}]; {_nearest(name, tuple(sections))}"
        raise BadConfig(message)
    return sections[name]


def _kind(section: str, key: str, origin: str) -> object:
    """What the setting is annotated with; where a section is a table of the owner's own names, what its values are."""
    owner = _section(section, origin)
    if owner == FOLDERS:
        return Path
    hints = cast("dict[str, object]", get_type_hints(owner))
    if key not in hints:
        message = f"{origin}: there is no setting {key} in [{section}]; {_nearest(key, tuple(hints))}"
        raise BadConfig(message)
    return hints[key]


def _build(given: Mapping[str, tuple[object, str]]) -> Config:
    sections: dict[str, dict[str, object]] = {}
    for path, (value, origin) in given.items():
        section, _, key = path.partition(".")
        kind = _kind(section, key, origin)
        try:
            sections.setdefault(section, {})[key] = read_value(kind, value)
        except (TypeError, ValueError) as error:
            shown = "as given" if isinstance(value, list) else repr(value)  # tables may hold what nobody should repeat
            message = f"{origin}: {section}.{key} cannot be {shown}: {error}"
            raise BadConfig(message) from error
    return Config(**{name: _filled(_section(name, ""), values) for name, values in sections.items()})


def _filled(owner: Section, values: dict[str, object]) -> Any:  # noqa: ANN401 - one of the sections
    return values if owner == FOLDERS else owner(**values)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.0)
    return f"the nearest one is {match[0]}"


def _check(config: Config) -> None:
    if not 0 < config.engine.duty_fraction <= 1:
        message = f"engine.duty_fraction is {config.engine.duty_fraction}; choose a number above 0 and up to 1"
        raise BadConfig(message)
    for name in ("battery_floor_fraction", "user_free_fraction"):
        fraction = getattr(config.power, name)
        if not 0 <= fraction <= 1:
            message = f"power.{name} is {fraction}; choose a number from 0 to 1"
            raise BadConfig(message)
    for name, value in (("cluster.tag", config.cluster.tag), ("node.name", config.node.name)):
        if not value.strip():
            message = f"{name} is empty; give it a name or leave it out"
            raise BadConfig(message)
    _check_shares(config.shares)


def _check_shares(shares: Mapping[str, Path]) -> None:
    for name in shares:
        if not SHARE_NAME.fullmatch(name):
            message = f"the share {name!r} cannot be named in a request; use letters, digits, - and _, 64 at most"
            raise BadConfig(message)
