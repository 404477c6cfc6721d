"""Stages: which ledgers a run has, in the order in which it began them.

The names are kept in ``stages.json``, since the volumes beside hold millions of objects, which
nobody wants to list to find a few.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from volkit.engine.fingerprint import Facts
from volkit.engine.ledger import Ledger, read_header
from volkit.geometry import Box, Grid
from volkit.io.place import Place

STAGES = "stages.json"
_ENDING = ".ledger"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that was begun.

    Parameters
    ----------
    name : str
        Its name; ``NAME.parts/1`` is a level of tables of a reduction.
    ledger : Ledger
        What is finished.
    facts : dict
        What it computes.
    """

    name: str
    ledger: Ledger
    facts: Facts

    @property
    def grid(self) -> Grid | None:
        """The blocks; None where the ledger counts something else, such as tables."""
        try:
            (start, stop), shape = self.facts["domain"], self.facts["block_shape"]
            halo = self.facts.get("halo", (0, 0, 0))
            grid = Grid(Box(tuple(start), tuple(stop)), tuple(shape), tuple(halo))
        except (KeyError, TypeError, ValueError):
            return None
        return grid if len(grid) == self.ledger.total else None


def note_stage(root: Place, name: str) -> None:
    """Add a stage to the list of a run, if it is not there."""
    names = _noted(root)
    if name not in names:
        # Nobody waits for it: where it is torn, ledgers are looked for.
        root.objects.put(STAGES, (json.dumps([*names, name]) + "\n").encode(), lasting=False)


def find_stages(root: Place) -> list[Stage]:
    """Find the stages of a run.

    Parameters
    ----------
    root : Place
        Its folder.

    Returns
    -------
    list of Stage
        In the order in which they were begun; empty where there is no run.

    Raises
    ------
    SourceError
        If a ledger cannot be understood.
    """
    found = []
    for name in dict.fromkeys((*_noted(root), *_seen(root))):
        place = root.inside(f"{name}{_ENDING}")
        header = read_header(place)
        if header is not None:  # else it was taken away
            ledger = Ledger(place, int(header["total"]), str(header["fingerprint"]))
            found.append(Stage(name, ledger, header["facts"]))
    return found


def _noted(root: Place) -> list[str]:
    try:
        names = json.loads(root.objects.get(STAGES) or b"[]")
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _seen(root: Place) -> Iterator[str]:
    """Look for ledgers in a local folder, where that costs little."""
    folder = root.local
    if folder is None:
        return
    # Two depths, never a search of all of it: the volumes beside hold millions of files.
    headers = [*folder.glob("*.ledger/header.json"), *folder.glob("*.parts/*.ledger/header.json")]
    for path in sorted(headers, key=lambda path: path.stat().st_mtime):
        yield str(path.parent.relative_to(folder)).removesuffix(_ENDING)
