"""Survey: what reading all the files of a request showed, before anything is promised."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from realign_daemon.curation.documents.reading import Reading
from realign_daemon.curation.fields import check_columns, check_given
from realign_daemon.curation.intake import Request
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.errors import BadInput
from realign_planner.data_types import DataType


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How much there is to make rows of, and a warning for each source that is of no use, or not whole."""

    passages: int  # records are passages, too
    warnings: tuple[str, ...] = ()


async def survey(request: Request, data_type: DataType, read: Callable[[SourceSpec], Awaitable[Reading]]) -> Survey:
    """What the request's files hold.

    Raises:
        BadInput: no source at all is of use, or a file that is no source (data, evaluation sets) is not; an
            evaluation set is not whole; a column that the request names is in no record.
    """
    for source in request.eval_sets:
        if bad := (await read(source)).bad_lines:
            message = (
                f"line {bad[0].line} of the evaluation set {source.name} {bad[0].why}, so what it asks could get into "
                "the rows; write one JSON object a line"
            )
            raise BadInput(message)
    if request.data is not None:
        given = await read(request.data)
        check_given(request.data.name, [one.fields for one in given.records], request.columns, data_type)
        return Survey(passages=len(given.records), warnings=(given.warning,) if given.warning else ())
    passages, records, refusals, warnings = 0, list[Mapping[str, str]](), list[BadInput](), list[str]()
    for source in request.sources:
        try:
            reading = await read(source)
        except BadInput as error:
            refusals.append(error)
            continue
        passages += len(reading.chunks)
        warnings += [reading.warning] if reading.warning else []
        records += [one.fields for one in reading.records]
    if len(refusals) == len(request.sources):
        raise refusals[0]
    if records:
        check_columns("the sources", records, request.columns)
    return Survey(passages=passages, warnings=(*map(str, refusals), *warnings))
