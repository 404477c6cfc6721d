"""Failure: the note that a run leaves when it fails, for whoever looks into its folder."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from volkit.errors import SourceError
from volkit.io.place import Place

_FAILURE = "failure.json"


@contextmanager
def recorded(folder: Place | Path, stage: Callable[[], str]) -> Iterator[None]:
    """Leave a note in the folder of a run when it fails, and take away the one before.

    Parameters
    ----------
    folder : Place or Path
        Of the run.
    stage : callable
        Names the stage that is going on.
    """
    place = Place.at(folder)
    place.objects.delete(_FAILURE)
    try:
        yield
    except Exception as error:
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("volkit: ")]
        message = "\n".join([str(error) or type(error).__name__, *notes])
        _write(place, {"stage": stage(), "message": message}, error)
        raise


def read_failure(place: Place) -> dict[str, str]:
    """Read what ended the last attempt.

    Parameters
    ----------
    place : Place
        Folder of the run.

    Returns
    -------
    dict
        ``stage`` and ``message``; empty where nothing did, or it is still going on.

    Raises
    ------
    SourceError
        If the note cannot be understood.
    """
    data = place.objects.get(_FAILURE)
    if data is None:
        return {}
    try:
        found: dict[str, str] = dict(json.loads(data))
    except ValueError as error:
        raise SourceError(
            f"{place.inside(_FAILURE)} cannot be understood ({error}); delete it"
        ) from error
    return found


def reword_failure(place: Place, message: str) -> None:
    """Say otherwise what ended the last attempt, where that was noted.

    Parameters
    ----------
    place : Place
        Folder of the run.
    message : str
        Instead of the one that is there.
    """
    found = read_failure(place)
    if found:
        _put(place, {**found, "message": message})


def _put(place: Place, failure: dict[str, str]) -> None:
    place.objects.put(_FAILURE, (json.dumps(failure, indent=1) + "\n").encode())


def _write(place: Place, failure: dict[str, str], error: BaseException) -> None:
    try:
        _put(place, failure)
    except OSError as full:
        # Of two errors the first one matters; a full disk explains both.
        error.add_note(f"volkit: could not note this in {place.inside(_FAILURE)} ({full})")
