"""Origin: who made a stage, when, where and with what, kept beside its ledger.

``NAME.ledger/origin.json`` says what the facts of a computation must not contain, since results do
not depend on it: places of the inputs, hosts, users, times, versions.  Each attempt that computed
something is a session of its own.
"""

import json
import logging
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from volkit.engine.columns import StoredColumns
from volkit.engine.ledger import Ledger
from volkit.engine.owner import Owner
from volkit.errors import RunLockedError
from volkit.io.place import Place
from volkit.io.redaction import command_line, without_secrets
from volkit.io.uris import split_scheme
from volkit.io.volume import Volume
from volkit.version import __version__

ORIGIN = "origin.json"

_PACKAGES = ("numpy", "scipy", "dask", "distributed", "zarr", "torch")
_SECONDS_BETWEEN = 30.0  # of a long stage: what a kill may leave unsaid
_LOOPBACK = ("127.", "::1", "localhost", "inproc")
_logger = logging.getLogger(__name__)


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
        ``uri``, ``level``, ``identity`` and ``region`` of each volume that was read.
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


@dataclass(slots=True)
class OriginNote:
    """Notes of one session; nothing is written before its first block is finished.

    Parameters
    ----------
    place : Place
        Folder of the ledger.
    fingerprint : str
        Of the computation.
    task : object
        What workers do; its ``inputs``, or its ``source``, and ``shared`` are written down.
    client : distributed.Client or None
        Where workers are looked for.
    """

    place: Place
    fingerprint: str
    task: object
    client: Any = None
    _session: Session = field(default_factory=Session.here)
    _before: Origin | None = None
    _noted: float = 0.0

    @classmethod
    def of(cls, ledger: Ledger, task: object, client: Any) -> Self:
        """Begin to take notes of a stage."""
        return cls(ledger.root, ledger.fingerprint, task, client)

    def finished(self, blocks: int) -> None:
        """Hear that blocks are finished and about to be marked: now and then, write that down."""
        self._session = replace(self._session, blocks=self._session.blocks + blocks)
        if self._before is None:
            self._before = self._begun()
        elif time.monotonic() - self._noted < _SECONDS_BETWEEN:
            return
        self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Write down how the session ended, if it finished anything."""
        if self._before is None or isinstance(error, RunLockedError):
            return  # what is another client's by now is left as it is
        try:
            self._write()
        except OSError as full:
            # The voxels are stored and marked, and what was noted before tells nearly the same.
            _logger.warning("could not write %s of %s: %s", ORIGIN, self.place, full)

    def _begun(self) -> Origin:
        """Describe the stage, keeping the sessions that are known of it."""
        found = read_origin(self.place)
        same = found is not None and found.fingerprint == self.fingerprint
        return Origin(
            fingerprint=self.fingerprint,
            root=str(self.place.above.local or without_secrets(self.place.above.uri)),
            inputs=tuple(described_input(volume) for volume in _inputs(self.task)),
            shared=tuple(_described_value(value) for value in getattr(self.task, "shared", ())),
            sessions=found.sessions if found is not None and same else (),
        )

    def _write(self) -> None:
        hosts = sorted({*self._session.hosts, *_hosts(self.client, self._session.host)})
        self._session = replace(self._session, until=utc_now(), hosts=tuple(hosts))
        write_origin(self.place, self._before, self._session)
        self._noted = time.monotonic()


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
    before = before or Origin("", str(place.above))
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


def described_input(volume: Volume) -> dict[str, Any]:
    """Say which volume was read, as JSON, without secrets."""
    region = volume.region
    return {
        "uri": public_uri(volume.uri),
        "level": volume.level,
        "identity": volume.identity,
        "region": None if region is None else [list(region.start), list(region.stop)],
    }


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


def _inputs(task: object) -> Sequence[Volume]:
    found = getattr(task, "inputs", None)
    source = getattr(task, "source", None)
    values = found if found is not None else () if source is None else (source,)
    return [value for value in values if isinstance(value, Volume)]


def _described_value(value: object) -> dict[str, Any]:
    """Describe a shared value: a table by its digest, a network by its place, numbers in full."""
    kind = type(value).__name__
    if isinstance(value, StoredColumns):
        return {"type": "table", "uri": public_uri(value.place.uri), "sha256": value.sha256}
    own = getattr(value, "origin", None)
    if isinstance(own, Mapping):
        return {"type": kind, **own}
    told = _fields(value)
    if told is not None:
        try:
            return {"type": kind, "value": json.loads(without_secrets(json.dumps(told)))}
        except (TypeError, ValueError):
            return {"type": kind}
    return {"type": kind}


def _fields(value: object) -> dict[str, Any] | None:
    """List the fields of a dataclass or a named tuple."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    names = getattr(value, "_fields", None)
    if isinstance(value, tuple) and names is not None:
        return dict(zip(names, value, strict=True))
    return None


def _hosts(client: Any, here: str) -> set[str]:
    """Name the machines of the workers; addresses of this one become its name."""
    if client is None:
        return {here}
    try:
        found = client.scheduler_info(n_workers=-1)["workers"].values()
    except (OSError, ValueError):  # a cluster that is going away
        return set()
    names = (str(worker.get("host", "")) for worker in found)
    return {here if name.startswith(_LOOPBACK) else name for name in names if name}
