import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.kernels.seeds import SeedOptions, capped_distance, seed_mask

OPTIONS = (
    SeedOptions(cap=3, sigma=1, radius=2, min_distance=0.5),
    SeedOptions(cap=4, sigma=0, radius=1, min_distance=1),
    SeedOptions(cap=4, sigma=1.3, radius=2, min_distance=0.5, sampling=(2.5, 1, 1)),
)


def smooth_map(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).random(shape)
    smooth = ndimage.gaussian_filter(noise, 1.5)
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


@pytest.mark.parametrize("sampling", [(1, 1, 1), (2.5, 1, 1), (1, 0.5, 0.3)])
def test_distances_are_those_of_scipy_up_to_the_cap(sampling) -> None:
    inside = np.random.default_rng(3).random((13, 21, 17)) < 0.93
    expected = np.minimum(ndimage.distance_transform_edt(inside, sampling=sampling), 3.2)
    np.testing.assert_allclose(capped_distance(inside, 3.2, sampling), expected, rtol=1e-6)


def test_no_boundary_is_as_far_as_the_cap() -> None:
    assert np.unique(capped_distance(np.ones((3, 4, 5), bool), 2.5)).tolist() == [2.5]


def test_seeds_are_those_of_the_whole_map_recipe() -> None:
    """Smoothed distance transform, maxima of 7^3 windows: with scipy, nothing capped."""
    prob = smooth_map(1, (30, 40, 50))
    distance = ndimage.distance_transform_edt(prob < 0.5)
    smooth = ndimage.gaussian_filter(distance.astype(np.float32), 2)
    expected = (ndimage.maximum_filter(smooth, 7) == smooth) & (distance > 1.5)
    np.testing.assert_array_equal(seed_mask(prob, SeedOptions(cap=30)), expected)


@given(
    seed=st.integers(0, 99),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 24), st.integers(1, 30)),
    block_shape=st.tuples(*[st.integers(1, 30)] * 3),
    options=st.sampled_from(OPTIONS),
)
def test_blocks_agree_with_the_whole_to_the_bit(seed, shape, block_shape, options) -> None:
    prob = smooth_map(seed, (20, 24, 30))[tuple(slice(n) for n in shape)]
    whole = seed_mask(prob, options)
    # One block is as good as all of them: hypothesis chooses which.
    grid = Grid(Box.from_shape(shape), block_shape, options.halo)
    for number in {0, len(grid) // 2, len(grid) - 1}:
        block = grid[number]
        part = seed_mask(prob[block.read.slices], options)[block.crop]
        np.testing.assert_array_equal(part, whole[block.write.slices])


def test_the_halo_is_cap_smoothing_and_window() -> None:
    assert SeedOptions(cap=16, sigma=2, radius=3).halo == (27, 27, 27)
    assert SeedOptions(cap=16, sigma=2, radius=3, sampling=(10, 1, 1)).halo == (2, 27, 27)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cap": 1.0}, "cap is 1.0; give more than min_distance"),
        ({"cap": np.inf}, "cap is inf"),
        ({"sigma": -1.0}, "sigma is -1.0; give 0 or more"),
        ({"sampling": (1.0, 0.0, 1.0)}, r"sampling is \(1.0, 0.0, 1.0\); give three positive"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SeedOptions(**options)
