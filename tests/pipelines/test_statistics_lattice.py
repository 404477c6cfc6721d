"""Tables of many cells in many partitions: what a formula says of all, in memory for one of them.

The number of cells of the slow test is a parameter: ``VOLKIT_TEST_CELLS=1e9``.
"""

import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from volkit.geometry import Box, Grid, VoxelScale
from volkit.kernels.object_table import add_objects, object_sums
from volkit.ops.statistics import table_of
from volkit.ops.statistics_totals import deviation
from volkit.pipelines import statistics_cells
from volkit.pipelines.statistics_cells import write_cells
from volkit.pipelines.statistics_chain import Inputs
from volkit.pipelines.statistics_config import Statistics, StatisticsInput
from volkit.pipelines.statistics_cut_cells import finished
from volkit.testing.cell_lattice import PITCH, CellLattice


def written(
    lattice: CellLattice, folder: Path, bins, boxes=None, distances=False
) -> statistics_cells.Cells:
    config = Statistics(
        input=StatisticsInput(cells="a formula"),
        output=str(folder),
        bins=bins,
        boxes=boxes or {},
        distances=distances,
    )
    grid = Grid(lattice.domain, lattice.domain.shape)
    inputs = Inputs({}, grid, VoxelScale((4.0, 3.0, 2.0)), physical=True)
    found = write_cells(folder, lattice, inputs, config, {})
    assert len(found.shown) == min(lattice.count, statistics_cells._SHOWN)
    return found


def check(lattice: CellLattice, totals: pd.DataFrame, bins) -> None:
    """Compare totals of bins with those of the formula."""
    place = tuple(totals[f"{axis}_bin"] for axis in "zyx")
    for power, name in enumerate(("cells", "voxels")):
        expected = lattice.expected(power, bins)
        laid = np.zeros(expected.shape, np.int64)
        np.add.at(laid, place, totals[name])
        assert np.array_equal(laid, expected)
    squares = [int(totals[f"squares_{name}"].sum()) for name in ("high", "low")]
    assert (squares[0] << 32) + squares[1] == lattice.expected(2, bins).sum()
    assert totals["at_border"].sum() == lattice.at_border


def test_the_lattice_is_what_is_counted_in_a_volume() -> None:
    lattice = CellLattice((3, 2, 4), (1, 2, 2))
    labels = np.zeros(lattice.domain.shape, np.uint64)
    edges = [lattice.interval(axis) for axis in range(3)]
    for corner in np.ndindex(lattice.cells):
        ends = [(a[corner[k]], b[corner[k]]) for k, (a, b) in enumerate(edges)]
        first = [start for start, _ in ends]
        labels[tuple(slice(a, b) for a, b in ends)] = 1 + np.ravel_multi_index(first, labels.shape)
    for box, columns in lattice:
        known = object_sums(labels[box.slices], start=box.start)
        found = table_of(columns, "objects")
        assert set(known) == set(found)
        for name, column in known.items():
            assert np.array_equal(found[name], column), name
    parts = [table_of(columns, "objects") for _, columns in lattice]
    whole = object_sums(labels)
    assert all(np.array_equal(whole[n], c) for n, c in add_objects(parts).items())
    assert len(whole["id"]) == lattice.count
    assert whole["voxels"].sum() == lattice.expected(1, (5, 7, 9)).sum()


@pytest.mark.parametrize("across", [(2, 3, 2), (1, 2, 3), (6, 5, 1), (3, 2, 7)])
def test_every_cell_is_written_once_and_whole(across, tmp_path) -> None:
    lattice, bins = CellLattice((6, 5, 7), across), (9, 6, 20)
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "part-99999.parquet").write_text("of another partition")
    check(lattice, written(lattice, tmp_path, bins).totals, bins)
    files = sorted((tmp_path / "cells").iterdir())
    assert len(files) == len(lattice)
    tables = [pd.read_parquet(file) for file in files]
    assert all(table["id"].is_monotonic_increasing for table in tables)
    cells = pd.concat(tables).sort_values("id", ignore_index=True)
    known = add_objects([table_of(columns, "objects") for _, columns in lattice])
    for name in ("id", "voxels", "z_start", "y_start", "x_stop"):
        assert np.array_equal(cells[name], known[name])
    middle = sum(lattice.interval(2)) - 1  # twice the centroid
    assert np.array_equal(cells["x"], np.tile(middle / 2, 6 * 5))
    extent = np.array([np.diff(lattice.interval(k), axis=0)[0].sum() for k in range(3)])
    assert cells["voxels"].sum() == extent.prod()


