import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volkit.errors import ContractError
from volkit.kernels.watershed import LEVELS, flood


def slow_flood(level: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The rule, literally: lowest level first, then first come, first served."""
    out = seeds.copy()
    queue = [(level[v], age, v) for age, v in enumerate(zip(*np.nonzero(seeds), strict=True))]
    heapq.heapify(queue)
    age = len(queue)
    while queue:
        _, _, voxel = heapq.heappop(queue)
        for axis in range(3):
            for step in (-1, 1):
                other = tuple(i + step * (a == axis) for a, i in enumerate(voxel))
                inside = all(0 <= i < n for i, n in zip(other, level.shape, strict=True))
                if inside and out[other] == 0:
                    out[other] = out[voxel]
                    age += 1
                    heapq.heappush(queue, (level[other], age, other))
    return out


@given(
    level=arrays(np.uint8, (4, 5, 6), elements=st.integers(0, 6)),
    seeds=arrays(np.uint64, (4, 5, 6), elements=st.sampled_from([0, 0, 0, 0, 0, 3, 2**63, 8])),
)
def test_the_flood_follows_its_rule(level, seeds) -> None:
    prob = level.astype(np.float32) / np.float32(LEVELS - 1)
    np.testing.assert_array_equal(flood(prob, seeds), slow_flood(level, seeds))


@pytest.mark.parametrize("seed", range(5))
def test_without_ties_it_is_the_watershed_of_scikit_image(seed: int) -> None:
    segmentation = pytest.importorskip("skimage.segmentation")
    rng = np.random.default_rng(seed)
    level = rng.permutation(256)[:252].astype(np.uint8).reshape(6, 6, 7)
    seeds = np.zeros(level.shape, np.uint64)
    seeds.ravel()[rng.choice(252, 7, replace=False)] = np.arange(1, 8)
    expected = segmentation.watershed(level, seeds.astype(np.int32))
    np.testing.assert_array_equal(flood(level / np.float32(255), seeds), expected)


def test_flat_ground_is_shared_by_distance() -> None:
    seeds = np.zeros((1, 1, 9), np.uint64)
    seeds[0, 0, [0, 8]] = 5, 6
    flat = np.zeros(seeds.shape, np.float32)
    assert flood(flat, seeds).tolist() == [[[5, 5, 5, 5, 5, 6, 6, 6, 6]]]


def test_without_seeds_all_is_background() -> None:
    prob = np.zeros((2, 3, 4), np.float32)
    assert not flood(prob, np.zeros((2, 3, 4), np.uint64)).any()


def test_shapes_must_agree() -> None:
    with pytest.raises(ContractError, match=r"boundary map is \(2, 3, 4\), seeds are \(2, 3, 5\)"):
        flood(np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.uint64))


def test_too_many_voxels_are_refused_before_memory_is_asked_for() -> None:
    prob = np.broadcast_to(np.float32(0), (2048, 1024, 1024))
    with pytest.raises(ContractError, match="too many voxels for one flood; choose tiles"):
        flood(prob, np.broadcast_to(np.uint64(0), prob.shape))
