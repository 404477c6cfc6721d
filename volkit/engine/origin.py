"""Origin: who made a stage, when, where and with what, kept beside its ledger.

``NAME.ledger/origin.json`` says what the facts of a computation must not contain, since results do
not depend on it: places of the inputs, hosts, users, times, versions.  Each attempt that computed
something is a session of its own.
"""

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from volkit.engine.owner import Owner
from volkit.io.place import Place
from volkit.io.redaction import command_line, without_secrets
from volkit.io.uris import split_scheme
from volkit.version import __version__

ORIGIN = "origin.json"

_PACKAGES = ("numpy", "scipy", "dask", "distributed", "zarr", "torch")


@dataclass(frozen=True, slots=True)
class Session:
    """An attempt that computed blocks of a stage.

    Parameters
    ----------
    user, host : str
        Who, and on which machine the client ran.
    hosts : tuple of str
        Machines whose workers were seen.
    command : str
        What was typed, without secrets.
    folder : str
        From where.
    versions : mapping of str to str
        Of volkit, Python, and the packages that compute.
    started, until : str
        UTC, ISO 8601; ``until`` is when the session was last heard of.
    blocks : int
        Blocks, or tables, that it finished.
    """

    user: str
    host: str
    hosts: tuple[str, ...]
    command: str
    folder: str
    versions: Mapping[str, str]
    started: str
    until: str
    blocks: int = 0

    @classmethod
    def here(cls) -> Self:
        """Describe what this process begins now."""
        owner, now = Owner.here(), utc_now()
        return cls(
            user=owner.user,
            host=owner.host,
            hosts=(),
            command=command_line([Path(sys.argv[0]).name, *sys.argv[1:]]),
            folder=str(Path.cwd()),
            versions=versions(),
            started=now,
            until=now,
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stage comes from, beside what its facts say.

    Parameters
    ----------
    fingerprint : str
        Of the computation.
    root : str
        URI of the folder of its ledger, when it was written.
    inputs : tuple of mapping
        ``uri``, ``level``, ``axes``, ``voxel_size_nm``, ``identity`` and ``region`` of each volume
        that was read.
    shared : tuple of mapping
        What every block got: ``type``, and ``uri``, ``sha256`` or ``value`` where there is one.
    sessions : tuple of Session
        In the order in which they began.
    """

    fingerprint: str
    root: str
    inputs: tuple[Mapping[str, Any], ...] = ()
    shared: tuple[Mapping[str, Any], ...] = ()
    sessions: tuple[Session, ...] = ()


def write_origin(place: Place, before: Origin | None, session: Session) -> None:
    """Write an origin with one more session.

    Parameters
    ----------
    place : Place
        Folder that it lies in.
    before : Origin or None
        With the sessions before; None where nothing else is known.
    session : Session
        The last one.
    """
    before = before or Origin("", public_uri(place.above.uri))
    origin = replace(before, sessions=(*before.sessions, session))
    place.objects.put(ORIGIN, (json.dumps(asdict(origin), indent=1) + "\n").encode())


def read_origin(place: Place) -> Origin | None:
    """Read who made a stage.

    Parameters
    ----------
    place : Place
        Folder of its ledger.

    Returns
    -------
    Origin or None
        None where nothing was written, as by an older volkit, or it cannot be understood.
    """
    data = place.objects.get(ORIGIN)
    if data is None:
        return None
    try:
        found = json.loads(data)
        sessions = tuple(
            Session(**{**session, "hosts": tuple(session["hosts"])})
            for session in found["sessions"]
        )
        parts = {name: tuple(found[name]) for name in ("inputs", "shared")}
        return Origin(found["fingerprint"], found["root"], **parts, sessions=sessions)
    except (ValueError, TypeError, KeyError):
        return None  # who made it is not known; what was made is, from the ledger


def public_uri(uri: str) -> str:
    """Write a URI so that it means the same elsewhere, and without secrets."""
    return without_secrets(uri) if split_scheme(uri)[0] else os.path.abspath(uri)  # noqa: PTH100 (what follows "::" stays)


def utc_now() -> str:
    """Give the time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def versions() -> Mapping[str, str]:
    """List the versions of volkit, Python, and the packages that compute."""
    found = {"volkit": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
