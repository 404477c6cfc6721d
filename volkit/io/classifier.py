"""The classifier of faults: what the exceptions of all clients of stores mean."""

import errno
import re
from enum import Enum
from typing import Any

from volkit.errors import MissingChunkError, SourceError, VolkitError


class Fault(Enum):
    """What an exception means for the one who asked."""

    TRANSIENT = "transient"
    """The store or the way to it failed: ask again."""
    CORRUPT = "corrupt"
    """What came is not what was stored, or what is stored is damaged: ask again, a few times."""
    ABSENT = "absent"
    """The store says that it is not there: make sure once or twice."""
    DENIED = "denied"
    """Credentials are wrong or missing."""
    TOO_LARGE = "too large"
    """The request asks for more than the store gives at once: ask for less."""
    PERMANENT = "permanent"
    """Asking again gives the same answer."""


class CorruptPayloadError(SourceError):
    """Bytes that arrived and are not what was asked for."""


def brief(error: BaseException) -> str:
    """Say in one line what an exception says."""
    said, _, inside = str(error).partition("Debug source:")
    causes = [c for c in _INSIDE.findall(inside) if c not in said][:2]  # obstore hides them
    text = " ".join(said.split())[:300] + "".join(f" ({cause})" for cause in causes)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_INSIDE = re.compile(r'(?:message|error): "([^"\n]{1,100})"')


def classify(error: BaseException) -> Fault:
    """Tell what an exception of any client means.

    Parameters
    ----------
    error : Exception
        What a client, a codec or the system raised.

    Returns
    -------
    Fault

    Examples
    --------
    >>> classify(ConnectionResetError()), classify(FileNotFoundError())
    (<Fault.TRANSIENT: 'transient'>, <Fault.ABSENT: 'absent'>)
    """
    if isinstance(error, VolkitError):
        return _own(error)
    text = str(error)
    code = _CODE.search(text)
    if code and code[1] in _BY_CODE:
        return _BY_CODE[code[1]]
    status = http_status(error)
    if status is not None:
        return _of_status(status)
    if _FOR_GOOD.search(text) and not isinstance(error, FileNotFoundError):
        return Fault.PERMANENT
    names = {f"{c.__module__.split('.')[0]}.{c.__name__}" for c in type(error).__mro__}
    for fault, known in _BY_NAME.items():
        if names & known:
            return fault
    for pattern, fault in _BY_TEXT:
        if isinstance(error, ValueError | RuntimeError | OSError) and pattern.search(text):
            return fault
    if isinstance(error, OSError):
        return _of_system(error)
    return Fault.CORRUPT if isinstance(error, EOFError) else Fault.PERMANENT


def faults_behind(error: BaseException) -> set[Fault]:
    """Tell what an exception means, and each of those that led to it.

    A store that refuses is quoted without its answer (``from None``), which is looked at here, too.

    Parameters
    ----------
    error : Exception
        What this package raised.

    Returns
    -------
    set of Fault

    Examples
    --------
    >>> try:
    ...     raise SourceError("no scan is there") from PermissionError(13, "denied")
    ... except SourceError as error:
    ...     sorted(fault.value for fault in faults_behind(error))
    ['denied', 'permanent']
    """
    found: set[Fault] = set()
    behind: BaseException | None = error
    while behind is not None:
        found.add(classify(behind))
        hidden = behind.__context__ if behind.__suppress_context__ else None
        behind = behind.__cause__ or hidden
    return found


