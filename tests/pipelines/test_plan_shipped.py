"""Plans of the shipped workflows: each is made before anything is computed, by the command line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from volkit.cli.app import app
from volkit.errors import GeometryError
from volkit.models.tile_components import TileComponents
from volkit.pipelines.plan import StagePlan, added_up
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.registry import read_workflow
from volkit.testing.stall_clips import write_film
from volkit.testing.stall_folds import write_folds

WORKFLOWS = Path(__file__).parents[2] / "workflows"
EM = "specimen://em?shape=48,128,128&seed=1"
TISSUE = "specimen://tissue?shape=40,96,256&seed=3"
STALLS = "specimen://stalls?shape=64,96,96&seed=4&segments=9"
NAMES = ("cortex", "striatum", "thalamus", "zona_incerta")


def boxes(first: int, last: int) -> str:
    each = [
        f"{name}: [{{start: [{first}, 0, {64 * k}], stop: [{last}, 96, {64 * k + 48}]}}]"
        for k, name in enumerate(NAMES)
    ]
    return "{" + ", ".join(each) + "}"


PLANS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "mirror_bossdb.yaml": ([f"input.image={EM}", "input.box=null"], ["mirror"]),
    "segment_fib25.yaml": (
        [f"input.image={EM}", "input.truth=null", "input.box=null"],
        ["prob", "fragments", "labels"],
    ),
    "segment_neurons.yaml": ([], ["prob", "fragments", "labels", "contingency"]),
    "hpc/segment_neurons.yaml": (
        [f"input.image={EM}", "checkpoint=builtin:boundaries-specimen", "cluster={workers: 0}"],
        ["prob", "fragments", "labels"],
    ),
    "em/segment_affinities.yaml": (
        [f"input.image={EM}", "checkpoint=builtin:affinities-fib25"],
        ["prob", "labels"],
    ),
    "em/segment_boundaries.yaml": (
        ["input.image=null", f"input.boundaries={EM}&part=boundary", "input.truth=null",
         "layers={labels: false, image: false}"],
        ["labels"],
    ),
    "particles/pick.yaml": ([], ["prob", "picks"]),
    "particles/ablation.yaml": ([], ["prob", "picks"]),
    "stalls/volume.yaml": (
        [f"input.image={STALLS}", f"input.mask={STALLS}&part=mask"],
        ["skeleton", "vessel_graph", "vessel_labels", "predictions"],
    ),
    "stalls/clips.yaml": (
        ["input.metadata=TABLE", "input.clips=FOLDER", "input.labels=null"], ["predictions"]
    ),
    "stalls/calibrate.yaml": (
        ["input.tables=TABLE", "checkpoint=CARD", "parts=2"], ["calibrator"]
    ),
    "statistics/mtneuro.yaml": (
        [f"input.labels={TISSUE}&part=labels", "input.regions={}"],
        ["truth", "truth-cells", "truth-tissue"],
    ),
    "statistics/tissue_specimen.yaml": (
        [],
        ["truth", "prob", "classes", "pairs", "truth-tissue", "predicted-cells"],
    ),
    "statistics/whole_brain.yaml": ([f"input.classes={TISSUE}&part=labels"], ["cells", "tissue"]),
    "statistics/regions.yaml": (
        [f"input.image={TISSUE}", f"input.learn={boxes(0, 24)}", f"input.judge={boxes(32, 40)}",
         "input.tile=[48,48]", "study.side=24"],
        ["tiles", "encoders"],
    ),
    "statistics/readout.yaml": (
        [f"input.image={TISSUE}", "input.encoder=PCA", "input.tile=[32,32]", "input.side=8"],
        ["embeddings"],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("plans")
    rng = np.random.default_rng(0)
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4"):
        write_film(folder / name, rng.integers(0, 255, (3, 32, 32)).astype(np.uint8))
    pd.DataFrame(
        {
            "filename": ["a.mp4", "b.mp4", "c.mp4", "d.mp4"],
            "project_id": list("PQRS"),
            "stalled": [0, 1, 0, 1],
            "probability": [0.1, 0.7, 0.4, 0.9],
        }
    ).to_csv(folder / "clips.csv", index=False)
    (card,) = write_folds(folder, count=1)
    TileComponents.fit(rng.random((8, 1, 4, 4), np.float32), "pca", count=2).save(folder / "p.npz")
    places = {"TABLE": "clips.csv", "FOLDER": "", "PCA": "p.npz"}
    return {"CARD": card, **{name: str(folder / path) for name, path in places.items()}}


def settings_of(name: str, inputs: dict[str, str], output: Path) -> list[str]:
    found = []
    for setting in PLANS[name][0]:
        key, _, value = setting.partition("=")
        found.append(f"{key}={inputs.get(value, value)}")
    return [*found, f"output={output}"]


@pytest.mark.parametrize("name", PLANS)
def test_a_shipped_workflow_is_planned(name, inputs, tmp_path) -> None:
    settings = settings_of(name, inputs, tmp_path / "run")
    options = [part for setting in settings for part in ("--set", setting)]
    done = CliRunner().invoke(app, ["plan", str(WORKFLOWS / name), *options])
    assert done.exit_code == 0, done.output
    first = [line.split()[0] for line in done.output.splitlines() if line.strip()]
    assert [stage for stage in PLANS[name][1] if stage not in first] == []
    assert "together" in first
    assert not (tmp_path / "run").exists()


def test_every_shipped_workflow_that_can_be_planned_is_among_them() -> None:
    elsewhere = {"em/recursive_vd2d3d.yaml"}  # whose cards have to be trained before
    kinds = ("", "em", "hpc", "particles", "stalls", "statistics")
    found = (path for kind in kinds for path in (WORKFLOWS / kind).glob("*.yaml"))
    files = {str(path.relative_to(WORKFLOWS)) for path in found}
    partial = {f"hpc/{name}.yaml" for name in ("address", "pbs", "slurm")}  # clusters alone
    pipelines = {name: read_workflow(WORKFLOWS / name).pipeline for name in files - partial}
    planned = {name for name, pipeline in pipelines.items() if pipeline.plan is not None}
    assert planned - elsewhere == {*PLANS}


def test_what_is_known_is_counted_by_hand(inputs, tmp_path) -> None:
    def plan(name: str, *more: str):
        settings = [*settings_of(name, inputs, tmp_path / "run"), *more]
        workflow = read_workflow(WORKFLOWS / name, settings)
        return workflow.pipeline.plan(workflow.config)

    found = plan("stalls/clips.yaml", f"networks.checkpoint={inputs['CARD']}", "predict.group=3")
    (stage,) = found.stages
    # 4 clips in groups of 3, 8 flips of each, one fold, windows of 16 x 24 x 24.
    assert (stage.blocks, stage.passes, stage.voxels) == (2, 32, 4 * 16 * 24 * 24)
    films = [Path(inputs["FOLDER"]) / name for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4")]
    assert stage.bytes_read == sum(path.stat().st_size for path in films)
    assert "8 windows of 16 x 24 x 24: 1 folds x 8 views" in found.advice[0]

    found = plan("stalls/volume.yaml")
    assert found.stages[-1].blocks == 0
    assert (
        found.advice[-1] == "how many segments there are is known when the graph of the vessels is"
    )
    assert found.stages[0].voxels == 64 * 96 * 96

    tiles, encoders = plan("statistics/regions.yaml").stages
    # 8 boxes of 96 x 48: two tiles of 48 x 48 in each section, 24 learnt from and 8 judged by.
    assert (tiles.blocks, tiles.bytes_read) == (8, 4 * 32 * 96 * 48)
    assert encoders.blocks == 8 * 5
    learn, judge = 4 * 24 * 2, 4 * 8 * 2
    assert encoders.passes == 5 * (5 * (100 * learn + judge) + learn + judge)  # one is not trained

    two = plan("statistics/mtneuro.yaml",
               "input.regions={a: {start: [0, 0, 0], stop: [40, 96, 64]}, "
               "b: {start: [0, 0, 64], stop: [40, 96, 256]}}")  # fmt: skip
    truth = next(stage for stage in two.stages if stage.name == "truth")
    assert truth.voxels == 40 * 96 * 256
    assert two.grid.domain.shape == (40, 96, 192)
    with pytest.raises(GeometryError, match="leaves the volume"):
        plan("statistics/regions.yaml", f"input.judge={boxes(32, 41)}")


def said_of_graphs(name: str, how: str, shape: str, tmp_path: Path) -> list[str]:
    """What a plan says of graphs, where a worker has 4 GiB beside what it needs anyway."""
    given = settings_of(name, {}, tmp_path / "run")
    more = [f"input.image=specimen://em?shape={shape}&seed=1", f"segment.agglomeration={how}"]
    more.append(f"cluster={{workers: 1, memory_gib: {4 + process_bytes() / 2**30}}}")
    workflow = read_workflow(WORKFLOWS / name, [*given, *more])
    advice = workflow.pipeline.plan(workflow.config).advice
    return [text for text in advice if "graph" in text]


def test_a_plan_says_who_will_hold_the_graph_by_the_memory_of_workers(tmp_path: Path) -> None:
    """786,432 voxels may have 7,864 contacts of 400 bytes; 1.3 gigavoxels have 5 GiB of them."""
    small, large, name = "48,128,128", "1280,1024,1024", "em/segment_affinities.yaml"
    assert said_of_graphs(name, "{threshold: 0.5}", small, tmp_path) == [
        "one machine holds the graph of fragments: up to 0.0029 GiB may be needed for that of "
        "0.00079 gigavoxels, and a worker has 4 GiB for it"
    ]
    (text,) = said_of_graphs(name, "{threshold: 0.5}", large, tmp_path)
    assert text.startswith("boxes of blocks hold the graph of fragments: up to 5 GiB")
    (text,) = said_of_graphs(name, "{threshold: 0.5, held: whole}", large, tmp_path)
    assert text.startswith("one machine holds the graph of fragments: up to 5 GiB")
    assert text.endswith(
        "4 GiB for it; give segment.agglomeration.held: boxes, with the same labels"
    )
    assert said_of_graphs(name, "{threshold: 0.5, held: whole}", small, tmp_path) == []
    assert said_of_graphs(name, "{threshold: 0.5, held: boxes}", large, tmp_path) == []


def test_labels_that_may_differ_do_not_follow_the_memory_of_workers(tmp_path: Path) -> None:
    """Boxes may merge a few tile cuts otherwise, so that only the volume decides."""
    small, large, name = "48,128,128", "1280,1024,1024", "segment_fib25.yaml"
    assert said_of_graphs(name, "auto", small, tmp_path) == [
        "one machine holds the graph of fragments: up to 0.0029 GiB may be needed for that of "
        "0.00079 gigavoxels, and one machine should hold 16 GiB"
    ]
    chosen, text = said_of_graphs(name, "auto", large, tmp_path)
    assert chosen.startswith("one machine holds the graph of fragments: up to 5 GiB")
    assert text.endswith("give segment.agglomeration: octree, by which a few merges may differ")
    assert said_of_graphs(name, "octree", large, tmp_path) == []


def test_stages_of_several_volumes_add_up() -> None:
    parts = [StagePlan("a", 2, 10, 12, 24, 5, memory_bytes=7), StagePlan("b", 1, 4, 4, 8, 2, 9)]
    assert added_up("c", parts) == StagePlan("c", 3, 14, 16, 32, 7, memory_bytes=9)
    assert StagePlan("d", 0, 0, 0, 0, 0, 0).read_per_written == 1.0
