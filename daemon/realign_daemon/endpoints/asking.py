"""Asking: a submit that names a server of its own for the models that write and judge."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from realign_daemon.curation.colleague import Holding
from realign_daemon.curation.intake import Request
from realign_daemon.curation.templates.sets import names as template_sets
from realign_daemon.endpoints.endpoints import Endpoints
from realign_daemon.endpoints.permission import why_not
from realign_daemon.engine.api import LocalModel
from realign_daemon.errors import BadInput, NotAllowed
from realign_daemon.trust.roles import Role


class Asking:
    """Takes in what `--engine` says, at the node that will ask."""

    def __init__(
        self, endpoints: Endpoints, *, hosts: Collection[str], role: Callable[[], Role], is_known: Callable[[str], bool]
    ) -> None:
        """`hosts` are those that others than the owner and admins may name.

        `role` is that of the caller at hand; `is_known` says whether a living node has a model of that name.
        """
        self._endpoints, self._hosts, self._role, self._is_known = endpoints, hosts, role, is_known

    async def completed(self, request: Request) -> Request:
        """The request with the server's model in every role that writes or judges and has none by name.

        A printed spec names the server beside the models: where a node has these, it need not be asked.

        Raises:
            NotAllowed: a caller of this role may not name that server.
            BadInput: the URL is none, or the server has several models and none was named.
            NothingFits: the server does not answer.
        """
        is_answered = all(name and self._is_known(name) for name in (request.generator, request.judge))
        if not request.engine or is_answered:
            return request
        if request.engine_templates and request.engine_templates not in template_sets():
            sets = ", ".join(template_sets())
            raise BadInput(f"there is no template set {request.engine_templates!r}; give one of {sets}")
        try:
            reason = why_not(self._role(), request.engine, hosts=self._hosts)
        except ValueError as error:
            raise BadInput(str(error)) from error
        if reason and not self._endpoints.is_configured(request.engine):
            raise NotAllowed(reason)
        model = await self._endpoints.open(request.engine, request.engine_model, templates=request.engine_templates)
        return replace(
            request,
            model="",
            target=request.target or request.model,
            generator=request.generator or model.name,
            judge=request.judge or model.name,
            offered=(*request.offered, _holding(model)),
        )


def _holding(model: LocalModel) -> Holding:
    return Holding(
        name=model.name,
        model=model.model,
        params_b=model.params_b,
        active_params_b=model.active_params_b,
        bits=model.bits,
        weight_bytes=0,
        templates=model.templates,
        is_measured=False,
        endpoint=model.endpoint,
        remote=model.remote,
    )
