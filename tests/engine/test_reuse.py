"""Reuse: stages and blocks of earlier versions are used where they hold, and nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.engine.ledger import Ledger
from volkit.engine.op import Columns, Op, Reduction
from volkit.engine.reuse_record import read_reuse
from volkit.engine.selection import Selection
from volkit.engine.stages import find_stages
from volkit.engine.verify import verify
from volkit.errors import GeometryError
from volkit.geometry import Block, Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.testing.blocks import add_counts, count_values, neighbour_sum

RAW = np.random.default_rng(5).integers(0, 9, (12, 12, 12))
GRID = Grid(Box.from_shape(RAW.shape), (4, 4, 4))
CORNER = Box((0, 0, 0), (3, 4, 4))  # inside the first block
computed: list[tuple[str, int]] = []


def scaled_sum(
    block: Block, values: np.ndarray, *shared: Columns, stage: str, factor: int
) -> np.ndarray:
    computed.append((stage, block.number))
    extra = sum(int(table["value"].sum()) for table in shared)
    return neighbour_sum(block, values) * factor + extra


def scaled(stage: str, factor: int) -> Op:
    return Op(scaled_sum, np.int64, halo=(1, 1, 1), params={"stage": stage, "factor": factor})


def distinct(table: Columns) -> Columns:
    return {"value": table["value"]}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, int]]:
    """Two maps and a third that reads a table of the second; counts the blocks of each."""
    raw = create_volume(tmp_path / "raw.zarr", shape=RAW.shape, dtype=np.int64)
    raw.write(raw.domain, RAW)

    def once(
        version: str, first: int = 2, last: int = 3, *, grid: Grid = GRID, **options: Any
    ) -> dict[str, int]:
        computed.clear()
        bases = tuple(Place.at(tmp_path / name) for name in options.pop("bases", ()))
        engine = JobEngine(tmp_path / version, bases=bases, **options)
        one = engine.map(scaled("one", first), raw, grid=grid, name="one")
        two = engine.map(scaled("two", 1), one, grid=grid, name="two")
        engine.map(scaled("last", last), two, grid=grid, name="last")
        table = engine.reduce(
            Reduction(count_values, add_counts, distinct), two, grid=grid, name="counts"
        )
        engine.map(scaled("named", 1), two, grid=grid, name="named", shared=(table,))
        stages = [stage for stage, _ in computed]
        return {stage: stages.count(stage) for stage in dict.fromkeys(stages)}

    assert once("v1") == {"one": 27, "two": 27, "last": 27, "named": 27}
    return once


def voxels(folder: Path, stage: str) -> np.ndarray:
    return open_volume(folder / f"{stage}.zarr").read()


def test_a_last_parameter_reruns_the_last_stage_alone(run, tmp_path) -> None:
    assert run("v2", last=5, bases=["v1"]) == {"last": 27}
    assert {path.stem for path in (tmp_path / "v2").glob("*.zarr")} == {"last"}
    assert not list((tmp_path / "v2").glob("*.npz"))
    assert not (tmp_path / "v2" / "shared").exists()
    assert run("v3", last=5, bases=["v1", "v2"]) == {}
    noted = read_reuse(Place.at(tmp_path / "v3"))
    assert all(record["shared"] for record in noted.values())
    assert set(noted) == {"one", "two", "last", "counts", "counts.final", "named"}


def test_a_first_parameter_reruns_everything(run, tmp_path) -> None:
    everything = {"one": 27, "two": 27, "last": 27, "named": 27}
    assert run("v2", first=7, bases=["v1"]) == everything
    assert run("fresh", first=7) == everything
    for stage in everything:
        assert (voxels(tmp_path / "v2", stage) == voxels(tmp_path / "fresh", stage)).all()


def mixture(tmp_path: Path) -> np.ndarray:
    """What a limited stage has to hold: new voxels in the first block, old ones elsewhere."""
    mixed = voxels(tmp_path / "v1", "one").copy()
    mixed[:4, :4, :4] = mixed[:4, :4, :4] // 2 * 7
    return mixed


def check_limited(run: Any, tmp_path: Path, selection: Selection) -> None:
    found = run("v2", first=7, bases=["v1"], selection=selection)
    # One block differs; 8 blocks read it, and 27 read those; a table holds everywhere.
    assert found == {"one": 1, "two": 8, "last": 27, "named": 27}
    assert (voxels(tmp_path / "v2", "one") == mixture(tmp_path)).all()
    two = neighbour_sum(GRID[0], mixture(tmp_path))
    assert (voxels(tmp_path / "v2", "two") == two).all()
    assert (voxels(tmp_path / "v2", "last") == 3 * neighbour_sum(GRID[0], two)).all()
    assert all(found.sound == found.done for found in verify(Place.at(tmp_path / "v2")))
    noted = read_reuse(Place.at(tmp_path / "v2"))
    assert (noted["two"]["computed"], noted["two"]["copied"]) == (8, 19)


def test_a_box_limits_what_is_computed(run, tmp_path) -> None:
    check_limited(run, tmp_path, Selection(boxes=(CORNER,)))


def test_a_mask_limits_what_is_computed(run, tmp_path) -> None:
    mask = create_volume(tmp_path / "mask.zarr", shape=(8, 8, 8), dtype=np.uint8)
    values = np.zeros((8, 8, 8), np.uint8)
    values[2, 3, 1] = 1
    mask.write(mask.domain, values)
    check_limited(run, tmp_path, Selection(where=mask))


def test_values_of_before_limit_what_is_computed(run, tmp_path) -> None:
    before: Volume = open_volume(tmp_path / "v1" / "one.zarr")
    values = before.read()
    seen = np.unique(values[:4, :4, :4])
    elsewhere = np.ones(values.shape, bool)
    elsewhere[:4, :4, :4] = False
    only_there = np.setdiff1d(seen, values[elsewhere])
    value = float(only_there[0])
    check_limited(run, tmp_path, Selection(where=before, between=(value, value)))


def test_a_killed_version_goes_on(run, tmp_path) -> None:
    options = {"first": 7, "bases": ["v1"], "selection": Selection(boxes=(CORNER,))}
    run("v2", **options)
    for stage in find_stages(Place.at(tmp_path / "v2")):
        if stage.name == "two":
            stage.ledger.unmark([0, 1, 25, 26])  # two of them are copies
    assert run("v2", **options) == {"two": 2}
    again = neighbour_sum(GRID[0], mixture(tmp_path))
    assert (voxels(tmp_path / "v2", "two") == again).all()


def test_a_limited_result_is_not_taken_for_a_whole_one(run) -> None:
    selection = Selection(boxes=(CORNER,))
    run("v2", first=7, bases=["v1"], selection=selection)
    assert run("v3", first=7, bases=["v1", "v2"])["one"] == 27
    assert run("v4", first=7, bases=["v1", "v2"], selection=selection) == {}
    # On top of a limited one what does not change stays, also where another part is made anew.
    assert run("v6", first=7, last=5, bases=["v2", "v1"]) == {"last": 27}
    assert (
        run("v5", first=7, bases=["v2", "v1"], selection=Selection((GRID[26].write,)))["one"] == 1
    )


def test_what_is_not_finished_is_not_used(run, tmp_path) -> None:
    for stage in find_stages(Place.at(tmp_path / "v1")):
        if stage.name == "two":
            ledger: Ledger = stage.ledger
            ledger.unmark([3])
    assert run("v2", last=5, bases=["v1"]) == {"two": 27, "last": 27}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"selection": Selection((Box((20, 0, 0), (21, 1, 1)),))},
            "the selection touches no block",
        ),
        (
            {
                "selection": Selection((CORNER,)),
                "grid": Grid(GRID.domain, (6, 4, 4)),
            },
            r"stage one cannot be limited.*block_shape: \[4, 4, 4\] became \[6, 4, 4\]",
        ),
    ],
)
def test_a_selection_that_cannot_be_is_refused(run, options, message) -> None:
    with pytest.raises(GeometryError, match=message):
        run("v2", first=7, bases=["v1"], **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "boxes or a volume"),
        ({"boxes": (CORNER,), "between": (1.0, 0.5)}, "give the lower one first"),
    ],
)
def test_a_selection_says_one_thing(arguments, message) -> None:
    with pytest.raises(GeometryError, match=message):
        Selection(**arguments)


def test_versions_in_an_object_store() -> None:
    root = Place("memory://reuse")
    raw = open_volume(RAW.astype(np.int64))
    for name, bases in (("v1", ()), ("v2", (root.inside("v1"),))):
        computed.clear()
        selection = Selection((CORNER,)) if bases else None
        engine = JobEngine(root.inside(name), bases=bases, selection=selection)
        one = engine.map(scaled("one", 2), raw, grid=GRID, name="one")
        two = engine.map(scaled("two", 3 if bases else 1), one, grid=GRID, name="two")
    assert computed == [("two", 0)]
    assert one.uri == "memory://reuse/v1/one.zarr"
    assert two.read(GRID[0].write).sum() == 3 * neighbour_sum(GRID[0], one.read())[:4, :4, :4].sum()
