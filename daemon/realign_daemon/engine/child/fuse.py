"""Fuse: an adapter written into the weights of its model, as a model of its own that needs no adapter."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import mlx_lm
from mlx.utils import tree_unflatten
from mlx_lm.utils import quantize_model, save

from realign_daemon.engine.api import Fuse, Fused, Generate, Generated, Sha256
from realign_daemon.engine.child import lora
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.generate import Sequences
from realign_daemon.engine.child.load import load
from realign_daemon.engine.child.objective import Alive
from realign_daemon.engine.errors import BadTask

# How many weights share a scale. The first is MLX's default; a layer that no group divides stays as it is.
_GROUP_SIZES = (64, 32)


def fuse(task: Fuse, *, model: Path, adapter: Path, output: Path, duty: Duty, alive: Alive) -> Fused:
    """Writes the model's folder as a tar to `output`, loads it again from there, and asks it the task's prompts.

    The result's weights are empty: whoever stores the blob names it. A copy of the model is in memory meanwhile.

    Raises:
        BadTask: the adapter is not one of this model, or its weights cannot have so many bits.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        with duty.step():
            _write(task, model, adapter, folder)
        alive()
        answers = _answers(folder, task.prompts, duty, alive)
        with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as archive:
            for file in sorted(folder.iterdir()):
                archive.add(file, arcname=file.name, filter=_anonymous)
                alive()
    return Fused(weights=Sha256(""), answers=answers)


def _write(task: Fuse, model: Path, adapter: Path, folder: Path) -> None:
    try:
        with tempfile.TemporaryDirectory() as unpacked:
            lora.unpack(adapter, Path(unpacked))
            network, tokenizer, config = cast(
                "tuple[Any, Any, dict[str, Any]]",
                mlx_lm.load(str(model), adapter_path=unpacked, return_config=True),
            )
        fused = [(name, module.fuse()) for name, module in network.named_modules() if hasattr(module, "fuse")]
        network.update_modules(tree_unflatten(fused))
        if task.quantise_bits is not None:
            network, config = quantize_model(network, config, _group_size(network), task.quantise_bits)
    except (KeyError, ValueError, AttributeError, tarfile.TarError) as error:
        message = (
            f"adapter {task.adapter} cannot be fused into this model ({error}): give one trained from it, or bits "
        )
        raise BadTask(f"{message}that MLX can quantise to") from error
    save(folder, model, network, tokenizer, config)


def _group_size(network: Any) -> int:
    """The largest group that divides every layer; the default where none does."""
    widths = [module.weight.shape[-1] for _, module in network.named_modules() if hasattr(module, "to_quantized")]
    fitting = [size for size in _GROUP_SIZES if all(width % size == 0 for width in widths)]
    return (fitting or _GROUP_SIZES)[0]


def _answers(folder: Path, prompts: Sequence[Generate], duty: Duty, alive: Alive) -> tuple[Generated, ...]:
    """What the model in the folder says, in the order of the prompts."""
    sequences = Sequences(load(folder), max(1, len(prompts)))
    for place, prompt in enumerate(prompts):
        sequences.add(place, prompt)
    found: dict[int, Generated] = {}
    while sequences:
        with duty.step():
            found.update(sequences.step())
        alive()
    return tuple(found[place] for place in range(len(prompts)))


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without owner and time, so that equal weights are equal bytes."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry
