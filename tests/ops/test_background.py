"""Background given to labels: one answer for every grid."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.watershed import flood
from volkit.ops.affinity_boundary import boundary_affinities
from volkit.ops.affinity_segmentation import AffinitySegmentationOptions, affinity_segment
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions
from volkit.ops.background import fill_background

SHAPE = (12, 16, 20)


def specimen() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    smooth = gaussian_filter(rng.random(SHAPE), 1.5)
    prob = ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)
    labels = np.where(prob < 0.3, rng.integers(1, 50, SHAPE), 0).astype(np.uint64)
    return labels, prob


@pytest.mark.parametrize("block_shape", [(4, 8, 20), (5, 7, 9)])
def test_labels_do_not_depend_on_blocks(block_shape, tmp_path: Path) -> None:
    labels, prob = (open_volume(array) for array in specimen())
    how = {"tile": (8, 8, 8), "halo": (3, 3, 3)}
    one, cut = (
        fill_background(
            labels, prob, **how, grid=Grid(prob.domain, b), engine=JobEngine(tmp_path / str(b[0]))
        ).read()
        for b in (SHAPE, block_shape)
    )
    np.testing.assert_array_equal(cut, one)
    given = labels.read()
    np.testing.assert_array_equal(one[given > 0], given[given > 0])


def test_one_tile_is_a_flood_of_the_whole() -> None:
    labels, prob = specimen()
    grid = Grid(Box.from_shape(SHAPE), SHAPE)
    found = fill_background(open_volume(labels), open_volume(prob), grid=grid)
    np.testing.assert_array_equal(found.compute(scheduler="sync"), flood(prob, labels))


def test_empty_tiles_are_refused() -> None:
    labels, prob = (open_volume(array) for array in specimen())
    with pytest.raises(ConfigError, match="give a tile of at least 1 voxel and a halo"):
        fill_background(labels, prob, tile=(0, 8, 8))


def test_real_boundaries_become_cells(shared_data: Path, tmp_path: Path) -> None:
    """FIB-SEM of gala: affinities, basins, linkage by size, background filled; others: 0.0287."""
    metrics = pytest.importorskip("skimage.metrics")
    folder = shared_data / "em" / "gala_fib"
    with h5py.File(folder / "train-p1.lzf.h5") as p, h5py.File(folder / "train-gt.lzf.h5") as t:
        prob, truth = open_volume(p["stack"][()]), t["stack"][()]
    linkage = ((1000, 0.1), (5000, 0.3), (20000, 0.5))
    options = AffinitySegmentationOptions(AffinityOptions(NEAREST), linkage=linkage)
    results = []
    for number, block_shape in enumerate([(50, 100, 200), (50, 64, 70), (24, 100, 64)]):
        how = {"grid": Grid(prob.domain, block_shape), "engine": JobEngine(tmp_path / str(number))}
        labels = affinity_segment(boundary_affinities(prob, **how), options=options, **how).labels
        results.append(fill_background(labels, prob, **how).read())
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])
    assert results[0].all()
    found, *_ = metrics.adapted_rand_error(truth, results[0].astype(np.int64), ignore_labels=(0,))
    assert found == pytest.approx(0.0242, abs=5e-4)
