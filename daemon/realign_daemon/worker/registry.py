"""Registry: the functions that the worker child may run, by name. Nothing else can be called over the pipe.

A function takes keyword arguments of plain data and returns plain data (what msgpack holds). Each is named by module
and attribute and imported at its first call, so a child that only parses documents never loads scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

FUNCTIONS: Final = {
    "calibration.fit": "realign_daemon.curation.metrics.fitting:fit",
    "documents.piece.3": "realign_daemon.curation.documents.entry:piece",
    "documents.read.4": "realign_daemon.curation.documents.entry:read",
    "documents.text_ratio": "realign_daemon.curation.documents.extract:text_ratio",
    "formats.parquet": "realign_daemon.curation.formats.tables:parquet",
    "hygiene.contained": "realign_daemon.curation.hygiene.contamination:contained",
    "hygiene.duplicates": "realign_daemon.curation.hygiene.duplicates:duplicates",
    "hygiene.languages": "realign_daemon.curation.hygiene.languages:languages",
    "hygiene.personal_data": "realign_daemon.curation.hygiene.personal_data:personal_data",
    "intervals.bootstrap_auroc": "realign_daemon.curation.metrics.clustered:bootstrap_auroc",
    "intervals.bootstrap_clustered_mean": "realign_daemon.curation.metrics.clustered:bootstrap_clustered_mean",
    "intervals.bootstrap_mean": "realign_daemon.curation.metrics.bootstrap:bootstrap_mean",
    "intervals.bootstrap_calibration": "realign_daemon.curation.metrics.clustered:bootstrap_calibration",
    "models.download": "realign_daemon.models.hub_download:download",
    "models.look_up": "realign_daemon.models.hub_look:look_up",
    "verify.called": "realign_daemon.curation.verify.code_check:called",
    "verify.checkable.2": "realign_daemon.curation.verify.math_check:checkable",
    "verify.code": "realign_daemon.curation.verify.code_check:verify_code",
    "verify.code_checkable": "realign_daemon.curation.verify.code_check:code_checkable",
    "verify.math.2": "realign_daemon.curation.verify.math_check:verify_math",
    "verify.sandbox": "realign_daemon.curation.verify.sandbox:sandbox",
}


def resolve(target: str) -> Callable[..., object]:
    """The function named by `module:attribute`."""
    module, _, attribute = target.partition(":")
    return cast("Callable[..., object]", getattr(import_module(module), attribute))
