import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from volkit.errors import ConfigError
from volkit.kernels.minima import deep_minima


@given(
    level=arrays(np.uint8, (4, 5, 6), elements=st.integers(0, 12)),
    rise=st.integers(1, 6),
)
def test_one_voxel_in_every_minimum_of_the_h_transform(level, rise: int) -> None:
    """The h-transform keeps what is deeper than h; levels are integers."""
    morphology = pytest.importorskip("skimage.morphology")
    footprint = ndimage.generate_binary_structure(3, 1)
    raised = level.astype(np.int16) + rise - 1
    transform = morphology.reconstruction(raised, level, method="erosion", footprint=footprint)
    # Regional minima: plateaus that no lower voxel touches (the whole, where all is flat).
    lowest = ndimage.minimum_filter(transform, footprint=footprint, mode="nearest")
    found = []
    for value in np.unique(transform):
        plateaus, count = ndimage.label(transform == value, footprint)
        found += [plateaus == k for k in range(1, count + 1)]
    minima = [plateau for plateau in found if (lowest == transform)[plateau].all()]
    seeds = deep_minima(level / np.float32(255), depth=rise / 255)
    assert seeds.sum() == len(minima)
    assert all(seeds[plateau].sum() == 1 for plateau in minima)


def test_boundary_is_no_seed() -> None:
    prob = np.array([[[0.6, 1.0, 0.2]]], np.float32)
    assert deep_minima(prob, depth=0.1, threshold=0.5).tolist() == [[[False, False, True]]]


def test_of_equal_minima_the_later_one_counts_as_higher() -> None:
    prob = np.array([[[0.2, 0.3, 0.2]]], np.float32)
    assert deep_minima(prob, depth=0.2).tolist() == [[[True, False, False]]]
    assert deep_minima(prob, depth=0.05).tolist() == [[[True, False, True]]]


@pytest.mark.parametrize("depth", [0, -1, 2, np.nan])
def test_a_depth_that_is_none_is_refused(depth) -> None:
    with pytest.raises(ConfigError, match="give a difference of probabilities above 0"):
        deep_minima(np.zeros((1, 1, 1), np.float32), depth=depth)
