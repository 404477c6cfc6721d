"""From boundary probabilities to labels: one answer for every grid and engine."""

from dataclasses import replace
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contacts import contacts
from volkit.kernels.relabel import renamed
from volkit.kernels.seeds import SeedOptions
from volkit.ops.components import components_of
from volkit.ops.fragments import FragmentOptions, fragments
from volkit.ops.segmentation import SegmentationOptions, agglomerate, region_graph, segment

SHAPE = (24, 32, 40)
FRAGMENTS = FragmentOptions(
    seeds=SeedOptions(cap=3, sigma=0.5, radius=2, min_distance=0.5),
    tile=(8, 8, 8),
    halo=(4, 4, 4),
)
OPTIONS = SegmentationOptions(FRAGMENTS, threshold=0.65)
BLOCKS = [(8, 8, 8), (24, 16, 40), (16, 32, 24)]
UNEVEN = [(7, 9, 21), (23, 31, 39)]


@pytest.fixture(scope="module")
def prob() -> np.ndarray:
    smooth = gaussian_filter(np.random.default_rng(1).random(SHAPE), 1.5)
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


@pytest.fixture(scope="module")
def pieces(prob) -> np.ndarray:
    lazy = fragments(open_volume(prob), options=FRAGMENTS, grid=Grid(Box.from_shape(SHAPE), SHAPE))
    return lazy.compute(scheduler="sync")


@pytest.fixture(scope="module")
def expected(prob, pieces) -> np.ndarray:
    """The chain of kernels on the whole volume at once."""
    graph = contacts(pieces, prob, Box.from_shape(SHAPE))
    return renamed(pieces, *agglomerate_mean(*graph.values(), threshold=0.65))


def test_the_specimen_is_worth_testing_on(pieces, expected) -> None:
    assert len(np.unique(pieces)) > 50
    assert 10 < len(np.unique(expected)) < len(np.unique(pieces)) - 20


@pytest.mark.parametrize("block_shape", BLOCKS)
def test_lazy_labels_do_not_depend_on_blocks(block_shape, prob, expected) -> None:
    volume = open_volume(prob)
    labels = segment(volume, options=OPTIONS, grid=Grid(volume.domain, block_shape))
    assert isinstance(labels, da.Array)
    np.testing.assert_array_equal(labels.compute(scheduler="sync"), expected)


@pytest.mark.parametrize("block_shape", BLOCKS + UNEVEN)
def test_stored_labels_do_not_depend_on_blocks(block_shape, prob, expected, tmp_path: Path) -> None:
    volume = open_volume(prob)
    grid, engine = Grid(volume.domain, block_shape), JobEngine(tmp_path)
    labels = segment(volume, options=OPTIONS, grid=grid, engine=engine)
    np.testing.assert_array_equal(labels.read(), expected)


def test_a_domain_is_segmented_as_a_volume_of_its_own(prob, tmp_path: Path) -> None:
    box = Box((3, 5, 2), (22, 32, 38))
    engine = JobEngine(tmp_path)
    labels = segment(open_volume(prob), options=OPTIONS, grid=Grid(box, (8, 8, 16)), engine=engine)
    assert labels.domain == box
    cut = open_volume(np.ascontiguousarray(prob[box.slices]))
    whole = segment(cut, options=OPTIONS, grid=Grid(cut.domain, cut.shape))
    np.testing.assert_array_equal(labels.read(), whole.compute(scheduler="sync"))


@pytest.mark.parametrize("block_shape", [(24, 32, 40), *BLOCKS, *UNEVEN])
@pytest.mark.parametrize("lazy", [True, False])
def test_region_graphs_add_up(block_shape, lazy: bool, prob, pieces, tmp_path: Path) -> None:
    a, b = open_volume(pieces), open_volume(prob)
    engine = LazyEngine() if lazy else JobEngine(tmp_path)
    graph = region_graph(a, b, grid=Grid(a.domain, block_shape), engine=engine)
    graph = graph.compute(scheduler="sync") if lazy else graph
    for name, column in contacts(pieces, prob, Box.from_shape(SHAPE)).items():
        np.testing.assert_array_equal(graph[name], column)


def test_fragments_of_others_are_merged_too(prob, pieces, expected, tmp_path: Path) -> None:
    a, b = open_volume(pieces), open_volume(prob)
    engine = JobEngine(tmp_path)
    labels = agglomerate(a, b, threshold=0.65, grid=Grid(a.domain, (10, 10, 10)), engine=engine)
    np.testing.assert_array_equal(labels.read(), expected)


