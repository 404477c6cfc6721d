"""Affinities to fragments and labels: one answer for every grid and engine."""

from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.affinity_ascent import steepest_ways
from volkit.kernels.affinity_basins import basins
from volkit.kernels.affinity_plateau import divided_ways
from volkit.ops.affinity_boundary import boundary_affinities
from volkit.ops.affinity_segmentation import (
    AffinitySegmentationOptions,
    affinity_graph,
    affinity_segment,
    relabel_at,
)
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, affinity_watershed

SHAPE = (11, 13, 17)
OPTIONS = AffinityOptions(NEAREST, low=0.3, high=0.9)
LINKED = AffinitySegmentationOptions(OPTIONS, linkage=((8, 0.4), (30, 0.6)), threshold=0.8)
BLOCKS = [(4, 13, 17), (3, 5, 4), (11, 6, 9)]
NONE = {"index": np.zeros(0, np.uint64), "way": np.zeros(0, np.uint8)}


def smooth(seed: int, shape: tuple[int, int, int], levels: int | None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.stack([gaussian_filter(rng.random(shape), 1) for _ in range(3)])
    values = (values - values.min()) / max(np.ptp(values), 1e-9)
    return (values if levels is None else np.rint(values * levels) / levels).astype(np.float32)


def alone(affinities: np.ndarray, options: AffinityOptions) -> np.ndarray:
    """The kernels on the whole volume at once, which the kernels' own tests hold to the paper."""
    shape = affinities.shape[1:]
    box = Box.from_shape(shape)
    high = np.inf if options.high is None else options.high
    ways = steepest_ways(affinities, box, low=options.low, high=high, toward=options.toward)
    return basins(divided_ways(ways, box, NONE, start=(0, 0, 0), domain_shape=shape))


def run(op, affinities, *, block_shape, engine=None, domain=None, options=OPTIONS):
    volume = open_volume(affinities)
    grid = Grid(domain or volume.domain, block_shape)
    result = op(volume, options=options, grid=grid, engine=engine or LazyEngine())
    return result.read() if engine else result.compute(scheduler="sync")


@given(
    seed=st.integers(0, 9999),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 9)),
    block_shape=st.tuples(*[st.integers(1, 6)] * 3),
    levels=st.sampled_from([1, 3, 8, None]),
    high=st.sampled_from([0.6, None]),
)
@settings(max_examples=25)
def test_fragments_do_not_depend_on_blocks(seed, shape, block_shape, levels, high) -> None:
    """Few levels make plateaus that cross faces; blocks may be one voxel."""
    affinities = smooth(seed, shape, levels)
    options = AffinityOptions(NEAREST, low=0.2, high=high)
    block_shape = tuple(min(b, n) for b, n in zip(block_shape, shape, strict=True))
    found = run(affinity_watershed, affinities, block_shape=block_shape, options=options)
    np.testing.assert_array_equal(found, alone(affinities, options))


@given(seed=st.integers(0, 999), length=st.integers(2, 24), block=st.integers(1, 9))
@settings(max_examples=15)
def test_plateaus_longer_than_blocks(seed, length, block) -> None:
    """A flat line with exits here and there, through many blocks."""
    affinities = np.zeros((3, 1, 2, length), np.float32)
    affinities[2, 0, 0] = 0.5
    affinities[1, 0, 1] = np.random.default_rng(seed).choice([0.0, 0.4, 0.7], length)
    expected = alone(affinities, OPTIONS)
    found = run(affinity_watershed, affinities, block_shape=(1, 1, min(block, length)))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("block_shape", [(4, 5, 17), (3, 13, 4)])
@pytest.mark.parametrize("levels", [5, None])
def test_stored_fragments_do_not_depend_on_blocks(block_shape, levels, tmp_path: Path) -> None:
    affinities = smooth(1, SHAPE, levels)
    engine = JobEngine(tmp_path)
    found = run(affinity_watershed, affinities, block_shape=block_shape, engine=engine)
    np.testing.assert_array_equal(found, alone(affinities, OPTIONS))
    assert len(np.unique(found)) > 50


def test_a_domain_is_a_volume_of_its_own() -> None:
    affinities = smooth(2, SHAPE, 6)
    box = Box((2, 1, 3), (10, 12, 17))
    cut = np.ascontiguousarray(affinities[(slice(None), *box.slices)])
    found = run(affinity_watershed, affinities, block_shape=(3, 4, 5), domain=box)
    np.testing.assert_array_equal(found, alone(cut, OPTIONS))


