"""The merge tree, against a search of all edges, and the graph it is made from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.affinity_graph import add_graphs, basin_graph
from volkit.kernels.merge_tree import cut_tree, merge_tree

PAIRS = st.tuples(st.integers(1, 10), st.integers(1, 10)).filter(lambda p: p[0] < p[1])
# Few values, so that ties are common.
EDGES = st.dictionaries(PAIRS, st.integers(0, 5), max_size=30)
LINKAGES = st.lists(st.tuples(st.integers(1, 12), st.sampled_from([0.2, 0.5, 0.8])), max_size=3)


def graph_of(edges: dict, voxels: list[int]) -> dict:
    u, v = np.array(list(edges), np.uint64).reshape(-1, 2).T
    affinity = np.array([n / 5 for n in edges.values()], np.float32)
    ids = np.arange(1, 11, dtype=np.uint64)
    return {"u": u, "v": v, "affinity": affinity, "id": ids, "voxels": np.array(voxels, np.int64)}


def groups(tree: dict, threshold: float | None) -> dict[int, int]:
    old, new = cut_tree(tree, threshold=threshold)
    return {n: n for n in range(1, 11)} | dict(zip(old.tolist(), new.tolist(), strict=True))


def slowly(edges: dict, voxels: list[int], linkage: list, threshold: float | None) -> dict:
    """Visit edges one by one, renaming every node at each merge."""
    group = {n: n for n in range(1, 11)}
    order = sorted(edges, key=lambda pair: (-edges[pair], pair))

    def join(a: int, b: int) -> None:
        for node, of in group.items():
            if of == max(a, b):
                group[node] = min(a, b)

    for pair in order:
        a, b = group[pair[0]], group[pair[1]]
        sizes = [sum(voxels[n - 1] for n in group if group[n] == of) for of in (a, b)]
        asked = [s for s, need in linkage if np.float32(edges[pair] / 5) >= np.float32(need)]
        if a != b and min(sizes) < max(asked, default=0):
            join(a, b)
    for pair in order:
        if threshold is not None and np.float32(edges[pair] / 5) >= np.float32(threshold):
            join(group[pair[0]], group[pair[1]])
    return group


@given(
    edges=EDGES,
    voxels=st.lists(st.integers(1, 9), min_size=10, max_size=10),
    linkage=LINKAGES,
    threshold=st.sampled_from([None, 0.0, 0.3, 0.6, 1.0]),
)
def test_every_cut_is_that_of_all_edges(edges, voxels, linkage, threshold) -> None:
    tree = merge_tree(graph_of(edges, voxels), linkage=linkage)
    assert groups(tree, threshold) == slowly(edges, voxels, linkage, threshold)
    assert len(tree["a"]) < 10


@given(edges=EDGES, order=st.randoms())
def test_the_order_of_rows_does_not_matter(edges, order) -> None:
    rows = list(edges.items())
    order.shuffle(rows)
    one, two = (merge_tree(graph_of(e, [3] * 10), linkage=[(5, 0.5)]) for e in (edges, dict(rows)))
    for name, column in one.items():
        np.testing.assert_array_equal(two[name], column)


def test_small_regions_join_across_weak_edges() -> None:
    """1 and 2 are large; 3 is small, and larger with 4: it reaches 10 voxels and then stops."""
    edges = {(1, 2): 4, (2, 3): 2, (3, 4): 3}
    tree = merge_tree(graph_of(edges, [50, 50, 5, 5, 1, 1, 1, 1, 1, 1]), linkage=[(10, 0.3)])
    assert groups(tree, None)[4] == 3
    assert groups(tree, None)[3] == 3
    tree = merge_tree(graph_of(edges, [50, 50, 5, 4, 1, 1, 1, 1, 1, 1]), linkage=[(10, 0.3)])
    assert groups(tree, None)[4] == 2


def test_small_segments_become_background() -> None:
    tree = merge_tree(graph_of({(1, 2): 4}, [3] * 10))
    old, new = cut_tree(tree, threshold=0.5, smallest=6)
    assert old.tolist() == list(range(2, 11))
    assert new.tolist() == [1] + [0] * 8


def test_no_edges() -> None:
    assert groups(merge_tree(graph_of({}, [1] * 10)), 0.5) == {n: n for n in range(1, 11)}


def slow_graph(labels: np.ndarray, affinities: np.ndarray, first_axis: int) -> dict:
    found: dict = {}
    for axis in range(first_axis, 3):
        for voxel in np.ndindex(labels.shape):
            if voxel[axis]:
                before = tuple(n - (axis == k) for k, n in enumerate(voxel))
                a, b = sorted((int(labels[before]), int(labels[voxel])))
                if a and a != b:
                    found.setdefault((a, b), []).append(float(affinities[(axis, *voxel)]))
    return found


@pytest.mark.parametrize("sections", [False, True])
@pytest.mark.parametrize("toward", [-1, 1])
@pytest.mark.parametrize("block_shape", [(4, 5, 6), (2, 2, 4), (1, 1, 1)])
def test_graphs_add_up(block_shape, toward: int, sections: bool) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, (4, 5, 6)).astype(np.uint64)
    before = (rng.integers(0, 1025, (3, 4, 5, 6)) / 1024).astype(np.float32)
    given = before
    if toward > 0:
        given = np.stack([np.roll(before[axis], -1, axis) for axis in range(3)])
    grid = Grid(Box.from_shape(labels.shape), block_shape, (1, 1, 1))
    parts = [
        basin_graph(
            labels[block.read.slices],
            np.ascontiguousarray(given[(slice(None), *block.read.slices)]),
            block.write.relative_to(block.read),
            toward=toward,
            sections=sections,
        )
        for block in grid
    ]
    graph = add_graphs(parts[::-1])
    expected = slow_graph(labels, before, 1 if sections else 0)
    pairs = list(zip(graph["u"].tolist(), graph["v"].tolist(), strict=True))
    assert pairs == sorted(expected)
    assert graph["affinity"].tolist() == [max(expected[pair]) for pair in pairs]
    assert graph["count"].tolist() == [len(expected[pair]) for pair in pairs]
    assert (graph["affinity_sum"] / 2**30).tolist() == [sum(expected[pair]) for pair in pairs]
    assert graph["id"].tolist() == [1, 2, 3]
    assert graph["voxels"].tolist() == [int((labels == n).sum()) for n in (1, 2, 3)]


def test_pairs_and_basins_that_outgrow_the_first_table_are_all_there() -> None:
    """Nearly every voxel is a basin of its own, with ids that differ in their high bits alone."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2**20, (12, 13, 14)).astype(np.uint64) << np.uint64(44)
    affinities = (rng.integers(0, 1025, (3, 12, 13, 14)) / 1024).astype(np.float32)
    graph = basin_graph(labels, affinities, Box.from_shape(labels.shape), toward=-1)
    expected = slow_graph(labels, affinities, 0)
    assert len(expected) > 2048
    pairs = list(zip(graph["u"].tolist(), graph["v"].tolist(), strict=True))
    assert pairs == sorted(expected)
    assert graph["affinity"].tolist() == [max(expected[pair]) for pair in pairs]
    assert (graph["affinity_sum"] / 2**30).tolist() == [sum(expected[pair]) for pair in pairs]
    ids, voxels = np.unique(labels[labels > 0], return_counts=True)
    assert graph["id"].tolist() == ids.tolist()
    assert graph["voxels"].tolist() == voxels.tolist()


