"""Patches of answers: where they lie, what is mirrored, and what classes weigh."""

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.models.scaling import Scale
from volkit.training.dense_config import OutputPatches
from volkit.training.dense_patches import MappedTissue, class_weights, draw_answers
from volkit.training.patches import Held, Tissue
from volkit.training.targets import boundary_map
from volkit.training.whole_map import mirrored, whole_map


def made(labels, image=None, prob=None, *, start=(0, 0, 0), levels=(0.0, 1.0)) -> MappedTissue:
    box = Box.from_shape(labels.shape, start)
    image = boundary_map(labels).astype(np.uint8) if image is None else image
    tissue = Tissue(Held(image, box), Held(labels, box), box, Scale(0.0, 1.0))
    return MappedTissue(tissue, None if prob is None else Held(prob, box), levels)


@pytest.fixture
def random_labels() -> np.ndarray:
    return np.random.default_rng(7).integers(1, 3, (6, 12, 10))


@pytest.mark.parametrize("planar", [False, True])
def test_classes_are_those_of_the_voxels_in_the_middle(random_labels, planar) -> None:
    image = boundary_map(random_labels, planar=planar).astype(np.uint8)
    patches = OutputPatches((2, 4, 3), 40, planar=planar)
    images, classes = draw_answers(
        [made(random_labels, image)], patches, (1, 3, 2), np.random.default_rng(1)
    )
    assert images.shape == (40, 1, 4, 10, 7)
    # Images hold the boundary of every voxel, mirrored ones included.
    np.testing.assert_array_equal(images[:, 0, 1:-1, 3:-3, 2:-2], classes)


def test_every_symmetry_of_a_section_is_drawn() -> None:
    labels = np.ones((1, 3, 3), int)
    image = np.array([[[0, 1, 2], [3, 4, 5], [6, 7, 8]]], np.uint8)
    patches = OutputPatches((1, 3, 3), 200)
    images, _ = draw_answers([made(labels, image)], patches, (0, 0, 0), np.random.default_rng(0))
    found = {tuple(each.ravel().astype(int)) for each in images}
    turns = [np.rot90(side, n) for side in (image[0], image[0].T) for n in range(4)]
    assert found == {tuple(each.ravel().tolist()) for each in turns}


def test_map_is_the_second_channel_in_the_unit_of_the_image(random_labels) -> None:
    prob = np.random.default_rng(2).random(random_labels.shape, np.float32)
    tissue = made(random_labels, prob=prob, start=(4, 0, 0), levels=(10.0, 30.0))
    box = Box((5, 2, 3), (7, 6, 6))
    np.testing.assert_allclose(tissue.seen(box)[1], 10 + 20 * prob[1:3, 2:6, 3:6], rtol=1e-6)


def test_a_box_smaller_than_the_patch_is_mirrored() -> None:
    labels = np.array([[[1, 1, 2]]])
    patches = OutputPatches((1, 1, 5))
    images, classes = draw_answers([made(labels)], patches, (0, 0, 1), np.random.default_rng(0))
    # 1 1 2, mirrored to 1 1 2 1 1 and once more.
    assert images.ravel().tolist() == [1, 0, 1, 1, 1, 0, 1]
    assert classes.ravel().tolist() == [0, 1, 1, 1, 0]


def test_classes_weigh_alike_over_all_tissues() -> None:
    one, two = np.array([[[1, 1, 1, 2]]]), np.array([[[3, 3, 3, 3]]])
    inside, boundary = class_weights([made(one), made(two)], OutputPatches())
    assert (inside, boundary) == (8 / 2 / 6, 8 / 2 / 2)


def test_sections_count_alone_only_if_planar() -> None:
    labels = np.array([[[1, 1]], [[2, 2]]])
    with pytest.raises(ConfigError, match="0 of 4 voxels are boundary"):
        class_weights([made(labels)], OutputPatches())
    with pytest.raises(ConfigError, match="4 of 4 voxels are boundary"):
        class_weights([made(labels)], OutputPatches(planar=False))


@pytest.mark.parametrize("tile", [(1, 1, 1), (2, 5, 3), (9, 9, 9)])
def test_whole_map_does_not_depend_on_tiles(tile) -> None:
    image = np.random.default_rng(4).random((3, 7, 8), np.float32)
    domain = Box.from_shape(image.shape, (5, 0, 2))

    def read(box: Box) -> np.ndarray:
        return image[box.relative_to(domain).slices][None]

    def two_apart(windows: np.ndarray) -> np.ndarray:
        return windows[0, 0, :, :, 2:] - windows[0, 0, :, :, :-2]

    found = whole_map(two_apart, read, domain, margin=(0, 0, 1), tile=tile)
    padded = np.pad(image, [(0, 0), (0, 0), (1, 1)], mode="reflect")
    np.testing.assert_array_equal(found, padded[..., 2:] - padded[..., :-2])


def test_mirrored_far_beyond_the_faces() -> None:
    image = np.arange(6).reshape(2, 1, 3)
    domain = Box.from_shape(image.shape)
    found = mirrored(lambda b: image[b.slices], domain, Box((-1, -2, -4), (3, 2, 7)))
    np.testing.assert_array_equal(found, np.pad(image, [(1, 1), (2, 1), (4, 4)], mode="reflect"))
