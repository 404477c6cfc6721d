"""Mean-affinity agglomeration: waterz's partition, for every grid."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.ops.affinity_agglomeration import affinity_agglomerate
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, affinity_watershed

OPTIONS = AffinityOptions(NEAREST, low=0.3, high=0.9)


@pytest.fixture(scope="module")
def affinities() -> np.ndarray:
    rng = np.random.default_rng(4)
    values = np.stack([gaussian_filter(rng.random((24, 26, 28)), 1.5) for _ in range(3)])
    return ((values - values.min()) / np.ptp(values)).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.4, 0.5])
def test_the_partition_is_that_of_waterz(threshold, affinities, tmp_path: Path) -> None:
    """Affinities are all different, so that no tie is decided otherwise."""
    waterz = pytest.importorskip("waterz")
    volume = open_volume(affinities)
    results = []
    for block_shape, engine in [((24, 26, 28), None), ((7, 26, 9), JobEngine(tmp_path))]:
        how = {"options": OPTIONS, "grid": Grid(volume.domain, block_shape), "engine": engine}
        pieces = affinity_watershed(volume, **how)
        labels = affinity_agglomerate(pieces, volume, threshold=threshold, **how)
        results.append(labels.read() if engine else labels.compute(scheduler="sync"))
    np.testing.assert_array_equal(results[1], results[0])
    theirs = next(
        waterz.agglomerate(affinities, [threshold], aff_threshold_low=0.3, aff_threshold_high=0.9)
    )
    pairs = np.unique(np.stack([results[0].ravel(), theirs.ravel()]), axis=1)
    assert len(np.unique(results[0])) > 20
    assert len(np.unique(results[0])) == len(np.unique(theirs)) == pairs.shape[1]


def test_a_threshold_outside_0_to_1_is_refused(affinities) -> None:
    volume = open_volume(affinities)
    with pytest.raises(ConfigError, match="threshold is 3; give an affinity, 0 to 1"):
        affinity_agglomerate(volume, volume, options=OPTIONS, threshold=3)
