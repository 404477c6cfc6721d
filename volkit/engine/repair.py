"""Repair: what is not sound is forgotten, and so is what may have been computed from it.

A torn block could be read, so whatever read it may be wrong and cannot be told from what is right.
A missing or unreadable block stops who reads it: what was computed from it was computed before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volkit.engine.findings import Verified
from volkit.engine.stages import Stage, find_stages
from volkit.engine.verify import volume_of
from volkit.engine.verify_tables import SHARED, shared_key
from volkit.errors import SourceError
from volkit.geometry import Grid
from volkit.geometry.touching import touching
from volkit.io.place import Place


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was forgotten of a stage.

    Parameters
    ----------
    stage : str
        Its name.
    bad : int
        Blocks or tables that were not sound.
    doubtful : int
        Further ones that read torn blocks.
    advice : str
        What a person has to do; empty where running again is enough.
    """

    stage: str
    bad: int
    doubtful: int
    advice: str = ""


def repair(root: Place, found: Sequence[Verified]) -> list[Repaired]:
    """Forget what is not sound, so that running again makes it anew.

    Parameters
    ----------
    root : Place
        Folder of the run; its lock must be held.
    found : sequence of Verified
        What :func:`volkit.engine.verify.verify` said of it just now.

    Returns
    -------
    list of Repaired
        Stages of which something was forgotten.
    """
    said = {each.stage: each for each in found}
    stages = [stage for stage in find_stages(root) if stage.name in said]
    doubtful: dict[str, tuple[Grid, NDArray[np.bool_]]] = {}  # by what volumes are known by
    repaired = []
    for stage in stages:
        identity, grid = _identity(root, stage), stage.grid
        if identity is None or grid is None:
            repaired.append(_repair_tables(root, stage, said[stage.name], doubtful))
            continue
        bad = _marks(grid, (f.number for f in said[stage.name].findings))
        torn = _marks(grid, (f.number for f in said[stage.name].findings if f.problem == "torn"))
        touched = _touched(stage, grid, doubtful) & stage.ledger.done()
        if bad.any() or touched.any():
            stage.ledger.unmark((bad | touched).nonzero()[0].tolist())
        doubtful[identity] = (grid, torn | touched)
        advice = _advice(root, stage, said[stage.name])
        repaired.append(Repaired(stage.name, int(bad.sum()), int((touched & ~bad).sum()), advice))
    repaired.append(_repair_shared(root, said.get(SHARED)))
    return [each for each in repaired if each.bad or each.doubtful or each.advice]


def _identity(root: Place, stage: Stage) -> str | None:
    """Give what other stages know the stage's volume by; None where there is none."""
    volume = volume_of(root, stage)
    if volume is None:
        return None
    try:
        return volume.identity
    except SourceError:
        return f"nothing there: {stage.name}"  # then nobody has read it


def _marks(grid: Grid, numbers: Iterable[int | None]) -> NDArray[np.bool_]:
    marks = np.zeros(len(grid), bool)
    marks[[number for number in numbers if number is not None]] = True
    return marks


def _touched(
    stage: Stage, grid: Grid, doubtful: dict[str, tuple[Grid, NDArray[np.bool_]]]
) -> NDArray[np.bool_]:
    touched = np.zeros(len(grid), bool)
    for identity in stage.facts.get("inputs", ()):
        if identity in doubtful:
            blocks, marks = doubtful[identity]
            for number in marks.nonzero()[0].tolist():
                touched[touching(grid, blocks[number].write)] = True
    return touched


def _repair_tables(
    root: Place,
    stage: Stage,
    said: Verified,
    doubtful: dict[str, tuple[Grid, NDArray[np.bool_]]],
) -> Repaired:
    """Take away the tables of a reduction that are not sound, or add up torn blocks."""
    inputs = stage.facts.get("inputs", ())
    reads_torn = any(doubtful[i][1].any() for i in inputs if i in doubtful)
    parts = [finding.number for finding in said.findings if finding.number is not None]
    whole = len(said.findings) > len(parts)
    name, _, level = stage.name.partition(".parts/")
    if reads_torn or whole:
        for table in (name, f"{name}.final"):
            root.objects.delete(f"{table}.json")  # without it the table is made anew
            root.objects.delete(f"{table}.npz")
    if reads_torn:
        stage.ledger.reset()
        if not level:
            root.inside(f"{name}.parts").objects.delete_all()
    elif parts:
        stage.ledger.unmark(parts)
    return Repaired(stage.name, len(said.findings), said.done if reads_torn else 0)


def _repair_shared(root: Place, said: Verified | None) -> Repaired:
    """Take away damaged tables that travel: the client puts them there again."""
    numbers = [f.number for f in said.findings if f.number is not None] if said else []
    for key in [shared_key(root, number) for number in numbers]:
        root.objects.delete(key)
    return Repaired(SHARED, len(numbers), 0)


def _advice(root: Place, stage: Stage, said: Verified) -> str:
    if all(finding.number is not None for finding in said.findings):
        return ""
    place = root.inside(f"{stage.name}.zarr")
    return f"delete {place}, then run again" if place.exists() else "it is made anew"
