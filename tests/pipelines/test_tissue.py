"""The pipeline tissue: from a Boss server to scores and features, and the shipped workflows."""

import json
from collections.abc import Iterator
from pathlib import Path

import cc3d
import numpy as np
import pandas as pd
import pytest

from volkit.errors import BlockFailedError, ConfigError, ContractError, GeometryError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.io.registry import forget_opened
from volkit.io.tables import read_table, write_table
from volkit.kernels.class_confusion import per_image_scores, pooled_scores
from volkit.models.architectures import build
from volkit.models.checkpoint import read_checkpoint, save_checkpoint
from volkit.ops.multiscale import pyramid
from volkit.ops.statistics_branches import branch_frame, class_graph
from volkit.ops.vessel_graph import VesselOptions
from volkit.pipelines.config import validate
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.statistics_report import described
from volkit.pipelines.tissue import PIPELINE
from volkit.pipelines.tissue_config import Tissue
from volkit.pipelines.tissue_region import RegionResult, is_physical, open_volumes, statistics_of
from volkit.pipelines.tissue_report import write_report
from volkit.testing.servers.boss import BossServer
from volkit.testing.tissue import TissueSpecimen
from volkit.testing.tissue_truth import tissue_truth

WORKFLOWS = Path(__file__).parents[2] / "workflows" / "statistics"
SHAPE = (20, 32, 128)
ORIGIN = (100, 500, 1500)
TISSUE = TissueSpecimen(SHAPE, seed=6)
WHOLE = Box.from_shape(SHAPE)
NAMES = ("background", "vessel", "cell", "axon")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BossServer]:
    channels = {
        ("prasad2020", "image"): TISSUE.image(WHOLE),
        ("prasad_analysis", "pixel_labels"): TISSUE.labels(WHOLE).astype(np.uint64),
    }
    with BossServer() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for (experiment, channel), voxels in channels.items():
            running.add(
                "prasad",
                experiment,
                channel,
                voxels,
                origin=ORIGIN,
                voxel_size_nm=(1.17,) * 3,
                unit="micrometers",
            )
        yield running
    forget_opened()


def box(k: int, z: tuple[int, int] = (0, 20)) -> dict[str, list[int]]:
    """A quarter of x as the keys of a workflow name it."""
    (z0, y0, x0) = ORIGIN
    return {
        "start": [z0 + z[0], y0, x0 + 32 * k],
        "stop": [z0 + z[1], y0 + 32, x0 + 32 * (k + 1)],
    }


def carry_out(name: str, *settings: str):
    said: list[str] = []
    workflow = read_workflow(WORKFLOWS / name, settings)
    outcome = workflow.pipeline.run(
        workflow, on_progress=None, on_message=said.append, replace_stale=False
    )
    return outcome, said


def address(server: BossServer, channel: str) -> str:
    return f"bossdb://prasad/{channel}?host={server.url}"


@pytest.fixture(scope="module")
def shipped(server, tmp_path_factory):
    """The file that needs the internet, on the server of this machine."""
    folder = tmp_path_factory.mktemp("mtneuro")
    outcome, said = carry_out(
        "mtneuro.yaml",
        f"input.labels={address(server, 'prasad_analysis/pixel_labels')}",
        f"input.regions={json.dumps({'striatum': box(1), 'zona_incerta': box(3)})}",
        "measure.bins=[1, 16, 16]",
        "measure.connectivity=26",
        "block_shape=[10, 32, 32]",
        f"output={folder}",
    )
    return folder, outcome, said


