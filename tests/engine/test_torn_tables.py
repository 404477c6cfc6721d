"""Partial tables are not waited for: those that a power failure tore are told and made again."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.cascade import Cascade, ids_on_faces
from volkit.engine.cascade_job import cascade_in_job
from volkit.engine.columns import read_columns, write_columns
from volkit.engine.job import JobEngine
from volkit.engine.op import Op, Reduction
from volkit.engine.table_levels_job import StoredLevels
from volkit.errors import SourceError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.kernels.label import touching_pairs
from volkit.kernels.label_sizes import add_sizes, label_sizes
from volkit.kernels.octree_components import rise_links, sink_links
from volkit.ops.id_lookup import meet
from volkit.ops.relabelling import present_ids, relabel_consecutive
from volkit.ops.sharded_lookup import rename_shard

LABELS = np.random.default_rng(5).integers(0, 9, (8, 8, 8)).astype(np.uint64)


def tear(path: Path, how: str) -> None:
    """Do what a power failure does to a file that nobody waited for."""
    data = path.read_bytes()
    middle = len(data) // 2
    torn = {
        "empty": b"",
        "short": data[:middle],
        "zeros": data[:60] + bytes(len(data) - 60),
        "hole": data[: middle - 8] + bytes(16) + data[middle + 8 :],
    }[how]
    assert torn != data
    path.write_bytes(torn)


def part(folder: Path, number: int) -> Path:
    return folder / "000000" / f"{number:09d}.npz"


def sizes(block, labels):
    return label_sizes(labels)


def add_where_there_is_power(parts, power: str):
    if len(parts) > 1 and not Path(power).exists():
        raise RuntimeError("the power went out")
    return add_sizes(parts)


@pytest.mark.parametrize("how", ["empty", "short", "zeros", "hole"])
def test_a_torn_part_of_a_reduction_is_made_again(how, tmp_path: Path, caplog) -> None:
    volume, told, power = open_volume(LABELS), {}, tmp_path / "power"
    grid = Grid(volume.domain, (4, 4, 4))
    reduction = Reduction(sizes, partial(add_where_there_is_power, power=str(power)))
    with pytest.raises(Exception, match="the power went out"):
        JobEngine(tmp_path / "run").reduce(reduction, volume, grid=grid, name="sizes")
    tear(part(tmp_path / "run" / "sizes.parts" / "0", 3), how)
    power.touch()

    def hear(state):
        told[state.stage] = state.done - state.resumed

    again = JobEngine(tmp_path / "run", on_progress=hear)
    found = again.reduce(reduction, volume, grid=grid, name="sizes")
    ids, counts = np.unique(LABELS[LABELS > 0], return_counts=True)
    np.testing.assert_array_equal(found["id"], ids)
    np.testing.assert_array_equal(found["voxels"], counts)
    assert told == {"sizes": 0, "sizes.parts/1": 1}
    assert "000000003.npz was torn, and is made again" in caplog.text


def links(block, labels):
    core = block.write.relative_to(block.read)
    a, b = touching_pairs(labels, core, connectivity=26)
    return {"a": a, "b": b, **ids_on_faces(labels, core)}


def named(block, labels, shards):
    return rename_shard(block, labels, shards)


@pytest.mark.parametrize("how", ["empty", "short", "zeros", "hole"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_torn_table_of_a_cascade_is_made_again(level, how, tmp_path: Path, caplog) -> None:
    volume = open_volume(LABELS)
    grid = Grid(volume.domain, (2, 4, 4))
    tree = cascade_in_job(
        JobEngine(tmp_path), Cascade(links, rise_links, halo=(1, 1, 1)), volume, grid=grid, name="x"
    )
    torn = part(tmp_path / "x.parts" / str(level), 0)
    before = read_columns(Place.at(torn))
    tear(torn, how)
    found = tree.map(Op(named, dtype=np.uint64), volume, sink=sink_links, name="y")
    expected = np.where(LABELS > 0, 1, 0)  # so many voxels of so few labels are all one
    np.testing.assert_array_equal(found.read(), expected)
    after = read_columns(Place.at(torn))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert caplog.text.count("was torn, and is made again") == 1


def test_torn_tables_that_were_made_of_torn_ones(tmp_path: Path, caplog) -> None:
    volume = open_volume(LABELS)
    grid = Grid(volume.domain, (2, 4, 4))
    engine = JobEngine(tmp_path)
    relabel_consecutive(volume, grid=grid, engine=engine)
    for folder in (tmp_path / "consecutive_lookup.parts").iterdir():
        for path in folder.rglob("*.npz"):
            tear(path, "short")
    again = relabel_consecutive(volume, grid=grid, engine=JobEngine(tmp_path), name="consecutive")
    np.testing.assert_array_equal(again.read(), LABELS)  # done already: nothing is read
    assert not caplog.text
    levels = StoredLevels(engine, "consecutive_lookup")
    ids = meet_again(engine, volume, grid)
    assert isinstance(ids.levels, StoredLevels)
    assert ids.levels == levels
    found = ids.rename(ids.numbered(), volume, name="again")
    np.testing.assert_array_equal(found.read(), LABELS)
    assert caplog.text.count("made again") > 20


def test_what_lasts_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    """Tables that stay have no maker that stands by: a torn one is an error that says so."""
    place = Place.at(tmp_path / "x.npz")
    write_columns(place, {"a": np.arange(50)})
    tear(tmp_path / "x.npz", "short")
    with pytest.raises(SourceError, match=r"cannot read the table .*x\.npz .*; delete it and run"):
        read_columns(place)


class Slow:
    """A column of which two writers are in the middle at the same time."""

    def __init__(self, meet: threading.Barrier) -> None:
        self.meet = meet

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        self.meet.wait(timeout=60)
        return np.arange(50)


def test_two_may_write_the_same_table_at_once(tmp_path: Path) -> None:
    """As when several threads find the same torn one, and each makes it again."""
    place, meet = Place.at(tmp_path / "x.npz"), threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(write_columns, place, {"a": Slow(meet)}) for _ in range(2)]
    assert [one.result() for one in both] == [None, None]
    np.testing.assert_array_equal(read_columns(place)["a"], np.arange(50))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_a_part_that_is_gone_is_made_again_from_its_mark(tmp_path: Path) -> None:
    """Whoever begins a level counts its files; nobody has to know what a mark was worth."""
    volume = open_volume(LABELS)
    grid = Grid(volume.domain, (2, 4, 4))
    how = {"grid": grid, "name": "x"}
    cascade = Cascade(links, rise_links, halo=(1, 1, 1))
    cascade_in_job(JobEngine(tmp_path), cascade, volume, **how)
    part(tmp_path / "x.parts" / "0", 5).unlink()
    told = []
    again = JobEngine(tmp_path, on_progress=told.append)
    tree = cascade_in_job(again, cascade, volume, **how)
    assert {state.stage: state.done - state.resumed for state in told}["x"] == 1
    found = tree.map(Op(named, dtype=np.uint64), volume, sink=sink_links, name="y")
    np.testing.assert_array_equal(found.read(), np.where(LABELS > 0, 1, 0))


def meet_again(engine, volume, grid):
    return meet(engine, present_ids, volume, ordered=True, grid=grid, name="consecutive_lookup")
