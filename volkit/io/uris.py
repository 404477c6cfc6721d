"""URIs: their scheme, their place, and what stands behind a question mark."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from volkit.errors import SourceError

_PASSWORD = re.compile(r"://[^/?#@\s]*:[^/?#@\s]*@")
_SECRET = re.compile(r"(token|secret|password|key)$", re.IGNORECASE)


def split_scheme(uri: str) -> tuple[str, str]:
    """Split a URI into its scheme and the rest.

    Examples
    --------
    >>> split_scheme("s3://bucket/em.zarr"), split_scheme("em.h5::raw")
    (('s3', 'bucket/em.zarr'), ('', 'em.h5::raw'))
    """
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", uri)
    return (found[1].lower(), uri[found.end() :]) if found else ("", uri)


def split_query(uri: str) -> tuple[str, dict[str, str]]:
    """Split off what stands behind the question mark of a URL; a path has no such part.

    Raises
    ------
    SourceError
        If a key stands there twice, or a secret does, there or before the host: URIs are logged
        and kept as provenance.

    Examples
    --------
    >>> split_query("s3://bucket/em.zarr?endpoint=http://127.0.0.1:9000")
    ('s3://bucket/em.zarr', {'endpoint': 'http://127.0.0.1:9000'})
    """
    if _PASSWORD.search(uri) and split_scheme(uri)[0] != "github":  # whose name:repo@ref it is
        raise SourceError(
            f"{_PASSWORD.sub('://', uri)}: a password must not be part of an address, which is "
            "logged and kept; pass credentials='env:NAME' or credentials='file:PATH'"
        )
    place, mark, query = uri.partition("?")
    if not mark or split_scheme(uri)[0] in ("", "file"):
        return uri, {}
    pairs = parse_qsl(query, keep_blank_values=True)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise SourceError(f"{place}: a key stands twice behind the question mark; keep one of them")
    secrets = [key for key in found if _SECRET.search(key)]
    if secrets:
        raise SourceError(
            f"{place}: {', '.join(secrets)} must not be part of an address, which is logged and "
            "kept; pass credentials='env:NAME' or credentials='file:PATH'"
        )
    return place, found


def join_query(place: str, query: Mapping[str, str]) -> str:
    """Put a query back behind a place.

    Examples
    --------
    >>> join_query("s3://bucket/em.zarr", {"endpoint": "http://127.0.0.1:9000"})
    's3://bucket/em.zarr?endpoint=http://127.0.0.1:9000'
    """
    return f"{place}?{urlencode(query, safe=':/')}" if query else place


def check_query(uri: str, query: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Refuse keys behind the question mark that nothing knows.

    Raises
    ------
    SourceError
        Naming those that are known.
    """
    unknown = sorted(set(query) - set(known))
    if unknown:
        raise SourceError(
            f"{uri}: {', '.join(unknown)} behind the question mark is not known; "
            + (f"known are {', '.join(known)}" if known else "nothing can stand there")
        )


def local_path(uri: str) -> Path | None:
    """Find the local path of a URI; None where it is not local."""
    scheme, place = split_scheme(uri)
    return Path(place.partition("::")[0]) if scheme in ("", "file") else None
