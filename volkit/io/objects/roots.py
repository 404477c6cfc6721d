"""Stores: obstore clients for URLs, opened once in a process from names that hold no secret."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import obstore
import obstore.store

from volkit.errors import SourceError
from volkit.io.credentials import secret_text
from volkit.io.faults import Patience
from volkit.io.objects.cloud_keys import S3Keys, s3_keys
from volkit.io.sources import OpenOptions
from volkit.io.uris import check_query, split_query, split_scheme

SCHEMES = ("memory", "s3", "gs", "az", "http", "https")

_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "s3": ("endpoint", "region"),
    "gs": ("endpoint",),
    "az": ("endpoint", "account"),
}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_STORES_AT_ONCE = 64  # clients that a process keeps, each with its pool of connections
_CODE = re.compile(r"<Code>(\w+)</Code>")

_memory = obstore.store.MemoryStore()  # of this process, for every memory:// URL


@dataclass(frozen=True, slots=True)
class StoreRoot:
    """A prefix in an object store.

    Parameters
    ----------
    uri : str
        As it was given.
    store : obstore store
        The client; its requests end in the time that ``Patience`` gives, and are not repeated.
    prefix : str
        Of every key; empty, or ends with ``/``.
    remote : bool
        Whether there is a network between.
    lists, writes : bool
        Whether keys can be listed, and written.
    origin : str
        Where its credentials come from, for messages.
    """

    uri: str
    store: Any = field(repr=False)
    prefix: str
    remote: bool = True
    lists: bool = True
    writes: bool = True
    origin: str = "no credentials"

    def path(self, key: str) -> str:
        """Give the path of a key in the store."""
        return f"{self.prefix}{key}" if key else self.prefix.rstrip("/")


def open_root(uri: str, options: OpenOptions) -> StoreRoot:
    """Open the store of a URL: ``memory``, ``s3``, ``gs``, ``az``, ``http`` or ``https``.

    Behind a question mark may stand, for S3, ``endpoint`` and ``region``; for ``gs``
    ``endpoint``; for ``az`` ``endpoint`` and ``account``.

    Parameters
    ----------
    uri : str
        ``s3://bucket/path``, ``memory://name/path``, ``https://host/path`` …
    options : OpenOptions
        Credentials and patience.

    Raises
    ------
    SourceError
        If a setting is not known, or no bucket is named.
    ConfigError
        If the credentials are not there.
    """
    place, query = split_query(uri)
    scheme, rest = split_scheme(place)
    check_query(uri, query, _SETTINGS.get(scheme, ()))
    rest = rest.strip("/")
    if scheme == "memory":
        return StoreRoot(uri, _memory, f"{rest}/" if rest else "", remote=False)
    host, _, path = rest.partition("/")
    if not host:
        raise SourceError(f"{uri} names no bucket or host; write {scheme}://NAME/path")
    prefix = f"{path}/" if path else ""
    patience = options.patience
    if scheme in ("http", "https"):
        token = secret_text(options.credentials)
        store = _http(f"{scheme}://{host}", token, patience)
        return StoreRoot(uri, store, prefix, lists=False, writes=False, origin=_shown(options))
    if scheme == "s3":
        keys = s3_keys(options.credentials)
        return StoreRoot(
            uri, _s3(host, tuple(query.items()), keys, patience), prefix, origin=keys.origin
        )
    token = secret_text(options.credentials)
    anonymous = options.credentials == "anonymous"
    store = _other(scheme, host, tuple(query.items()), token, anonymous, patience)
    return StoreRoot(uri, store, prefix, origin=_shown(options))


def denied(root: StoreRoot, error: BaseException) -> SourceError:
    """Say which credentials a store refused, without showing them or the store's answer.

    Parameters
    ----------
    root : StoreRoot
        What was asked.
    error : Exception
        How it refused.

    Returns
    -------
    SourceError
        To be raised ``from None``: the answer may repeat keys.
    """
    code = _CODE.search(str(error))
    said = f" ({code[1]})" if code else ""
    return SourceError(
        f"{root.uri}: access is denied{said}; asked with {root.origin}. Check them, and that "
        "they may do this there; pass credentials='profile:NAME', 'env:NAME' or 'anonymous'"
    )


def _shown(options: OpenOptions) -> str:
    return "no credentials" if options.credentials is None else f"credentials {options.credentials}"


def _clients(patience: Patience, *, insecure: bool) -> dict[str, Any]:
    """Bound every request in time; asking again is left to ``patiently``, outside."""
    return {
        "client_options": {
            "allow_http": insecure,
            "connect_timeout": timedelta(seconds=patience.connect_seconds),
            "read_timeout": timedelta(seconds=patience.silence_seconds),
            "timeout": timedelta(seconds=patience.deadline_seconds),
        },
        "retry_config": {
            "max_retries": 0,
            "retry_timeout": timedelta(seconds=patience.deadline_seconds),
        },
    }


@lru_cache(maxsize=_STORES_AT_ONCE)
def _http(root: str, token: str | None, patience: Patience) -> Any:
    how = _clients(patience, insecure=root.startswith("http:"))
    if token is not None:
        how["client_options"]["default_headers"] = {"Authorization": f"Bearer {token}"}
    return obstore.store.HTTPStore(root, **how)


@lru_cache(maxsize=_STORES_AT_ONCE)
def _s3(
    bucket: str, settings: tuple[tuple[str, str], ...], keys: S3Keys, patience: Patience
) -> Any:
    given = dict(settings)
    around = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    endpoint = given.get("endpoint") or keys.endpoint or around
    config: dict[str, Any] = {"virtual_hosted_style_request": not endpoint}
    if endpoint:
        config["endpoint"] = endpoint
    region = given.get("region") or keys.region
    if region:
        config["region"] = region
    if keys.anonymous:
        config["skip_signature"] = True
    elif keys.key:  # a provider, for obstore adds what variables say to keys that are given
        config["credential_provider"] = _signing(keys)
    insecure = endpoint.startswith("http:")
    return obstore.store.S3Store(bucket, **config, **_clients(patience, insecure=insecure))


@lru_cache(maxsize=_STORES_AT_ONCE)
def _other(
    scheme: str,
    name: str,
    settings: tuple[tuple[str, str], ...],
    token: str | None,
    anonymous: bool,
    patience: Patience,
) -> Any:
    given = dict(settings)
    endpoint = given.get("endpoint", "")
    how = _clients(patience, insecure=endpoint.startswith("http:"))
    if anonymous:
        how["skip_signature"] = True
    if scheme == "gs":
        if endpoint:
            how["base_url"] = endpoint
        if token is not None:
            how["credential_provider"] = _bearer(token)
        return obstore.store.GCSStore(name, **how)
    if endpoint:
        how["endpoint"] = endpoint
    if "account" in given:
        how["account_name"] = given["account"]
    if token is not None:
        how["credential_provider"] = _bearer(token)
    return obstore.store.AzureStore(name, **how)


def _signing(keys: S3Keys) -> Any:
    def provide() -> dict[str, Any]:
        return {
            "access_key_id": keys.key,
            "secret_access_key": keys.secret,
            "token": keys.token or None,
            "expires_at": None,
        }

    return provide


def _bearer(token: str) -> Any:
    """Give a token that the caller looks after; an hour is when obstore asks for it again."""

    def provide() -> dict[str, Any]:
        return {"token": token, "expires_at": datetime.now(UTC) + timedelta(hours=1)}

    return provide
