"""Public states: addresses that show volumes of public stores to anybody, without a server of ours.

The volumes are named as Neuroglancer names them, and the state is in the address itself.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from volkit.errors import ConfigError
from volkit.io.place import Place
from volkit.io.sources import OpenOptions
from volkit.io.uris import split_query, split_scheme
from volkit.viewer.layer import Layer, State

SITE = "https://neuroglancer-demo.appspot.com"
"""Where the client is served to the public; any other place of it does as well."""

_LONGEST = 60_000  # characters: Safari cuts at 80,000, chat programs before
_SAFE = "~@#$&()*!+=:;,.?/'"  # as Neuroglancer writes its own addresses


def public_source(uri: str) -> str:
    """Name a volume as Neuroglancer does.

    Parameters
    ----------
    uri : str
        ``precomputed://gs://bucket/layer``, ``s3://bucket/em.zarr``, ``https://host/em.zarr``,
        ``bossdb://collection/experiment/channel``.

    Raises
    ------
    ConfigError
        If nobody else can reach it, or the viewer does not know such volumes.

    Examples
    --------
    >>> public_source("precomputed://gs://bucket/layer")
    'precomputed://gs://bucket/layer'
    >>> public_source("bossdb://kasthuri2015/ac4/em")
    'boss://https://api.bossdb.io/kasthuri2015/ac4/em'
    """
    scheme, place = split_scheme(uri)
    inner = split_scheme(place)[0] if scheme == "precomputed" else scheme
    if inner in ("", "file", "memory", "array"):
        raise ConfigError(
            f"{uri} lies on this machine, where nobody else can see it; copy it to a public bucket "
            "(volkit mirror), or leave --public out"
        )
    if scheme == "precomputed":
        return f"precomputed://{_reached(place)}"
    if scheme == "bossdb":
        where, query = split_query(uri)
        host = query.get("host", "https://api.bossdb.io").rstrip("/")
        return f"boss://{host}/{where.removeprefix('bossdb://')}"
    if inner in ("s3", "gs", "http", "https"):
        kind = "zarr3" if _has(uri, "zarr.json") else "zarr2"
        return f"{kind}://{_reached(uri)}"
    raise ConfigError(
        f"{uri}: Neuroglancer does not read {scheme}://; use precomputed layers or zarr in a "
        "public bucket of s3, gs or https"
    )


def public_layer(layer: Layer, uri: str) -> Layer:
    """Let a layer come from where it lies, without a server of ours."""
    return replace(layer, served=None, source=public_source(uri), transform=None)


def public_url(state: State, *, site: str = SITE, names: Sequence[str] = ()) -> str:
    """Write a state as an address.

    Parameters
    ----------
    state : dict
        What Neuroglancer takes.
    site : str
        Where the client is served.
    names : sequence of str
        Of the layers, for the message.

    Raises
    ------
    ConfigError
        If browsers would cut it.
    """
    text = json.dumps(state, separators=(",", ":"))
    url = f"{site.rstrip('/')}/#!{quote(text, safe=_SAFE)}"
    if len(url) > _LONGEST:
        raise ConfigError(
            f"the address would have {len(url):,} characters, and browsers cut it beyond "
            f"{_LONGEST:,}; show less than {', '.join(names) or 'that'}: points, boxes and colours "
            "of many labels make it long"
        )
    return url


def _reached(uri: str) -> str:
    """Write where a store is reached: an endpoint of its own as plain https."""
    place, query = split_query(uri)
    endpoint = query.get("endpoint")
    if endpoint and split_scheme(place)[0] == "s3":
        return f"{endpoint.rstrip('/')}/{split_scheme(place)[1]}"
    return place


def _has(uri: str, name: str) -> bool:
    place = Place(uri, OpenOptions(credentials="anonymous"))
    return place.objects.get(name) is not None
