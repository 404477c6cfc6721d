"""Mutex watershed in boxes: they settle what the whole would, however contacts are dealt out."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels.test_mutex import slow_partition
from volkit.kernels.contacts import ONE
from volkit.kernels.octree_agglomeration import sink
from volkit.kernels.octree_mutex import rise_signed, signed_table
from volkit.kernels.signed_graph import add_signed_graphs

LEVELS = (8, 4, 2, 1)
"""Boxes on every level of a tree: each holds two of those below it."""


def random_contacts(seed: int, *, nodes: int, count: int, values: int, stray: float) -> list:
    """Contacts (u, v, far, value, leaf) of nodes on a line, most of them in leaves in order."""
    rng = np.random.default_rng(seed)
    u = rng.integers(1, nodes + 1, count)
    v = np.clip(u + rng.integers(1, 4, count) * rng.choice([-1, 1], count), 1, nodes)
    far = rng.random(count) < rng.choice([0.2, 0.5, 0.8])
    value = rng.integers(0, values + 1, count) * ONE // values
    leaf = np.where(
        rng.random(count) < stray, rng.integers(0, 8, count), (np.minimum(u, v) - 1) * 8 // nodes
    )
    columns = (np.minimum(u, v), np.maximum(u, v), far, value, leaf)
    return [row for row in zip(*(c.tolist() for c in columns), strict=True) if row[0] != row[1]]


def slow_mutex(contacts: list) -> dict[int, int]:
    sums: dict = defaultdict(list)
    for u, v, far, value, _ in contacts:
        sums[u, v, far].append(value)
    edges = []
    for (u, v, far), found in sums.items():
        mean = sum(found) / (len(found) * float(ONE))
        edges.append((-(1 - mean if far else mean), u, v, far))
    ordered = [(w, u, v, not far) for w, u, v, far in sorted(edges)]
    return slow_partition(ordered, sorted({n for _, u, v, _ in edges for n in (u, v)}))


def leaf_table(contacts: list) -> dict:
    columns = np.array(contacts, np.int64).reshape(-1, 4).T
    u, v = columns[:2].astype(np.uint64)
    graph = {"u": u, "v": v, "far": columns[2] > 0, "sum": columns[3]}
    return signed_table(add_signed_graphs([{**graph, "count": np.ones(len(u), np.int64)}]))


def risen(contacts: list) -> list[list]:
    """Let tables rise; of every level what its boxes passed on and kept."""
    tables = [leaf_table([row[:4] for row in contacts if row[4] == n]) for n in range(8)]
    levels = []
    for boxes in LEVELS:
        width, both = 8 // boxes, []
        for n in range(boxes):
            inside = {x for u, v, *_, leaf in contacts if leaf // width == n for x in (u, v)}
            outside = {x for u, v, *_, leaf in contacts if leaf // width != n for x in (u, v)}
            ids = np.array(sorted(inside & outside), np.uint64)
            faces = {"id": ids, "face": np.zeros(len(ids), np.uint8)}
            parts = [tables[n]] if boxes == 8 else tables[2 * n : 2 * n + 2]
            both.append(rise_signed([{**part, **faces} for part in parts]))
        tables = [up for up, _ in both]
        levels.append(both)
    return levels


def sunk(levels: list[list]) -> dict[int, int]:
    """Let names sink; what every leaf says of its nodes, all of them of one mind."""
    above: list = []
    for level in reversed(levels):
        above = [
            sink(kept, above[n // 2] if above else None, threshold=1.0)
            for n, (_, kept) in enumerate(level)
        ]
    found: dict[int, int] = {}
    for table in above:
        for old, new in zip(table["old"].tolist(), table["new"].tolist(), strict=True):
            assert found.setdefault(old, new) == new
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    nodes=st.integers(2, 40),
    count=st.integers(0, 200),
    values=st.sampled_from([1, 2, 5, 10**6]),
    stray=st.sampled_from([0.0, 0.02, 0.3]),
)
def test_boxes_settle_what_the_whole_would(seed, nodes, count, values, stray) -> None:
    """Few values make ties, strays make nodes whose contacts lie anywhere."""
    contacts = random_contacts(seed, nodes=nodes, count=count, values=values, stray=stray)
    levels = risen(contacts)
    assert len(levels[-1][0][0]["u"]) == 0
    found = sunk(levels)
    expected = slow_mutex(contacts)
    assert {n: found.get(n, n) for n in expected} == expected


def test_most_is_settled_below_the_whole_and_of_two_groups_one_edge_rises() -> None:
    contacts = random_contacts(1, nodes=400, count=4000, values=10**6, stray=0)
    levels = risen(contacts)
    merges = [sum(len(kept["a"]) for _, kept in level) for level in levels]
    assert merges[0] > 0.9 * sum(merges) > 250
    for level in levels:
        for up, _ in level:
            unknown = np.isin(up["u"], up["id"]) & np.isin(up["v"], up["id"])
            pairs = np.sort(np.stack([up["at_u"], up["at_v"]]), axis=0)[:, ~unknown]
            assert len(np.unique(pairs, axis=1).T) == (~unknown).sum()


def test_an_edge_that_others_may_forbid_waits_for_them() -> None:
    """2 and 3 attract each other, but 3 may be drawn to 4 before, which 2 excludes."""
    contacts = [(2, 3, False, ONE // 2, 0), (2, 4, True, 0, 0), (3, 4, False, 3 * ONE // 4, 1)]
    levels = risen(contacts)
    up, kept = levels[0][0]
    assert len(kept["a"]) == 0
    assert list(zip(up["u"].tolist(), up["v"].tolist(), strict=True)) == [(2, 3), (2, 4)]
    assert sunk(levels) == {4: 3}