def test_the_shipped_workflow_finds_what_is_there(shipped) -> None:
    folder, outcome, said = shipped
    features, _, made = read_table(folder / "report" / "features.csv")
    truth = tissue_truth(TISSUE)
    for name in NAMES[1:]:
        np.testing.assert_array_equal(
            features[f"{name}_fraction"], truth.counts[name][[1, 3]] / (20 * 32 * 32)
        )
    assert features["region"].tolist() == ["striatum", "zona_incerta"]
    assert set(features["of"]) == {"truth"}
    for k, found in zip((1, 3), features["cells"], strict=True):
        labels = TISSUE.labels(Box((0, 0, 32 * k), (20, 32, 32 * k + 32)))
        assert found == cc3d.connected_components(labels == 2, connectivity=26).max() > 0
    assert made["parameters"]["classes"] == {name: [k] for k, name in enumerate(NAMES)}
    assert said[0] == "classes: background = [0], vessel = [1], cell = [2], axon = [3]"
    assert said[1].startswith("region 1/2: striatum [100:120, 500:532, 1532:1564]")
    assert not (folder / "report" / "scores.csv").exists()
    assert outcome.following == ("open", folder / "report")
    sections, _, _ = read_table(
        folder / "regions" / "striatum" / "truth" / "report" / "sections.parquet"
    )
    assert len(sections) == 20 * 2 * 2


def test_the_shipped_workflow_names_the_real_channels_and_cubes() -> None:
    config = read_workflow(WORKFLOWS / "mtneuro.yaml").config
    assert config.input.labels == "bossdb://prasad/prasad_analysis/pixel_labels"
    assert {box.shape for box in config.input.regions.values()} == {(360, 256, 256)}
    assert config.input.regions["zona_incerta"] == Box((110, 650, 1543), (470, 906, 1799))


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> str:
    """A network that says what an untrained one says: its scores are low, and exact."""
    path = tmp_path_factory.mktemp("network") / "net.yaml"
    import torch

    torch.manual_seed(3)
    net = build("unet", widths=(4, 8), planar=True)
    save_checkpoint(
        net.state_dict(),
        path,
        {
            "architecture": "unet",
            "arguments": {"widths": [4, 8], "planar": True},
            "channels": [1, 4],
            "window": [4, 16, 16],
            "scaling": {"kind": "fixed", "shift": 120, "divide": 30},
            "activation": "softmax",
            "classes": list(NAMES),
        },
    )
    return str(path)


def test_scores_are_those_of_what_is_stored(server, network, tmp_path) -> None:
    regions = {"one": box(1, (2, 9)), "other": box(3, (10, 20))}
    outcome, _ = carry_out(
        "mtneuro.yaml",
        f"input.labels={address(server, 'prasad_analysis/pixel_labels')}",
        f"input.image={address(server, 'prasad2020/image')}",
        f"input.regions={json.dumps(regions)}",
        f"checkpoint={network}",
        "infer.device=cpu",
        "measure.sections=false",
        "measure.bins=[4, 16, 16]",
        "measure.shapes=[]",
        "block_shape=[10, 32, 32]",
        f"output={tmp_path}",
    )
    table, _, made = read_table(tmp_path / "report" / "scores.csv")
    assert made["checkpoint"] == read_checkpoint(network).identity
    matrices = []
    for name in regions:
        place = tmp_path / "regions" / name
        pred = open_volume(next(place.rglob("classes.zarr"))).read()
        truth = open_volume(next(place.rglob("truth.zarr"))).read()
        here = Box.from_shape(SHAPE, ORIGIN)
        where = Box(tuple(regions[name]["start"]), tuple(regions[name]["stop"]))
        np.testing.assert_array_equal(truth, TISSUE.labels(where.relative_to(here)))
        mine = [np.zeros((4, 4), np.int64) for _ in truth]
        for z in range(len(truth)):
            np.add.at(mine[z], (truth[z].ravel(), pred[z].ravel()), 1)
        matrices.append(np.stack(mine))
    matrices.append(np.concatenate(matrices))
    for name, mine in zip(("one", "other", "all"), matrices, strict=True):
        for how, scores in (("pooled", pooled_scores(mine)), ("per_image", per_image_scores(mine))):
            rows = table[(table["region"] == name) & (table["aggregation"] == how)]
            np.testing.assert_allclose(rows["iou"][:-1], scores.iou, rtol=1e-12)
            np.testing.assert_allclose(rows["f1"].iloc[-1], scores.f1.mean(), rtol=1e-12)
    features, _, _ = read_table(tmp_path / "report" / "features.csv")
    assert features["of"].tolist() == ["truth", "predicted"] * 2
    assert outcome.scores[0][0] == "mean IoU, pooled"


