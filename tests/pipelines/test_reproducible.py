"""Sample blocks of a finished run computed again: the same bytes, or a difference that is told."""

from pathlib import Path

import numpy as np
import pytest

from volkit.engine.ledger import Ledger, read_header
from volkit.engine.replay import sample_blocks
from volkit.errors import ConfigError, SourceError, StaleLedgerError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.pipelines import segment_neurons
from volkit.pipelines.registry import Workflow, read_workflow
from volkit.pipelines.reproducible import check_reproducible
from volkit.testing.workflows import tiny_workflow


@pytest.fixture
def run(tmp_path: Path) -> Workflow:
    workflow = read_workflow(tiny_workflow(tmp_path, shape=(24, 32, 20)))
    segment_neurons.run(workflow.config)
    return workflow


def test_a_run_is_reproduced(finished) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*")}
    rows = check_reproducible(finished.workflow, blocks=3)
    assert [(row.stage, row.kind, row.checked) for row in rows] == [
        ("prob", "blocks", 3),
        ("seed_parts", "blocks", 3),
        ("seeds", "blocks", 3),
        ("fragments", "blocks", 3),
        ("region_graph", "table", 1),
        ("labels", "blocks", 3),
    ]
    assert not any(row.differences for row in rows)
    assert before == {p: p.stat().st_mtime_ns for p in finished.folder.rglob("*")}


def test_other_voxels_are_found(run: Workflow) -> None:
    labels = open_volume(Path(run.config.output) / "labels.zarr")
    box = Box((12, 16, 0), (24, 32, 20))
    values = labels.read(box)
    values[0, 0, :2] += 3
    labels.write(box, values)
    (row,) = [row for row in check_reproducible(run) if row.differences]
    (found,) = row.differences
    assert (row.stage, found.box, found.voxels, found.most) == ("labels", box, 2, 3.0)


def test_another_check_sum_is_found(run: Workflow) -> None:
    place = Place.at(run.config.output).inside("prob.ledger")
    header = read_header(place)
    assert header is not None
    Ledger(place, header["total"], header["fingerprint"]).mark([0], [0.1], [12345])
    (row,) = [row for row in check_reproducible(run) if row.differences]
    assert (row.stage, row.differences[0].number, row.differences[0].voxels) == ("prob", 0, 0)


def test_unfinished_and_other_runs_are_refused(run: Workflow) -> None:
    other = read_workflow(run.path, ["infer.weights=constant"])
    with pytest.raises(StaleLedgerError, match=r"prob is of another .*gaussian became constant"):
        check_reproducible(other)
    with pytest.raises(ConfigError, match="check at least 1"):
        check_reproducible(run, blocks=0)
    nothing = read_workflow(run.path, [f"output={run.path.parent / 'nothing'}"])
    with pytest.raises(SourceError, match="stage prob of .* is not finished"):
        check_reproducible(nothing)
    assert not (run.path.parent / "nothing").exists()


def test_pipelines_without_blocks_say_so(run: Workflow) -> None:
    file = run.path.with_name("mirror.yaml")
    file.write_text("pipeline: mirror\ninput: {image: image.zarr}\noutput: copy.zarr\n")
    with pytest.raises(ConfigError, match="mirror has no stages that can be computed again"):
        check_reproducible(read_workflow(file))


def test_corners_and_the_middle_are_always_among_the_samples() -> None:
    grid = Grid(Box.from_shape((30, 50, 70)), (10, 10, 10))
    every = np.ones(len(grid), bool)
    chosen = sample_blocks(grid, 20, every, seed=1)
    assert len(set(chosen)) == 20
    corners = [grid.block((z, y, x)).number for z in (0, 2) for y in (0, 4) for x in (0, 6)]
    assert {*corners, grid.block((1, 2, 3)).number} <= set(chosen)
    assert chosen == sample_blocks(grid, 20, every, seed=1)
    assert chosen != sample_blocks(grid, 20, every, seed=2)
    assert sample_blocks(grid, 9, every & False, seed=1) == []
    assert sample_blocks(grid, 10**6, every, seed=1) == list(range(len(grid)))
