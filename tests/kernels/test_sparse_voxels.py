"""Sparse voxels against numpy."""

import numpy as np
import pytest

from volkit.kernels.sparse_voxels import set_voxels


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_voxels_are_those_of_argwhere(dtype) -> None:
    mask = (np.random.default_rng(0).random((7, 8, 9)) > 0.9).astype(dtype)
    for part in (mask, mask[1:, ::2, 2:5], mask[:0]):
        np.testing.assert_array_equal(set_voxels(part), np.argwhere(part))
