"""Sources: the files of a job, in the blob store, read by the worker child."""

from __future__ import annotations

from realign_daemon.curation.computations import Computations
from realign_daemon.curation.documents.chunks import Chunking
from realign_daemon.curation.documents.document import DocumentError
from realign_daemon.curation.documents.reading import Reading, read_document
from realign_daemon.curation.spec import SourceSpec
from realign_daemon.errors import BadInput
from realign_daemon.work.blobs import BlobStore
from realign_daemon.worker.errors import WorkerError

READ_TIMEOUT_S = 300.0  # a thousand-page book takes about ten seconds


class NoPages(BadInput):
    """The file is empty, or of a kind that is not read: there are no pages of it that could be of use or not."""


async def read_source(computations: Computations, blobs: BlobStore, source: SourceSpec, chunking: Chunking) -> Reading:
    """The source's text in chunks.

    Raises:
        NoPages: the file is no document, or an empty one.
        BadInput: the bytes are not here, or the file is of no use; the text says which and what to do.
    """
    if not blobs.has(source.sha256):
        message = f"the bytes of {source.name} did not arrive; submit again"
        raise BadInput(message)
    path = blobs.path(source.sha256)
    try:
        reading = await read_document(computations, path, source.name, chunking, timeout_s=READ_TIMEOUT_S)
    except WorkerError as error:
        message = f"{source.name} could not be read: {error}"
        raise BadInput(message) from error
    if isinstance(reading, DocumentError):
        refusal = NoPages if reading.kind in ("empty", "unsupported") else BadInput
        raise refusal(reading.message)
    return reading
