"""Notes of an origin, taken while a stage is worked on."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

from volkit.engine.columns import StoredColumns
from volkit.engine.ledger import Ledger
from volkit.engine.origin import (
    ORIGIN,
    Origin,
    Session,
    public_uri,
    read_origin,
    utc_now,
    write_origin,
)
from volkit.engine.workers import workers_of
from volkit.errors import RunLockedError
from volkit.io.place import Place
from volkit.io.redaction import redacted
from volkit.io.volume import Volume

_SECONDS_BETWEEN = 30.0  # of a long stage: what a kill may leave unsaid
_LOOPBACK = ("127.", "::1", "localhost", "inproc")
_logger = logging.getLogger(__name__)


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
        if found is None or found.fingerprint != self.fingerprint:
            found = Origin("", "")
        # A stage may be copied in part and computed in part: by tasks that read other volumes.
        inputs = [described_input(volume) for volume in _inputs(self.task)]
        kept = [
            old for old in found.inputs if old["identity"] not in [n["identity"] for n in inputs]
        ]
        shared = [_described_value(value) for value in getattr(self.task, "shared", ())]
        return Origin(
            fingerprint=self.fingerprint,
            root=public_uri(self.place.above.uri),
            inputs=(*inputs, *kept),
            shared=tuple(shared) or found.shared,
            sessions=found.sessions,
        )

    def _write(self) -> None:
        hosts = sorted({*self._session.hosts, *_hosts(self.client, self._session.host)})
        self._session = replace(self._session, until=utc_now(), hosts=tuple(hosts))
        write_origin(self.place, self._before, self._session)
        self._noted = time.monotonic()


def described_input(volume: Volume) -> dict[str, Any]:
    """Say which volume was read, as JSON, without secrets."""
    region, options = volume.region, volume.options
    return {
        "uri": public_uri(volume.uri),
        "level": volume.level,
        "axes": options.axes,
        "voxel_size_nm": options.voxel_size_nm and list(options.voxel_size_nm),
        "identity": volume.identity,
        "region": None if region is None else [list(region.start), list(region.stop)],
    }


def _inputs(task: object) -> Sequence[Volume]:
    found = getattr(task, "inputs", None)
    source = getattr(task, "source", None)
    values = found if found is not None else () if source is None else (source,)
    beside = [v for each in getattr(task, "shared", ()) for v in getattr(each, "volumes", ())]
    return [value for value in (*values, *beside) if isinstance(value, Volume)]


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
            return {"type": kind, "value": json.loads(json.dumps(redacted(told)))}
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
        found = workers_of(client).values()
    except (OSError, ValueError):  # a cluster that is going away
        return set()
    names = (str(worker.get("host", "")) for worker in found)
    return {here if name.startswith(_LOOPBACK) else name for name in names if name}
