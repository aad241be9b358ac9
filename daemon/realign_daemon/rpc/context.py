"""Context: the type of the context that a servicer's methods get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc.aio

    Context = grpc.aio.ServicerContext[Any, Any]
else:
    Context = Any  # grpc's own class takes no parameters at run time
