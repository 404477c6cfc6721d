"""Which tables meet in a tree, and how many are in memory for it."""

from collections.abc import Sequence
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest

from volkit.engine import fan_in as module
from volkit.engine.fan_in import CUBE, fan_in, put_together
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Box, Grid


def test_64_meet_whatever_the_shape() -> None:
    for shape in product((1, 2, 5, 40, 1000), repeat=3):
        found = fan_in(shape)
        assert prod(found) <= prod(CUBE), shape
        # Another doubling would be too much, or of no use.
        of_no_use = all(f >= n for f, n in zip(found, shape, strict=True))
        assert 2 * prod(found) > prod(CUBE) or of_no_use, shape
        assert min(shape) < 4 or found == CUBE, shape


def numbers(block: Block) -> Columns:
    return {"number": np.array([block.number])}


def joined(tables: Sequence[Columns]) -> Columns:
    return {"number": np.sort(np.concatenate([table["number"] for table in tables]))}


@pytest.mark.parametrize(("count", "levels"), [(1, 0), (24, 1), (100, 2)])
def test_a_row_of_tables_has_few_levels(count: int, levels: int, tmp_path: Path) -> None:
    told: list[str] = []
    engine = JobEngine(tmp_path, on_progress=lambda state: told.append(state.stage))
    grid = Grid(Box.from_shape((1, 1, count)), (1, 1, 1))
    found = engine.reduce(Reduction(numbers, joined), grid=grid, name="row")
    assert found["number"].tolist() == list(range(count))
    names = ["row", *(f"row.parts/{level + 1}" for level in range(levels))]
    assert list(dict.fromkeys(told)) == names


def test_large_tables_are_put_together_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HELD_BYTES", 3 * 8 * 10)
    held: list[int] = []

    def summed(tables: Sequence[Columns]) -> Columns:
        held.append(len(tables))
        return {"sum": np.sum([table["sum"] for table in tables], axis=0)}

    def grown(tables: Sequence[Columns]) -> Columns:
        held.append(sum(table["row"].size for table in tables))
        return {"row": np.concatenate([table["row"] for table in tables])}

    found = put_together(({"sum": np.full(10, n)} for n in range(64)), summed)
    assert found["sum"].tolist() == [sum(range(64))] * 10
    assert max(held) <= 4
    held.clear()
    rows = put_together(({"row": np.full(10, n)} for n in range(64)), grown)
    assert rows["row"].tolist() == np.repeat(np.arange(64), 10).tolist()
    assert sum(held) <= 3 * 640  # copied a few times, not for every table
