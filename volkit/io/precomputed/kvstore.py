"""Stores as tensorstore wants them named, for the URIs of volkit; it opens nothing."""

import atexit
import os
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from volkit.errors import ConfigError, SourceError
from volkit.io.credentials import secret_text
from volkit.io.faults import Patience
from volkit.io.objects.cloud_keys import S3Keys, s3_keys
from volkit.io.sources import OpenOptions
from volkit.io.uris import check_query, local_path, split_query, split_scheme

_AT_ONCE = 32  # requests in flight for one array, as tensorstore has it for a whole process
_INNER = 3  # times that a request is made before the whole chunk is asked for again
_GOOGLE = "https://storage.googleapis.com"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class KeyValues:
    """A folder of keys.

    Parameters
    ----------
    uri : str
        Where, for messages.
    spec : dict
        Of tensorstore's key-value store; its path ends with a slash.
    context : dict
        Resources of tensorstore: retries, concurrency, credentials.
    remote : bool
        Whether there is a network between.
    writes : bool
        Whether it can be written.
    """

    uri: str
    spec: dict[str, Any] = field(repr=False)
    context: dict[str, Any] = field(repr=False)
    remote: bool
    writes: bool

    def inside(self, path: str) -> dict[str, Any]:
        """Give the spec of a folder inside."""
        return {**self.spec, "path": f"{self.spec['path']}{path.strip('/')}/"}


def key_values(uri: str, options: OpenOptions) -> KeyValues:
    """Name a folder for tensorstore.

    Parameters
    ----------
    uri : str
        Local path, ``file://``, ``http(s)://``, ``s3://`` (with ``endpoint`` and ``region`` behind
        a question mark) or ``gs://``.
    options : OpenOptions
        Credentials and patience.

    Raises
    ------
    SourceError
        If tensorstore has no such store.
    ConfigError
        If the credentials are not there.
    """
    path = local_path(uri)
    if path is not None:
        absolute = Path(os.path.abspath(path)).as_posix()  # noqa: PTH100 (links are kept)
        # With its locks, a file that a killed writer left is written over but not cut to length.
        spec = {"driver": "file", "path": f"{absolute}/", "file_io_locking": {"mode": "none"}}
        return KeyValues(uri, spec, {}, remote=False, writes=True)
    place, query = split_query(uri)
    scheme, rest = split_scheme(place)
    check_query(uri, query, ("endpoint", "region") if scheme == "s3" else ())
    name, _, inside = rest.strip("/").partition("/")
    if scheme not in ("s3", "gs", "http", "https"):
        raise SourceError(
            f"{uri}: {scheme!r} cannot hold this format here; known are local paths, http, https, "
            "s3 and gs: copy the layer to one of them"
        )
    if not name:
        raise SourceError(f"{uri} names no bucket or host; write {scheme}://NAME/path")
    if scheme == "s3":
        return _s3(uri, name, inside, query, options)
    if scheme == "gs":
        return _gs(uri, name, inside, options)
    return _http(uri, f"{scheme}://{name}", inside, options)


def _http(uri: str, root: str, path: str, options: OpenOptions) -> KeyValues:
    spec: dict[str, Any] = {"driver": "http", "base_url": root, "path": _folder(f"/{path}")}
    if str(options.credentials).startswith("profile:"):
        raise ConfigError(
            f"{uri}: credentials={options.credentials!r} are for S3; give http a token with "
            "'env:NAME' or 'file:PATH'"
        )
    token = secret_text(options.credentials)
    if token is not None:
        spec["headers"] = [f"Authorization: Bearer {token}"]
    return KeyValues(uri, spec, _limits("http", options.patience), remote=True, writes=False)


def _gs(uri: str, bucket: str, path: str, options: OpenOptions) -> KeyValues:
    if options.credentials is not None:  # tensorstore's own client takes Google's defaults only
        return _http(uri, _GOOGLE, f"{bucket}/{path}", options)
    spec = {"driver": "gcs", "bucket": bucket, "path": _folder(path)}
    return KeyValues(uri, spec, _limits("gcs", options.patience), remote=True, writes=True)


def _s3(uri: str, bucket: str, path: str, query: dict[str, str], options: OpenOptions) -> KeyValues:
    keys = s3_keys(options.credentials)
    around = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    endpoint = query.get("endpoint") or keys.endpoint or around
    region = query.get("region") or keys.region
    spec = {"driver": "s3", "bucket": bucket, "path": _folder(path)}
    if endpoint:
        spec |= {"endpoint": endpoint, "aws_region": region or "us-east-1"}
    elif region:
        spec["aws_region"] = region
    context = _limits("s3", options.patience) | {"aws_credentials": _signing(keys)}
    return KeyValues(uri, spec, context, remote=True, writes=True)


def _signing(keys: S3Keys) -> dict[str, Any]:
    if keys.anonymous:
        return {"type": "anonymous"}
    if not keys.key:
        return {"type": "default"}
    file = _keys_file(keys)
    # Keys can be given to tensorstore by a file only.
    name = f"/proc/self/fd/{file.fileno()}" if hasattr(os, "memfd_create") else file.name
    return {
        "type": "profile",
        "profile": "default",
        "credentials_file": name,
        "config_file": os.devnull,
    }


@lru_cache(maxsize=16)
def _keys_file(keys: S3Keys) -> IO[bytes]:
    """Hold keys in a file of this process, in memory where the system has that."""
    file: IO[bytes]
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("volkit"), "wb")
    else:
        file = tempfile.NamedTemporaryFile("wb")  # noqa: SIM115 (closed at exit)
    atexit.register(file.close)
    lines = ["[default]", f"aws_access_key_id={keys.key}", f"aws_secret_access_key={keys.secret}"]
    if keys.token:
        lines.append(f"aws_session_token={keys.token}")
    file.write(("\n".join(lines) + "\n").encode())
    file.flush()
    return file


def _limits(driver: str, patience: Patience) -> dict[str, Any]:
    """Keep tensorstore from trying for an hour, as it does by default."""
    return {
        f"{driver}_request_concurrency": {"limit": _AT_ONCE},
        f"{driver}_request_retries": {
            "max_retries": min(_INNER, patience.attempts),
            "initial_delay": f"{patience.first_wait_seconds:.6f}s",
            "max_delay": f"{patience.most_wait_seconds:.6f}s",
        },
    }


def _folder(path: str) -> str:
    return path if not path or path.endswith("/") else f"{path}/"