@pytest.mark.slow
def test_the_result_is_taken_up(shipped, server) -> None:
    folder, _, _ = shipped
    before = (folder / "report" / "features.csv").read_bytes()
    server.clear_requests()
    outcome, _ = carry_out(
        "mtneuro.yaml",
        f"input.labels={address(server, 'prasad_analysis/pixel_labels')}",
        f"input.regions={json.dumps({'striatum': box(1), 'zona_incerta': box(3)})}",
        "measure.bins=[1, 16, 16]",
        "measure.connectivity=26",
        "block_shape=[10, 32, 32]",
        f"output={folder}",
    )
    assert not any("/cutout/" in request.path for request in server.requests)
    assert all(stage.resumed == stage.blocks for stage in outcome.times)
    assert (folder / "report" / "features.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["train_mtneuro_published.yaml", "train_mtneuro.yaml"])
def test_the_shipped_trainings_run(server, tmp_path, name) -> None:
    image, labels = (
        address(server, channel) for channel in ("prasad2020/image", "prasad_analysis/pixel_labels")
    )
    volumes = json.dumps([{"image": image, "labels": labels, **box(k)} for k in (1, 3)])
    small = "{widths: [4, 8], planar: true}"
    if name == "train_mtneuro.yaml":
        small = "{widths: [8, 16], blocks: [1, 1]}"
    outcome, said = carry_out(
        name,
        f"volumes={volumes}",
        f"validation.volumes={volumes}",
        f"checkpoint={tmp_path / 'net.yaml'}",
        f"arguments={small}",
        "patches.shape=[2, 16, 16]",
        "patches.batch=2",
        "validation.window=[20, 32, 32]",
        "optimisation.steps=1",
        "precision=float32",
    )
    assert said[0].startswith("step 1: loss ")
    assert "mean IoU" in said[0]
    card = read_checkpoint(tmp_path / "net.yaml")
    assert card.classes == NAMES
    assert "mtneuro.yaml --set checkpoint=" in str(outcome.following[0])


def test_the_trainings_are_those_of_the_benchmark() -> None:
    config = read_workflow(WORKFLOWS / "train_mtneuro_published.yaml").config
    assert [v.start for v in config.volumes] == [
        (110, 900, 4600),
        (110, 500, 3700),
        (110, 850, 3063),
    ]
    assert {(v.start[0], v.stop[0]) for v in config.validation.volumes} == {(380, 409)}
    assert (config.patches.shape, config.patches.batch) == ((1, 256, 256), 8)
    assert config.optimisation.steps == 5 * -(-807 // 8)
    for name in ("train_mtneuro_published.yaml", "train_mtneuro.yaml"):
        seen = read_workflow(WORKFLOWS / name).config
        assert max(v.stop[0] for v in (*seen.volumes, *seen.validation.volumes)) <= 409


ONE = {"start": [0] * 3, "stop": [1] * 3}


def refused(**keys):
    tree = {"classes": {n: [k] for k, n in enumerate(NAMES)}, "output": "run", **keys}
    return validate(tree, Tissue, where="test")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"input": {}}, "neither image nor labels"),
        ({"input": {"image": "a.zarr"}}, "give both or neither"),
        ({"input": {"labels": "a"}, "checkpoint": "b.yaml"}, "give both or neither"),
        ({"input": {"labels": "a"}, "output": "s3://b/c"}, "is a URL"),
        (
            {"input": {"labels": "a", "regions": {"a/b": {"start": [0] * 3, "stop": [1] * 3}}}},
            "a/b",
        ),
        ({"input": {"labels": "a"}, "classes": {"a": [0], "b": [0]}}, "codes of its own"),
        (
            {"input": {"labels": "a"}, "measure": {"branches": {"of": "background"}}},
            "measure.branches.of: background: not among the classes vessel, cell, axon",
        ),
        ({"input": {"labels": "a"}, "measure": {"shapes": ["bone"]}}, "measure.shapes: bone: not"),
    ],
)
def test_keys_that_make_no_sense(keys, message) -> None:
    with pytest.raises(ConfigError, match=message):
        refused(**keys)


def stored(path: Path, values: np.ndarray, *, size=None) -> str:
    volume = create_volume(path, shape=values.shape, dtype=values.dtype, voxel_size_nm=size)
    volume.write(volume.domain, values)
    return str(path)


