"""Names of ids that may stand anywhere: exact for every grid and engine, with no table of all."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.bench.in_memory import InMemory
from volkit.engine.cluster import local_client
from volkit.engine.columns import read_columns
from volkit.engine.job import JobEngine
from volkit.engine.rounds import Rounds
from volkit.geometry import Grid
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.ops.relabelling import relabel_consecutive, remove_small
from volkit.testing.strategies import label_volumes

BLOCK = (8, 8, 8)


def consecutive_of(labels: np.ndarray) -> np.ndarray:
    ids, where = np.unique(labels, return_inverse=True)
    return where.reshape(labels.shape) + int(ids[0] != 0)


def without_small(labels: np.ndarray, smallest: int) -> np.ndarray:
    _, where, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.where(counts[where].reshape(labels.shape) < smallest, 0, labels)


@given(
    labels=label_volumes((7, 6, 9)),
    block_shape=st.tuples(st.integers(1, 8), st.integers(2, 7), st.integers(1, 10)),
    smallest=st.integers(0, 60),
)
@settings(max_examples=20)
def test_any_grid_gives_the_names_of_the_whole(labels, block_shape, smallest) -> None:
    """Ids of hypothesis stand in many places, and reach 2**64 - 1."""
    volume = open_volume(labels)
    where = {"grid": Grid(volume.domain, block_shape), "engine": InMemory()}
    np.testing.assert_array_equal(relabel_consecutive(volume, **where), consecutive_of(labels))
    found = remove_small(volume, smallest=smallest, **where)
    np.testing.assert_array_equal(found, without_small(labels, smallest))


@pytest.mark.parametrize("block_shape", [(13, 15, 19), (5, 8, 7), (4, 5, 8)])
def test_all_engines_agree(block_shape, tmp_path: Path) -> None:
    """One block, 18, and 36: none, one and two rounds."""
    rng = np.random.default_rng(3)
    known = np.unique(rng.integers(1, 2**64 - 1, 400, np.uint64, endpoint=True))
    labels = rng.choice(np.append(known, np.uint64(0)), (13, 15, 19))
    volume = open_volume(labels)
    grid = Grid(volume.domain, block_shape)
    assert Rounds(len(grid)).count == {1: 0, 18: 1, 36: 2}[len(grid)]
    numbered, large = consecutive_of(labels), without_small(labels, 9)
    assert 0 < (large != labels).sum() < labels.size
    for engine in (JobEngine(tmp_path / "run"), InMemory(), None):
        found = relabel_consecutive(volume, grid=grid, engine=engine)
        kept = remove_small(volume, smallest=9, grid=grid, engine=engine)
        if engine is None:
            found, kept = (x.compute(scheduler="sync") for x in (found, kept))
        elif isinstance(engine, JobEngine):
            found, kept = found.read(), kept.read()
        np.testing.assert_array_equal(found, numbered)
        np.testing.assert_array_equal(kept, large)


def most_rows(folder: Path) -> int:
    """The most rows of any table that a task reads or writes."""
    tables = [read_columns(Place.at(path)) for path in folder.rglob("*.npz")]
    return max(len(column) for table in tables for column in table.values())


IDS = {
    "voxels": lambda n: np.arange(1, n + 1),
    "far": lambda n: np.arange(1, n + 1) * (2**62 // int(n)),
    "heaps": lambda n: np.where(np.arange(n) % 5, np.arange(1, n + 1), 2**62 + np.arange(n)),
    "squares": lambda n: np.arange(1, n + 1) ** 3,
}


@pytest.mark.parametrize(
    ("work", "kind"), [*((relabel_consecutive, kind) for kind in IDS), (remove_small, "heaps")]
)
def test_no_table_grows_with_the_number_of_ids(work, kind, tmp_path: Path) -> None:
    """Every voxel has an id of its own: 512 in a block, in 34 and in 68 blocks."""
    most = []
    for blocks in (34, 68):
        shape = (8, 8, 8 * blocks)
        labels = IDS[kind](np.prod(shape)).astype(np.uint64).reshape(shape)
        assert len(np.unique(labels)) == labels.size
        volume, folder = open_volume(labels), tmp_path / str(blocks)
        more = {} if work is relabel_consecutive else {"smallest": 2}
        grid = Grid(volume.domain, BLOCK)
        found = work(volume, grid=grid, engine=JobEngine(folder), **more).read()
        expected = 0 if more else consecutive_of(labels)
        np.testing.assert_array_equal(found, expected)
        samples = min(4096, labels.size) * (work is relabel_consecutive)
        assert most_rows(folder) <= max(samples, 1.25 * 512)
        rows = [most_rows(path) for path in folder.glob("*.parts/[rnt]*[0-9s]")]  # all but samples
        most.append(max(rows))
    # Keys that are chance or counted are never quite even; there is no other trend.
    assert max(most) <= 1.25 * 512


def test_a_killed_numbering_takes_up_where_it_was(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 300, (16, 16, 48)).astype(np.uint64)
    volume, told = open_volume(labels), []
    grid = Grid(volume.domain, (4, 8, 8))
    relabel_consecutive(volume, grid=grid, engine=JobEngine(tmp_path))
    parts = tmp_path / "consecutive_lookup.parts"
    (parts / "round-2" / "000000" / "000000007.npz").unlink()
    (parts / "names" / "000000" / "000000003.npz").unlink()
    engine = JobEngine(tmp_path, on_progress=told.append)
    again = relabel_consecutive(volume, grid=grid, engine=engine)
    fresh = {state.stage: state.done - state.resumed for state in told}
    assert {name: count for name, count in fresh.items() if count} == {
        "consecutive_lookup.parts/round-2": 1,
        "consecutive_lookup.parts/names": 1,
    }
    np.testing.assert_array_equal(again.read(), consecutive_of(labels))


def test_another_size_lists_no_ids_again(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 300, (16, 16, 48)).astype(np.uint64)
    volume, told = open_volume(labels), []
    grid = Grid(volume.domain, (4, 8, 8))
    remove_small(volume, smallest=40, grid=grid, engine=JobEngine(tmp_path))
    engine = JobEngine(tmp_path, on_progress=told.append, replace_stale=True)
    found = remove_small(volume, smallest=42, grid=grid, engine=engine).read()
    np.testing.assert_array_equal(found, without_small(labels, 42))
    fresh = {state.stage: state.done - state.resumed for state in told}
    listed = ["filtered_sizes", "filtered_sizes.parts/round-1", "filtered_sizes.parts/round-2"]
    assert [fresh[stage] for stage in listed] == [0, 0, 0]
    assert fresh["filtered"] == len(grid)


@pytest.mark.slow
def test_workers_in_processes_give_the_same(tmp_path: Path) -> None:
    """Tasks travel, with the functions that say which tables they read."""
    rng = np.random.default_rng(6)
    stored = create_volume(tmp_path / "labels.zarr", shape=(16, 16, 40), dtype=np.uint64)
    labels = rng.choice(np.array([0, 7, 2**40, 2**63, *range(10, 90)], np.uint64), stored.shape)
    stored.write(stored.domain, labels)
    grid = Grid(stored.domain, (8, 8, 8))
    with local_client(2, memory_limit="2GB") as client:
        where = {"grid": grid, "engine": JobEngine(tmp_path / "run", client)}
        found = relabel_consecutive(stored, **where).read()
        kept = remove_small(stored, smallest=120, **where).read()
    np.testing.assert_array_equal(found, consecutive_of(labels))
    np.testing.assert_array_equal(kept, without_small(labels, 120))
    assert 0 < (kept != labels).sum() < labels.size
