"""Where a precomputed layer lies, and its info."""

from volkit.errors import SourceError
from volkit.io.faults import CorruptPayloadError, patiently
from volkit.io.objects.protocol import open_objects
from volkit.io.precomputed.info import Info, parse_info
from volkit.io.precomputed.packing import is_gzip, unpack
from volkit.io.sources import OpenOptions

_SCHEME = "precomputed://"


def layer_place(uri: str) -> str:
    """Give the URI of the folder that holds the info.

    Examples
    --------
    >>> layer_place("precomputed://s3://bucket/em"), layer_place("precomputed:///data/em/")
    ('s3://bucket/em', '/data/em')
    """
    place = uri[len(_SCHEME) :] if uri.lower().startswith(_SCHEME) else uri
    place, mark, query = place.partition("?")
    place = place if place.endswith("//") else place.rstrip("/")
    if not place:
        raise SourceError(f"{uri} names no layer; write precomputed://s3://bucket/path, or a path")
    return f"{place}{mark}{query}"


def read_info(place: str, options: OpenOptions) -> Info:
    """Read and understand the info of a layer.

    Raises
    ------
    SourceError
        If there is none, or it cannot be understood.
    """
    objects = open_objects(place, options)

    def fetch(_: float) -> Info:
        data = objects.get("info")
        if data is None:
            raise SourceError(
                f"{place} holds no info of a precomputed layer; check the address"
                f"{'' if options.credentials else ', and whether it asks for credentials'}"
            )
        return parse_info(_plain(place, data), uri=place)

    try:
        return patiently(fetch, patience=options.patience, what=f"{place}: reading its info")
    except CorruptPayloadError as error:
        raise SourceError(str(error)) from error


def _plain(place: str, data: bytes) -> bytes:
    """Unpack an info that was stored packed, which not every store undoes."""
    try:
        return unpack(data, ".gz") if is_gzip(data) else data
    except ValueError as error:
        raise CorruptPayloadError(
            f"{place}: its info cannot be unpacked ({error}); restore it"
        ) from error
