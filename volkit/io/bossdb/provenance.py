"""Provenance: what volkit keeps with a channel that it made, as metadata of the service."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from volkit.io.bossdb.address import Address
from volkit.io.bossdb.client import BossClient, RefusedError
from volkit.io.faults import Patience

_KEY = "volkit"


def read_provenance(client: BossClient, address: Address, patience: Patience) -> dict[str, Any]:
    """Read what was kept with a channel; nothing where nothing was, or it may not be read."""
    what = f"{address.uri}: its metadata"
    try:
        keys = client.get_json(_url(address), patience=patience, what=what).get("keys", ())
        if _KEY not in keys:
            return {}
        found = client.get_json(f"{_url(address)}?key={_KEY}", patience=patience, what=what)
        own = json.loads(found["value"])
    except (RefusedError, KeyError, ValueError):
        return {}
    return own if isinstance(own, dict) else {}


def write_provenance(
    client: BossClient, address: Address, attributes: Mapping[str, Any], patience: Patience
) -> None:
    """Keep JSON with a channel.

    Raises
    ------
    SourceError
        If the service refuses, or keeps failing.
    """
    what = f"{address.uri}: its metadata"
    query = urlencode({"key": _KEY, "value": json.dumps(dict(attributes))})
    request = client.request("POST", f"{_url(address)}?{query}")
    try:
        client.send(request, success=201, patience=patience, what=what)
    except RefusedError as error:
        client.explain(what, error)


def _url(address: Address) -> str:
    return f"meta/{address.collection}/{address.experiment}/{address.channel}/"