def test_bytes_and_the_positive_convention() -> None:
    levels = np.rint(smooth(3, SHAPE, None) * 255).astype(np.uint8)
    expected = alone(levels / np.float32(255), OPTIONS)
    np.testing.assert_array_equal(run(affinity_watershed, levels, block_shape=(5, 5, 5)), expected)
    after = np.stack([np.roll(levels[axis], -1, axis) for axis in range(3)])
    options = AffinityOptions(((1, 0, 0), (0, 1, 0), (0, 0, 1)), low=0.3, high=0.9)
    found = run(affinity_watershed, after, block_shape=(5, 4, 5), options=options)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("toward", [-1, 1])
@pytest.mark.parametrize("block_shape", [SHAPE, (4, 5, 6)])
def test_thresholds_may_be_shares_of_edges(toward: int, block_shape) -> None:
    """Of 256 levels, the quantile is a level, and no edge out of the volume counts."""
    affinities = np.rint(smooth(4, SHAPE, None) * 255).astype(np.uint8)
    edges = np.sort(
        np.concatenate([affinities[n].take(range(1, SHAPE[n]), n).ravel() for n in range(3)])
    )
    low, high = (edges[int(np.ceil(q * len(edges))) - 1] / 255 for q in (0.2, 0.9))
    expected = alone(affinities / np.float32(255), AffinityOptions(NEAREST, low, high))
    if toward > 0:
        affinities = np.stack([np.roll(affinities[axis], -1, axis) for axis in range(3)])
    offsets = np.diag([toward] * 3).tolist()
    options = AffinityOptions(offsets, low=0.2, high=0.9, quantiles=True)
    found = run(affinity_watershed, affinities, block_shape=block_shape, options=options)
    np.testing.assert_array_equal(found, expected)