def run(say=lambda _: None, **keys):
    config = refused(**{"cluster": {"workers": 0}, **keys})
    workflow = type("W", (), {"config": config})
    return PIPELINE.run(workflow, on_progress=None, on_message=say, replace_stale=False)


def test_what_is_told_in_the_end_is_of_all_regions(tmp_path) -> None:
    labels = np.zeros((4, 16, 24), np.uint8)
    labels[1, 2:4, 2:4] = 2
    regions = {
        "one": {"start": [0, 0, 0], "stop": [4, 16, 8]},
        "two": {"start": [0, 0, 8], "stop": [4, 16, 24]},
    }
    keys = {
        "input": {"labels": stored(tmp_path / "labels", labels), "regions": regions},
        "measure": {"cell_class": "cell"},
        "block_shape": [2, 16, 8],
        "output": str(tmp_path / "run"),
    }
    said = []
    outcome = run(say=said.append, **keys)
    planned = {stage.name: stage.blocks for stage in PIPELINE.plan(refused(**keys)).stages}
    blocks = {time.stage: time.blocks for time in outcome.times}
    assert {name: blocks[name] for name in planned} == planned
    assert planned["truth"] == planned["truth-tissue"] == 2 * (1 + 2)
    assert [row[0::2] for row in outcome.scores] == [
        ("one, truth", "1 cell"),
        ("two, truth", "0 cells"),
    ]
    assert [line for line in said if "no voxel" in line] == [
        "truth: no voxel of any region is vessel = [1]; check that classes has the codes of these "
        "labels",
        "truth: no voxel of any region is axon = [3]; check that classes has the codes of these "
        "labels",
    ]


def test_volumes_that_do_not_fit(tmp_path, network) -> None:
    image = stored(tmp_path / "image", np.zeros((4, 16, 16), np.uint8))
    short = stored(tmp_path / "short", np.zeros((4, 16, 15), np.uint8))
    real = stored(tmp_path / "real", np.zeros((4, 16, 16), np.float32))
    five = stored(tmp_path / "five", np.full((4, 16, 16), 5, np.uint8))
    out = {"output": str(tmp_path / "run")}
    both = {"checkpoint": network, **out}
    with pytest.raises(GeometryError, match="give volumes of the same voxels"):
        run(input={"image": image, "labels": short}, **both)
    with pytest.raises(ContractError, match="are float32, which are no codes"):
        run(input={"labels": real}, **out)
    over = {"part": {"start": [0, 0, 0], "stop": [5, 16, 16]}}
    with pytest.raises(GeometryError, match=r"regions.part .* leaves input.labels"):
        run(input={"labels": five, "regions": over}, **out)
    with pytest.raises(ConfigError, match="does not say its voxel size"):
        run(input={"labels": five}, measure={"shapes": ["vessel"]}, **out)
    with pytest.raises(ConfigError, match=r"leave out measure.shapes and measure.branches"):
        run(input={"labels": five}, measure={"branches": {"of": "vessel"}}, **out)
    with pytest.raises(BlockFailedError, match="have codes of no class: 5"):
        run(input={"labels": five}, **out)


def test_lengths_are_physical_where_the_size_is_stated(tmp_path) -> None:
    """1 nm is a size where it is written; at a coarser level 2 voxels are none."""
    tiny, bare, sized = (
        stored(tmp_path / name, np.zeros((4, 16, 16), np.uint8), size=size)
        for name, size in (("tiny", (1, 1, 1)), ("bare", None), ("sized", (40, 8, 8)))
    )
    pyramid(open_volume(bare), levels=2)
    out = {"output": str(tmp_path / "run")}
    assert is_physical(refused(input={"labels": tiny}, **out))
    assert not is_physical(refused(input={"labels": bare, "level": 1}, **out))
    for image, labels in ((sized, bare), (bare, sized)):  # one says it for the other
        config = refused(input={"image": image, "labels": labels}, checkpoint="net.yaml", **out)
        assert {v.voxel_size_nm for v in open_volumes(config).values()} == {(40, 8, 8)}


