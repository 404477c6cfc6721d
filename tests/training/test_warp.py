"""Warps move an image and its labels together."""

import numpy as np
import pytest

from volkit.training.config import Augmentation
from volkit.training.warp import Warp, random_warp


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("isotropic", [True, False])
def test_image_and_labels_stay_aligned(seed, isotropic) -> None:
    """An image that says its label still says it after any warp, away from contacts."""
    rng = np.random.default_rng(seed)
    warp = random_warp(rng, Augmentation(isotropic=isotropic, warp=1.0))
    shape = (10, 12, 14)
    source = warp.source_shape(shape)
    z, y, x = np.indices(source)
    labels = (z > source[0] // 2) + 2 * (y > source[1] // 2) + 4 * (x > source[2] // 2) + 2**40
    image = (labels - 2**40).astype(np.float32)
    image, labels = warp.apply(image, labels, shape)
    assert image.shape == labels.shape == shape
    assert np.median(np.abs(image - (labels - 2**40))) < 1e-3
    assert labels.min() >= 2**40  # nearest voxel: no id is made up


def test_symmetries_only_permute_voxels() -> None:
    rng = np.random.default_rng(0)
    cube = np.arange(27).reshape(3, 3, 3)
    seen = set()
    for _ in range(400):
        warp = random_warp(rng, Augmentation(warp=0.0))
        image, labels = warp.apply(cube.astype(np.float32), cube, (3, 3, 3))
        np.testing.assert_array_equal(image, labels)
        seen.add(labels.tobytes())
    assert len(seen) == 48


def test_sections_stay_sections_unless_isotropic() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        warp = random_warp(rng, Augmentation(isotropic=False, warp=0.5))
        source = warp.source_shape((4, 6, 6))
        stack = np.broadcast_to(np.arange(source[0])[:, None, None], source)
        image, labels = warp.apply(stack.astype(np.float32), stack, (4, 6, 6))
        assert (labels == labels[:, :1, :1]).all()
        np.testing.assert_allclose(image, labels, atol=1e-4)


def test_patch_of_another_shape_is_read_turned() -> None:
    warp = Warp(axes=(2, 0, 1), mirrored=(True, False, False))
    assert warp.source_shape((2, 3, 4)) == (3, 4, 2)
    cube = np.arange(24).reshape(3, 4, 2)
    _, labels = warp.apply(cube.astype(np.float32), cube, (2, 3, 4))
    np.testing.assert_array_equal(labels, cube.transpose(2, 0, 1)[::-1])


def test_matrix_of_a_zoom_by_hand() -> None:
    """Twice the distance between samples: every other voxel, about the centre."""
    warp = Warp(matrix=np.diag([1.0, 1.0, 2.0]))
    source = warp.source_shape((1, 1, 3))
    line = np.broadcast_to(np.arange(source[2]), source)
    _, labels = warp.apply(line.astype(np.float32), line, (1, 1, 3))
    assert np.diff(labels.ravel()).tolist() == [2, 2]
