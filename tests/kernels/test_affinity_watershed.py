"""The kernels of the watershed on affinities, against a literal reading of the paper."""

import tracemalloc
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box
from volkit.kernels.affinity_ascent import edge_direction, steepest_ways
from volkit.kernels.affinity_basins import basins
from volkit.kernels.affinity_boundary import least_inside
from volkit.kernels.affinity_plateau import divided_ways, rise_plateaus

BEFORE = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
WAYS = (*BEFORE, (1, 0, 0), (0, 1, 0), (0, 0, 1))
NONE = {"index": np.zeros(0, np.uint64), "way": np.zeros(0, np.uint8)}

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))


def steps(seed: int, shape: tuple[int, int, int], levels: int) -> np.ndarray:
    """Affinities of few values, so that plateaus are everywhere."""
    drawn = np.random.default_rng(seed).integers(0, levels + 1, (3, *shape))
    return drawn.astype(np.float32) / np.float32(levels)


def paper(affinities: np.ndarray, *, low: float, high: float) -> np.ndarray:
    """Zlateski and Seung on sets of directed edges, a voxel at a time."""
    low, high = np.float32(low), np.float32(high)
    shape = affinities.shape[1:]
    goes: dict[tuple, list[tuple]] = {}
    for voxel in np.ndindex(shape):
        edges = {}
        for n, way in enumerate(WAYS):
            other = tuple(a + b for a, b in zip(voxel, way, strict=True))
            if all(0 <= a < b for a, b in zip(other, shape, strict=True)):
                edges[other] = affinities[(n % 3, *(voxel if n < 3 else other))]
        most = max(edges.values(), default=low)
        goes[voxel] = [o for o, a in edges.items() if most > low and (a == most or a >= high)]
    corners = [v for v in goes if any(v not in goes[o] for o in goes[v])]
    queue, queued = deque(corners), set(corners)
    while queue:
        voxel = queue.popleft()
        exits = [o for o in goes[voxel] if voxel not in goes[o]]
        for other in goes[voxel]:
            if voxel in goes[other] and other not in queued:
                queue.append(other)
                queued.add(other)
        goes[voxel] = exits[-1:]
    beside: dict[tuple, set] = {voxel: set(others) for voxel, others in goes.items()}
    for voxel, others in goes.items():
        for other in others:
            beside[other].add(voxel)
    labels = np.zeros(shape, np.uint64)
    for first in np.ndindex(shape):
        if labels[first] == 0 and beside[first]:
            stack = [first]
            labels[first] = 1 + np.ravel_multi_index(first, shape)
            while stack:
                for other in beside[stack.pop()]:
                    if labels[other] == 0:
                        labels[other] = labels[first]
                        stack.append(other)
    return labels


def watershed(affinities: np.ndarray, *, low: float, high: float) -> np.ndarray:
    shape = affinities.shape[1:]
    box = Box.from_shape(shape)
    ways = steepest_ways(affinities, box, low=low, high=high, toward=-1)
    return basins(divided_ways(ways, box, NONE, start=(0, 0, 0), domain_shape=shape))


@given(
    seed=st.integers(0, 9999),
    shape=SHAPES,
    levels=st.sampled_from([1, 2, 4, 9]),
    low=st.sampled_from([0.0, 0.2, 0.5]),
    high=st.sampled_from([0.75, 1.0, 2.0]),
)
def test_basins_are_those_of_the_paper(seed, shape, levels, low, high) -> None:
    affinities = steps(seed, shape, levels)
    expected = paper(affinities, low=low, high=high)
    np.testing.assert_array_equal(watershed(affinities, low=low, high=high), expected)


@given(seed=st.integers(0, 9999), shape=SHAPES)
def test_ways_join_whichever_of_two_voxels_they_begin_at(seed, shape) -> None:
    """Any bits at all, those that lead out of the array among them."""
    ways = np.random.default_rng(seed).integers(1, 64, shape).astype(np.uint8)
    number, pairs = np.arange(ways.size).reshape(shape), []
    for bit, way in enumerate(WAYS):
        for voxel in np.ndindex(shape):
            other = tuple(a + b for a, b in zip(voxel, way, strict=True))
            if ways[voxel] >> bit & 1 and all(
                0 <= a < b for a, b in zip(other, shape, strict=True)
            ):
                pairs.append((number[voxel], number[other]))
    a, b = np.array(pairs, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(ways.size, ways.size))
    group = connected_components(graph, directed=False)[1]
    first = np.full(ways.size, ways.size)
    np.minimum.at(first, group, number.ravel())
    np.testing.assert_array_equal(basins(ways).ravel(), 1 + first[group])


@pytest.mark.parametrize("levels", [6, 255, None])
def test_basins_are_those_of_waterz(levels) -> None:
    """Plateaus too: it divides them in the same order."""
    waterz = pytest.importorskip("waterz")
    rng = np.random.default_rng(5)
    affinities = np.stack([gaussian_filter(rng.random((30, 31, 32)), 1.5) for _ in range(3)])
    affinities = (affinities - affinities.min()) / np.ptp(affinities)
    if levels:
        affinities = np.rint(affinities * levels) / levels
    affinities = affinities.astype(np.float32)
    found = watershed(affinities, low=0.3, high=0.8)
    theirs = next(
        waterz.agglomerate(affinities, [0.0], aff_threshold_low=0.3, aff_threshold_high=0.8)
    )
    pairs = np.unique(np.stack([found.ravel(), theirs.ravel()]), axis=1)
    assert len(np.unique(found)) > 1000
    assert len(np.unique(found)) == len(np.unique(theirs)) == pairs.shape[1]


