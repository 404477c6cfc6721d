"""Skeletons across blocks: one result for every grid, halo and engine, of the mask's topology."""

from pathlib import Path

import cc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import euler_number

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.thinning import UNSETTLED, thin, thinning_moments
from volkit.ops.vessel_skeleton import skeletonize

SHAPE = (14, 17, 20)


def blobs(seed: int, *, share: float = 0.35, sigma: float = 1.2) -> np.ndarray:
    """Smooth random matter: sheets, tunnels, cavities and threads."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(SHAPE), sigma)
    return noise > np.quantile(noise, 1 - share)


def skeleton(values, *, block_shape, halo, engine=None, domain=None, **options):
    volume = open_volume(values)
    grid = Grid(domain or volume.domain, block_shape)
    result = skeletonize(volume, halo=halo, grid=grid, engine=engine, **options)
    return result.read() if isinstance(engine, JobEngine) else result.compute(scheduler="sync")


@given(
    seed=st.integers(0, 10**6),
    share=st.sampled_from([0.1, 0.35, 0.7]),
    block_shape=st.tuples(*[st.integers(3, 20)] * 3),
    halo=st.integers(0, 9),
)
@settings(max_examples=25)
def test_any_grid_and_halo_gives_the_skeleton_of_the_whole(seed, share, block_shape, halo) -> None:
    mask = blobs(seed, share=share)
    cut = skeleton(mask, block_shape=block_shape, halo=(halo,) * 3)
    np.testing.assert_array_equal(cut, thin(mask))


def test_leftovers_may_go_after_all_that_is_known_around_them_has_gone() -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(112).random((15, 18, 20)), 1.2)
    mask = noise > np.quantile(noise, 0.8)
    cut = skeleton(mask, block_shape=(8, 9, 10), halo=(5, 5, 5))
    np.testing.assert_array_equal(cut, thin(mask))


def test_what_takes_more_rounds_than_moments_can_tell_is_settled_too() -> None:
    sheet = np.zeros((3, 540, 530), bool)  # goes from its rim, a voxel in a round
    sheet[1] = True
    assert (thinning_moments(sheet) == UNSETTLED).any()
    thinned = thin(sheet)
    assert counts(thinned) == (1, 0, 1)
    assert thinned.sum() < 1000
    cut = skeleton(sheet, block_shape=(3, 540, 300), halo=(2, 2, 2))
    np.testing.assert_array_equal(cut, thinned)


@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.1, 0.35, 0.7]))
@settings(max_examples=25)
def test_topology_is_that_of_the_mask(seed, share) -> None:
    mask = blobs(seed, share=share)
    thinned = thin(mask)
    assert not (thinned & ~mask).any()
    assert counts(thinned) == counts(mask)


def counts(mask: np.ndarray) -> tuple[int, int, int]:
    """Components, cavities and Euler number (so tunnels too), none of them by this code."""
    _, components = cc3d.connected_components(mask, connectivity=26, return_N=True)
    _, outside = cc3d.connected_components(~np.pad(mask, 1), connectivity=6, return_N=True)
    return components, outside - 1, int(euler_number(mask, connectivity=3))


@pytest.mark.parametrize("block_shape", [(14, 17, 20), (5, 4, 6), (13, 16, 19), (1, 17, 7)])
def test_both_engines_agree_for_every_grid(block_shape, tmp_path: Path) -> None:
    mask = blobs(1)
    job = skeleton(mask, block_shape=block_shape, halo=(3, 3, 3), engine=JobEngine(tmp_path))
    np.testing.assert_array_equal(job, thin(mask))
    lazy = skeleton(mask, block_shape=block_shape, halo=(3, 3, 3), engine=LazyEngine())
    np.testing.assert_array_equal(lazy, job)


@pytest.mark.parametrize("start", [(2, 4, 6), (3, 4, 5)])  # the latter has other subfields
def test_a_part_of_a_volume_is_thinned_as_if_background_lay_around_it(
    start, tmp_path: Path
) -> None:
    mask = blobs(2)
    domain = Box(start, (12, 16, 20))
    alone = np.zeros_like(mask)
    alone[domain.slices] = mask[domain.slices]
    options = {"block_shape": (4, 5, 6), "halo": (2, 2, 2), "domain": domain}
    part = skeleton(mask, **options, engine=JobEngine(tmp_path))
    np.testing.assert_array_equal(part, thin(alone)[domain.slices])


def test_probabilities_are_cut_at_the_threshold() -> None:
    mask = blobs(3)
    prob = np.where(mask, 0.9, 0.2).astype(np.float32)
    cut = skeleton(np.stack([prob, prob]), block_shape=(7, 9, 10), halo=(3, 3, 3), threshold=0.5)
    np.testing.assert_array_equal(cut, thin(mask))


def test_an_empty_mask_has_no_skeleton() -> None:
    assert not skeleton(np.zeros(SHAPE, bool), block_shape=(7, 9, 10), halo=(2, 2, 2)).any()


def test_what_cannot_be_thinned_is_refused() -> None:
    with pytest.raises(ConfigError, match="halo is"):
        skeleton(blobs(1), block_shape=(7, 9, 10), halo=(-1, 0, 0))
    holes = np.full(SHAPE, np.nan, np.float32)
    with pytest.raises(ContractError, match="NaN"):
        skeleton(holes, block_shape=(7, 9, 10), halo=(2, 2, 2))
