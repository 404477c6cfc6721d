"""Channels of affinities: picked by their offsets, and averaged into a boundary map."""

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.ops.affinity_channels import affinity_boundary, nearest_affinities, nearest_channels
from volkit.ops.affinity_watershed import NEAREST

AFTER = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def test_channels_are_found_by_their_offsets() -> None:
    assert nearest_channels(NEAREST) == ((0, 1, 2), NEAREST)
    assert nearest_channels([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) == ((2, 1, 0), AFTER)
    assert nearest_channels([None, (0, 0, -9), *NEAREST]) == ((2, 3, 4), NEAREST)


@pytest.mark.parametrize(
    "offsets", [(), NEAREST[:2], ((-1, 0, 0), (0, 1, 0), (0, 0, -1)), ((-2, 0, 0), *NEAREST[1:])]
)
def test_offsets_that_miss_an_axis_are_refused(offsets) -> None:
    with pytest.raises(ConfigError, match="are not those of neighbours on z, y and x"):
        nearest_channels(offsets)


def test_picked_channels_are_those_of_the_network() -> None:
    answers = np.random.default_rng(0).random((5, 3, 4, 5), np.float32)
    grid = Grid(open_volume(answers).domain, (2, 3, 4))
    found = nearest_affinities(open_volume(answers), channels=(3, 0, 4), grid=grid)
    np.testing.assert_array_equal(found.compute(scheduler="sync"), answers[[3, 0, 4]])
    found = nearest_affinities(open_volume(answers * 3), channels=(3, 0, 4), grid=grid)
    with pytest.raises(ContractError, match="apply a sigmoid"):
        found.compute(scheduler="sync")


@pytest.mark.parametrize("toward", [-1, 1])
def test_boundaries_average_the_edges_within_the_domain(toward: int, tmp_path) -> None:
    affinities = np.random.default_rng(1).random((3, 3, 4, 5), np.float32)
    expected = np.zeros((3, 4, 5))
    for voxel in np.ndindex(3, 4, 5):
        edges = [
            affinities[(axis, *voxel)]
            for axis in range(3)
            if 0 <= voxel[axis] + toward < (3, 4, 5)[axis]
        ]
        expected[voxel] = 1 - np.mean(edges) if edges else 0
    for name, block_shape in (("a", (3, 4, 5)), ("b", (2, 3, 2))):
        volume = open_volume(affinities)
        found = affinity_boundary(
            volume,
            toward=toward,
            grid=Grid(volume.domain, block_shape),
            engine=JobEngine(tmp_path / name),
        )
        np.testing.assert_allclose(found.read(), expected, atol=1e-6)


def test_a_map_wants_three_channels() -> None:
    with pytest.raises(ContractError, match="give three channels"):
        affinity_boundary(open_volume(np.zeros((2, 3, 3, 3), np.float32)), toward=-1)