def test_a_plateau_is_shared_by_distance() -> None:
    """Two tops, 0.9, and five flat edges between them: each gets the nearer voxels."""
    affinities = np.zeros((3, 1, 1, 8), np.float32)
    affinities[2, 0, 0, 1:] = [0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9]
    assert watershed(affinities, low=0.1, high=1).tolist() == [[[1, 1, 1, 1, 5, 5, 5, 5]]]


def test_thresholds() -> None:
    affinities = np.zeros((3, 1, 1, 6), np.float32)
    affinities[2, 0, 0, 1:] = [0.9, 0.7, 0.8, 0.2, 0.2]
    assert watershed(affinities, low=0.1, high=1).tolist() == [[[1, 1, 3, 3, 3, 3]]]
    assert watershed(affinities, low=0.2, high=1).tolist() == [[[1, 1, 3, 3, 0, 0]]]
    assert watershed(affinities, low=0.2, high=0.7).tolist() == [[[1, 1, 1, 1, 0, 0]]]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_flat_volume_is_one_or_nothing(value: float) -> None:
    flat = np.full((3, 3, 4, 5), value, np.float32)
    assert np.unique(watershed(flat, low=0.1, high=0.9)).tolist() == [1 if value else 0]


@pytest.mark.parametrize("shape", [(1, 1, 1), (0, 4, 4), (1, 1, 2)])
def test_tiny_volumes(shape) -> None:
    affinities = np.ones((3, *shape), np.float32)
    found = watershed(affinities, low=0.1, high=0.9)
    assert found.shape == shape
    assert found.ravel().tolist() == ([1, 1] if shape == (1, 1, 2) else [0] * np.prod(shape))


@given(seed=st.integers(0, 99), shape=SHAPES)
def test_the_positive_convention_says_the_same(seed, shape) -> None:
    before = steps(seed, shape, 4)
    after = np.zeros_like(before)
    for axis in range(3):
        after[axis] = np.roll(before[axis], -1, axis)
    box = Box.from_shape(shape)
    np.testing.assert_array_equal(
        steepest_ways(after, box, low=0.1, high=0.9, toward=1),
        steepest_ways(before, box, low=0.1, high=0.9, toward=-1),
    )


def test_offsets_are_read() -> None:
    assert edge_direction(BEFORE) == -1
    assert edge_direction([[1, 0, 0], [0, 1, 0], [0, 0, 1]]) == 1


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        (BEFORE[::-1], "channels must be those of z, y, x: bring them into this order"),
        (((0, 0, 1), (0, 1, 0), (1, 0, 0)), "bring them into this order"),
        (((-1, 0, 0), (0, 1, 0), (0, 0, -1)), "give .* where a voxel is compared with those"),
        ((*BEFORE, (-4, 0, 0)), "leave long-range ones out"),
        ((), "offsets are \\[\\]; give"),
    ],
)
def test_other_offsets_are_refused(offsets, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edge_direction(offsets)


def test_other_channels_are_refused() -> None:
    with pytest.raises(ContractError, match="affinities are \\(2, 3, 3, 3\\); give \\(3, Z, Y, X"):
        steepest_ways(
            np.zeros((2, 3, 3, 3), np.float32), Box.from_shape((3, 3, 3)), low=0, high=1, toward=-1
        )


def test_affinities_of_a_boundary() -> None:
    prob = np.array([[[0.0, 0.25], [1.0, 0.5]]], np.float32)
    assert least_inside(prob).tolist() == [
        [[[0, 0], [0, 0]]],
        [[[0, 0], [0, 0.5]]],
        [[[0, 0.75], [0, 0]]],
    ]


def test_a_box_needs_few_bytes_beside_the_plateaus_of_its_parts() -> None:
    side = 300
    index = np.arange(side * side, dtype=np.uint64)
    y, x = np.divmod(index.astype(np.int64), side)
    ends = ((y > 0) << 1, (x > 0) << 2, (y < side - 1) << 4, (x < side - 1) << 5)
    mutual = np.bitwise_or.reduce(ends).astype(np.uint8)
    way = mutual.copy()
    way[0] |= 8  # a plane, which is left over one corner
    none = {"id": np.zeros(0, np.uint64), "face": np.zeros(0, np.uint8)}
    rows = {"index": index, "way": way, "mutual": mutual}
    parts = [{**{name: c[n::2] for name, c in rows.items()}, **none} for n in range(2)]
    for _ in range(2):  # the first compiles
        tracemalloc.start()
        try:
            up, kept = rise_plateaus(parts, domain_shape=(2, side, side))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert not len(up["index"])
    np.testing.assert_array_equal(kept["index"], index)  # all but the corner lead to it
    assert kept["way"][:3].tolist() == [8, 4, 4]
    assert kept["way"][side::side].tolist() == [2] * (side - 1)
    assert peak <= 60 * len(index), peak / len(index)
