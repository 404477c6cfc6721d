"""Linkages by hand-written rules, and boxes that settle only what the whole would."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ConfigError, ContractError
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contacts import ONE
from volkit.kernels.exact_ratio import compare_ratios
from volkit.kernels.linkage_rule import Linkage
from volkit.kernels.octree_agglomeration import agglomerate_table, contact_table, rise, sink

PAIRS = st.tuples(st.integers(1, 12), st.integers(1, 12)).filter(lambda p: p[0] < p[1])
# Few values, so that ties are common.
EDGES = st.dictionaries(
    PAIRS, st.lists(st.integers(0, 4).map(lambda n: 60 * n), min_size=1, max_size=5), max_size=40
)
LINKAGES = st.sampled_from(
    [Linkage(), Linkage("max"), Linkage("quantile", 50), Linkage("quantile")]
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


def table_of(edges: dict, linkage: Linkage) -> dict[str, np.ndarray]:
    u, v = np.array(list(edges), np.uint64).reshape(-1, 2).T
    if linkage.kind == "quantile":
        rows = [(n, value) for n, pair in enumerate(edges) for value in edges[pair]]
        edge, bins = np.array(rows, np.int64).reshape(-1, 2).T
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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Linkage("median"),
            "linkage is 'median'; choose 'mean', 'max', 'min' or 'quantile'",
        ),
        (lambda: Linkage("quantile", 100), "percent is 100; give a quantile of 0 to 99"),
        (lambda: agglomerate({(1, 2): [60]}, Linkage(), 1.5), "threshold is 1.5; give 1 - an"),
    ],
)
def test_rules_that_cannot_be_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_pairs_out_of_order_are_refused() -> None:
    graph = {"u": np.array([3]), "v": np.array([2]), "sum": np.array([1]), "count": np.array([1])}
    with pytest.raises(ContractError, match="contacts must be pairs u < v"):
        contact_table(graph)
