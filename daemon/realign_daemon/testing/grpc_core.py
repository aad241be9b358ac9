"""gRPC's compiled core: the names in it that grpc.aio itself uses and no stub tells of."""

from __future__ import annotations

from importlib import import_module
from typing import Any

cygrpc: Any = import_module("grpc._cython.cygrpc")