def test_unlike_shapes_are_refused() -> None:
    labels = np.zeros((2, 2, 2), np.uint64)
    with pytest.raises(ContractError, match="labels are .* give \\(3, Z, Y, X\\) of the same"):
        basin_graph(labels, np.zeros((3, 2, 2, 3), np.float32), Box.from_shape((2, 2, 2)), toward=1)


def test_edges_of_unknown_nodes_are_refused() -> None:
    graph = graph_of({(1, 2): 3}, [1] * 10)
    with pytest.raises(ContractError, match="pairs u < v of ids that the table of nodes holds"):
        merge_tree({**graph, "u": graph["v"], "v": graph["u"]})
    with pytest.raises(ContractError, match="pairs u < v of ids that the table of nodes holds"):
        merge_tree({**graph, "v": np.array([99], np.uint64)})


@pytest.mark.parametrize("pair", [(0, 0.5), (10, 1.5), (10, -0.1)])
def test_linkage_that_cannot_be_is_refused(pair) -> None:
    with pytest.raises(ConfigError, match="give \\(voxels, affinity\\) with at least 1 voxel"):
        merge_tree(graph_of({}, [1] * 10), linkage=[pair])


def test_cuts_that_cannot_be_are_refused() -> None:
    tree = merge_tree(graph_of({}, [1] * 10))
    with pytest.raises(ConfigError, match="threshold is 2; give an affinity, 0 to 1, or None"):
        cut_tree(tree, threshold=2)
    with pytest.raises(ConfigError, match="smallest is -1; give a number of voxels"):
        cut_tree(tree, threshold=None, smallest=-1)
