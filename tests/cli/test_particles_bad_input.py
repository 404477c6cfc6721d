"""Particles on the command line: everything that can be wrong with them ends in one message."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from volkit.io.open import create_volume
from volkit.io.points.files import read_points, write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.table import points_frame
from volkit.testing.particle_projects import particle_project
from volkit.testing.workflows import identity_checkpoint

Says = Callable[..., str]
CLASSES = ("ribosome", "thyroglobulin")
SHAPE = (16, 64, 64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    particle_project(folder, shape=SHAPE, seeds=(15,), classes=CLASSES)
    identity_checkpoint(folder / "identity.yaml", window=(8, 16, 16))
    return folder


def workflow(made: Path, name: str, **changes: object) -> Path:
    """Pick the project with its stored heat maps, with some keys changed."""
    keys = {
        "pipeline": "pick_particles",
        "input": {"copick": "copick.json", "heat": "heat/{name}.zarr"},
        "classes": list(CLASSES),
        "output": f"runs/{name}",
        "block_shape": [16, 32, 64],
        "truth": {"user": "curation", "radius_nm": {"ribosome": 15.0, "thyroglobulin": 13.0}},
        "write": {"formats": []},
        "cluster": {"workers": 0},
        **changes,
    }
    path = made / f"{name}.yaml"
    path.write_text(yaml.safe_dump({key: v for key, v in keys.items() if v is not None}))
    return path


def tables(folder: Path, pred: object, truth: object) -> list[Path]:
    for name, frame in (("pred.csv", pred), ("truth.csv", truth)):
        write_points(folder / name, frame)
    return [folder / "pred.csv", folder / "truth.csv"]


ONE = points_frame([[1.0, 2.0, 3.0]], "ribosome")
OTHER = points_frame([[1.0, 2.0, 3.0]], "ribosom")


@pytest.mark.parametrize(
    ("pred", "truth", "message"),
    [
        (OTHER, ONE, "1 of 1 points are of a class that is none of apo-ferritin, beta-amylase"),
        (ONE, OTHER, "1 of 1 points are of a class that is none of apo-ferritin, beta-amylase"),
        (
            ONE,
            points_frame([[1.0, 2.0, 3.0]] * 2, "ribosome"),
            "truth: 1 of 2 points lie where another one does, the first is row 1",
        ),
    ],
)
def test_unknown_classes_and_duplicate_references(tmp_path, tells, pred, truth, message) -> None:
    done = tells("evaluate", *tables(tmp_path, pred, truth), "--output", tmp_path / "o", code=1)
    assert message in done


def test_no_prediction_or_no_truth_of_a_class_is_scored_and_said(tmp_path, tells) -> None:
    two = points_frame([[1.0, 2.0, 3.0], [50.0, 2.0, 3.0]], ["ribosome", "apo-ferritin"])
    done = tells("evaluate", *tables(tmp_path, ONE, two), "--output", tmp_path / "a", code=0)
    assert "F4 apo-ferritin 0.0000 0 found, 0 false, 1 missed" in done
    done = tells("evaluate", *tables(tmp_path, two, ONE), "--output", tmp_path / "b", code=0)
    assert "F4 apo-ferritin 0.0000 0 found, 1 false, 0 missed" in done
    assert "there is no true apo-ferritin: its F is 0 by definition" in done
    none = points_frame([], "ribosome")
    done = tells("evaluate", *tables(tmp_path, none, ONE), "--output", tmp_path / "c", code=0)
    assert "F4 ribosome 0.0000 0 found, 0 false, 1 missed" in done


def test_true_points_outside_the_tomogram(made, tells) -> None:
    far = points_frame([[1.0, 2.0, 3.0], [1.0, 2.0, 300.0]], "ribosome", tomograms="TS_1")
    write_points(made / "far.csv", far)
    truth = {"points": "far.csv", "radius_nm": {"ribosome": 15.0, "thyroglobulin": 13.0}}
    done = tells("run", workflow(made, "outside", truth=truth), code=1)
    assert "true points of TS_1: 1 of 2 points lie outside" in done
    assert "the first is row 1" in done


def test_a_header_without_voxel_size(made, tells) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    with mrcfile.new(made / "unsized.mrc", overwrite=True) as file:
        file.set_data(np.zeros((8, 16, 16), np.float32))
        assert float(file.voxel_size.x) == 0
    changes = {
        "input": {"tomograms": ["unsized.mrc"]},
        "checkpoint": "identity.yaml",
        "infer": {"device": "cpu"},
        "classes": None,
        "truth": None,
    }
    done = tells("run", workflow(made, "unsized", **changes), code=1)
    assert "unsized.mrc does not say how large its voxels are; open it with voxel_size_nm" in done


def test_a_star_file_without_pixel_size(tmp_path, tells) -> None:
    write_points(tmp_path / "p.star", ONE, PointOptions(voxel_size_nm=(1.0, 1.0, 1.0)))
    text = (tmp_path / "p.star").read_text().replace("1 10.0", "1 0.0")
    (tmp_path / "p.star").write_text(text)
    write_points(tmp_path / "truth.csv", ONE)
    done = tells("evaluate", tmp_path / "p.star", tmp_path / "truth.csv", code=1)
    assert "counts voxels and states voxels of 0.0 Å; pass voxel_size_nm" in done


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (
            {"ribosome": 0.5, "thyroglobulin": 0.5, "proteasome": 0.5},
            "threshold is given for proteasome, ribosome, thyroglobulin, the classes are ribosome, "
            "thyroglobulin; give one for each of them, and for no other",
        ),
        ({"ribosome": 0.5}, "threshold is given for ribosome, the classes are ribosome, thyroglo"),
    ],
)
def test_thresholds_of_classes_that_the_model_has_not(made, tells, threshold, message) -> None:
    done = tells("run", workflow(made, "thresholds", pick={"threshold": threshold}), code=1)
    assert message in done
    assert not (made / "runs" / "thresholds").exists()


def test_heat_maps_that_are_nan_in_places(made, tells) -> None:
    heat = np.zeros((2, *SHAPE), np.float32)
    heat[1, 3, 4, 5] = np.nan
    volume = create_volume(
        made / "nan" / "TS_1.zarr",
        shape=SHAPE,
        channels=2,
        dtype=heat.dtype,
        voxel_size_nm=(1.0012444,) * 3,
    )
    volume.write(volume.domain, heat)
    told = {"copick": "copick.json", "heat": "nan/{name}.zarr"}
    done = tells("run", workflow(made, "nan", input=told), code=1)
    assert "the heat map of class 1 is NaN in places, which are neither peaks nor none" in done


def test_a_project_without_the_type_of_tomogram(made, tells) -> None:
    told = {"copick": "copick.json", "kind": "wbp", "heat": "heat/{name}.zarr"}
    done = tells("run", workflow(made, "kind", input=told), code=1)
    assert "has 0 tomograms of wbp at any Å; it has denoised at 10.012 Å" in done


def test_a_card_may_state_thresholds_and_the_workflow_overrides_them(made, tells) -> None:
    """Not wrong: what the card says is used, and what the workflow says goes before it."""
    card = yaml.safe_load((made / "identity.yaml").read_text())
    (made / "stated.yaml").write_text(yaml.safe_dump({**card, "thresholds": {"boundary": 0.7}}))
    values = np.zeros(SHAPE, np.float32)
    values[8, 10, 10], values[8, 40, 40] = 0.8, 0.6
    volume = create_volume(
        made / "own.zarr", shape=SHAPE, dtype=values.dtype, voxel_size_nm=(1.0, 1.0, 1.0)
    )
    volume.write(volume.domain, values)
    changes = {
        "input": {"tomograms": ["own.zarr"]},
        "checkpoint": "stated.yaml",
        "infer": {"device": "cpu", "weights": "pyramid", "padding": "constant"},
        "classes": None,
        "truth": None,
    }
    for name, threshold, found in (("a", None, 1), ("b", 0.5, 2)):
        pick = {} if threshold is None else {"threshold": threshold}
        tells("run", workflow(made, name, pick=pick, **changes), code=0)
        assert len(read_points(made / "runs" / name / "picks.parquet")) == found
    # The mean of two networks has thresholds of its own, which no card can know.
    (made / "else.yaml").write_text(yaml.safe_dump({**card, "thresholds": {"boundary": 0.1}}))
    both = {**changes, "checkpoint": ["stated.yaml", "else.yaml"]}
    done = tells("run", workflow(made, "both", **both), code=1)
    assert "pick.threshold is missing: the cards of the ensemble state different" in done
