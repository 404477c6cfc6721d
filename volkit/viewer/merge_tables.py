"""Merge tables: what a run stores of how its fragments join, and of which fragments."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.cascade import Boxes
from volkit.engine.columns import read_columns
from volkit.engine.fingerprint import Facts, fingerprint
from volkit.engine.ledger import Ledger, read_header
from volkit.engine.reuse_record import read_reuse
from volkit.engine.reuse_search import parts_place, table_place
from volkit.engine.stages import Stage
from volkit.engine.tree import part_place
from volkit.io.place import Place

Columns = dict[str, NDArray[Any]]

BY_SIZE, BY_SCORES, BY_MEANS = "basin_graph.final", "agglomeration.final", "region_graph"
SCORES_IN_BOXES, SIZES_IN_BOXES = "agglomeration", "basin_graph"
_MERGES = ("a", "b", "num", "den")
_COLUMNS = {
    BY_SIZE: ("a", "b", "saliency", "linked", "id", "voxels"),
    BY_SCORES: _MERGES,
    BY_MEANS: ("u", "v", "boundary_sum", "count"),
}
_IN_BOXES = {SCORES_IN_BOXES: _MERGES, SIZES_IN_BOXES: ("a", "b", "saliency", "linked")}


@dataclass(frozen=True, slots=True)
class MergeTable:
    """Merges of fragments, or the contacts that decide them, as they are stored.

    Parameters
    ----------
    name : str
        Of the table, or of the stage whose boxes hold it.
    place : Place
        The ``.npz``, or the folder of the tables of boxes.
    facts : dict
        What it was made by.
    how : mapping
        Arguments of what made it of the graph: ``smallest``, ``limit`` and the like.
    boxes : Boxes or None
        None where it is one table.
    """

    name: str
    place: Place
    facts: Facts
    how: Mapping[str, Any]
    boxes: Boxes | None = None

    @property
    def fragments(self) -> str:
        """Identity of the volume whose ids it names."""
        return str(self.facts["inputs"][0])

    @property
    def parts(self) -> int:
        """Number of files that it lies in."""
        return 1 if self.boxes is None else sum(map(len, self.boxes.levels))

    def read(self) -> Columns:
        """Read all of it; merges of boxes come in an order in which they may be followed.

        Raises
        ------
        SourceError
            If it is damaged, as what is half written.
        """
        if self.boxes is None:
            return read_columns(self.place)
        found: list[Columns] = []
        for level, boxes in enumerate(self.boxes.levels):
            folder = self.place.inside(str(level))
            found += [read_columns(part_place(folder, n)) for n in range(len(boxes))]
        names = _IN_BOXES[self.name]
        merged = {name: np.concatenate([t[f"kept.{name}"] for t in found]) for name in names}
        if self.name == SIZES_IN_BOXES:
            ids = np.unique(np.concatenate([merged["a"], merged["b"]]))
            merged |= {"id": ids, "voxels": np.zeros(len(ids), np.int64)}  # nobody counted them
        return merged

    def whole(self, columns: Columns) -> bool:
        """Tell whether columns are those of such a table."""
        return set({**_IN_BOXES, **_COLUMNS}[self.name]) <= set(columns)


def merge_tables(bases: Sequence[Place]) -> Iterator[MergeTable]:
    """Find the tables of a run, or of a version of one, wherever they lie.

    What another version has counts only where this one has noted that it is the same.

    Parameters
    ----------
    bases : sequence of Place
        Its folder, and those that it may share tables of.

    Yields
    ------
    MergeTable
    """
    noted = read_reuse(bases[0])
    for name in _COLUMNS:
        known = noted[name] if name in noted else _about(bases[0], name)
        place = None if known is None else table_place(bases, name, known["fingerprint"])
        about = None if place is None else _about(place.above, name)
        if place is not None and about is not None:
            facts = about["facts"]
            yield MergeTable(name, place, facts, _arguments(facts, "finalize"))
    for name in _IN_BOXES:
        in_boxes = _in_boxes(bases, name, noted.get(name, {}).get("fingerprint"))
        if in_boxes is not None:
            yield in_boxes


def _in_boxes(bases: Sequence[Place], name: str, known: str | None) -> MergeTable | None:
    """Find merges that boxes of blocks hold, where all boxes are finished."""
    for base in bases if known else bases[:1]:
        root = base.inside(f"{name}.ledger")
        header = read_header(root)
        if header is None or (known and header["fingerprint"] != known):
            continue
        facts = header["facts"]
        ledger = Ledger(root, int(header["total"]), str(header["fingerprint"]))
        grid = Stage(name, ledger, facts).grid
        if grid is None or facts.get("params", {}).get("domain") is None:
            continue  # one machine has held the graph, and left a table
        boxes = Boxes(grid)
        levels = [fingerprint({**facts, "level": n}) for n in range(len(boxes.levels))]
        place = parts_place(bases, name, levels)
        if place is not None:
            return MergeTable(name, place, facts, _arguments(facts, "combine"), boxes)
    return None


def _about(folder: Place, name: str) -> dict[str, Any] | None:
    """Read what lies beside a table; None where it is not there, or half written."""
    try:
        found = json.loads(folder.objects.get(f"{name}.json") or b"{}")
    except ValueError:
        return None
    whole = isinstance(found, dict) and found.get("fingerprint") and found.get("facts")
    return found if whole else None


def _arguments(facts: Facts, step: str) -> Mapping[str, Any]:
    told = facts.get(step)
    return told.get("arguments", {}) if isinstance(told, Mapping) else {}
