"""The last tables of a reduction, where they are small, are put together by the client itself."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.engine import tree
from volkit.engine.base import Progress
from volkit.engine.cluster import local_client
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Box, Grid

GRID = Grid(Box.from_shape((1, 1, 24)), (1, 1, 1))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with local_client(2) as client:
        yield client


def reduction(power: Path) -> Reduction:
    def numbers(block: Block) -> Columns:
        return {"number": np.array([block.number, 7])}

    def joined(tables: Sequence[Columns], power: str) -> Columns:
        if len(tables) > 1 and not Path(power).exists():
            raise RuntimeError("the power went out")
        # The order of the tables shows, and one value is no array.
        return {"number": np.concatenate([t["number"] for t in tables]), "one": np.int32(1)}

    return Reduction(numbers, partial(joined, power=str(power)))


def reduced(root: Path, client: Any, power: Path) -> tuple[Columns, dict[str, int]]:
    """Reduce, and tell how many pieces of each level were worked on."""
    told: dict[str, int] = {}

    def hear(state: Progress) -> None:
        told[state.stage] = state.done - state.resumed

    engine = JobEngine(root, client, on_progress=hear)
    return engine.reduce(reduction(power), grid=GRID, name="row"), told


def same(a: Columns, b: Columns) -> bool:
    return a.keys() == b.keys() and all(
        np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a
    )


def test_no_task_and_no_ledger_for_it_and_the_same_table(client, tmp_path: Path) -> None:
    found, told = reduced(tmp_path / "run", client, tmp_path)
    expected, levels = reduced(tmp_path / "here", None, tmp_path)
    assert told == {"row": 24}
    assert levels == {"row": 24, "row.parts/1": 1}
    assert same(found, expected)
    assert isinstance(found["one"], np.ndarray)
    for name in ("row.npz", "row.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert not (tmp_path / "run" / "row.parts").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are Linux's")
def test_the_client_waits_for_no_more_files_than_it_must(
    client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: Counter[str] = Counter()

    def fsync(file: int) -> None:
        path = Path(f"/proc/self/fd/{file}").readlink().relative_to(tmp_path / "run")
        name = re.sub(r"^\.(.*)\.[0-9a-f]{32}\.part(ial)?$", r"\1", path.name)
        waits[(path.parent / name).as_posix()] += 1

    monkeypatch.setattr(os, "fsync", fsync)
    reduced(tmp_path / "run", client, tmp_path)
    marks = waits.pop("row.ledger/done")
    assert 1 <= marks <= 24
    assert waits == {
        "row.ledger/header.json": 1,
        "row.ledger/origin.json": 2,  # before the first mark, and at the end
        "row.ledger/usage.json": 1,
        "row.npz": 1,
        "row.json": 1,
    }


def test_large_ones_are_for_a_worker(client, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tree, "_SMALL_BYTES", 24 * 100)
    found, told = reduced(tmp_path / "run", client, tmp_path)
    assert told == {"row": 24, "row.parts/1": 1}
    assert same(found, reduced(tmp_path / "here", None, tmp_path)[0])


@pytest.mark.parametrize("damage", ["torn", "gone"])
def test_one_that_is_not_there_whole_is_made_again_first(client, damage, tmp_path: Path) -> None:
    power = tmp_path / "power"
    with pytest.raises(RuntimeError, match="the power went out"):
        reduced(tmp_path / "run", client, power)
    path = tmp_path / "run" / "row.parts" / "0" / tree.part_key(5)
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    power.touch()
    found, told = reduced(tmp_path / "run", client, power)
    assert told == ({"row": 0, "row.parts/1": 1} if damage == "torn" else {"row": 1})
    assert same(found, reduced(tmp_path / "here", None, power)[0])
