"""Status: how far a run is, from what lies in its folder and nothing else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from volkit.engine.ledger import Ledger, read_header
from volkit.errors import SourceError
from volkit.io.place import Place

_FAILURE = "failure.json"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """How far one stage is.

    Parameters
    ----------
    stage : str
        Its name.
    done, total : int
        Blocks.
    failed : int
        1 where the last attempt ended in this stage, else 0.
    """

    stage: str
    done: int
    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is.

    Parameters
    ----------
    stages : tuple of StageStatus
        Those that were begun, in their order.
    failure : str
        What ended the last attempt; empty where nothing did, or it is still going on.
    """

    stages: tuple[StageStatus, ...]
    failure: str


def read_status(folder: Path) -> RunStatus:
    """Read how far a run is.

    Parameters
    ----------
    folder : Path
        Of the run.

    Returns
    -------
    RunStatus

    Raises
    ------
    SourceError
        If there is no run in the folder.
    """
    # Two depths, never a search of all of it: the volumes beside hold millions of files.
    headers = [*folder.glob("*.ledger/header.json"), *folder.glob("*.parts/*.ledger/header.json")]
    headers.sort(key=lambda path: path.stat().st_mtime)
    if not headers:
        raise SourceError(
            f"there is no run in {folder} (no ledger); give the output folder of a workflow"
        )
    failure = _read_failure(folder)
    stages = []
    for header in headers:
        root = header.parent
        found = read_header(Place.at(root))
        if found is None:  # taken away meanwhile
            continue
        done = Ledger(Place.at(root), int(found["total"]), str(found["fingerprint"])).count()
        name = str(root.relative_to(folder)).removesuffix(".ledger")
        failed = int(failure.get("stage") == name)
        stages.append(StageStatus(name, done, int(found["total"]), failed))
    return RunStatus(tuple(stages), failure.get("message", ""))


@contextmanager
def recorded(folder: Path, stage: Callable[[], str]) -> Iterator[None]:
    """Leave a note in the folder of a run when it fails, and take away the one before.

    Parameters
    ----------
    folder : Path
        Of the run.
    stage : callable
        Names the stage that is going on.
    """
    path = folder / _FAILURE
    path.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith("volkit: ")]
        message = "\n".join([str(error) or type(error).__name__, *notes])
        _write_failure(path, {"stage": stage(), "message": message}, error)
        raise


def _write_failure(path: Path, failure: dict[str, str], error: BaseException) -> None:
    try:
        path.write_text(json.dumps(failure, indent=1) + "\n", encoding="utf-8")
    except OSError as full:
        path.unlink(missing_ok=True)  # half a note would only confuse
        # Of two errors the first one matters; a full disk explains both.
        error.add_note(f"volkit: could not note this in {path} ({full})")


def _read_failure(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / _FAILURE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SourceError(
            f"{folder / _FAILURE} cannot be understood ({error}); delete it"
        ) from error
    return found
