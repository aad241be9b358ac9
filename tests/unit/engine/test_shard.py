"""Which models can be divided, and over how many ranks."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import importlib
import inspect
import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm.models import gemma
from mlx_lm.models.pipeline import PipelineMixin
from mlx_lm.utils import MODEL_REMAPPING

from realign_daemon.engine.api import LocalModel
from realign_daemon.engine.child.peers import Peers
from realign_daemon.engine.child.shard import read_part, read_weights
from realign_daemon.engine.errors import BadTask
from realign_daemon.engine.models import POCKET_FOLDER
from realign_daemon.engine.ranks import GroupPlan, Parallelism, Rank
from realign_planner.catalogue import SPLITS_BY_MODEL_TYPE


def peers(size: int, parallelism: Parallelism, split: tuple[int, ...] = ()) -> Peers:
    """As a rank of a group has them that is not formed: enough to be refused."""
    hosts = tuple((f"127.0.0.1:{number}",) for number in range(size))
    plan = GroupPlan(group="g", backend="ring", parallelism=parallelism, hosts=hosts, split=split)
    return Peers(Rank(plan=plan, rank=0, folder=POCKET_FOLDER))


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        (peers(4, "tensor"), "its 6 attention heads do not divide by 4"),
        (peers(7, "pipeline"), "it has 6 layers; use fewer machines"),
        (peers(2, "pipeline", (3, 4)), r"the split \(3, 4\) does not give out its 6 layers"),
    ],
)
def test_a_model_that_cannot_be_divided_so_is_refused_with_the_reason(refused: Peers, says: str) -> None:
    with pytest.raises(BadTask, match=f"cannot be divided over {refused.size} ranks: {says}"):
        read_part(POCKET_FOLDER, refused)


def test_a_model_type_without_stages_is_refused_as_a_pipeline(tiny_model: LocalModel) -> None:
    with pytest.raises(BadTask, match="no pipeline stages for qwen3; use tensor parallelism"):
        read_part(tiny_model.path, peers(2, "pipeline"))


def test_fewer_heads_of_keys_than_ranks_are_refused(tiny_model: LocalModel) -> None:
    with pytest.raises(BadTask, match="its 2 KV heads do not divide by 4"):
        read_part(tiny_model.path, peers(4, "tensor"))


def test_a_model_type_without_tensor_parallelism_is_refused(tiny_model: LocalModel, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model.path, tmp_path / "gemma"))
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "gemma"}
    (folder / "config.json").write_text(json.dumps(config))
    weights = dict(tree_flatten(gemma.Model(gemma.ModelArgs.from_dict(config)).parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    with pytest.raises(BadTask, match="no tensor parallelism for gemma; use pipeline stages or one machine"):
        read_part(folder, peers(2, "tensor"))


def test_reading_tells_of_every_weight_and_counts_their_bytes(tiny_model: LocalModel) -> None:
    network, _, _ = read_part(tiny_model.path, Peers())
    told: list[None] = []
    total = read_weights(network, lambda: told.append(None))
    assert total == pytest.approx(tiny_model.weight_bytes, rel=0.1)  # the file has a header besides
    assert len(told) == 2 * 11 + 3  # of each layer seven matrices and four norms; embeddings, head and last norm


@pytest.mark.parametrize("model_type", SPLITS_BY_MODEL_TYPE)
def test_the_planner_knows_of_every_model_type_what_mlx_lm_can_divide(model_type: str) -> None:
    module = importlib.import_module(f"mlx_lm.models.{MODEL_REMAPPING.get(model_type, model_type)}")
    stages = [
        found
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, PipelineMixin) and found.__module__ == module.__name__
    ]
    assert SPLITS_BY_MODEL_TYPE[model_type] == (hasattr(module.Model, "shard"), bool(stages))
