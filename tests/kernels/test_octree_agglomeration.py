"""Linkages by hand-written rules, and boxes that settle only what the whole would."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contacts import ONE
from volkit.kernels.exact_ratio import compare_ratios
from volkit.kernels.largest_affinities import largest_affinities, largest_rows
from volkit.kernels.linkage_rule import Linkage
from volkit.kernels.octree_agglomeration import agglomerate_table, contact_table, rise, sink

PAIRS = st.tuples(st.integers(1, 12), st.integers(1, 12)).filter(lambda p: p[0] < p[1])
# Few values, so that ties are common.
EDGES = st.dictionaries(
    PAIRS, st.lists(st.integers(0, 4).map(lambda n: 60 * n), min_size=1, max_size=5), max_size=40
)
LINKAGES = st.sampled_from(
    [
        Linkage(),
        Linkage("max"),
        Linkage("quantile", 50),
        Linkage("quantile"),
        Linkage("max_k", k=2),
        Linkage("max_k", k=3),
    ]
)
THRESHOLDS = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])


def slow_score(values: list[int], linkage: Linkage) -> Fraction:
    """1 - the mean, the largest or a quantile of affinities in units of 1/256."""
    values = sorted(values)
    if linkage.kind == "mean":
        return 1 - Fraction(sum(values), 256 * len(values))
    if linkage.kind == "max":
        return 1 - Fraction(values[-1], 256)
    return 1 - Fraction(2 * values[linkage.percent * len(values) // 100] + 1, 512)


def slow_agglomerate(edges: dict, linkage: Linkage, threshold: float) -> dict[int, int]:
    """Search all groups for the lowest score before every merge."""
    if linkage.kind == "max_k":
        return slow_turns(edges, linkage.k, threshold)
    group = {node: node for pair in edges for node in pair}
    tie = min if linkage.kind == "mean" else max
    while True:
        between: dict = {}
        for pair in sorted(edges):
            ends = tuple(sorted(group[node] for node in pair))
            if ends[0] != ends[1]:
                values, first = between.get(ends, ([], pair))
                between[ends] = (values + edges[pair], tie(first, pair))
        scored = [(slow_score(v, linkage), first, ends) for ends, (v, first) in between.items()]
        if not scored or min(scored)[0] >= threshold:
            return {node: of for node, of in group.items() if of != node}
        _, _, (a, b) = min(scored)
        group = {node: a if of == b else of for node, of in group.items()}


def slow_turns(edges: dict, k: int, threshold: float) -> dict[int, int]:
    """Two contacts that meet take the lower turn; a turn that came too early is a later one."""
    group = {node: node for pair in edges for node in pair}
    turns = {pair: (score_of_largest(values, k), pair, values) for pair, values in edges.items()}
    while turns:
        (a, b), (turn, first, values) = min(turns.items(), key=lambda item: item[1][:2])
        if turn >= threshold:
            break
        score = score_of_largest(values, k)
        if score > turn:
            turns[a, b] = (score, first, values)
            continue
        group = {node: a if of == b else of for node, of in group.items()}
        before, turns = turns, {}
        for pair, (turn, first, values) in before.items():
            ends = tuple(sorted(a if node == b else node for node in pair))
            if ends[0] != ends[1]:
                other = turns.get(ends, (turn, first, []))
                turns[ends] = (*min((turn, first), other[:2]), values + other[2])
    return {node: of for node, of in group.items() if of != node}


def score_of_largest(values: list[int], k: int) -> Fraction:
    largest = sorted(values)[-k:]
    return 1 - Fraction(sum(largest), 256 * len(largest))


def table_of(edges: dict, linkage: Linkage) -> dict[str, np.ndarray]:
    u, v = np.array(list(edges), np.uint64).reshape(-1, 2).T
    rows = [(n, value) for n, pair in enumerate(edges) for value in edges[pair]]
    edge, bins = np.array(rows, np.int64).reshape(-1, 2).T
    if linkage.kind == "max_k":
        largest = [sorted(values)[-linkage.k :] for values in edges.values()]
        sums = [sum(ONE - value * ONE // 256 for value in values) for values in largest]
        table = {"u": u, "v": v, "edge": edge, "bin": bins * ONE // 256, "number": edge * 0 + 1}
        count = np.array([len(values) for values in largest], np.int64)
        return contact_table({**table, "sum": np.array(sums, np.int64), "count": count})
    if linkage.kind == "quantile":
        return contact_table({"u": u, "v": v, "edge": edge, "bin": bins, "number": edge * 0 + 1})
    of = sum if linkage.kind == "mean" else min
    total = [of(ONE - value * ONE // 256 for value in values) for values in edges.values()]
    count = [len(values) for values in edges.values()]
    table = {"u": u, "v": v, "sum": np.array(total, np.int64), "count": np.array(count, np.int64)}
    return contact_table(table)


def agglomerate(edges: dict, linkage: Linkage, threshold: float) -> dict[int, int]:
    old, new = agglomerate_table(table_of(edges, linkage), linkage=linkage, threshold=threshold)
    return dict(zip(old.tolist(), new.tolist(), strict=True))


@given(edges=EDGES, linkage=LINKAGES, threshold=THRESHOLDS)
def test_merges_follow_the_rule(edges, linkage, threshold) -> None:
    assert agglomerate(edges, linkage, threshold) == slow_agglomerate(edges, linkage, threshold)


@given(edges=EDGES, threshold=THRESHOLDS)
def test_means_merge_as_without_boxes(edges, threshold) -> None:
    table = table_of(edges, Linkage())
    rows = [table[name] for name in ("u", "v", "sum", "count")]
    old, new = agglomerate_mean(*rows, threshold=threshold)
    assert agglomerate(edges, Linkage(), threshold) == dict(
        zip(old.tolist(), new.tolist(), strict=True)
    )


@given(
    edges=EDGES,
    linkage=LINKAGES,
    threshold=THRESHOLDS,
    limit=st.sampled_from([0.7, 1.0]),
    cut=st.integers(2, 11),
)
def test_two_boxes_settle_what_the_whole_would(edges, linkage, threshold, limit, cut) -> None:
    """Regions below the cut belong to the left box, others to the right; contacts to the second."""
    across = {node for pair in edges if pair[0] < cut <= pair[1] for node in pair}
    boxes = []
    for left in (True, False):
        own = {pair: values for pair, values in edges.items() if (pair[1] < cut) == left}
        table = table_of(own, linkage)
        # The left box does not hold the contacts across, the right one not all of its neighbours'.
        touching = sorted(node for node in across if (node < cut) == left or not left)
        table["id"] = np.array(touching, np.uint64)
        table["face"] = np.full(len(touching), int(left), np.uint8)
        boxes.append(rise([table], linkage=linkage, limit=limit))
    tables = [{**up, "id": up["id"][:0], "face": up["face"][:0]} for up, _ in boxes]
    _, kept = rise(tables, linkage=linkage, limit=limit)
    assert not len(kept["up"]) or limit < 1 or len(edges)
    whole = sink(kept, None, threshold=min(threshold, limit))
    parts = [sink(kept, whole, threshold=min(threshold, limit)) for _, kept in boxes]
    found = dict(zip(whole["old"].tolist(), whole["new"].tolist(), strict=True))
    for part in parts:
        found.update(zip(part["old"].tolist(), part["new"].tolist(), strict=True))
    assert found == slow_agglomerate(edges, linkage, min(threshold, limit))


@given(
    st.integers(0, 2**63 - 1),
    st.integers(1, 2**62),
    st.integers(0, 2**63 - 1),
    st.integers(1, 2**62),
)
def test_ratios_are_compared_exactly(p, q, r, s) -> None:
    a, b = Fraction(p, q), Fraction(r, s)
    assert compare_ratios(p, q, r, s) == (a > b) - (a < b)
    assert compare_ratios(p, q, p, q) == 0
    near = min(p + 1, 2**63 - 1)
    assert compare_ratios(p, q, near, q) == (0 if near == p else -1)


def test_a_mean_of_the_largest_that_rises_waits_for_its_turn() -> None:
    """By hand: 1 joins 2 at 0.1; their contacts with 3 make 1 - 0.75 of 1 - 0.375 and 1 - 0.5."""
    edges = {(1, 2): [230, 231], (1, 3): [192, 0], (2, 3): [192, 64]}
    linkage = Linkage("max_k", k=2)
    assert agglomerate(edges, linkage, 0.4) == {2: 1}
    assert agglomerate(edges, linkage, 0.5) == {2: 1}
    assert agglomerate(edges, linkage, 0.51) == {2: 1, 3: 1}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Linkage("median"),
            "linkage is 'median'; choose 'mean', 'max', 'min', 'quantile' or 'max_k'",
        ),
        (lambda: Linkage("max_k", k=0), "k is 0; give how many of the largest affinities count"),
        (lambda: Linkage("quantile", 100), "percent is 100; give a quantile of 0 to 99"),
        (lambda: agglomerate({(1, 2): [60]}, Linkage(), 1.5), "threshold is 1.5; give 1 - an"),
    ],
)
def test_rules_that_cannot_be_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("k", [0, -2])
def test_of_every_contact_at_least_one_affinity_is_kept(k: int) -> None:
    labels, affinities = np.array([[[1, 2]]], np.uint64), np.ones((3, 1, 1, 2), np.float32)
    rows = {name: np.ones(1, np.int64) for name in ("edge", "bin", "number")}
    with pytest.raises(ContractError, match=f"k is {k}: every contact would lose"):
        largest_affinities(labels, affinities, Box((0, 0, 0), (1, 1, 2)), k=k, toward=-1)
    with pytest.raises(ContractError, match=f"k is {k}: every contact would lose"):
        largest_rows(rows, k=k)


def test_pairs_out_of_order_are_refused() -> None:
    graph = {"u": np.array([3]), "v": np.array([2]), "sum": np.array([1]), "count": np.array([1])}
    with pytest.raises(ContractError, match="contacts must be pairs u < v"):
        contact_table(graph)
