"""Addresses: which channel of which Boss service a URI names."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from volkit.errors import SourceError
from volkit.io.uris import check_query, split_query, split_scheme

_FORM = "bossdb://collection/experiment/channel[?host=https://api.bossdb.io]"
_NAME = re.compile(r"[\w-]+")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Address:
    """What a ``bossdb://`` URI says.

    Parameters
    ----------
    uri : str
        As it was given, for messages.
    collection, experiment, channel : str
        Names on the service.
    level : int or None
        What stands behind the channel; None where nothing does.
    host : str or None
        ``scheme://name[:port]``, or without scheme where none was given; None for the configured
        service.
    storage : str or None
        Endpoint of the object store of channels that are kept outside the service; None for AWS.
    """

    uri: str
    collection: str
    experiment: str
    channel: str
    level: int | None = None
    host: str | None = None
    storage: str | None = None

    def __str__(self) -> str:
        return f"{self.collection}/{self.experiment}/{self.channel}"


def parse_address(uri: str) -> Address:
    """Understand a ``bossdb://`` URI.

    Parameters
    ----------
    uri : str
        ``bossdb://collection/experiment/channel``, with ``/2`` behind it for level 2, and
        ``?host=…`` and ``storage=…`` for a service other than the public one.

    Raises
    ------
    SourceError
        If it names no channel.

    Examples
    --------
    >>> address = parse_address("bossdb://lee/ppc/em/1?host=http://127.0.0.1:8000")
    >>> str(address), address.level, address.host
    ('lee/ppc/em', 1, 'http://127.0.0.1:8000')
    """
    place, query = split_query(uri)
    check_query(uri, query, ("host", "storage"))
    parts = split_scheme(place)[1].rstrip("/").split("/")
    level = int(parts.pop()) if len(parts) == 4 and re.fullmatch(r"[0-9]", parts[3]) else None
    if len(parts) != 3 or not all(_NAME.fullmatch(part) for part in parts):
        raise SourceError(f"{uri} names no channel; expected {_FORM}")
    collection, experiment, channel = parts
    host = query.get("host")
    return Address(
        uri=uri,
        collection=collection,
        experiment=experiment,
        channel=channel,
        level=level,
        host=None if host is None else plain_host(host, uri=uri),
        storage=query.get("storage"),
    )


def plain_host(text: str, *, uri: str) -> str:
    """Bring a host into one form: lower case, no slash at its end, no port that is understood.

    Raises
    ------
    SourceError
        If it is no host, or holds a user name, which would be logged.

    Examples
    --------
    >>> plain_host("HTTPS://Api.BossDB.io:443/", uri="")
    'https://api.bossdb.io'
    """
    scheme, rest = split_scheme(text)
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if "@" in rest:
        raise SourceError(
            f"{uri.partition('?')[0]}: a user name must not be part of a host, which is logged and "
            "kept; pass credentials='env:NAME' or credentials='file:PATH'"
        )
    if not parts.hostname or parts.path.strip("/") or scheme not in ("", *_PORTS):
        raise SourceError(f"{uri}: host {text!r} is not understood; give https://name[:port]")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, _PORTS.get(scheme)) else f":{port}"
    return f"{scheme}://{name}{shown}" if scheme else f"{name}{shown}"
