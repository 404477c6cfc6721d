"""Polarity of maps, beside scikit-learn, over any blocks; and what is said of inverted ones."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from volkit.engine.job import JobEngine
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.kernels.polarity import add_levels, edge_levels, edge_separation, voxel_levels
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions
from volkit.ops.polarity import polarity

SHAPE = (6, 9, 8)
RNG = np.random.default_rng(4)
TRUTH = np.digitize(gaussian_filter(RNG.random(SHAPE), 1.2), [0.48, 0.5, 0.52]).astype(np.uint64)
AFFINITIES = np.rint(255 * RNG.random((3, *SHAPE))).astype(np.float32) / 255


def pairs(truth: np.ndarray, affinities: np.ndarray) -> tuple[list[int], list[float]]:
    """Every edge, one by one: whether it lies within an object, and its affinity."""
    inside, values = [], []
    for voxel in np.ndindex(truth.shape):
        for axis in range(3):
            other = tuple(n - (axis == k) for k, n in enumerate(voxel))
            if min(other) >= 0 and (truth[voxel] or truth[other]):
                inside.append(int(truth[voxel] == truth[other]))
                values.append(affinities[(axis, *voxel)])
    return inside, values


@pytest.mark.parametrize("toward", [-1, 1])
def test_separation_is_the_area_under_the_curve(toward: int) -> None:
    told = AFFINITIES if toward < 0 else np.stack([np.roll(AFFINITIES[n], -1, n) for n in range(3)])
    counts = edge_levels(told, TRUTH, Box.from_shape(SHAPE), toward=toward)
    assert edge_separation(counts) == pytest.approx(roc_auc_score(*pairs(TRUTH, AFFINITIES)), 1e-12)
    cut = [
        edge_levels(
            np.ascontiguousarray(told[(slice(None), *block.read.slices)]),
            TRUTH[block.read.slices],
            block.write.relative_to(block.read),
            toward=toward,
        )
        for block in Grid(Box.from_shape(SHAPE), (4, 2, 5)).with_halo((1, 1, 1))
    ]
    whole = add_levels(cut)
    assert all((whole[name] == counts[name]).all() for name in counts)


def test_voxels_between_objects_are_those_of_brute_force() -> None:
    values, padded = AFFINITIES[0], np.pad(TRUTH, 1, mode="edge")
    inside, found = [], []
    for voxel in np.ndindex(SHAPE):
        z, y, x = (n + 1 for n in voxel)
        near = [padded[z - 1, y, x], padded[z + 1, y, x], padded[z, y - 1, x]]
        near += [padded[z, y + 1, x], padded[z, y, x - 1], padded[z, y, x + 1]]
        others = [label for label in near if label not in (0, TRUTH[voxel])]
        if others or (TRUTH[voxel] and all(label == TRUTH[voxel] for label in near)):
            inside.append(int(not others))
            found.append(values[voxel])
    assert 20 < sum(inside) < len(inside) - 20
    cut = [
        voxel_levels(
            np.ascontiguousarray(values[block.read.slices]),
            TRUTH[block.read.slices],
            block.write.relative_to(block.read),
        )
        for block in Grid(Box.from_shape(SHAPE), (4, 2, 5)).with_halo((1, 1, 1))
    ]
    assert edge_separation(add_levels(cut)) == pytest.approx(roc_auc_score(inside, found), 1e-12)


def test_inverted_values_are_named_and_others_not(tmp_path: Path) -> None:
    edges = np.zeros((3, *SHAPE), np.float32)
    for axis in range(3):
        edges[axis] = 0.1 + 0.8 * (np.roll(TRUTH, 1, axis) == TRUTH)
    truth, options = open_volume(TRUTH), AffinityOptions(NEAREST)
    where = {"grid": Grid(truth.domain, (3, 5, 8))}
    assert polarity(open_volume(edges), truth, options=options, **where).compute() == ()
    engine = JobEngine(tmp_path)
    (said,) = polarity(open_volume(1 - edges), truth, options=options, **where, engine=engine)
    assert said.startswith("affinities are lower inside true objects than at their borders (sep")
    boundary = (TRUTH == 0).astype(np.float32)
    both = np.stack([1 - boundary, boundary])
    assert polarity(open_volume(both), truth, options=1, **where).compute() == ()
    (said,) = polarity(open_volume(both), truth, **where).compute()
    assert "they look inverted; give 1 - map" in said


def test_a_truth_without_borders_says_nothing() -> None:
    values = open_volume(AFFINITIES)
    for truth in (np.zeros(SHAPE, np.uint64), np.ones(SHAPE, np.uint64)):
        found = polarity(values, open_volume(truth), options=AffinityOptions(NEAREST))
        assert found.compute() == ()
