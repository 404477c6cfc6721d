"""Plans: the arithmetic of products equals counting block by block."""

from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.engine.op import Op
from volkit.geometry import Box, Grid, Windows
from volkit.geometry.over_blocks import network_passes, voxels_read
from volkit.io.open import create_volume
from volkit.pipelines import segment_neurons
from volkit.pipelines.cluster import ClusterOptions, where_stages_run
from volkit.pipelines.plan import GIB, Plan, StagePlan
from volkit.pipelines.planning import PlanEngine
from volkit.pipelines.registry import read_workflow

coords = st.tuples(*[st.integers(1, 9)] * 3)
halos = st.tuples(*[st.integers(0, 4)] * 3)


@given(coords, coords, halos, coords)
def test_voxels_read_equals_counting(shape, block, halo, start) -> None:
    grid = Grid(Box.from_shape(shape, start), block, halo)
    assert voxels_read(grid) == sum(block.read.size for block in grid)


@given(coords, coords, coords, st.data())
def test_network_passes_equal_counting(shape, block, window, data) -> None:
    stride = tuple(data.draw(st.integers(1, n)) for n in window)
    windows = Windows(Box.from_shape(shape), window, stride)
    grid = Grid(windows.domain, block)
    counted = sum(windows.count_touching(block.write) for block in grid)
    assert network_passes(windows, grid) == counted >= len(windows)


def test_plan_of_a_petavoxel_is_instant() -> None:
    domain = Box.from_shape((100_000, 100_000, 100_000))
    begun = process_time()
    grid = Grid(domain, (256, 256, 256), (32, 32, 32))
    windows = Windows(domain, (64, 64, 64), (32, 32, 32))
    assert voxels_read(grid) > domain.size
    assert 1 < network_passes(windows, grid) / len(windows) < 2
    assert process_time() - begun < 2


def test_plan_names_the_stages_that_a_run_has(finished) -> None:
    plan = segment_neurons.plan(finished.workflow.config)
    ran = {time.stage for time in finished.outcome.times if "/" not in time.stage}
    assert {stage.name for stage in plan.stages} == ran
    blocks = {time.stage: time.blocks for time in finished.outcome.times}
    assert all(stage.blocks == blocks[stage.name] for stage in plan.stages)
    assert plan.problems() == []
    prob = plan.stages[0]
    # 24 x 48 x 40 voxels, windows of 8 x 16 x 16 at half overlap: 5 x 5 x 4 origins.
    assert (prob.name, prob.least_passes) == ("prob", 100)
    assert prob.passes_over_least == 1
    assert prob.bytes_spilled > 0
    config = finished.workflow.config
    again = replace(config, infer=replace(config.infer, seams="recompute"))
    (stage, *_) = segment_neurons.plan(again).stages
    assert stage.passes_over_least == pytest.approx(2.52)
    assert stage.bytes_spilled == 0


def test_too_little_memory_is_refused() -> None:
    grid = Grid(Box.from_shape((8, 8, 8)), (4, 4, 4))
    stage = StagePlan("prob", 8, 512, 512, 512, 512, memory_bytes=3 * GIB)
    plan = Plan(grid, (stage,), workers=1, memory_bytes=2 * GIB)
    (problem,) = plan.problems()
    assert "stage prob needs 3.00 GiB per worker for blocks of (4, 4, 4), there are 2.00" in problem
    assert replace(plan, memory_bytes=None).problems() == []


def test_blocks_that_cut_stored_objects_are_refused(tiny: Path, tmp_path: Path) -> None:
    config = read_workflow(tiny, [f"output={tmp_path}"]).config
    create_volume(
        tmp_path / "labels.zarr", shape=(24, 48, 40), dtype="uint64", chunk_shape=(8, 16, 20)
    )
    (problem,) = segment_neurons.plan(config).problems()
    assert "blocks of 12 voxels on axis z do not divide into the stored objects" in problem


def test_memory_is_projected_from_above(tmp_path: Path) -> None:
    """A plan's memory covers what the block's arrays take, counted by hand."""
    engine = PlanEngine(work_bytes={"labels": 10.0}, process_bytes=1000)
    volume = create_volume(tmp_path / "in.zarr", shape=(4, 4, 8), dtype="uint16")
    op = Op(np.asarray, dtype="uint64", halo=(0, 0, 1))
    out = engine.map(op, volume, grid=Grid(volume.domain, (4, 4, 4)), name="labels")
    (stage,) = engine.stages
    assert (out.shape, out.dtype, out.npartitions) == ((4, 4, 8), "uint64", 2)
    assert stage.voxels_read == 4 * 4 * 10
    assert stage.bytes_read == 4 * 4 * 10 * 2
    assert stage.bytes_written == 4 * 4 * 8 * 8
    assert stage.read_per_written == 1.25
    assert stage.memory_bytes == 1000 + 4 * 4 * 6 * 12 + 2 * 8 * 4 * 4 * 4


def test_a_window_larger_than_the_domain_is_said_in_the_plan(tiny: Path) -> None:
    config = read_workflow(tiny, ["infer.window=[32, 16, 16]"]).config
    (text,) = segment_neurons.plan(config).advice
    assert "infer.window [32, 16, 16] is larger than the domain on axis z (24 voxels)" in text
    assert not segment_neurons.plan(read_workflow(tiny).config).advice


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ({"workers": 0}, ""),  # this process decides by itself
        ({"workers": 3, "gpus": 2}, "on the GPU workers (2): prob; on the CPU workers (3): all ot"),
        ({"workers": 0, "gpus": 2}, "on the GPU workers (2): all stages"),
        ({"workers": 3, "gpus": 0}, "there are no GPU workers; networks run on the CPU workers (3"),
        ({"scheduler": "tcp://a:1"}, "on GPU workers, where the scheduler has some: prob"),
        ({"system": "slurm", "workers": 9, "memory_gib": 4}, "there are no GPU workers; networks"),
    ],
)
def test_a_plan_says_which_stages_go_to_gpu_workers(
    tiny: Path, cluster: dict[str, object], expected: str
) -> None:
    stages = segment_neurons.plan(read_workflow(tiny, ["infer.device=auto"]).config).stages
    assert [stage.name for stage in stages if stage.needs_gpu] == ["prob"]
    said = where_stages_run(stages, ClusterOptions(**cluster))
    assert said.startswith(expected)
    assert bool(said) == bool(expected)
    told_cpu = segment_neurons.plan(read_workflow(tiny).config).stages
    assert where_stages_run(told_cpu, ClusterOptions(**cluster)) == ""
