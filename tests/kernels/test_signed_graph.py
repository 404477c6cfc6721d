"""Signed graphs: counted as by hand, and the same however a volume is cut."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.contacts import ONE
from volkit.kernels.signed_graph import add_signed_graphs, signed_graph

OFFSETS = st.lists(
    st.tuples(*[st.integers(-4, 4)] * 3).filter(any), min_size=1, max_size=4, unique=True
)


def by_hand(labels, affinities, offsets, attractive):
    found = defaultdict(lambda: [0, 0])
    for channel, offset in enumerate(offsets):
        for here in np.ndindex(labels.shape):
            there = tuple(a + b for a, b in zip(here, offset, strict=True))
            if any(not 0 <= n < size for n, size in zip(there, labels.shape, strict=True)):
                continue
            pair = sorted((int(labels[here]), int(labels[there])))
            if pair[0] != pair[1] and pair[0]:
                entry = found[(*pair, channel >= attractive)]
                entry[0] += round(float(affinities[(channel, *here)]) * ONE)
                entry[1] += 1
    return sorted((*key, *value) for key, value in found.items())


def rows(graph):
    columns = ("u", "v", "far", "sum", "count")
    return list(zip(*(graph[name].tolist() for name in columns), strict=True))


@given(
    st.integers(0, 2**32),
    st.tuples(*[st.integers(1, 7)] * 3),
    OFFSETS,
    st.integers(0, 4),
    st.data(),
)
def test_it_is_that_of_counting_by_hand_for_any_blocks(seed, shape, offsets, attractive, data):
    rng = np.random.default_rng(seed)
    ids = np.concatenate([[0], rng.integers(1, 2**64, 5, np.uint64, endpoint=False)])
    labels = ids[rng.integers(0, 6, shape)].astype(np.uint64)
    affinities = rng.random((len(offsets), *shape), np.float32)
    expected = by_hand(labels, affinities, offsets, attractive)
    whole = Box.from_shape(shape)
    how = {"offsets": offsets, "attractive": attractive}
    assert rows(signed_graph(labels, affinities, whole, **how)) == expected
    sizes = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    reach = tuple(max(abs(offset[axis]) for offset in offsets) for axis in range(3))
    parts = []
    for block in Grid(whole, sizes).with_halo(reach):
        here, core = block.read.slices, block.write.relative_to(block.read)
        parts.append(signed_graph(labels[here], affinities[(slice(None), *here)], core, **how))
    assert rows(add_signed_graphs(parts)) == expected


def test_more_pairs_than_the_first_table_holds() -> None:
    labels = np.arange(1, 20**3 + 1, dtype=np.uint64).reshape(20, 20, 20)
    affinities = np.full((2, 20, 20, 20), 0.25, np.float32)
    graph = signed_graph(
        labels,
        affinities,
        Box.from_shape(labels.shape),
        offsets=[(0, 0, -1), (-3, 0, 0)],
        attractive=1,
    )
    assert graph["far"].sum() == 17 * 20 * 20
    assert len(graph["u"]) == 19 * 20 * 20 + 17 * 20 * 20
    assert set(graph["sum"]) == {ONE // 4}
    np.testing.assert_array_equal(graph["v"] - graph["u"], np.where(graph["far"], 1200, 1))


def test_channels_without_offsets_are_refused() -> None:
    labels, affinities = np.ones((2, 2, 2), np.uint64), np.zeros((3, 2, 2, 2), np.float32)
    with pytest.raises(ContractError, match="an offset for every channel"):
        signed_graph(labels, affinities, Box.from_shape((2, 2, 2)), offsets=[(0, 0, -1)])