def test_another_threshold_uses_the_same_graph(prob, pieces, tmp_path: Path) -> None:
    """The region graph is stored without a threshold, so that a second one is cheap."""
    a, b = open_volume(pieces), open_volume(prob)
    grid, stages = Grid(a.domain, (16, 16, 16)), []

    def tell(progress) -> None:
        if progress.done > progress.resumed:
            stages.append(progress.stage)

    for threshold in (0.5, 0.6):
        engine = JobEngine(tmp_path, on_progress=tell, replace_stale=True)
        labels = agglomerate(a, b, threshold=threshold, grid=grid, engine=engine).read()
        graph = contacts(pieces, prob, Box.from_shape(SHAPE))
        merged = renamed(pieces, *agglomerate_mean(*graph.values(), threshold=threshold))
        np.testing.assert_array_equal(labels, merged)
        stages.append(threshold)
    assert "region_graph" in stages[: stages.index(0.5)]
    assert "region_graph" not in stages[stages.index(0.5) :]


@pytest.mark.parametrize("block_shape", [(13, 15, 10), (50, 50, 50)])
def test_cells_box_by_box_are_those_of_the_whole_graph(block_shape, prob, tmp_path) -> None:
    """Of fragments that are connected: what tiles cut off is a fragment of its own."""
    volume = open_volume(prob)
    where = {"grid": Grid(volume.domain, block_shape), "engine": JobEngine(tmp_path)}
    cut = FragmentOptions(tile=(8, 8, 8), halo=(3, 3, 3), seeds=OPTIONS.fragments.seeds)
    options = SegmentationOptions(cut, OPTIONS.threshold, "octree")
    found = segment(volume, options=options, **where).read()
    pieces = open_volume(tmp_path / "fragments.zarr")
    named = components_of(pieces, connectivity=26).compute(scheduler="sync")
    assert len(np.unique(named)) > len(np.unique(pieces.read()))
    expected = agglomerate(open_volume(named), volume, threshold=OPTIONS.threshold)
    np.testing.assert_array_equal(found, expected.compute(scheduler="sync"))
    assert 1 < len(np.unique(found)) < len(np.unique(named))


def test_one_machine_holds_the_graph_of_few_cells(prob, expected) -> None:
    """Which it is follows from the volume alone, and so do the labels."""
    options = replace(OPTIONS, agglomeration="auto")
    labels = segment(open_volume(prob), options=options)
    assert not any("agglomeration" in str(key) for key in dict(labels.__dask_graph__()))
    np.testing.assert_array_equal(labels.compute(scheduler="sync"), expected)


def test_an_unknown_agglomeration_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="agglomeration is 'tree'; choose 'whole', 'octree' or 'auto'"
    ):
        SegmentationOptions(agglomeration="tree")


def test_data_arrays_keep_their_coordinates(prob, expected) -> None:
    chunked = da.from_array(prob, chunks=(24, 16, 40))
    array = xr.DataArray(chunked, dims=("z", "y", "x"), coords={"y": np.arange(32) * 4.0})
    labels = segment(array, options=OPTIONS)
    assert labels.y.values[1] == 4.0
    np.testing.assert_array_equal(labels.compute(scheduler="sync"), expected)


def test_a_threshold_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ConfigError, match="threshold is 70; give a probability, 0 to 1"):
        SegmentationOptions(threshold=70)


@pytest.mark.parametrize(("threshold", "error"), [(0.6, 0.0600), (0.7, 0.0420), (0.8, 0.0290)])
def test_real_boundaries_become_cells(shared_data: Path, threshold, error, tmp_path) -> None:
    """FIB-SEM of gala; mean-boundary agglomeration of others: 0.0644, 0.0417, 0.0287."""
    metrics = pytest.importorskip("skimage.metrics")
    folder = shared_data / "em" / "gala_fib"
    with h5py.File(folder / "train-p1.lzf.h5") as p, h5py.File(folder / "train-gt.lzf.h5") as t:
        prob, truth = open_volume(p["stack"][()]), t["stack"][()]
    options = SegmentationOptions(threshold=threshold)
    results = [
        segment(prob, options=options, grid=Grid(prob.domain, (50, 100, 200))).compute(
            scheduler="sync"
        ),
        segment(prob, options=options, grid=Grid(prob.domain, (50, 100, 128))).compute(
            scheduler="sync"
        ),
        segment(
            prob,
            options=options,
            grid=Grid(prob.domain, (50, 64, 70)),
            engine=JobEngine(tmp_path),
        ).read(),
    ]
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])
    found, *_ = metrics.adapted_rand_error(truth, results[0].astype(np.int64), ignore_labels=(0,))
    assert found <= error
