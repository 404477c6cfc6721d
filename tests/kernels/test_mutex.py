"""Mutex watershed beside the rule of its paper, written out over sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ContractError
from volkit.kernels.mutex import mutex_graph, mutex_watershed

NEAR = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
FAR = [(-2, 0, 0), (0, -3, 0), (0, 0, -3), (0, 2, -2)]
SEEDS = st.integers(0, 2**32 - 1)


def slow_partition(edges: list, nodes: list) -> dict:
    """Every group is a set; every exclusion an edge that is kept; all are searched every time."""
    groups = {node: {node} for node in nodes}
    repelled: list = []
    for _, a, b, attracts in edges:
        if groups[a] is groups[b]:
            continue
        apart = any(
            (p in groups[a] and q in groups[b]) or (p in groups[b] and q in groups[a])
            for p, q in repelled
        )
        if not attracts:
            repelled.append((a, b))
        elif not apart:
            joined = groups[a] | groups[b]
            groups.update(dict.fromkeys(joined, joined))
    return {node: min(group) for node, group in groups.items()}


@given(seed=SEEDS, levels=st.sampled_from([3, 10, 10**6]), masked=st.booleans())
def test_volumes_follow_the_rule(seed, levels, masked) -> None:
    rng = np.random.default_rng(seed)
    shape = (3, 4, 5)
    affinities = (rng.integers(0, levels, (7, *shape)) / (levels - 1)).astype(np.float32)
    mask = rng.random(shape) < 0.8 if masked else np.ones(shape, bool)
    edges = []
    for voxel in np.argwhere(mask).tolist():
        for channel, offset in enumerate(NEAR + FAR):
            there = [p + o for p, o in zip(voxel, offset, strict=True)]
            if all(0 <= p < n for p, n in zip(there, shape, strict=True)) and mask[tuple(there)]:
                value = affinities[(channel, *voxel)]
                weight = value if channel < 3 else np.float32(1) - value
                a, b = (int(np.ravel_multi_index(p, shape)) for p in (voxel, there))
                edges.append((-weight, a, channel, b))
    ordered = [(w, a, b, channel < 3) for w, a, channel, b in sorted(edges)]
    expected = slow_partition(ordered, np.flatnonzero(mask).tolist())
    result = mutex_watershed(affinities, NEAR + FAR, mask=mask if masked else None)
    assert not result[~mask].any()
    assert {n: int(result.ravel()[n]) - 1 for n in expected} == expected


@given(seed=SEEDS, levels=st.sampled_from([3, 10**6]), count=st.integers(0, 60))
def test_graphs_follow_the_rule(seed, levels, count) -> None:
    rng = np.random.default_rng(seed)
    pairs = [tuple(sorted(p)) for p in rng.integers(1, 14, (count, 2)).tolist() if p[0] != p[1]]
    rows = [(*pair, bool(kind)) for pair in sorted(set(pairs)) for kind in rng.integers(0, 2, 1)]
    weight = rng.integers(0, levels, len(rows)) / levels
    edges = sorted((-w, a, b, not kind) for w, (a, b, kind) in zip(weight, rows, strict=True))
    edges = [(w, a, b, not kind) for w, a, b, kind in edges]
    nodes = sorted({n for a, b, _ in rows for n in (a, b)})
    u, v, kinds = (np.array([row[n] for row in rows]) for n in range(3))
    old, new = mutex_graph(u.astype(np.uint64), v.astype(np.uint64), weight, kinds.astype(bool))
    found = {n: n for n in nodes} | dict(zip(old.tolist(), new.tolist(), strict=True))
    assert found == slow_partition(edges, nodes)


def test_labels_are_those_of_another_implementation() -> None:
    """Weights are all different, so that no tie is decided otherwise."""
    theirs = pytest.importorskip("bioimage_cpp.segmentation")
    shape = (8, 18, 20)
    rng = np.random.default_rng(3)
    affinities = rng.permutation(7 * 8 * 18 * 20).reshape(7, *shape)
    affinities = ((affinities + 1) / (affinities.size + 2)).astype(np.float32)
    ours = mutex_watershed(affinities, NEAR + FAR)
    costs = affinities.copy()
    costs[3:] = 1 - costs[3:]
    labels = theirs.mutex_watershed(
        costs, offsets=[list(o) for o in NEAR + FAR], number_of_attractive_channels=3
    )
    pairs = np.unique(np.stack([ours.ravel(), labels.ravel().astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == len(np.unique(ours)) == len(np.unique(labels)) > 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": NEAR}, "and there are 3 offsets; give"),
        ({"offsets": [*NEAR, (0, 0, 0)]}, r"and no offset of \(0, 0, 0\)"),
        (
            {"affinities": np.zeros((0, 3, 3, 3), np.float32), "offsets": [], "attractive": 0},
            r"offsets are \[\]: there is no channel",
        ),
        ({"attractive": 5}, "5 of 4 channels attract"),
        ({"mask": np.ones((1, 2, 3), bool)}, r"the mask is \(1, 2, 3\)"),
        ({"affinities": np.full((4, 3, 3, 3), 2, np.float32)}, "NaN or outside 0 to 1"),
        ({"affinities": np.full((4, 3, 3, 3), np.nan, np.float32)}, "NaN or outside 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(change, message: str) -> None:
    how = {"affinities": np.zeros((4, 3, 3, 3), np.float32), "offsets": [*NEAR, (0, 0, -2)]}
    how |= {"attractive": 3} | change
    affinities, offsets = how.pop("affinities"), how.pop("offsets")
    with pytest.raises(ContractError, match=message):
        mutex_watershed(affinities, offsets, **how)


def test_negative_weights_are_refused() -> None:
    pair = np.ones(1, np.uint64), np.full(1, 2, np.uint64)
    with pytest.raises(ContractError, match="weights are down to -1"):
        mutex_graph(*pair, np.array([-1.0]), np.array([True]))