def test_cells_leave_memory_with_the_partition_that_ends_them() -> None:
    """Only cells at the surface between what was seen and what was not wait."""
    lattice = CellLattice((8, 8, 8), (2, 2, 2))
    given = 0
    seen: set[int] = set()
    for (_, own, _), (_, columns) in zip(finished(lattice, lattice.domain), lattice, strict=True):
        seen |= set(columns["objects.id"].tolist())
        given += len(own["id"])
        assert len(seen) - given <= 8 * 8 + 2 * 8 + 2 * 2  # a layer, a row, a partition
    assert given == lattice.count


def peak(lattice: CellLattice, folder: Path, distances: bool) -> int:
    bins = tuple(PITCH * n // 2 for n in lattice.cells)
    tracemalloc.start()
    try:
        totals = written(lattice, folder, bins, distances=distances).totals
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    check(lattice, totals, bins)
    return held


@pytest.mark.parametrize("distances", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_memory_is_that_of_a_partition(tmp_path, monkeypatch, distances) -> None:
    """Eight times the cells, partitions of the same size: only their surface grows."""
    monkeypatch.setattr(statistics_cells, "_SHOWN", 1000)  # else the sample is most of it
    some, many = (CellLattice((n,) * 3, (16, 16, 16)) for n in (32, 64))
    written(some, tmp_path / "warm", (96, 96, 96), distances=distances)
    before = peak(some, tmp_path / "some", distances)
    assert peak(many, tmp_path / "many", distances) < 1.5 * before


@pytest.mark.slow
def test_of_many_cells_the_files_say_what_the_formula_says(tmp_path) -> None:
    side = round(float(os.environ.get("VOLKIT_TEST_CELLS", 2e6)) ** (1 / 3))
    lattice = CellLattice((side,) * 3, (min(64, side // 2),) * 3)
    bins = (PITCH * 50,) * 3
    box = Box((0, 0, 0), (PITCH * (side // 3),) * 3)
    found = written(lattice, tmp_path, bins, {"third": box})
    totals = found.totals
    check(lattice, totals, bins)
    assert found.boxes["third"]["cells"].sum() == (side // 3) ** 3
    rows = voxels = 0
    for file in (tmp_path / "cells").iterdir():
        sizes = pq.read_table(file, columns=["voxels"])["voxels"]
        rows, voxels = rows + len(sizes), voxels + pc.sum(sizes).as_py()
    assert rows == lattice.count
    assert voxels == lattice.expected(1, bins).sum()
    size = np.array([np.diff(lattice.interval(k), axis=0)[0] for k in range(3)], float)
    mean, square = (np.prod((size**k).mean(axis=1)) for k in (1, 2))
    variance = (square - mean**2) * lattice.count / (lattice.count - 1)
    assert deviation(totals) == pytest.approx(variance**0.5, rel=1e-9)
    shutil.rmtree(tmp_path / "cells")  # gigabytes, where there are a billion of them


@pytest.mark.slow
def test_of_many_cells_the_nearest_is_the_next_along_an_axis(tmp_path) -> None:
    side = round(float(os.environ.get("VOLKIT_TEST_CELLS", 3e5)) ** (1 / 3))
    lattice = CellLattice((side,) * 3, (min(64, side // 2),) * 3)
    totals = written(lattice, tmp_path, (PITCH * side,) * 3, distances=True).totals
    nearest = []
    for axis, size in enumerate((4.0, 3.0, 2.0)):
        start, stop = lattice.interval(axis)
        gap = np.diff(start + stop - 1) / 2 * size
        nearest.append(np.minimum(np.append(gap, np.inf), np.insert(gap, 0, np.inf)))
    rows = 0
    for file in sorted((tmp_path / "cells").iterdir()):
        cells = pd.read_parquet(file, columns=["id", "z_start", "y_start", "x_start"])
        near = pd.read_parquet(tmp_path / "distances" / file.name)
        assert near["id"].equals(cells["id"])
        place = [(cells[f"{axis}_start"] + 1) // PITCH for axis in "zyx"]
        known = np.min([gaps[i] for gaps, i in zip(nearest, place, strict=True)], axis=0)
        np.testing.assert_allclose(near["distance_1_nm"], known, rtol=1e-12)
        rows += len(near)
    assert totals["distance_1_nm:known"].sum() == rows == lattice.count
    shutil.rmtree(tmp_path / "cells")
    shutil.rmtree(tmp_path / "distances")
