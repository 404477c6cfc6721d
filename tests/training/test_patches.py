"""Patches from stored volumes."""

import dataclasses

import numpy as np
import pytest

from volkit.errors import GeometryError, SourceError
from volkit.geometry import Box
from volkit.io.open import create_volume
from volkit.models.scaling import Scale, Scaling
from volkit.training.config import Augmentation, LabelledVolume, Patches
from volkit.training.patches import Held, Tissue, draw_batch, draw_patch, open_tissue
from volkit.training.targets import boundary_map

NOTHING = dict.fromkeys(
    ("warp", "contrast", "brightness", "gamma", "noise", "blur", "shading", "sections"), 0.0
)
PLAIN = Augmentation(isotropic=False, **NOTHING)


def held(labels: np.ndarray) -> Tissue:
    """A tissue whose image is its boundary, so that alignment can be read off."""
    box = Box.from_shape(labels.shape, (5, 6, 7))
    return Tissue(Held(boundary_map(labels), box), Held(labels, box), box, Scale())


def cells(shape=(14, 20, 20)) -> np.ndarray:
    z, y, x = np.indices(shape)
    return 1 + z // 6 + 3 * (y // 7) + 9 * (x // 5)


@pytest.mark.parametrize("seed", range(10))
def test_target_is_that_of_the_whole(seed) -> None:
    """Targets know what lies beyond the patch; only the tissue's own faces hide contacts."""
    image, target = draw_patch(
        held(cells()), Patches((6, 8, 8)), PLAIN, np.random.default_rng(seed)
    )
    np.testing.assert_array_equal(image > 0, target[0])


def test_tissue_smaller_than_a_patch_is_mirrored() -> None:
    image, target = draw_patch(
        held(cells((3, 9, 9))), Patches((8, 16, 16)), PLAIN, np.random.default_rng(0)
    )
    assert image.shape == target.shape[1:] == (8, 16, 16)


@pytest.mark.parametrize("seed", range(5))
def test_separations_are_those_of_the_whole(seed) -> None:
    """An image that shows the labels tells which partners differ."""
    labels = cells()
    box = Box.from_shape(labels.shape)
    shown = Tissue(Held(labels, box), Held(labels, box), box, Scale())
    patches = Patches((6, 8, 8), separations=((0, 0, 3), (2, 0, 0)))
    image, target = draw_patch(shown, patches, PLAIN, np.random.default_rng(seed))
    assert target.shape == (3, 6, 8, 8)
    np.testing.assert_array_equal(target[1, ..., :-3], image[..., 3:] != image[..., :-3])
    np.testing.assert_array_equal(target[2, :-2], image[2:] != image[:-2])


def test_batch_is_decided_by_its_generator() -> None:
    tissues = [held(cells()), held(cells((9, 9, 9)))]
    one, two = (
        draw_batch(tissues, Patches((6, 8, 8), 3), Augmentation(), np.random.default_rng(1))
        for _ in range(2)
    )
    assert one[0].shape == one[1].shape == (3, 1, 6, 8, 8)
    assert set(np.unique(one[1])) <= {0.0, 1.0}
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_patches_reach_every_voxel_whose_neighbours_are_known() -> None:
    """What touches the tissue's faces is context: whether it is boundary is hidden beyond them."""
    box = Box.from_shape((6, 6, 6), (5, 6, 7))
    numbered = np.arange(6**3, dtype=np.float32).reshape(6, 6, 6)
    tissue = Tissue(Held(numbered, box), Held(np.ones((6, 6, 6), int), box), box, Scale())
    seen: set[float] = set()
    for seed in range(100):
        image, _ = draw_patch(tissue, Patches((3, 3, 3)), PLAIN, np.random.default_rng(seed))
        seen |= set(image.ravel().tolist())
    assert seen == set(numbered[1:-1, 1:-1, 1:-1].ravel().tolist())


def test_scaling_is_that_of_the_box(tissue) -> None:
    spec = dataclasses.replace(tissue, start=(0, 0, 0), stop=(12, 16, 16))
    found = open_tissue(spec, Scaling("moments"))
    assert found.box == Box((0, 0, 0), (12, 16, 16))
    scaled = found.scaled(found.box)
    assert abs(scaled.mean()) < 1e-3
    assert abs(scaled.std() - 1) < 1e-3


def test_box_outside_is_refused(tissue) -> None:
    with pytest.raises(GeometryError, match=r"box \[0:24, 0:32, 0:99\] is not inside"):
        open_tissue(dataclasses.replace(tissue, stop=(24, 32, 99)), Scaling())


def test_labels_of_another_shape_are_refused(tissue, tmp_path) -> None:
    other = str(tmp_path / "other.zarr")
    create_volume(other, shape=(4, 4, 4), dtype="uint32")
    with pytest.raises(GeometryError, match="do not fit"):
        open_tissue(LabelledVolume(tissue.image, other), Scaling())


@pytest.mark.parametrize(
    ("image", "label", "kind", "message"),
    [
        (np.nan, 1, "i4", r"image .*em\.npy: 1 of 256 voxels are NaN or infinite"),
        (np.inf, 1, "i4", r"image .*em\.npy: 1 of 256 voxels are NaN or infinite"),
        (0.5, -3, "i4", r"labels .*truth\.npy hold the negative id -3"),
        (0.5, 1, "f4", r"labels .*truth\.npy are float32; give integer ids"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(tmp_path, image, label, kind, message) -> None:
    values, ids = np.zeros((4, 8, 8), "f4"), np.ones((4, 8, 8), kind)
    values[1, 2, 3], ids[3, 2, 1] = image, label
    np.save(tmp_path / "em.npy", values)
    np.save(tmp_path / "truth.npy", ids)
    spec = LabelledVolume(str(tmp_path / "em.npy"), str(tmp_path / "truth.npy"))
    with pytest.raises(SourceError, match=message):
        open_tissue(spec, Scaling("moments"))
