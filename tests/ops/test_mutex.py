"""Mutex watershed of fragments: single voxels give that of the volume, blocks do not show."""

from pathlib import Path

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.kernels.mutex import mutex_watershed
from volkit.ops.mutex import mutex_agglomerate

OFFSETS = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (-2, 0, 0), (0, 3, 0), (0, -2, 3)]
SHAPE = (6, 7, 9)
AFFINITIES = (
    (np.random.default_rng(1).permutation(6 * 6 * 7 * 9).reshape(6, *SHAPE) + 1) / 2**12
).astype(np.float32)


@pytest.mark.parametrize("block_shape", [(6, 7, 9), (3, 4, 5)])
def test_voxels_as_fragments_give_the_labels_of_the_volume(block_shape, tmp_path: Path) -> None:
    """Affinities are all different and exact, so that no tie is decided otherwise."""
    voxels = open_volume(np.arange(1, 1 + 6 * 7 * 9, dtype=np.uint64).reshape(SHAPE))
    affinities = open_volume(AFFINITIES)
    how = {"offsets": OFFSETS, "grid": Grid(voxels.domain, block_shape)}
    lazy = mutex_agglomerate(voxels, affinities, **how).compute(scheduler="sync")
    np.testing.assert_array_equal(lazy, mutex_watershed(AFFINITIES, OFFSETS))
    job = mutex_agglomerate(voxels, affinities, **how, engine=JobEngine(tmp_path)).read()
    np.testing.assert_array_equal(job, lazy)
    assert 1 < len(np.unique(lazy)) < 378


@pytest.mark.parametrize("block_shape", [(2, 7, 4), (3, 3, 3), (5, 6, 8)])
def test_any_grid_gives_the_same_labels(block_shape) -> None:
    pieces = np.random.default_rng(2).integers(0, 30, SHAPE).astype(np.uint64)
    volumes = open_volume(pieces), open_volume(AFFINITIES)
    whole = mutex_agglomerate(*volumes, offsets=OFFSETS, grid=Grid(volumes[0].domain, SHAPE))
    parts = mutex_agglomerate(*volumes, offsets=OFFSETS, grid=Grid(volumes[0].domain, block_shape))
    whole = whole.compute(scheduler="sync")
    np.testing.assert_array_equal(parts.compute(scheduler="sync"), whole)
    assert len(np.unique(whole)) > 2


def test_offsets_that_do_not_fit_are_refused() -> None:
    volumes = open_volume(np.ones(SHAPE, np.uint64)), open_volume(AFFINITIES)
    with pytest.raises(ConfigError, match="of which 9 attract; give"):
        mutex_agglomerate(*volumes, offsets=OFFSETS, attractive=9)
    with pytest.raises(ContractError, match="offsets 3; give"):
        mutex_agglomerate(*volumes, offsets=OFFSETS[:3]).compute(scheduler="sync")
