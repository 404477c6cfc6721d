"""The pipeline evaluate: scores, tables and figures of volumes that are wrong in known ways."""

import json
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import ConfigError, GeometryError, StaleLedgerError
from volkit.geometry import Box
from volkit.io.open import create_volume, open_volume
from volkit.io.tables import read_table
from volkit.pipelines.config import validate
from volkit.pipelines.evaluate import carried_out, score
from volkit.pipelines.evaluate_config import Evaluate
from volkit.pipelines.registry import find_pipeline, read_workflow

SHAPE = (6, 20, 24)
SIZE = (40.0, 8.0, 8.0)


def stored(path: Path, values, **where) -> str:
    volume = create_volume(
        path, shape=values.shape[-3:], dtype=values.dtype, voxel_size_nm=SIZE, **where
    )
    volume.write(volume.domain, values)
    return str(path)


@pytest.fixture
def truth():
    values = np.ones(SHAPE, np.uint64)
    values[:, :10, 12:], values[:, 10:, :12], values[:, 10:, 12:] = 2, 3, 4
    values[:, 9:11] = values[:, :, 12] = 0
    return values


@pytest.fixture
def sides(truth, tmp_path) -> dict[str, str]:
    """Object 4 is cut at x = 18; objects 2 and 3 are one segment."""
    pred = 10 * truth
    pred[:, 11:, 18:] = 50
    pred[pred == 30] = 20
    return {
        "pred": stored(tmp_path / "pred.zarr", pred),
        "truth": stored(tmp_path / "truth.zarr", truth),
        "output": str(tmp_path / "scores"),
    }


def test_labels_leave_scores_tables_and_a_figure(sides, tmp_path) -> None:
    told, said = [], []
    config = Evaluate(**sides, image=sides["truth"], block_shape=(2, 20, 24))
    found = score(config, on_progress=told.append, on_message=said.append)
    assert said == []
    assert max(state.done for state in told) == 3
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert scores["volume"]["rand"]["split"] == found.found.volume.rand.split < 1
    assert scores["convention"]["name"] == "volkit"
    objects, schema, provenance = read_table(tmp_path / "scores" / "objects.csv")
    assert objects["id"].tolist() == [4, 1, 2, 3]
    assert objects.loc[0, ["voxels", "pieces", "kept", "split"]].tolist() == [594, 2, 324, 270]
    spans = [f"{axis}_{edge}" for axis in "zyx" for edge in ("start", "stop")]
    assert objects.loc[0, spans].tolist() == [0, 6, 11, 20, 13, 24]
    assert schema.columns[1].unit == "voxels"
    assert provenance["box"] == "[0:6, 0:20, 0:24]"
    segments, _, _ = read_table(tmp_path / "scores" / "segments.csv")
    assert segments.loc[0, ["id", "pieces", "merged"]].tolist() == [20, 2, 594]
    sections, _, _ = read_table(tmp_path / "scores" / "sections.csv")
    assert sections["z"].tolist() == list(range(6))
    assert (tmp_path / "scores" / "figure.png").read_bytes()[:4] == b"\x89PNG"
    assert found.outcome.following[-2:] == ("--box", "0:6,11:20,13:24")
    assert "--convention" not in found.outcome.following


def test_what_follows_counts_as_this_did(sides) -> None:
    config = Evaluate(**sides, convention="skimage", voxel_size_nm=(8.0, 8.0, 8.0))
    following = score(config).outcome.following
    at = following.index("--convention")
    assert following[at : at + 4] == ("--convention", "skimage", "--set", "voxel_size_nm=[8,8,8]")


def test_it_goes_on_where_it_was_and_refuses_what_is_stale(sides, tmp_path) -> None:
    config = Evaluate(**sides)
    first = score(config)
    told = []
    again = carried_out(config, on_progress=told.append)
    assert sum(state.done - state.resumed for state in told) == 0
    assert again.found == first.found
    other = Evaluate(**sides, convention="cremi")
    with pytest.raises(StaleLedgerError, match="another computation|records computation"):
        score(other)
    found = score(other, replace_stale=True)
    assert found.found.convention.border_nm == 25
    assert found.outcome.scores[0][0] == "CREMI score"
    found = score(Evaluate(**sides, convention="isbi2012"), replace_stale=True)
    assert len(found.found.objects["id"]) == 0  # components of sections name nothing in 3D
    assert found.outcome.scores[0][0] == "2D Rand F"
    assert found.outcome.following[0] == "open"


