"""JobEngine: resume, stale ledgers, and one writer per stored object (laws 5 and 6)."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.base import Progress
from volkit.engine.job import JobEngine, check_aligned
from volkit.engine.ledger import Ledger
from volkit.engine.map_task import MapTask
from volkit.engine.op import Op, Reduction
from volkit.errors import BlockFailedError, GeometryError, StaleLedgerError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.testing.blocks import (
    COUNTS,
    NEIGHBOUR_SUM,
    add_counts,
    count_values,
    fail_at,
    log_block,
    neighbour_sum,
)

RAW = np.random.default_rng(5).integers(0, 9, (12, 12, 12), np.uint8)


@pytest.fixture
def raw(tmp_path: Path):
    volume = create_volume(str(tmp_path / "raw.zarr"), shape=RAW.shape, dtype=np.uint8)
    volume.write(volume.domain, RAW)
    return open_volume(str(tmp_path / "raw.zarr"))


def grid_of(volume) -> Grid:
    return Grid(volume.domain, (4, 4, 4))


def contents(root: Path) -> dict[str, bytes]:
    """Every stored byte of the voxels and tables under a folder."""
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file()
        and "ledger" not in str(p)
        and ".json" not in p.name  # drafts of killed writers too
    }


def test_finished_blocks_are_not_computed_again(raw, tmp_path: Path) -> None:
    log = tmp_path / "log"
    op = Op(log_block, dtype=np.int64, halo=(1, 1, 1), params={"log": str(log)})
    for _ in range(2):
        JobEngine(tmp_path / "run").map(op, raw, grid=grid_of(raw), name="sum")
    assert sorted(map(int, log.read_text().split())) == list(range(27))


def test_a_poisoned_block_keeps_the_finished_ones(raw, tmp_path: Path) -> None:
    seen: list[Progress] = []
    op = Op(fail_at, dtype=np.uint8, params={"number": 20})
    engine = JobEngine(tmp_path / "run", on_progress=seen.append)
    with pytest.raises(RuntimeError, match="poisoned") as caught:
        engine.map(op, raw, grid=grid_of(raw), name="copy")
    assert any("block (2, 0, 2)" in note for note in caught.value.__notes__)
    assert seen[-1].done == 26, "all others are finished"
    ledger = Ledger(Place.at(tmp_path / "run" / "copy.ledger"), 27, "")
    assert [f["number"] for f in ledger.failures()] == [20]
    assert ledger.failures()[0]["attempts"] == 3
    with pytest.raises(BlockFailedError, match=r"1 block failed 3 times and was set aside: 20\."):
        engine.map(op, raw, grid=grid_of(raw), name="copy")
    assert seen[-1].resumed == 26


def test_a_block_run_twice_equals_once(raw, tmp_path: Path) -> None:
    engine = JobEngine(tmp_path / "run")
    target = engine.map(NEIGHBOUR_SUM, raw, grid=grid_of(raw), name="sum")
    before = contents(tmp_path / "run")
    task = MapTask(NEIGHBOUR_SUM, grid_of(raw).with_halo((1, 1, 1)), (raw,), (), target)
    for number in (0, 13, 13):
        task(number)
    assert contents(tmp_path / "run") == before


def test_another_computation_is_refused_then_replaced(raw, tmp_path: Path) -> None:
    root, grid = tmp_path / "run", grid_of(raw)
    add = [Op(_add, dtype=np.uint8, params={"amount": n}) for n in (1, 2)]
    JobEngine(root).map(add[0], raw, grid=grid, name="more")
    with pytest.raises(StaleLedgerError, match=r"params\.amount: 1 became 2"):
        JobEngine(root).map(add[1], raw, grid=grid, name="more")
    fresh = JobEngine(root, replace_stale=True).map(add[1], raw, grid=grid, name="more")
    np.testing.assert_array_equal(fresh.read(), RAW + 2)


def _add(block, values, *, amount):
    return (values + amount).astype(np.uint8)


def test_another_input_is_another_computation(raw, tmp_path: Path) -> None:
    root, grid = tmp_path / "run", grid_of(raw)
    JobEngine(root).map(NEIGHBOUR_SUM, raw, grid=grid, name="sum")
    with pytest.raises(StaleLedgerError, match="inputs"):
        JobEngine(root).map(NEIGHBOUR_SUM, open_volume(RAW), grid=grid, name="sum")


def test_a_changed_input_reaches_everything_below(raw, tmp_path: Path) -> None:
    root, grid = tmp_path / "run", grid_of(raw)
    first = JobEngine(root).map(_op(1), raw, grid=grid, name="first")
    JobEngine(root).map(NEIGHBOUR_SUM, first, grid=grid, name="second")
    first = JobEngine(root, replace_stale=True).map(_op(2), raw, grid=grid, name="first")
    with pytest.raises(StaleLedgerError, match="inputs"):
        JobEngine(root).map(NEIGHBOUR_SUM, first, grid=grid, name="second")


def test_a_volume_that_no_job_made_is_never_replaced(raw, tmp_path: Path) -> None:
    own = create_volume(str(tmp_path / "run" / "sum.zarr"), shape=RAW.shape, dtype=np.uint8)
    own.write(own.domain, RAW)
    engine = JobEngine(tmp_path / "run", replace_stale=True)
    with pytest.raises(StaleLedgerError, match="another output"):
        engine.map(NEIGHBOUR_SUM, raw, grid=grid_of(raw), name="sum")
    np.testing.assert_array_equal(own.read(), RAW)


def _op(amount: int) -> Op:
    return Op(_add, dtype=np.uint8, params={"amount": amount})


def test_removed_voxels_are_computed_again(raw, tmp_path: Path) -> None:
    import shutil

    engine = JobEngine(tmp_path / "run")
    expected = engine.map(NEIGHBOUR_SUM, raw, grid=grid_of(raw), name="sum").read()
    shutil.rmtree(tmp_path / "run" / "sum.zarr")
    again = JobEngine(tmp_path / "run").map(NEIGHBOUR_SUM, raw, grid=grid_of(raw), name="sum")
    np.testing.assert_array_equal(again.read(), expected)


def test_removed_tables_are_computed_again(raw, tmp_path: Path) -> None:
    engine = JobEngine(tmp_path / "run")
    expected = engine.reduce(COUNTS, raw, grid=grid_of(raw), name="counts")
    (tmp_path / "run" / "counts.npz").unlink()
    again = engine.reduce(COUNTS, raw, grid=grid_of(raw), name="counts")
    assert again["count"].tolist() == expected["count"].tolist()


def test_a_reduction_is_read_back_not_computed_again(raw, tmp_path: Path) -> None:
    log = tmp_path / "log"
    counts = Reduction(_logged_counts, add_counts, params={"log": str(log)})
    for _ in range(2):
        JobEngine(tmp_path / "run").reduce(counts, raw, grid=grid_of(raw), name="counts")
    assert sorted(map(int, log.read_text().split())) == list(range(27))
    changed = Reduction(_logged_counts, add_counts, params={"log": str(log)}, version=2)
    with pytest.raises(StaleLedgerError, match="version: 1 became 2"):
        JobEngine(tmp_path / "run").reduce(changed, raw, grid=grid_of(raw), name="counts")


def _logged_counts(block, values, *, log):
    with Path(log).open("a") as file:
        file.write(f"{block.number}\n")
    return count_values(block, values)


def test_a_table_travels_as_a_handle(raw, tmp_path: Path) -> None:
    engine = JobEngine(tmp_path / "run")
    table = engine.reduce(COUNTS, raw, grid=grid_of(raw), name="counts")
    rename = Op(_rename, dtype=np.int64)
    out = engine.map(rename, raw, grid=grid_of(raw), name="renamed", shared=(table,))
    np.testing.assert_array_equal(out.read(), np.bincount(RAW.ravel())[RAW])
    assert len(list((tmp_path / "run" / "shared").glob("*.npz"))) == 1


def _rename(block, values, table):
    return table["count"][np.searchsorted(table["value"], values)]


def test_blocks_that_share_a_stored_object_are_refused(tmp_path: Path) -> None:
    stored = create_volume(
        str(tmp_path / "a.zarr"),
        shape=(32, 32, 32),
        dtype=np.uint8,
        chunk_shape=(8, 8, 8),
        shard_shape=(16, 16, 16),
    )
    check_aligned(Grid(stored.domain, (16, 32, 48)), stored)
    with pytest.raises(GeometryError, match="24 voxels on axis y.*block_shape of 32"):
        check_aligned(Grid(stored.domain, (16, 24, 16)), stored)


def test_a_large_grid_reduces_over_levels(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 4, (20, 20, 20), np.uint8)
    grid = Grid(Box.from_shape(values.shape), (1, 1, 1))  # 8,000 blocks: cubes of 64, three levels
    table = JobEngine(tmp_path).reduce(COUNTS, open_volume(values), grid=grid, name="counts")
    assert table["count"].tolist() == np.bincount(values.ravel()).tolist()
    assert not (tmp_path / "counts.parts").exists()


@pytest.mark.parametrize("stage", ["map", "reduce"])
@pytest.mark.parametrize("delay", [0.05, 0.25])
def test_sigkill_at_any_time_leaves_the_same_bytes(
    raw, tmp_path: Path, stage, delay, warm_python
) -> None:
    script = (
        "import sys\n"
        "from volkit.engine.job import JobEngine\n"
        "from volkit.geometry import Grid\n"
        "from volkit.io import open_volume\n"
        "from volkit.testing.blocks import COUNTS, NEIGHBOUR_SUM\n"
        "raw = open_volume(sys.argv[1])\n"
        "engine, grid = JobEngine(sys.argv[2]), Grid(raw.domain, (2, 2, 2))\n"
        "print('ready', flush=True)\n"
        "engine.map(NEIGHBOUR_SUM, raw, grid=grid, name='sum') if sys.argv[3] == 'map' else "
        "engine.reduce(COUNTS, raw, grid=grid, name='counts')\n"
    )

    def start(root: Path):
        return warm_python.begin("-c", script, raw.uri, root, stage)

    with start(tmp_path / "undisturbed") as process:
        assert process.wait().returncode == 0
    with start(tmp_path / "killed") as process:
        process.wait_for(process.out.read_text)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
    with start(tmp_path / "killed") as process:
        assert process.wait().returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    "moment",
    [
        "os.replace",  # the table is written, and not yet under its name
        "volkit.engine.final_table.digest",  # under its name, without what says whose it is
        "volkit.engine.tree.clear_parts",  # finished, its parts still there
        "volkit.io.objects.folder.shutil.rmtree",
    ],
)
def test_a_reduction_killed_at_its_end_leaves_what_an_undisturbed_one_does(
    raw, tmp_path: Path, moment, warm_python
) -> None:
    script = (
        "import os, signal, sys\n"
        "from unittest.mock import patch\n"
        "from volkit.engine.job import JobEngine\n"
        "from volkit.engine.tree import read_part\n"
        "from volkit.geometry import Grid\n"
        "from volkit.io import open_volume\n"
        "from volkit.testing.blocks import COUNTS\n"
        "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
        "def last(*given):\n"
        "    table = read_part(*given)\n"
        "    if given[1] == 0 and len(given[0].cubes) == 1: patch(sys.argv[3], die).start()\n"
        "    return table\n"
        "if len(sys.argv) > 3: patch('volkit.engine.tree.read_part', last).start()\n"
        "raw = open_volume(sys.argv[1])\n"
        "engine, grid = JobEngine(sys.argv[2]), Grid(raw.domain, (4, 4, 4))\n"
        "engine.reduce(COUNTS, raw, grid=grid, name='counts')\n"
    )
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    assert warm_python("-c", script, raw.uri, killed, moment).returncode == -signal.SIGKILL
    assert contents(killed)
    assert any(killed.glob("counts.parts/*"))
    for root in (killed, undisturbed):
        assert warm_python("-c", script, raw.uri, root).returncode == 0
    assert contents(killed) == contents(undisturbed)
    assert not any("part" in path.name for path in killed.iterdir())


@pytest.mark.parametrize("left", [[], ["0"], ["0", "zarr.0a1b.partial"]])
def test_what_a_creation_left_that_was_killed_is_no_obstacle(raw, tmp_path: Path, left) -> None:
    target = tmp_path / "run" / "sum.zarr"
    target.mkdir(parents=True)
    for name in left:
        (target / name).mkdir() if name == "0" else (target / name).write_bytes(b"{")
    made = JobEngine(tmp_path / "run").map(NEIGHBOUR_SUM, raw, grid=grid_of(raw), name="sum")
    other = JobEngine(tmp_path / "other").map(NEIGHBOUR_SUM, raw, grid=grid_of(raw), name="sum")
    np.testing.assert_array_equal(made.read(), other.read())


def test_planning_a_million_blocks_makes_no_list(tmp_path: Path) -> None:
    import tracemalloc

    grid = Grid(Box.from_shape((25_600, 25_600, 25_600)), (256, 256, 256))
    assert len(grid) == 1_000_000
    tracemalloc.start()
    walk = grid.morton()
    first = [next(walk) for _ in range(1000)]
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert len(set(first)) == 1000


def test_neighbours_by_hand() -> None:
    block = Grid(Box.from_shape((2, 2, 2)), (2, 2, 2))[0]
    assert (
        neighbour_sum(block, np.ones((2, 2, 2), np.uint8)).tolist()
        == np.full((2, 2, 2), 8).tolist()
    )
