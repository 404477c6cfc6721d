"""The record of a lock: who holds a run, or held it last, as it is stored in the run's folder."""

import json
import zlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from volkit.engine.owner import Owner
from volkit.io.place import Place

FOLDER = "lock"
UNKNOWN_STALE_SECONDS = 60.0  # of a record that cannot be read


@dataclass(frozen=True, slots=True)
class Held:
    """A lock as it is stored.

    Parameters
    ----------
    epoch : int
        Its number: how often the run was locked.
    id : str
        Random, of this one holding.
    owner : Owner
        Who holds it.
    since, beat : float
        Unix times by the holder's clock: of taking it, and of its last sign of life.
    counter : int
        Signs of life so far.
    beat_seconds, stale_seconds : float
        The holder's own.
    released : bool
        Whether it was given back.
    """

    epoch: int
    id: str
    owner: Owner
    since: float
    beat: float
    counter: int
    beat_seconds: float
    stale_seconds: float
    released: bool = False

    @property
    def since_text(self) -> str:
        """When it was taken, for people."""
        return datetime.fromtimestamp(self.since, UTC).isoformat(" ", "seconds")


def read_lock(place: Place) -> Held | None:
    """Read who holds the lock of a run, or held it last.

    Parameters
    ----------
    place : Place
        Folder of the run.

    Returns
    -------
    Held or None
        None where nobody ever did.
    """
    objects = place.objects
    for epoch, key in sorted(epochs(place).items(), reverse=True):
        data = objects.get(key)
        if data is not None:
            return _parsed(epoch, data)
    return None


def epochs(place: Place) -> dict[int, str]:
    """List the records by their numbers."""
    found = {}
    for key in place.objects.keys(f"{FOLDER}/"):
        stem = key.removeprefix(f"{FOLDER}/").removesuffix(".json")
        if stem.isdecimal():
            found[int(stem)] = key
    return found


def record_key(epoch: int) -> str:
    """Name the record of an epoch."""
    return f"{FOLDER}/{epoch:06d}.json"


def write_record(held: Held) -> bytes:
    """Write a record as JSON."""
    return (json.dumps(asdict(held), indent=1) + "\n").encode()


def _parsed(epoch: int, data: bytes) -> Held:
    try:
        tree: dict[str, Any] = json.loads(data)
        return Held(**{**tree, "epoch": epoch, "owner": Owner(**tree["owner"])})
    except (ValueError, KeyError, TypeError):
        # Half written, or by another volkit: a stranger, who lives as long as the bytes change.
        unknown = Owner("an unknown machine", "somebody", "", 0, "")
        return Held(epoch, "", unknown, 0.0, 0.0, zlib.crc32(data), 15.0, UNKNOWN_STALE_SECONDS)
