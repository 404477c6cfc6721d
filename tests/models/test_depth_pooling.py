"""Slices as images, pooling over depth, and shuffling channels into voxels."""

import pytest
import torch
from torch.nn import functional

from volkit.models.depth_pooling import as_images, as_volume, gathered, pooled_depth, shuffled


def test_images_are_slices_with_their_neighbours() -> None:
    volume = torch.rand(2, 1, 6, 3, 4)
    images = as_images(volume, slices=5)
    assert images.shape == (12, 5, 3, 4)
    for batch in range(2):
        for z in range(6):
            for channel in range(5):
                at = z + channel - 2
                expected = volume[batch, 0, at] if 0 <= at < 6 else torch.zeros(3, 4)
                assert torch.equal(images[batch * 6 + z, channel], expected)


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_pooling_is_that_of_torch(pool) -> None:
    volume = torch.rand(2, 3, 8, 2, 2)
    images = volume.transpose(1, 2).flatten(0, 1)
    expected = functional.avg_pool3d(volume, (pool, 1, 1))
    torch.testing.assert_close(as_volume(pooled_depth(images, 2, pool), 2), expected)


def test_mixing_is_a_pool_of_three_that_keeps_depth() -> None:
    volume = torch.rand(2, 3, 8, 2, 2)
    images = volume.transpose(1, 2).flatten(0, 1)
    expected = functional.avg_pool3d(volume, (3, 1, 1), (1, 1, 1), (1, 0, 0))
    torch.testing.assert_close(as_volume(pooled_depth(images, 2, "mix"), 2), expected)


def test_shuffling_puts_every_channel_on_its_voxel() -> None:
    maps = torch.rand(2, 3 * 24, 2, 3, 1)
    voxels = shuffled(maps, (4, 2, 3))
    assert voxels.shape == (2, 3, 8, 6, 3)
    for kind, fz, fy, fx in ((0, 0, 0, 0), (1, 3, 1, 2), (2, 1, 0, 1)):
        channel = kind * 24 + (fz * 2 + fy) * 3 + fx
        assert torch.equal(voxels[:, kind, fz::4, fy::2, fx::3], maps[:, channel])
    assert torch.equal(gathered(voxels, (4, 2, 3)), maps)


def test_shuffling_a_plane_is_that_of_torch() -> None:
    maps = torch.rand(1, 8, 1, 3, 5)
    expected = functional.pixel_shuffle(maps[:, :, 0], 2)
    assert torch.equal(shuffled(maps, (1, 2, 2))[:, :, 0], expected)
