"""Heat maps by the formula, voxel by voxel."""

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.geometry import Box
from volkit.training.heatmaps import REACH, heat_maps, sigmas_in_voxels


def brute(places, kinds, box, sigmas):
    """The formula at every voxel, with nothing cut off."""
    voxels = np.stack(np.meshgrid(*map(np.arange, box.start, box.stop), indexing="ij"), -1)
    maps = np.zeros((len(sigmas), *box.shape))
    for place, kind in zip(places, kinds, strict=True):
        d = (voxels - place) / sigmas[kind]
        maps[kind] = np.maximum(maps[kind], np.exp(-0.5 * (d**2).sum(-1)))
    return maps


def test_maps_are_the_largest_gaussian_of_a_kind() -> None:
    rng = np.random.default_rng(0)
    box = Box((3, -2, 5), (15, 18, 21))
    places = rng.uniform(-4, 24, (12, 3))
    kinds = rng.integers(0, 3, 12)
    sigmas = sigmas_in_voxels([1.0, 2.0, 3.0], "voxels", (1, 1, 1))
    found = heat_maps(places, kinds, box, sigmas=sigmas)
    # What is cut off is smaller than a Gaussian at its reach along one axis.
    np.testing.assert_allclose(
        found, brute(places, kinds, box, sigmas), atol=np.exp(-0.5 * REACH**2) + 1e-6
    )
    assert found.dtype == np.float32


def test_neighbours_keep_a_peak_each() -> None:
    places = np.array([[0.0, 0, 4], [0, 0, 9]])
    maps = heat_maps(
        places, np.zeros(2, int), Box.from_shape((1, 1, 14)), sigmas=np.full((1, 3), 3.0)
    )
    assert maps[0, 0, 0, [4, 9]].tolist() == [1.0, 1.0]
    assert maps.max() == 1


def test_boxes_agree_to_the_bit() -> None:
    rng = np.random.default_rng(1)
    places, kinds = rng.uniform(0, 20, (9, 3)), rng.integers(0, 2, 9)
    sigmas = np.array([[1.0, 2, 2], [3.0, 3, 3]])
    whole = heat_maps(places, kinds, Box.from_shape((20, 20, 20)), sigmas=sigmas)
    box = Box((5, 7, 11), (12, 20, 13))
    part = heat_maps(places, kinds, box, sigmas=sigmas)
    np.testing.assert_array_equal(part, whole[(slice(None), *box.slices)])


def test_nanometres_are_round_where_voxels_are_not() -> None:
    sigmas = sigmas_in_voxels([4.0], "nm", (4.0, 1.0, 1.0))
    maps = heat_maps(
        np.array([[2.0, 8, 8]]), np.array([0]), Box.from_shape((5, 17, 17)), sigmas=sigmas
    )
    assert maps[0, 3, 8, 8] == maps[0, 2, 12, 8] == pytest.approx(np.exp(-0.5))


def test_deviation_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="are not all above 0"):
        sigmas_in_voxels([1.0, 0.0], "voxels", (1, 1, 1))
