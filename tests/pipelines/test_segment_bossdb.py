"""Neurons from a channel of BossDB: the shipped workflow, from cutouts to Neuroglancer's layers."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from volkit.engine.columns import read_columns  # noqa: E402
from volkit.geometry import Box  # noqa: E402
from volkit.io import create_volume, open_volume  # noqa: E402
from volkit.io.place import Place  # noqa: E402
from volkit.io.registry import forget_opened  # noqa: E402
from volkit.kernels.contingency import contingency  # noqa: E402
from volkit.kernels.scores import rand_scores  # noqa: E402
from volkit.ops.affinity_segmentation import relabel_at  # noqa: E402
from volkit.pipelines.registry import read_workflow  # noqa: E402
from volkit.testing.servers.boss import BossServer  # noqa: E402
from volkit.testing.workflows import identity_checkpoint, voronoi_cells  # noqa: E402

SHIPPED = Path(__file__).parents[2] / "workflows" / "em" / "segment_boundaries.yaml"
AROUND = Box((100, 890, 4590), (124, 930, 4640))  # what the channels hold
PART = Box((102, 892, 4596), (122, 924, 4632))
SIZE = (30.0, 8.0, 8.0)


@pytest.fixture(scope="module")
def tissue() -> tuple[np.ndarray, np.ndarray]:
    """Cells, and a map of their boundaries that serves as the image."""
    truth, boundary = voronoi_cells(AROUND.shape)
    return truth, np.rint(255 * boundary).astype(np.uint8)


@pytest.fixture(scope="module")
def server(tissue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BossServer]:
    with BossServer() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name, values, kind in zip(
            ("truth", "em"), tissue, ("annotation", "image"), strict=True
        ):
            running.add(
                "lee",
                "cortex",
                name,
                values,
                origin=AROUND.start,
                voxel_size_nm=SIZE,
                kind=kind,
            )
        yield running
    forget_opened()


def carried_out(output: Path, card: Path, image: str, truth: str):
    settings = [
        f"input.image={image}",
        "input.boundaries=null",
        f"input.truth={truth}",
        f"input.box={{start: {list(PART.start)}, stop: {list(PART.stop)}}}",
        f"checkpoint={card}",
        f"output={output}",
        "block_shape=[20, 16, 18]",
        "infer={batch: 2, device: cpu}",
        "segment.agglomeration=null",
        "segment.linkage=[[50, 0.1], [400, 0.3]]",
        "segment.threshold=0.7",
        "segment.fill={tile: [20, 16, 18], halo: [4, 4, 4]}",
        "cluster.workers=0",
    ]
    found = read_workflow(SHIPPED, settings)
    return found.pipeline.run(found, on_progress=None, on_message=print, replace_stale=False)


def test_a_channel_becomes_labels_tree_scores_and_layers(server, tissue, tmp_path: Path) -> None:
    card = tmp_path / "identity.yaml"
    identity_checkpoint(card, gain=1 / 255)
    uris = [f"bossdb://lee/cortex/{name}?host={server.url}" for name in ("em", "truth")]
    server.clear_requests()
    outcome = carried_out(tmp_path / "boss", card, *uris)
    paths = [request.path for request in server.requests if "/cutout/" in request.path]
    assert any("/em/" in path for path in paths)
    assert any("/truth/" in path for path in paths)

    labels = open_volume(tmp_path / "boss" / "filled.zarr")
    assert labels.domain == PART
    assert labels.voxel_size_nm == SIZE
    # The same from files: where the voxels come from decides nothing.
    for name, values in zip(("truth", "em"), tissue, strict=True):
        copy = create_volume(
            tmp_path / f"{name}.zarr",
            shape=AROUND.shape,
            dtype=values.dtype,
            voxel_size_nm=SIZE,
            start=AROUND.start,
        )
        copy.write(AROUND, values)
    local = [str(tmp_path / f"{name}.zarr") for name in ("em", "truth")]
    again = carried_out(tmp_path / "files", card, *local)
    expected = open_volume(tmp_path / "files" / "filled.zarr").read()
    np.testing.assert_array_equal(labels.read(), expected)
    assert outcome.scores == again.scores

    truth = tissue[0][PART.relative_to(AROUND).slices]
    said = json.loads((tmp_path / "boss" / "report" / "scores.json").read_text())
    assert said["rand"]["f_score"] == rand_scores(contingency(truth, expected)).f_score > 0.85
    files = dict(outcome.files)
    tree = read_columns(Place.at(files["merge tree"]))
    pieces = open_volume(tmp_path / "boss" / "fragments.zarr")
    merged = relabel_at(pieces, tree, threshold=0.01).compute(scheduler="sync")
    assert len(np.unique(merged)) < len(np.unique(expected))
    for name, values in (("labels", expected), ("image", tissue[1])):
        layer = open_volume(files[f"{name} layer"])
        assert layer.domain == PART
        assert layer.voxel_size_nm == SIZE
        own = values if name == "labels" else values[PART.relative_to(AROUND).slices]
        np.testing.assert_array_equal(layer.read(), own)
    run = json.loads((tmp_path / "boss" / "report" / "run.json").read_text())
    assert run["inputs"]["image"]["uri"].startswith("bossdb://lee/cortex/em")
