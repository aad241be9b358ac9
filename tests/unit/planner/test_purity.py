"""The planner decides from what it is given: it reads no clock, no chance, no file and no network."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import realign_planner

FORBIDDEN = {"time", "random", "os", "socket", "asyncio", "datetime", "uuid", "secrets", "pathlib", "io", "logging"}
FILES = sorted(Path(realign_planner.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_module_imports_the_pure_part_of_the_standard_library_only(path: Path) -> None:
    imported: set[str] = set()
    for part in ast.walk(ast.parse(path.read_text())):
        if isinstance(part, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in part.names}
        elif isinstance(part, ast.ImportFrom) and part.module is not None:
            imported.add(part.module.split(".")[0])
    assert imported <= (set(sys.stdlib_module_names) - FORBIDDEN) | {"realign_planner", "__future__"}