def test_graphs_of_every_region_are_in_one_table(tmp_path) -> None:
    path = stored(tmp_path / "labels", np.zeros((11, 11, 30), np.uint8))
    measured = {"branches": {"of": "vessel", "halo": [4, 4, 4], "spurs": None}}
    told = {"labels": path, "voxel_size_nm": [2000, 1000, 500]}
    config = refused(input=told, measure=measured, output=str(tmp_path), cluster={"workers": 0})
    assert statistics_of(config, path, tmp_path).branches == config.measure.branches
    assert "truth-vessel_graph" in {stage.name for stage in PIPELINE.plan(config).stages}
    results = []
    for name, lengths in (("one", [30.0, 10.0]), ("none", [])):
        columns = {
            "segment_id": np.arange(len(lengths), dtype=np.uint64),
            "length_um": np.array(lengths),
            "radius_um_mean": np.full(len(lengths), 2.5),
            "free_ends": np.ones(len(lengths), np.int64),
            "tortuosity": np.ones(len(lengths)),
            "junction_id": np.zeros(0, np.uint64),
        }
        graph = branch_frame(columns, name="vessel", volume_um3=1e6)
        row = {"region": 0, "name": "0", "vessel_fraction": 0.1, "cell_fraction": 0.0}
        regions = pd.DataFrame([{**row, "axon_fraction": 0.0}])
        for table, frame in (("graph.csv", graph), ("regions.csv", regions)):
            write_table(tmp_path / name / table, frame, described(frame), {})
        results.append(RegionResult(name, None, {"truth": tmp_path / name}))
    files, rows = write_report(tmp_path / "report", results, config, {})
    graph, schema, _ = read_table(dict(files)["graph"])
    assert graph[["region", "of", "class", "branches", "length_um"]].values.tolist() == [
        ["one", "truth", "vessel", 2, 40.0],
        ["none", "truth", "vessel", 0, 0.0],
    ]
    assert {c.unit for c in schema.columns if c.name in ("length_um", "radius_um")} == {"um"}
    assert rows[2] == (
        "one, truth",
        "2 branches of vessel",
        "40.0 um long, mean radius 2.50 um",
    )


@pytest.mark.slow
def test_branches_are_those_of_the_mask(tmp_path) -> None:
    """A tube along x that ends inside, 3 x 3 voxels thick; beside it no vessel at all."""
    labels = np.zeros((11, 11, 30), np.uint8)
    labels[4:7, 4:7, 3:27] = 1
    labels[0] = 2
    path = stored(tmp_path / "labels", labels)
    regions = {
        "tube": {"start": [0, 0, 0], "stop": [11, 11, 30]},
        "none": {"start": [0, 0, 0], "stop": [4, 11, 30]},
    }
    keys = {
        "input": {"labels": path, "regions": regions, "voxel_size_nm": [2000, 1000, 500]},
        "measure": {"branches": {"of": "vessel", "halo": [4, 4, 4], "spurs": None}},
        "output": str(tmp_path / "run"),
    }
    run(**keys)
    graph, _, _ = read_table(tmp_path / "run" / "report" / "graph.csv")
    assert graph[["region", "of", "class", "branches", "free_ends"]].values.tolist() == [
        ["tube", "truth", "vessel", 1, 2],
        ["none", "truth", "vessel", 0, 0],
    ]
    options = VesselOptions(halo=(4, 4, 4), spurs=None)
    known = class_graph(labels, 1, options=options, voxel_size_nm=(2000, 1000, 500)).columns
    known = branch_frame(known.compute(scheduler="sync"), name="vessel", volume_um3=labels.size)
    pd.testing.assert_frame_equal(graph.iloc[:1].drop(columns=["region", "of"]), known)
    assert 23 / 2 - 1.5 <= graph["length_um"][0] <= 23 / 2


def test_a_network_of_other_classes(tmp_path, network) -> None:
    image = stored(tmp_path / "image", np.zeros((4, 16, 16), np.uint8))
    keys = {"input": {"image": image}, "checkpoint": network, "output": str(tmp_path / "run")}
    with pytest.raises(ConfigError, match="name them as the card does"):
        run(**keys, classes={"background": [0], "cell": [2], "vessel": [1], "axon": [3]})
