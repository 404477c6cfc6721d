"""What a block is sent of lookup tables: the rows of its own ids, however large the volume is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from volkit.bench.in_memory import InMemory
from volkit.engine.columns import read_columns
from volkit.engine.job import JobEngine
from volkit.engine.op import is_columns
from volkit.engine.rounds import Rounds
from volkit.engine.segments import SEGMENT_ROWS, SegmentedColumns
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.io.volume import Volume
from volkit.kernels.label import label_components
from volkit.kernels.relabel import present_labels
from volkit.kernels.seeds import SeedOptions
from volkit.ops.affinity_agglomeration import affinity_agglomerate
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, affinity_watershed
from volkit.ops.components import components_of, connected_components
from volkit.ops.fragments import FragmentOptions, seeds
from volkit.ops.relabelling import relabel_consecutive

BLOCK = (8, 8, 8)
OPTIONS = AffinityOptions(NEAREST, low=0.2, high=0.95)


class Watched(JobEngine):
    """A job that keeps what it sends to the blocks of every stage."""

    sent: dict[str, tuple[Any, Grid, tuple[Any, ...]]]

    def map(self, op, *inputs, grid, name, shared=()):
        found = super().map(op, *inputs, grid=grid, name=name, shared=shared)
        self.sent[name] = (inputs[0], grid, shared)
        return found


@pytest.fixture
def watched(tmp_path: Path):
    def make(name: str) -> Watched:
        engine = Watched(tmp_path / name)
        object.__setattr__(engine, "sent", {})
        return engine

    return make


def rows(engine: Watched) -> dict[str, int]:
    """The most rows that any block of a stage gets."""
    found = {}
    for name, (labels, grid, shared) in engine.sent.items():
        for value in shared:
            tables = [_table(value, labels, block) for block in grid]
            found[name] = max(max(map(len, table.values())) for table in tables)
    return found


def _table(value, labels, block):
    if isinstance(value, SegmentedColumns):
        return value.of(present_labels(labels.read(block.write)))
    return value if is_columns(value) else value.of(block.number)


def tissue(copies: int, levels: int | None) -> np.ndarray:
    """The same values again and again along x, mirrored: larger, and nowhere different."""
    values = gaussian_filter(np.random.default_rng(3).random((3, 8, 16, 16)), (0, 1, 1, 1))
    values = (values - values.min()) / np.ptp(values)
    values = values if levels is None else np.rint(values * levels) / levels
    parts = [values if n % 2 == 0 else values[..., ::-1] for n in range(copies)]
    return np.concatenate(parts, axis=-1).astype(np.float32)


@pytest.mark.parametrize("levels", [6, None])
def test_watersheds_send_what_lies_at_the_block(levels, watched) -> None:
    most, total = [], []
    for copies in (4, 8):
        volume = open_volume(tissue(copies, levels))
        engine, grid = watched(str(copies)), Grid(volume.domain, BLOCK)
        pieces = affinity_watershed(volume, options=OPTIONS, grid=grid, engine=engine)
        most.append(rows(engine))
        total.append(len(np.unique(pieces.read())))
    assert set(most[0]) == {"divided", "fragments"}
    assert (most[0]["divided"] > 0) == (levels is not None)
    for stage in most[0]:
        assert most[1][stage] <= most[0][stage]
    assert total[1] > 1.9 * total[0] > 9 * most[1]["fragments"]


@pytest.mark.parametrize("connectivity", [6, 26])
def test_components_send_what_lies_at_the_block(connectivity, watched) -> None:
    most, total = [], []
    for copies in (4, 8):
        volume = open_volume(tissue(copies, None)[0])
        engine, grid = watched(str(copies)), Grid(volume.domain, BLOCK)
        how = {"connectivity": connectivity, "grid": grid, "engine": engine}
        found = connected_components(volume, threshold=0.6, **how, name="map")
        components_of(open_volume((volume.read() > 0.6).astype(np.uint8)), **how, name="equal")
        most.append(rows(engine))
        total.append(len(np.unique(found.read())))
    assert set(most[0]) == {"map", "equal"}
    assert 0 < max(most[1].values()) <= max(most[0].values())
    assert total[1] > 1.8 * total[0]


def test_seeds_send_what_lies_at_the_block(tmp_path: Path) -> None:
    """No table of boxes grows with the tissue, up or down, and floods are sent none."""
    options = FragmentOptions(
        seeds=SeedOptions(cap=3, sigma=0.5, radius=2, min_distance=0.5),
        tile=(8, 8, 8),
        halo=(4, 4, 4),
    )
    most, total = [], []
    for copies in (4, 8, 16):
        volume = open_volume(tissue(copies, None)[0])
        engine = JobEngine(tmp_path / str(copies))
        grid = Grid(volume.domain, BLOCK)
        found = seeds(volume, options=options, grid=grid, engine=engine)
        tables = [
            read_columns(Place.at(path))
            for path in (tmp_path / str(copies)).glob("*.parts/*/*/*.npz")
        ]
        most.append(max(len(column) for table in tables for column in table.values()))
        total.append(len(np.unique(found.read())))
    assert 0 < most[2] <= most[1] <= most[0] < total[0]
    assert total[2] > 1.8 * total[1] > 1.8**2 * total[0]


def test_tables_of_the_whole_are_cut_by_place(watched) -> None:
    """Many ids: a block of 512 voxels gets 512 rows at most, whatever the table has."""
    most = []
    for copies in (20, 40):
        shape = (8, 16, 16 * copies)
        labels = np.arange(1, 1 + np.prod(shape), dtype=np.uint64).reshape(shape)
        volume, engine = open_volume(labels), watched(str(copies))
        where = {"grid": Grid(volume.domain, BLOCK), "engine": engine}
        affinities = pairs_on_x(shape)
        result = affinity_agglomerate(volume, affinities, options=OPTIONS, threshold=0.5, **where)
        expected = labels - (labels + np.uint64(1)) % np.uint64(2)
        np.testing.assert_array_equal(result.read(), expected)
        ((_, _, (handle,)),) = engine.sent.values()
        assert isinstance(handle, SegmentedColumns)
        most.append(max(rows(engine).values()))
        read = [len(handle.needed(labels[block.write.slices].ravel())) for block in where["grid"]]
        assert max(read) <= 2
    assert most[0] == most[1] == 256
    assert labels.size > 4 * SEGMENT_ROWS


def pairs_on_x(shape: tuple[int, int, int]) -> Volume:
    affinities = np.zeros((3, *shape), np.float32)
    affinities[2, :, :, 1::2] = 1
    return open_volume(affinities)


def test_a_dask_graph_sends_no_block_the_table() -> None:
    """What a block's task depends on is its labels and the rows that were picked for it."""
    shape = (8, 16, 32)
    labels = open_volume(np.arange(1, 1 + np.prod(shape), dtype=np.uint64).reshape(shape))
    grid = Grid(labels.domain, BLOCK)
    result = affinity_agglomerate(
        labels, pairs_on_x(shape), options=OPTIONS, threshold=0.5, grid=grid
    )
    graph = dict(result.__dask_graph__())
    names = {key: str(getattr(task, "func", "")) for key, task in graph.items()}
    tables = [key for key, name in names.items() if "_merged" in name]
    blocks = [key for key, name in names.items() if "_applied" in name]
    assert len(tables) == 1
    assert len(blocks) == 8
    assert not any(tables[0] in graph[key].dependencies for key in blocks)
    picked = [key for key, name in names.items() if "_picked" in name]
    assert all(tables[0] in graph[key].dependencies for key in picked)


def test_a_dask_graph_has_no_task_that_sees_all_ids() -> None:
    labels = label_components(tissue(2, None)[0] > 0.5, connectivity=6)
    grid = Grid(open_volume(labels).domain, (4, 4, 4))
    result = relabel_consecutive(open_volume(labels), grid=grid)
    graph = dict(result.__dask_graph__())
    made = [task for task in graph.values() if "_made" in str(getattr(task, "func", ""))]
    fan = Rounds(len(grid)).fan
    assert len(grid) == 64
    assert len(made) > 5 * 64
    assert max(len(task.dependencies) for task in made) <= fan + 1 < 10


def test_engines_that_give_arrays_let_tables_rise_and_sink_too() -> None:
    volume = open_volume(tissue(2, 6))
    grid = Grid(volume.domain, (5, 8, 9))
    found = affinity_watershed(volume, options=OPTIONS, grid=grid, engine=InMemory())
    expected = affinity_watershed(volume, options=OPTIONS, grid=Grid(volume.domain, volume.shape))
    np.testing.assert_array_equal(found, expected.compute(scheduler="sync"))
    assert len(np.unique(found)) > 100
