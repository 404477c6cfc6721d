"""A real network with a receptive field of 93 voxels on a real T1 image, cut into blocks."""

from pathlib import Path

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.models.checkpoint import load
from volkit.models.tfjs import convert_brainchop
from volkit.ops.inference import InferenceOptions, infer

nibabel = pytest.importorskip("nibabel")
pytest.importorskip("torch")


def lia(path: Path) -> np.ndarray:
    """Read an image in the orientation that the network was trained in, padded to 256 voxels."""
    image = nibabel.load(path)
    orientation = nibabel.orientations
    turn = orientation.ornt_transform(
        orientation.io_orientation(image.affine), orientation.axcodes2ornt("LIA")
    )
    values = orientation.apply_orientation(np.asanyarray(image.dataobj), turn)
    width = [((256 - n) // 2, 256 - n - (256 - n) // 2) for n in values.shape]
    return np.ascontiguousarray(np.pad(values, width))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def checkpoint(shared_data: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = shared_data / "models" / "brainchop" / "model5_gw_ae"
    return convert_brainchop(folder, tmp_path_factory.mktemp("meshnet") / "meshnet.yaml")


@pytest.fixture(scope="module")
def t1(shared_data: Path) -> np.ndarray:
    name = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    return lia(shared_data / "mri" / "mni152" / name)


def test_blocks_equal_the_whole_forward(checkpoint, t1) -> None:
    raw = open_volume(np.ascontiguousarray(t1[70:190, 60:180, 60:180]))
    options = InferenceOptions(
        window=(152, 152, 152), stride=(60, 60, 60), weights="constant", padding="none", batch=1
    )
    got = infer(raw, checkpoint, options=options, grid=Grid(raw.domain, (60, 60, 120)))
    histogram = np.unique(raw.read(), return_counts=True)
    whole = load(checkpoint)(raw.read()[None, None], scale=checkpoint.scaling.resolve(*histogram))
    np.testing.assert_allclose(got.compute(scheduler="sync"), whole[0], atol=1e-5)


def test_tissues_of_the_template(checkpoint, t1, shared_data: Path, tmp_path: Path) -> None:
    options = InferenceOptions(
        window=(220, 348, 348), stride=(128, 256, 256), weights="constant", padding="none", batch=1
    )
    raw = open_volume(t1)
    grid = Grid(raw.domain, (128, 256, 256))
    prob = infer(raw, checkpoint, options=options, grid=grid, engine=JobEngine(tmp_path))
    found = prob.read().argmax(0)

    folder = shared_data / "mri" / "mni152"
    with np.load(folder / "meshnet5_reference_seg_LIA256.npz") as stored:
        assert (found == stored["seg"]).mean() >= 0.999
    white, grey = (
        lia(folder / f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz") / 255
        for tissue in ("wm", "gm")
    )
    is_white = (white > grey) & (white > 0.3)
    assert dice(found == 1, is_white) >= 0.74
    assert dice(found == 2, ~is_white & (grey > 0.3)) >= 0.74
