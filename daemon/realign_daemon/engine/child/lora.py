"""Adapter: the LoRA layers that sit on the loaded model just now, and the blob that holds such layers.

A blob is a tar of `adapters.safetensors` and `adapter_config.json`; unpacked, `mlx_lm.load(adapter_path=)` takes it.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# mlx's stubs leave many arguments untyped.

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters

from realign_daemon.engine.errors import BadTask

WEIGHTS = "adapters.safetensors"
CONFIG = "adapter_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What LoRA layers look like: their rank, the scale of what they add, how many blocks (from the last) have them."""

    rank: int
    scale: float
    layer_count: int

    def parameters(self) -> dict[str, Any]:
        """As mlx_lm names them."""
        return {"rank": self.rank, "scale": self.scale, "dropout": 0.0}


class Adapters:
    """Puts LoRA layers on a frozen model and takes them off again; at most one set at a time."""

    def __init__(self, network: Any) -> None:
        """`network` is the mlx module of the model."""
        self._network = network
        self._replaced: list[tuple[str, Any]] = []
        self.attached = ""  # sha256 of the blob whose layers are on; "" when none or none that has a name

    def swap(self, sha256: str, blob: Path | None) -> None:
        """Leaves just the adapter of the blob on the model, or none. Raises BadTask when it does not fit the model."""
        if sha256 == self.attached and (sha256 or not self._replaced):
            return
        self.detach()
        if blob is None:
            return
        before = self._modules()
        try:
            with tempfile.TemporaryDirectory() as folder:
                unpack(blob, Path(folder))
                load_adapters(self._network, folder)
        except (KeyError, ValueError, AttributeError, tarfile.TarError) as error:
            message = f"adapter {sha256} is not one of this model ({error}): train one from it"
            raise BadTask(message) from error
        finally:
            self._remember(before)
        self._network.eval()
        self.attached = sha256

    def attach_new(self, shape: Shape, *, seed: int) -> None:
        """Fresh layers that change nothing yet; their random half depends on the seed only."""
        self.detach()
        before = self._modules()
        mx.random.seed(seed)
        linear_to_lora_layers(self._network, shape.layer_count, shape.parameters())
        self._remember(before)

    def detach(self) -> None:
        """Gives the model its own layers back."""
        if self._replaced:
            self._network.update_modules(tree_unflatten(self._replaced))
            self._network.eval()
        self._replaced = []
        self.attached = ""

    def weights(self) -> dict[str, mx.array]:
        """The trainable arrays by name, which are the adapter's."""
        return dict(cast("list[tuple[str, mx.array]]", tree_flatten(self._network.trainable_parameters())))

    def _modules(self) -> dict[str, Any]:
        return dict(self._network.named_modules())

    def _remember(self, before: dict[str, Any]) -> None:
        after = self._modules()
        self._replaced = [(name, module) for name, module in before.items() if after.get(name) is not module]


def pack(target: Path, weights: dict[str, mx.array], shape: Shape) -> None:
    """Writes an adapter's blob. Equal weights give equal bytes."""
    config = {
        "fine_tune_type": "lora",
        "num_layers": shape.layer_count,
        "lora_parameters": shape.parameters(),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / WEIGHTS
        mx.save_safetensors(str(file), dict(sorted(weights.items())))
        parts = {CONFIG: json.dumps(config, indent=2, sort_keys=True).encode(), WEIGHTS: file.read_bytes()}
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)  # times and owners stay zero
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def unpack(blob: Path, folder: Path) -> None:
    """Writes the two files of an adapter's blob into a folder; whatever else is in the blob stays there.

    Raises:
        KeyError: one of the two is not in it.
        tarfile.TarError: it is no tar.
    """
    with tarfile.open(blob, "r:") as archive:
        for name in (CONFIG, WEIGHTS):
            entry = archive.extractfile(name)
            if entry is None:
                raise KeyError(name)
            (folder / name).write_bytes(entry.read())


def settings_of(blob: Path) -> tuple[int, float]:
    """Rank and scale of an adapter's blob. Raises KeyError, ValueError or tarfile.TarError when it is none."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(blob, Path(folder))
        parameters = json.loads((Path(folder) / CONFIG).read_text())["lora_parameters"]
    return int(parameters["rank"]), float(parameters["scale"])
