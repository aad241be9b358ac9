"""The BLAS shim: built once, loaded before MLX, and the product still right."""

import subprocess
import sys
from pathlib import Path

import pytest

from realign_daemon.engine import blas

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="the shim replaces the reference BLAS of the Linux wheel"
)

PRODUCT = """
import sys
from pathlib import Path
from realign_daemon.engine.blas import load_shim
load_shim(Path(sys.argv[1]))
import mlx.core as mx
import numpy as np
rng = np.random.default_rng(0)
a, b = rng.standard_normal((65, 33), dtype=np.float32), rng.standard_normal((33, 17), dtype=np.float32)
with mx.stream(mx.cpu):
    plain = np.array(mx.array(a) @ mx.array(b))
    turned = np.array(mx.array(a.T.copy()).T @ mx.array(b))
assert np.allclose(plain, a @ b, atol=1e-4), "plain"
assert np.allclose(turned, a @ b, atol=1e-4), "transposed"
served_by = [line.split()[-1] for line in open("/proc/self/maps") if "realign-blas-" in line]
assert served_by, "not mapped"
print("ok")
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = blas.build_shim(tmp_path_factory.mktemp("blas"))
    if built is None:
        pytest.skip("no C compiler, or a numpy without its own OpenBLAS")
    return built


@linux_only
def test_mlx_multiplies_rightly_through_the_shim(shim: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRODUCT, str(shim)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("ok", 0), done.stderr


@linux_only
def test_a_second_build_reuses_the_first_and_leaves_no_scraps(shim: Path) -> None:
    before = shim.stat()
    assert blas.build_shim(shim.parent) == shim
    after = shim.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert list(shim.parent.iterdir()) == [shim]


def test_a_machine_without_a_compiler_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert blas.build_shim(tmp_path / "cache") is None


def test_a_cache_that_cannot_be_written_gets_none(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    assert blas.build_shim(occupied / "cache") is None


def test_loading_after_mlx_is_refused_because_it_would_change_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, types; from pathlib import Path; sys.modules['mlx.core'] = types.ModuleType('mlx.core')\n"
        "from realign_daemon.engine.blas import load_shim\n"
        "try: load_shim(Path(sys.argv[1]))\n"
        "except RuntimeError as error: print('already imported' in str(error))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.so")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "True", done.stderr
