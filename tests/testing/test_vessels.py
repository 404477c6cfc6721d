"""Vascular trees: the same in every box, and found again by the graph of their mask."""

import numpy as np
import pytest

from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.vessel_rules import SpurRule
from volkit.ops.vessel_graph import VesselOptions, label_segments, vessel_graph
from volkit.testing.vessels import vessel_tree

SHAPE = (96, 96, 96)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_graph_of_the_mask_is_the_tree_that_was_grown(seed: int) -> None:
    tree = vessel_tree(SHAPE, seed=seed, segments=15)
    assert len(tree.segments) >= 5
    mask = open_volume(tree.mask(Box.from_shape(SHAPE)))
    options = VesselOptions(halo=(8, 8, 8), spurs=SpurRule(radii=1.5))
    made = vessel_graph(
        mask, options=options, voxel_size_nm=(1000.0,) * 3, grid=Grid(mask.domain, (48, 48, 48))
    )
    columns = made.columns.compute(scheduler="sync")
    assert len(columns["segment_id"]) == len(tree.segments)
    assert columns["free_ends"].sum() == (tree.degree == 1).sum()
    assert columns["junction_degree"].tolist() == [3] * int((tree.degree == 3).sum())
    labels = label_segments(made).compute(scheduler="sync")
    truth = tree.labels(mask.domain)
    rows = {int(name): row for row, name in enumerate(columns["segment_id"])}
    assert sorted(set(np.unique(labels).tolist()) - {0}) == sorted(rows)
    met = []
    for name, row in rows.items():
        votes = truth[labels == name]
        met.append(int(np.bincount(votes.astype(np.int64)).argmax()))
        drawn = tree.length[met[-1] - 1]
        # A tip ends up to a radius before or behind; steps on a lattice are up to 8 % longer.
        assert columns["length_um"][row] == pytest.approx(drawn, rel=0.1, abs=4)
        assert abs(columns["radius_um_mean"][row] - tree.radius[met[-1] - 1]) < 1
    assert sorted(met) == list(range(1, len(tree.segments) + 1))


def test_a_box_is_drawn_as_in_the_whole() -> None:
    tree = vessel_tree(SHAPE, seed=3)
    whole = tree.labels(Box.from_shape(SHAPE))
    for block in Grid(Box.from_shape(SHAPE), (50, 40, 96)):
        np.testing.assert_array_equal(tree.labels(block.write), whole[block.write.slices])
    again = vessel_tree(SHAPE, seed=3)
    np.testing.assert_array_equal(again.nodes, tree.nodes)
    assert set(np.unique(whole).tolist()) == set(range(len(tree.segments) + 1))


def test_a_tree_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="no room"):
        vessel_tree((16, 16, 16), seed=0)
