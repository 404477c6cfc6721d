"""Failures of tensorstore, said in words that help; its specs, which may hold a token, left out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from volkit.errors import MissingChunkError, SourceError
from volkit.io.faults import CorruptPayloadError, Fault, brief, classify

# What tensorstore raises; most of it is ValueError, with the code of a status in front.
FAILURES = (ValueError, OSError, RuntimeError, NotImplementedError)

_SPEC = re.compile(r"\s*\[(tensorstore_spec|source locations)=.*", re.DOTALL)


@contextmanager
def clean_errors() -> Iterator[None]:
    """Cut the spec off the errors of tensorstore, for good."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        if "tensorstore_spec=" not in text:
            raise
        raise ValueError(_SPEC.sub("", text)) from None


def missing_chunk(uri: str, where: str) -> MissingChunkError:
    """Say that a chunk is not stored."""
    return MissingChunkError(
        f"{uri}: {where}, is not stored. If empty chunks were left out on purpose, open the volume "
        "with missing='zero' (in a workflow: input.missing=zero); else its block is not done or "
        "was lost"
    )


def explained(uri: str, where: str, error: Exception) -> SourceError:
    """Say what the failure of a chunk or a layer means to the caller."""
    if isinstance(error, SourceError):
        return error
    said, fault = _SPEC.sub("", brief(error)), classify(error)
    if fault is Fault.CORRUPT:
        return CorruptPayloadError(
            f"{uri}: {where}, is damaged: {said}; restore it from a copy, or write it again"
        )
    if fault is Fault.DENIED:
        return SourceError(
            f"{uri}: {where}: access is denied ({said}); check the credentials, and that they may "
            "do this there: pass credentials='profile:NAME', 'env:NAME' or 'anonymous'"
        )
    return SourceError(f"{uri}: {where}: {said}; check the store, and the layer's metadata")
