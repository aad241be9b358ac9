"""The generated protobuf code: writes it beside the .proto files, or checks that it is current.

Run as `python proto/generate.py` after editing a .proto file, and with `--check` to learn whether that was forgotten,
or whether an edit breaks what the last release knows of the wire. `--release` makes today's wire the released one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from released import broken_promises, wire_of

SOURCE_ROOT = Path(__file__).resolve().parent
PACKAGE = Path("realign_proto/v1")
RELEASED = SOURCE_ROOT / "released.json"
DESCRIPTORS = "descriptors"
# Code is kept for what a file declares: one without a service would get an empty _grpc module.
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def generate(out: Path) -> dict[str, str]:
    """Runs the compiler into `out` and returns file name -> text of what the repository keeps.

    Raises:
        SystemExit: the compiler refused a .proto file; it has said why on stderr.
    """
    sources = sorted((SOURCE_ROOT / PACKAGE).glob("*.proto"))
    plugins = Path(sys.executable).parent
    arguments = [
        "protoc",
        f"-I{SOURCE_ROOT}",
        f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_grpc_out=quiet:{out}",
        f"--descriptor_set_out={out / DESCRIPTORS}",
        *(str(source) for source in sources),
    ]
    if protoc.main(arguments) != 0:  # pyright: ignore[reportUnknownMemberType] - grpc_tools is untyped
        raise SystemExit(1)
    without_service = {source.stem for source in sources if "\nservice " not in source.read_text("utf-8")}
    return {
        file.name: file.read_text("utf-8")
        for file in sorted((out / PACKAGE).iterdir())
        if not (file.stem.endswith("_pb2_grpc") and file.stem.removesuffix("_pb2_grpc") in without_service)
    }


def committed() -> dict[str, str]:
    """File name -> text of the generated code as it is in the tree."""
    files = sorted((SOURCE_ROOT / PACKAGE).iterdir())
    return {file.name: file.read_text("utf-8") for file in files if file.name.endswith(GENERATED_SUFFIXES)}


def breaks(out: Path) -> tuple[str, ...]:
    """What the code that was generated into `out` breaks of the released wire."""
    today = wire_of(FileDescriptorSet.FromString((out / DESCRIPTORS).read_bytes()))
    return broken_promises(json.loads(RELEASED.read_text("utf-8")), today) if RELEASED.exists() else ()


def release(out: Path) -> None:
    """Makes the wire of the code that was generated into `out` the released one."""
    today = wire_of(FileDescriptorSet.FromString((out / DESCRIPTORS).read_bytes()))
    RELEASED.write_text(json.dumps(today, indent=1, sort_keys=True) + "\n", "utf-8")


def main() -> None:
    """Writes the code, or with --check exits 1 and names the files that differ, or what breaks the released wire."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is not current")
    parser.add_argument("--release", action="store_true", help="from now on nodes with today's wire are out there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        fresh, broken = generate(Path(scratch)), breaks(Path(scratch))
        if arguments.release and not broken:
            release(Path(scratch))
    kept = committed()
    stale = sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))
    if arguments.check and stale:
        raise SystemExit(f"generated code is not current: {', '.join(stale)}; run `make proto` and commit the result")
    if broken and (arguments.check or arguments.release):
        raise SystemExit("\n".join(("the wire breaks what is released (proto/released.json):", *broken)))
    if arguments.check:
        return
    for name in stale:
        target = SOURCE_ROOT / PACKAGE / name
        if name in fresh:
            target.write_text(fresh[name], "utf-8")
        else:
            target.unlink()
    print(f"{len(stale)} of {len(fresh)} generated files changed")  # noqa: T201


if __name__ == "__main__":
    main()