def test_sections_may_stand_alone() -> None:
    affinities = smooth(5, SHAPE, 9)
    options = AffinityOptions(NEAREST, low=0.3, high=0.9, sections=True)
    found = run(affinity_watershed, affinities, block_shape=(3, 6, 7), options=options)
    for z in range(SHAPE[0]):
        one = alone(
            np.ascontiguousarray(affinities[:, z : z + 1] * [[[[0]]], [[[1]]], [[[1]]]]).astype(
                np.float32
            ),
            OPTIONS,
        )
        np.testing.assert_array_equal(found[z], np.where(one, one + z * 13 * 17, 0)[0])
    graph = affinity_graph(
        open_volume(found),
        open_volume(affinities),
        options=options,
        grid=Grid(Box.from_shape(SHAPE), (3, 6, 7)),
    ).compute(scheduler="sync")
    assert ((graph["u"] - 1) // (13 * 17) == (graph["v"] - 1) // (13 * 17)).all()


@pytest.fixture(scope="module")
def labelled() -> tuple[np.ndarray, np.ndarray, dict]:
    affinities = smooth(6, SHAPE, 40)
    lazy = affinity_segment(
        open_volume(affinities), options=LINKED, grid=Grid(Box.from_shape(SHAPE), SHAPE)
    )
    tree = lazy.tree.compute(scheduler="sync")
    return affinities, lazy.labels.compute(scheduler="sync"), tree


def test_the_specimen_is_worth_testing_on(labelled) -> None:
    _, labels, tree = labelled
    assert tree["linked"].sum() > 20
    assert 5 < len(np.unique(labels)) < len(tree["id"]) - 40


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize("block_shape", BLOCKS)
def test_labels_and_tree_do_not_depend_on_blocks(block_shape, lazy, labelled, tmp_path) -> None:
    affinities, labels, tree = labelled
    volume = open_volume(affinities)
    engine = LazyEngine() if lazy else JobEngine(tmp_path)
    result = affinity_segment(
        volume, options=LINKED, grid=Grid(volume.domain, block_shape), engine=engine
    )
    found = result.labels.compute(scheduler="sync") if lazy else result.labels.read()
    columns = result.tree.compute(scheduler="sync") if lazy else result.tree
    np.testing.assert_array_equal(found, labels)
    for name, column in tree.items():
        np.testing.assert_array_equal(columns[name], column)


@pytest.mark.parametrize("lazy", [True, False])
def test_any_threshold_is_a_relabelling(lazy: bool, tmp_path: Path) -> None:
    volume = open_volume(smooth(6, SHAPE, 40))
    grid = Grid(volume.domain, (4, 5, 9))
    engine = LazyEngine() if lazy else JobEngine(tmp_path)
    first = affinity_segment(volume, options=LINKED, grid=grid, engine=engine)
    for threshold in (None, 0.9, 0.5):
        options = AffinitySegmentationOptions(OPTIONS, LINKED.linkage, threshold, smallest=5)
        again = affinity_segment(volume, options=options, grid=Grid(volume.domain, SHAPE)).labels
        labels = relabel_at(
            first.fragments,
            first.tree,
            threshold=threshold,
            smallest=5,
            grid=grid,
            engine=engine,
            name=f"at_{threshold}",
        )
        found = labels.compute(scheduler="sync") if lazy else labels.read()
        np.testing.assert_array_equal(found, again.compute(scheduler="sync"))


def test_data_arrays_keep_their_coordinates() -> None:
    affinities = smooth(7, SHAPE, None)
    array = xr.DataArray(
        da.from_array(affinities, chunks=(3, 5, 13, 17)),
        dims=("c", "z", "y", "x"),
        coords={"z": np.arange(11) * 30.0},
    )
    result = affinity_segment(array, options=LINKED)
    assert result.labels.z.values[1] == 30
    fragments = result.fragments.compute(scheduler="sync")
    np.testing.assert_array_equal(fragments, alone(affinities, OPTIONS))


def test_affinities_of_a_boundary_do_not_depend_on_blocks() -> None:
    prob = smooth(8, SHAPE, None)[0]
    volume = open_volume(prob)
    one, cut = (
        boundary_affinities(volume, grid=Grid(volume.domain, shape)).compute(scheduler="sync")
        for shape in (SHAPE, (3, 4, 6))
    )
    np.testing.assert_array_equal(cut, one)
    np.testing.assert_allclose(one[1, :, 1:], 1 - np.maximum(prob[:, 1:], prob[:, :-1]))


def test_a_missing_section_is_background() -> None:
    affinities = smooth(9, SHAPE, 9)
    affinities[:, 5] = 0
    affinities[0, 6] = 0
    found = run(affinity_watershed, affinities, block_shape=(4, 7, 17))
    assert not found[5].any()
    assert set(np.unique(found[:5])) & set(np.unique(found[6:])) <= {0}


@pytest.mark.parametrize(
    ("value", "message"), [(2.0, "to 2; .*sigmoid"), (-0.5, "are -0.5 to"), (np.nan, "are NaN")]
)
def test_values_that_are_no_affinities_are_refused(value, message: str) -> None:
    affinities = smooth(1, SHAPE, None)
    affinities[1, 0, 0, 16] = value
    with pytest.raises(ContractError, match=message) as caught:
        run(affinity_watershed, affinities, block_shape=(11, 13, 9))
    assert "block (0, 0, 1)" in caught.value.__notes__[0]


@pytest.mark.parametrize("shape", [(2, *SHAPE), SHAPE])
def test_other_channels_are_refused(shape) -> None:
    with pytest.raises(ContractError, match="give three channels, those on z, y, x"):
        affinity_watershed(open_volume(np.zeros(shape, np.float32)), options=OPTIONS)


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(TypeError, match="offsets"):
        AffinityOptions()
    with pytest.raises(ConfigError, match="bring them into this order"):
        AffinityOptions(NEAREST[::-1])
    with pytest.raises(ConfigError, match="low is 0.9, high is 0.3; give affinities with 0 <= low"):
        AffinityOptions(NEAREST, low=0.9, high=0.3)
    with pytest.raises(ConfigError, match="give shares of edges with"):
        AffinityOptions(NEAREST, low=-1, quantiles=True)
    with pytest.raises(ConfigError, match="give \\(voxels, affinity\\)"):
        AffinitySegmentationOptions(OPTIONS, linkage=((0, 0.5),))
    with pytest.raises(ConfigError, match="threshold is 7; give an affinity"):
        AffinitySegmentationOptions(OPTIONS, threshold=7)


def test_real_boundaries_become_cells(shared_data: Path, tmp_path: Path) -> None:
    """FIB-SEM of gala, whose map is 1 in 14 % of voxels: those are background, and cost most."""
    metrics = pytest.importorskip("skimage.metrics")
    folder = shared_data / "em" / "gala_fib"
    with h5py.File(folder / "train-p1.lzf.h5") as p, h5py.File(folder / "train-gt.lzf.h5") as t:
        prob, truth = open_volume(p["stack"][()]), t["stack"][()]
    lazy = boundary_affinities(prob, grid=Grid(prob.domain, prob.shape))
    affinities = open_volume(lazy.compute(scheduler="sync"))
    linkage = ((1000, 0.1), (5000, 0.3), (20000, 0.5))
    options = AffinitySegmentationOptions(AffinityOptions(NEAREST), linkage=linkage)
    results = []
    for block_shape, engine in [
        ((50, 100, 200), None),
        ((50, 64, 70), None),
        ((24, 100, 64), JobEngine(tmp_path)),
    ]:
        grid = Grid(prob.domain, block_shape)
        labels = affinity_segment(affinities, options=options, grid=grid, engine=engine).labels
        results.append(labels.read() if engine else labels.compute(scheduler="sync"))
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])
    found, *_ = metrics.adapted_rand_error(truth, results[0].astype(np.int64), ignore_labels=(0,))
    assert found == pytest.approx(0.1508, abs=2e-4)
