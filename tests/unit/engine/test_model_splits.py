"""What the planner believes of dividing models is what the installed mlx-lm can do."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import mlx_lm.models
from mlx_lm.models.pipeline import PipelineMixin
from mlx_lm.utils import MODEL_REMAPPING

from realign_planner.catalogue import SPLITS_BY_MODEL_TYPE

NEEDS_A_PACKAGE_OF_ITS_OWN = {"olmo"}  # it ends the process that imports it without ai2-olmo; it can do neither


def splits(module: ModuleType) -> tuple[bool, bool]:
    """Whether its layers can be divided, and whether the model can be divided between layers."""
    classes = [one for one in vars(module).values() if inspect.isclass(one) and one.__module__ == module.__name__]
    return hasattr(module.Model, "shard"), any(issubclass(one, PipelineMixin) for one in classes)


def test_the_table_lists_every_model_type_that_can_be_divided_with_how_and_no_other() -> None:
    names = {found.name for found in pkgutil.iter_modules(mlx_lm.models.__path__)} - NEEDS_A_PACKAGE_OF_ITS_OWN
    modules = {name: importlib.import_module(f"mlx_lm.models.{name}") for name in names}
    found = {name: splits(module) for name, module in modules.items() if hasattr(module, "ModelArgs")}
    found |= {name: found[other] for name, other in MODEL_REMAPPING.items() if other in found}
    assert {name: ways for name, ways in found.items() if any(ways)} == SPLITS_BY_MODEL_TYPE
