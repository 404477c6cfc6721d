"""Scan twins: the same head is found, another is not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from volkit.errors import ContractError
from volkit.kernels.scan_twins import SIDE, thumbnail, twins


def head(seed: int, shape=(40, 50, 44)) -> np.ndarray:
    """Smooth noise in an ellipsoid, as unlike others as heads are."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    inside = sum(((p - n / 2) / (n / 2)) ** 2 for p, n in zip((z, y, x), shape, strict=True)) < 1
    texture = gaussian_filter(rng.standard_normal(shape), 3)
    return np.where(inside, 100 + 300 * texture, 0)


def test_a_thumbnail_is_the_mean_of_blocks() -> None:
    volume = np.random.default_rng(0).random((32, 48, 16))
    means = volume.reshape(SIDE, 2, SIDE, 3, SIDE, 1).mean((1, 3, 5)).ravel()
    wanted = (means - means.mean()) / means.std()
    np.testing.assert_allclose(thumbnail(volume), wanted, atol=1e-5)


def test_voxels_on_a_border_count_in_both_parts_by_their_share() -> None:
    volume = np.random.default_rng(0).random((5, 7, 17))
    fine = volume
    for axis in range(3):
        fine = np.repeat(fine, SIDE, axis)  # so that parts end between voxels
    means = fine.reshape(SIDE, 5, SIDE, 7, SIDE, 17).mean((1, 3, 5)).ravel()
    np.testing.assert_allclose(thumbnail(volume), (means - means.mean()) / means.std(), atol=1e-5)


def test_copies_are_found_and_other_heads_are_not() -> None:
    rng = np.random.default_rng(5)
    first, second, third = (head(seed) for seed in (1, 2, 3))
    again = 1.7 * second + 12 + rng.standard_normal(second.shape)  # converted, with other noise
    scans = [first, second, third, again]
    found = twins(np.stack([thumbnail(scan) for scan in scans]))
    assert [(a, b) for a, b, _ in found] == [(1, 3)]
    wanted = np.corrcoef(thumbnail(second), thumbnail(again))[0, 1]
    assert found[0][2] == pytest.approx(wanted, abs=1e-5)


def test_constant_volumes_are_no_twins_and_nan_is_refused() -> None:
    flat = thumbnail(np.ones((20, 20, 20)))
    assert not flat.any()
    assert twins(np.stack([flat, flat])) == []
    with pytest.raises(ContractError, match="NaN or infinite"):
        thumbnail(np.full((20, 20, 20), np.nan))
