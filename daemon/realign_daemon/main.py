"""Main: the realignd process. Reads flags and configuration, runs a node, and stops it in good order."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from realign_daemon import logs
from realign_daemon.cluster.addresses import Address
from realign_daemon.config import Config, load
from realign_daemon.errors import DiskFailed, RealignError
from realign_daemon.footing import VERSION
from realign_daemon.guard import KeyReplaced
from realign_daemon.native_words import NATIVE_LOG, native_words_in
from realign_daemon.witness import Witness

if TYPE_CHECKING:
    from realign_daemon.node import Node

log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a daemon until SIGTERM or SIGINT. Exits 0 after a stop, else with the error's code and one sentence."""
    flags = _parser().parse_args(arguments)
    try:
        config = load(file=flags.config, environment=os.environ, flags=_settings(flags))
        os.umask(0o077)
        folder = config.node.data_dir
        with native_words_in(folder / NATIVE_LOG), logs.set_up(file=folder / "realignd.log"):
            _main(config)
    except RealignError as error:
        sys.stderr.write(f"realignd: {error}\n")
        sys.exit(error.exit_code)


def _main(config: Config) -> None:
    try:
        asyncio.run(_serve(config))
    except BaseExceptionGroup as errors:
        _explain(errors)
        if errors.subgroup(DiskFailed) is not None:
            sys.stderr.flush()
            os._exit(1)  # in good order Python would close the ledger, which writes to the disk that failed
        sys.exit(1)


async def _serve(config: Config) -> None:
    """Runs the node as a task that the signals cancel."""
    node = asyncio.create_task(_run(config), name="node")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.cancel)
    try:
        await node
    except asyncio.CancelledError:
        log.info("node.stopped")


async def _run(config: Config) -> None:
    """Runs the node or witness, and once its key was replaced the one that it has become."""
    while True:
        try:
            await _daemon(config).run(lambda address: _announce(address, config.network.listen))
        except BaseExceptionGroup as errors:
            if errors.split(KeyReplaced)[1] is not None:
                raise
            log.info("node.renamed")


def _daemon(config: Config) -> Node | Witness:
    if config.node.witness:
        return Witness(config)
    from realign_daemon.node import Node  # with all that a node needs, which is not there where a witness is

    return Node(config)


def _announce(address: Address, wanted: Address | None) -> None:
    log.info("node.ready", address=str(address), version=VERSION)
    sys.stderr.write(f"realignd {VERSION} listens on {address}\n")
    if wanted is not None and wanted.host != address.host:
        sys.stderr.write(f"realignd: not on {wanted} before this daemon is in a cluster, which has certificates\n")


def _explain(errors: BaseExceptionGroup) -> None:
    """A crash of one part ends the node; the service manager starts it again. Known errors get their sentence."""
    known, others = errors.split(RealignError)
    for sentence in dict.fromkeys(_sentences(known) if known else ()):
        sys.stderr.write(f"realignd: {sentence}\n")
    if others is not None:
        log.error("node.crashed", exc_info=others)
        sys.stderr.write("realignd: a part of the daemon failed; realignd.log in the data directory has the details\n")


def _sentences(errors: BaseExceptionGroup[RealignError]) -> Iterator[str]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _sentences(error)
        else:
            yield str(error)


def _settings(flags: argparse.Namespace) -> dict[str, object]:
    return {
        "node.data_dir": flags.data_dir,
        "node.witness": True if flags.witness else None,
        "network.listen": flags.listen,
        "network.peers": tuple(flags.peer) if flags.peer else None,
        "network.discovery": False if flags.no_discovery else None,
        "network.insecure_lan": True if flags.insecure_lan else None,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="realignd", description="The realign cluster daemon.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML")
    parser.add_argument("--data-dir", metavar="DIR", help="where everything is kept (default ~/.realign)")
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="default 127.0.0.1:0, any free port on loopback; in a cluster 0.0.0.0:0"
    )
    parser.add_argument("--peer", action="append", metavar="HOST:PORT", help="a node to connect to; may be repeated")
    parser.add_argument("--no-discovery", action="store_true", help="do not announce or browse by Bonjour")
    parser.add_argument(
        "--insecure-lan", action="store_true", help="listen and announce beyond this machine without certificates"
    )
    parser.add_argument(
        "--witness", action="store_true", help="only vote on how jobs end: no engine, no jobs, no results"
    )
    parser.add_argument("--version", action="version", version=f"realignd {VERSION}")
    return parser


if __name__ == "__main__":
    main()
