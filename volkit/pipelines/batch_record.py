"""Records of a batch: what became of every item, kept beside the items' own folders."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from volkit.engine.lock_record import read_lock
from volkit.engine.owner import Owner
from volkit.engine.stages import find_stages
from volkit.errors import ConfigError, VolkitError
from volkit.io.place import Place
from volkit.pipelines.batch_file import Batch, Item
from volkit.version import __version__

FOLDER = ".batch"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What became of an item.

    Parameters
    ----------
    state : str
        ``running``, ``finished`` or ``failed``.
    settings : str
        Digest of what it was told.
    inputs : dict
        Identities of what it read, by role.
    output : str
        Where its results lie.
    attempts : int
        How often it was begun.
    blocks : int
        Of all its stages, when it was finished.
    seconds : float
        Of the last attempt.
    error : str
        What ended that, where it failed.
    scores : tuple of (str, str, str)
        Name, value and meaning.
    """

    state: str
    settings: str
    inputs: dict[str, str]
    output: str
    attempts: int = 1
    blocks: int = 0
    seconds: float = 0.0
    error: str = ""
    scores: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ItemStatus:
    """Where an item stands.

    Parameters
    ----------
    name : str
        Of the item.
    state : str
        ``waiting``, ``running``, ``interrupted``, ``finished``, ``failed``, or ``changed``: it was
        finished, and the file says something else since.
    done, total : int
        Blocks of the stages that were begun.
    attempts : int
        How often it was begun.
    seconds : float
        Of the last attempt that ended.
    error : str
        What ended the last attempt.
    output : str
        Where its results lie; empty where it was never begun.
    """

    name: str
    state: str
    done: int = 0
    total: int = 0
    attempts: int = 0
    seconds: float = 0.0
    error: str = ""
    output: str = ""


def record_place(batch: Batch) -> Place:
    """Give the folder of the records of a batch."""
    return Place.at(batch.output).inside(FOLDER)


def read_record(batch: Batch, name: str) -> Record | None:
    """Read what became of an item; None where it was never begun.

    Raises
    ------
    ConfigError
        If the record cannot be understood, or is of a newer volkit.
    """
    place = record_place(batch)
    data = place.objects.get(f"{name}.json")
    if data is None:
        return None
    try:
        found = json.loads(data)
        form, by = int(found.pop("format")), found.pop("volkit")
        if form <= FORMAT:
            return Record(**{**found, "scores": tuple(tuple(row) for row in found["scores"])})
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{place.inside(name)}.json cannot be understood ({error}); delete it to run the item "
            "again"
        ) from error
    raise ConfigError(
        f"{place.inside(name)}.json was written by volkit {by} in format {form}, this is "
        f"{__version__}, which knows format {FORMAT}; install that version"
    )


def write_record(batch: Batch, name: str, record: Record) -> None:
    """Write what became of an item."""
    about: dict[str, Any] = {"format": FORMAT, "volkit": __version__, **asdict(record)}
    text = json.dumps(about, indent=1) + "\n"
    record_place(batch).objects.put(f"{name}.json", text.encode())


def read_batch_status(batch: Batch, digests: dict[str, str]) -> tuple[ItemStatus, ...]:
    """Read where all items stand, from what lies in the folder and nothing else.

    Parameters
    ----------
    batch : Batch
        From its file.
    digests : dict of str to str
        What each item is told now, by name; empty looks at the records alone.

    Returns
    -------
    tuple of ItemStatus
        In the order of the file.
    """
    lock = read_lock(record_place(batch))
    # A client that was killed leaves its lock; where it cannot be asked, it counts as alive.
    held = lock is not None and not lock.released and lock.owner.alive(Owner.here()) is not False
    return tuple(_status(batch, item, digests.get(item.name), held=held) for item in batch.items)


def _status(batch: Batch, item: Item, digest: str | None, *, held: bool) -> ItemStatus:
    record = read_record(batch, item.name)
    if record is None:
        return ItemStatus(item.name, "waiting")
    state, done, total = record.state, record.blocks, record.blocks
    if state == "running" and not held:
        state = "interrupted"
    if state == "finished" and digest not in (None, record.settings):
        state = "changed"
    if record.state != "finished":
        done, total = _blocks(record.output)
    return ItemStatus(
        item.name,
        state,
        done,
        total,
        record.attempts,
        record.seconds,
        record.error,
        record.output,
    )


def _blocks(output: str) -> tuple[int, int]:
    """Count the blocks of a run that is not finished."""
    place = Place.at(output)
    try:
        stages = find_stages(place) or find_stages(place.beside(".mirror"))
    except VolkitError:
        return 0, 0  # the note of what went wrong says more
    return sum(s.ledger.count() for s in stages), sum(s.ledger.total for s in stages)
