"""Verify: what is marked as finished is read back and compared with the check sums of its ledger.

A block is ``torn`` if it can be read and holds other voxels than were written, ``unreadable`` if
its bytes are damaged, ``missing`` if they are not there.  Whoever read a torn block may have
computed from it; the other two kinds cannot be read without an error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.dispatch import dispatch
from volkit.engine.findings import Finding, Problem, Verified
from volkit.engine.map_task import content_check
from volkit.engine.stages import Stage, find_stages
from volkit.engine.task_batch import Outcome
from volkit.engine.verify_tables import check_shared, check_tables
from volkit.errors import MissingChunkError, SourceError
from volkit.geometry import Grid
from volkit.io.faults import CorruptPayloadError
from volkit.io.place import Place
from volkit.io.volume import Volume

OnVerified = Callable[[str, int, int, int], None]

_MISSING, _UNREADABLE = -1, -2  # no check sums, which are above 0
_MOST_EXPLAINED = 20  # findings of a stage whose reason is looked up


def verify(
    root: Place, *, client: Any | None = None, on_verified: OnVerified | None = None
) -> list[Verified]:
    """Read back every finished block of every stage of a run.

    Parameters
    ----------
    root : Place
        Folder of the run.
    client : distributed.Client, optional
        Where blocks are read; None reads them in this process.
    on_verified : callable, optional
        Told stage, blocks read, blocks to read and voxels read, after every batch.

    Returns
    -------
    list of Verified
        One for each stage, in their order.

    Raises
    ------
    SourceError
        If there is no run in the folder, or the store keeps failing.
    """
    stages = find_stages(root)
    if not stages:
        raise SourceError(
            f"there is no run in {root} (no ledger); give the output folder of a workflow"
        )
    found = [_verify_stage(root, stage, client, on_verified) for stage in stages]
    shared = check_shared(root)
    return found if shared is None else [*found, shared]


def volume_of(root: Place, stage: Stage) -> Volume | None:
    """Find the volume that a stage writes; None where it makes a table."""
    if "combine" in stage.facts or "/" in stage.name or stage.grid is None:
        return None
    place = root.inside(f"{stage.name}.zarr")
    return Volume(place.uri, 0, place.options)


def _verify_stage(
    root: Place, stage: Stage, client: Any | None, on_verified: OnVerified | None
) -> Verified:
    volume, grid, total = volume_of(root, stage), stage.grid, stage.ledger.total
    done = stage.ledger.count()
    if "kernel" not in stage.facts:  # a copy, which was compared when it was made
        return Verified(stage.name, total, done, done, done, ())
    if volume is None or grid is None:
        wrong = tuple(check_tables(root, stage))
        bad = done if any(finding.number is None for finding in wrong) else len(wrong)
        return Verified(stage.name, total, done, done - bad, 0, wrong)
    unusable = _unusable(volume, stage) if done else None
    if unusable is not None:
        return Verified(stage.name, total, done, 0, 0, (unusable,))
    checks = _checks(stage)
    findings: list[Finding] = []
    seen = 0

    def receive(outcome: Outcome) -> None:
        nonlocal seen
        for failure in outcome.failures:
            raise failure.error
        seen += len(outcome.numbers)
        for number, found in zip(outcome.numbers, outcome.checks, strict=True):
            problem = _problem(found, int(checks[number]))
            if problem is not None:
                findings.append(_finding(stage, volume, grid, number, problem, len(findings)))
        if on_verified is not None:
            on_verified(stage.name, seen, done, grid.domain.size * seen // total)

    numbers = grid.morton_missing(checks < 0)
    dispatch(ReadTask(volume, grid), numbers, client=client, receive=receive)
    findings.sort(key=lambda finding: finding.number or 0)
    sound = seen - len(findings)
    unknown = min(int((checks == 0).sum()), sound)
    return Verified(stage.name, total, done, sound, unknown, tuple(findings))


@dataclass(frozen=True, slots=True)
class ReadTask:
    """What a worker does for a block: read it, and give its check sum.

    Parameters
    ----------
    volume : Volume
        What to read.
    grid : Grid
        Its blocks.
    """

    volume: Volume
    grid: Grid

    def __call__(self, number: int) -> int:
        """Read one block; below 0 where that cannot be done."""
        try:
            return content_check(self.volume.read(self.grid[number].write))
        except MissingChunkError:
            return _MISSING
        except SourceError as error:
            # Anything else is a store that fails at the moment, which says nothing of the block.
            if any(isinstance(e, CorruptPayloadError) for e in (error, error.__cause__)):
                return _UNREADABLE
            raise


def _problem(found: int, recorded: int) -> Problem | None:
    if found == _MISSING:
        return "missing"
    if found == _UNREADABLE:
        return "unreadable"
    return "torn" if recorded and found != recorded else None


def _finding(
    stage: Stage, volume: Volume, grid: Grid, number: int, problem: Problem, before: int
) -> Finding:
    """Describe a block that is not sound; the first ones are read again to say why."""
    box, detail = grid[number].write, ""
    if problem == "torn":
        detail = "it holds other voxels than were written"
    elif before < _MOST_EXPLAINED:
        try:
            volume.read(box)
        except SourceError as error:
            detail = str(error)
    return Finding(stage.name, problem, number, box, detail)


def _unusable(volume: Volume, stage: Stage) -> Finding | None:
    """Look whether the array is there and of the stage's computation."""
    try:
        made_by = volume.attributes.get("volkit", {}).get("fingerprint")
    except SourceError as error:
        return Finding(stage.name, "missing", None, None, str(error))
    if made_by == stage.ledger.fingerprint:
        return None
    detail = f"{volume.uri} holds another computation than the ledger records"
    return Finding(stage.name, "torn", None, None, detail)


def _checks(stage: Stage) -> NDArray[np.int64]:
    """Give the check sum of every block, of its last record; -1 where it is not finished."""
    checks = np.full(stage.ledger.total, -1, np.int64)
    records = stage.ledger.records()
    records = records[records["number"] < stage.ledger.total]
    checks[records["number"]] = records["content"]
    return checks
