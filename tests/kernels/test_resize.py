"""Resizing: against scikit-image and torch."""

import numpy as np
import pytest
import torch
from skimage.transform import resize

from volkit.errors import GeometryError
from volkit.kernels.resize import resized


@pytest.mark.parametrize("shape", [(8, 9, 10), (3, 4, 5), (1, 30, 2), (7, 11, 5), (20, 1, 13)])
def test_it_is_linear_between_centres(shape) -> None:
    values = np.random.default_rng(0).random((2, 7, 11, 5)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None], size=shape, mode="trilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(resized(values, shape), theirs, atol=1e-6)
    one = resize(values[0], shape, order=1, mode="edge", anti_aliasing=False)
    np.testing.assert_allclose(resized(values[0], shape), one, atol=1e-6)


def test_the_same_extent_is_the_same_and_bytes_are_taken() -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert (resized(values, (2, 3, 4)) == values).all()
    with pytest.raises(GeometryError, match="one voxel or more"):
        resized(values, (0, 3, 4))
