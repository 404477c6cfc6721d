"""Changed keys: what of a workflow is not as it was when the run in its folder was made.

Ledgers know facts of stages, and refuse others; a person knows the keys of a file.  So a run leaves
there what it was told, and where it is refused as stale, the keys are named.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from volkit.engine.fingerprint import changes
from volkit.engine.stages import find_stages
from volkit.errors import RunLockedError, StaleLedgerError, VolkitError
from volkit.io.place import Place
from volkit.pipelines.failure import reword_failure
from volkit.pipelines.registry import Workflow
from volkit.pipelines.run_parameters import run_parameters

TOLD = "workflow.json"
"""Name of the note, in the folder of a run."""


@contextmanager
def keys_named(workflow: Workflow) -> Iterator[None]:
    """Say by its keys what of a workflow a run cannot go on with.

    Parameters
    ----------
    workflow : Workflow
        That is carried out meanwhile.

    Raises
    ------
    StaleLedgerError
        That which is raised meanwhile, about keys where any of them has changed.
    """
    place, told = _folder(workflow), run_parameters(workflow.config)
    if place is None:
        yield
        return
    try:
        yield
    except StaleLedgerError as error:
        found = _changes(place, told)
        if not found:
            raise
        message = (
            f"{place} holds a run with other settings: {'; '.join(found)}. Set them back, write to "
            "another output, or compute anew what is stale (--replace)"
        )
        if workflow.pipeline.reprocess is not None and told.get("checkpoint"):
            message += "; volkit reprocess makes a version beside it"
        with suppress(OSError, VolkitError):  # of two errors the first one matters
            reword_failure(place, message)
        raise StaleLedgerError(message) from error
    except RunLockedError:
        raise
    except VolkitError:
        if _read(place) is None:
            _note(place, told)
        raise
    except KeyboardInterrupt:
        _note(place, told)
        raise
    _note(place, told)


def _folder(workflow: Workflow) -> Place | None:
    """Find the folder of a run, which may not be there yet; None where there is none."""
    config = workflow.config
    folder = getattr(config, "folder", None) or getattr(config, "output", None)
    if folder is None or workflow.pipeline.plan is None or "://" in str(folder):
        return None
    return Place.at(Path(folder))


def _changes(place: Place, told: dict[str, Any]) -> list[str]:
    before = _read(place)
    return [] if before is None else changes(before, told)


def _read(place: Place) -> dict[str, Any] | None:
    """Read what the run was told; a note that cannot be understood is none."""
    data = place.objects.get(TOLD)
    try:
        found = json.loads(data or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _note(place: Place, told: dict[str, Any]) -> None:
    """Leave what a run was told where it has left anything."""
    try:
        if find_stages(place):
            place.objects.put(TOLD, (json.dumps(told, indent=1) + "\n").encode())
    except (OSError, VolkitError):
        return  # no result depends on it, and what ended the run matters more
