"""Seeds and fragments: one answer for every grid and engine (laws 3 and 4)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError, ContractError, GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.label import label_components
from volkit.kernels.seeds import SeedOptions, seed_mask
from volkit.kernels.watershed import flood
from volkit.ops.fragments import FragmentOptions, fragments, seeds

SEEDS = SeedOptions(cap=3, sigma=0.5, radius=2, min_distance=0.5)
OPTIONS = FragmentOptions(seeds=SEEDS, tile=(8, 8, 8), halo=(4, 4, 4))


def boundary_map(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    smooth = gaussian_filter(np.random.default_rng(seed).random(shape), 1.5)
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


PROB = boundary_map(1, (25, 32, 40))


def run(op, prob, *, block_shape, engine=None, domain=None, options=OPTIONS):
    volume = open_volume(prob)
    grid = Grid(domain or volume.domain, block_shape)
    result = op(volume, options=options, grid=grid, engine=engine or LazyEngine())
    return result.read() if engine else result.compute(scheduler="sync")


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    return run(fragments, PROB, block_shape=PROB.shape)


def test_seeds_are_those_of_the_whole() -> None:
    expected = label_components(seed_mask(PROB, SEEDS), connectivity=26)
    assert len(np.unique(expected)) > 50
    for block_shape in [(25, 32, 40), (7, 9, 11), (24, 31, 39)]:
        np.testing.assert_array_equal(run(seeds, PROB, block_shape=block_shape), expected)


def test_one_tile_is_the_watershed_of_the_whole() -> None:
    expected = flood(PROB, label_components(seed_mask(PROB, SEEDS), connectivity=26))
    options = FragmentOptions(seeds=SEEDS, tile=(64, 64, 64))
    result = run(fragments, PROB, block_shape=PROB.shape, options=options)
    np.testing.assert_array_equal(result, expected)


def test_tiles_that_see_enough_change_little() -> None:
    one = flood(PROB, label_components(seed_mask(PROB, SEEDS), connectivity=26))
    options = FragmentOptions(seeds=SEEDS, tile=(16, 16, 16), halo=(12, 12, 12))
    tiled = run(fragments, PROB, block_shape=PROB.shape, options=options)
    assert (tiled != 0).all()
    assert (tiled == one).mean() > 0.97


@pytest.mark.parametrize("block_shape", [(25, 8, 8), (16, 32, 8), (25, 16, 24)])
def test_lazy_fragments_do_not_depend_on_blocks(block_shape, whole) -> None:
    np.testing.assert_array_equal(run(fragments, PROB, block_shape=block_shape), whole)


@pytest.mark.parametrize("block_shape", [(8, 8, 8), (7, 9, 21), (24, 31, 39)])
def test_stored_fragments_do_not_depend_on_blocks(block_shape, whole, tmp_path: Path) -> None:
    result = run(fragments, PROB, block_shape=block_shape, engine=JobEngine(tmp_path))
    np.testing.assert_array_equal(result, whole)


@given(
    seed=st.integers(0, 99),
    block_shape=st.tuples(*[st.sampled_from([8, 16, 24])] * 3),
    start=st.tuples(*[st.integers(0, 5)] * 3),
)
@settings(max_examples=10)
def test_any_domain_is_a_volume_of_its_own(seed, block_shape, start) -> None:
    prob = boundary_map(seed, (17, 20, 33))
    box = Box(start, prob.shape)
    box = Box(start, tuple(b - (b - a) % 4 for a, b in zip(box.start, box.stop, strict=True)))
    result = run(fragments, prob, block_shape=block_shape, domain=box)
    cut = np.ascontiguousarray(prob[box.slices])
    np.testing.assert_array_equal(result, run(fragments, cut, block_shape=cut.shape))


@pytest.mark.parametrize("op", [seeds, fragments])
def test_minima_do_not_depend_on_blocks(op, tmp_path: Path) -> None:
    options = FragmentOptions(tile=(8, 8, 8), halo=(4, 4, 4), method="minima", depth=0.05)
    one = run(op, PROB, block_shape=PROB.shape, options=options)
    assert len(np.unique(one)) > 50
    lazy = run(op, PROB, block_shape=(25, 16, 8), options=options)
    np.testing.assert_array_equal(lazy, one)
    stored = run(op, PROB, block_shape=(7, 9, 21), options=options, engine=JobEngine(tmp_path))
    np.testing.assert_array_equal(stored, one)


@pytest.mark.parametrize("lazy", [True, False])
def test_without_seeds_all_is_background(lazy: bool, tmp_path: Path) -> None:
    engine = None if lazy else JobEngine(tmp_path)
    prob = np.ones((16, 16, 16), np.float32)
    assert not run(fragments, prob, block_shape=(8, 8, 8), engine=engine).any()


def test_without_boundaries_all_is_one() -> None:
    prob = np.zeros((16, 16, 16), np.float32)
    assert np.unique(run(fragments, prob, block_shape=(8, 8, 8))).tolist() == [1]


def test_a_fragment_keeps_its_id_across_tiles() -> None:
    """Two cells, a wall between: each is one seed, however many tiles it fills."""
    prob = np.zeros((8, 8, 40), np.float32)
    prob[:, 4] = 1
    result = run(fragments, prob, block_shape=(8, 8, 8))
    assert np.unique(result[:, :4]).tolist() == [1]
    # The domain's face is no boundary, so the cell is thickest there: its first seed voxel.
    assert np.unique(result[:, 5:]).tolist() == [1 + 7 * 40]


def test_channels_and_bytes() -> None:
    prob = np.rint(PROB * 255).astype(np.uint8)
    both = np.stack([np.zeros_like(prob), prob])
    options = FragmentOptions(seeds=SEEDS, tile=(8, 8, 8), halo=(4, 4, 4), channel=1)
    result = run(fragments, both, block_shape=(16, 16, 16), options=options)
    expected = run(fragments, prob / np.float32(255), block_shape=PROB.shape)
    np.testing.assert_array_equal(result, expected)


def test_blocks_too_thin_for_their_tiles_are_refused_lazily() -> None:
    message = "blocks of 1 voxels on axis z are thinner than the halo of 10"
    with pytest.raises(GeometryError, match=message) as caught:
        run(fragments, PROB, block_shape=(6, 32, 40))
    assert "choose blocks that are whole tiles" in caught.value.__notes__[0]


def test_logits_are_refused_with_their_block() -> None:
    prob = PROB.copy()
    prob[0, 0, 39] = 3
    with pytest.raises(ContractError, match="are 0.* to 3; .*sigmoid") as caught:
        run(seeds, prob, block_shape=(25, 32, 20))
    assert "block (0, 0, 1)" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": (0, 8, 8)}, "give a tile of at least 1 voxel and a halo"),
        ({"halo": (-1, 0, 0)}, "give a tile of at least 1 voxel and a halo"),
        ({"method": "h"}, "method is 'h'; choose distance or minima"),
        ({"depth": 0}, "depth is 0; give a probability above 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FragmentOptions(**options)