def test_a_boundary_map_leaves_its_curve_and_its_worst_section(sides, truth, tmp_path) -> None:
    prob = np.clip((truth == 0) + 0.1, 0, 0.9).astype(np.float32)
    prob[2, 9:11, 3:6] = 0.3  # a gap in one section
    said = []
    sides["pred"] = stored(tmp_path / "prob.zarr", prob)
    found = score(Evaluate(**sides, thresholds=(0.2, 0.4, 0.8)), on_message=said.append)
    assert found.found.curve.thresholds == (0.2, 0.4, 0.8)
    curve, _, _ = read_table(tmp_path / "scores" / "curve.csv")
    assert curve["f_score"].tolist()[0] == 1
    assert curve["merge"].tolist()[1] < 1
    assert curve["pixel_error"].tolist() == [0, 6 / truth.size, 6 / truth.size]
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert scores["best"]["rand"]["threshold"] == 0.2
    assert (tmp_path / "scores" / "figure.png").exists()
    upside = {**sides, "pred": stored(tmp_path / "upside.zarr", 1 - prob)}
    score(Evaluate(**upside), on_message=said.append, replace_stale=True)
    assert any("looks inverted" in text for text in said)


def test_a_mask_of_boundaries_and_a_truth_elsewhere(sides, truth, tmp_path) -> None:
    prob = np.clip((truth == 0) + 0.1, 0, 0.9).astype(np.float32)
    sides["pred"] = stored(tmp_path / "prob.zarr", prob)
    mask = create_volume(
        tmp_path / "mask.zarr", shape=(4, 20, 24), dtype=bool, voxel_size_nm=SIZE,
        origin_nm=(80.0, 0.0, 0.0),
    )  # fmt: skip
    mask.write(mask.domain, truth[2:] == 0)
    found = score(Evaluate(**{**sides, "truth": str(tmp_path / "mask.zarr")}))
    assert found.found.curve is None
    assert min(found.found.boundary.pixel_error) == 0
    assert found.outcome.files[0][0] == "figure"
    assert any("[2:6, 0:20, 0:24] is in both" in text for text in found.found.warnings)


def test_a_size_that_is_given_is_that_of_a_side_that_states_none(sides, truth, tmp_path) -> None:
    pred = create_volume(
        tmp_path / "part.zarr", shape=(4, 20, 24), dtype=np.uint64, voxel_size_nm=SIZE,
        origin_nm=(80.0, 0.0, 0.0),
    )  # fmt: skip
    pred.write(pred.domain, truth[2:])
    np.save(tmp_path / "truth.npy", truth)
    bare = {**sides, "pred": pred.uri, "truth": str(tmp_path / "truth.npy")}
    with pytest.raises(GeometryError, match=r"or state it \(voxel_size_nm\)"):
        score(Evaluate(**bare))
    found = score(Evaluate(**bare, voxel_size_nm=SIZE)).found
    assert found.volume.rand.split == found.volume.rand.merge == 1


def test_workflows_name_it(sides, tmp_path) -> None:
    assert find_pipeline("evaluate").config is Evaluate
    path = tmp_path / "scores.yaml"
    path.write_text(
        "pipeline: evaluate\npred: pred.zarr\ntruth: truth.zarr\noutput: out\n"
        "box: {start: [0, 0, 0], stop: [2, 20, 24]}\n"
    )
    workflow = read_workflow(path)
    outcome = workflow.pipeline.run(
        workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
    )
    assert dict(outcome.files)["scores"] == tmp_path / "out" / "scores.json"
    assert workflow.config.box == Box((0, 0, 0), (2, 20, 24))


def test_what_makes_no_sense_is_refused(sides, tmp_path) -> None:
    with pytest.raises(ConfigError, match="convention 'x' is unknown"):
        Evaluate(**sides, convention="x")
    with pytest.raises(ConfigError, match="is a URL"):
        Evaluate(**{**sides, "output": "s3://bucket/scores"})
    with pytest.raises(ConfigError, match="draw 0 to 12"):
        Evaluate(**sides, worst=99)
    with pytest.raises(ConfigError, match="at least 1"):
        Evaluate(**sides, block_shape=(0, 1, 1))
    with pytest.raises(ConfigError, match="kind"):
        validate({**sides, "kind": "x"}, Evaluate, where="test")
    empty = stored(tmp_path / "empty.zarr", np.zeros(SHAPE, np.uint64))
    with pytest.raises(GeometryError, match="no object that counts"):
        score(Evaluate(**{**sides, "truth": empty}))
    assert open_volume(empty).shape == SHAPE