def http_status(error: BaseException) -> int | None:
    """Find the HTTP status that an exception carries, wherever its client keeps it."""
    response = getattr(error, "response", None)
    found: Any = getattr(response, "status_code", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for name in ("status", "status_code", "code"):
        found = getattr(error, name, None) if found is None else found
    if found is None and type(error).__module__.startswith("obstore"):
        stated = _STATED.search(str(error))
        found = int(stated[1]) if stated else None
    return found if isinstance(found, int) and 400 <= found < 600 else None


_STATED = re.compile(r"non-2xx status code: (\d{3})")  # obstore says it in its text only

# S3 and its like name what went wrong; some of these come with a status that says less.
_CODE = re.compile(r"<Code>(\w+)</Code>")
_BY_CODE = {
    "NoSuchBucket": Fault.PERMANENT,
    "RequestTimeout": Fault.TRANSIENT,
    "BadDigest": Fault.CORRUPT,
    "ExpiredToken": Fault.DENIED,
    "InvalidToken": Fault.DENIED,
}
# Another address is needed, or another certificate; no client says so in its type.
_FOR_GOOD = re.compile(
    r"status code: 3\d\d|following redirect|certificate|CERTIFICATE_VERIFY_FAILED|builder error"
)


def _of_status(status: int) -> Fault:
    if status in (401, 403):
        return Fault.DENIED
    if status in (404, 410):
        return Fault.ABSENT
    if status == 413:
        return Fault.TOO_LARGE
    if status == 416:
        return Fault.CORRUPT  # what is stored is shorter than it says
    passing = status in (408, 425, 429) or (status >= 500 and status not in (501, 505))
    return Fault.TRANSIENT if passing else Fault.PERMANENT


def _own(error: VolkitError) -> Fault:
    if isinstance(error, CorruptPayloadError):
        return Fault.CORRUPT
    return Fault.ABSENT if isinstance(error, MissingChunkError) else Fault.PERMANENT


def _of_system(error: OSError) -> Fault:
    if isinstance(error, FileNotFoundError):
        return Fault.ABSENT
    if isinstance(error, ConnectionError | TimeoutError) or error.errno in _PASSING:
        return Fault.TRANSIENT
    return Fault.DENIED if error.errno in (errno.EACCES, errno.EPERM) else Fault.PERMANENT


# What network file systems, and s3fs for answers of the store, give for what may pass.
_PASSING = {
    errno.EAGAIN,
    errno.EINTR,
    errno.EIO,
    errno.EBUSY,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EREMOTEIO,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
}

_BY_NAME: dict[Fault, set[str]] = {
    Fault.ABSENT: {"obstore.NotFoundError", "cloudvolume.EmptyVolumeException"},
    Fault.DENIED: {
        "obstore.PermissionDeniedError",
        "obstore.UnauthenticatedError",
        "botocore.NoCredentialsError",
    },
    Fault.CORRUPT: {
        "blosc_extension.error",
        "zlib.error",
        "_lzma.LZMAError",
        "gzip.BadGzipFile",
        "requests.ContentDecodingError",
        "s3fs.FlexibleChecksumError",
        "botocore.FlexibleChecksumError",
        "cloudfiles.MD5IntegrityError",
        "cloudfiles.CRC32CIntegrityError",
    },
    Fault.TRANSIENT: {
        "asyncio.IncompleteReadError",
        "obstore.GenericError",
        "obstore.JoinError",
        "requests.ConnectionError",
        "requests.Timeout",
        "requests.ChunkedEncodingError",
        "urllib3.HTTPError",
        "http.HTTPException",
        "aiohttp.ClientError",
        "botocore.ConnectionError",
        "botocore.HTTPClientError",
        "botocore.ResponseStreamingError",
    },
}

_BY_TEXT = (
    # tensorstore puts the code of its status first, whatever the exception.
    (re.compile(r"^(NOT_FOUND)\b"), Fault.ABSENT),
    (re.compile(r"^(PERMISSION_DENIED|UNAUTHENTICATED)\b"), Fault.DENIED),
    (
        re.compile(
            r"^(UNAVAILABLE|DEADLINE_EXCEEDED|ABORTED|RESOURCE_EXHAUSTED|INTERNAL|UNKNOWN|CANCELLED)\b"
        ),
        Fault.TRANSIENT,
    ),
    (re.compile(r"^(DATA_LOSS|FAILED_PRECONDITION|OUT_OF_RANGE)\b"), Fault.CORRUPT),
    (
        re.compile(r"^(INVALID_ARGUMENT|UNIMPLEMENTED|ALREADY_EXISTS)\b"),
        Fault.PERMANENT,
    ),
    (
        re.compile(
            r"cannot reshape|checksum|decompress|corrupt|CRC|Invalid data stream|end-of-stream",
            re.IGNORECASE,
        ),
        Fault.CORRUPT,
    ),
)
