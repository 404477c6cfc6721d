from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.contacts import ONE, add_contacts, contacts

SHAPE = (5, 6, 7)
LABELS = arrays(np.uint64, SHAPE, elements=st.sampled_from([0, 1, 2, 3, 2**40, 2**64 - 1]))
PROBS = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))
WHOLE = Box.from_shape(SHAPE)


def rows(table) -> dict[tuple[int, int], tuple[int, int]]:
    columns = (table[name].tolist() for name in ("u", "v", "boundary_sum", "count"))
    return {(u, v): (s, n) for u, v, s, n in zip(*columns, strict=True)}


def slow_contacts(labels: np.ndarray, prob: np.ndarray) -> dict[tuple[int, int], tuple[int, int]]:
    total: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for axis in range(3):
        lower = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        upper = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        pairs = zip(labels[lower].flat, labels[upper].flat, strict=True)
        values = np.maximum(prob[lower], prob[upper]).ravel()
        for (a, b), value in zip(pairs, values, strict=True):
            if a and b and a != b:
                entry = total[min(int(a), int(b)), max(int(a), int(b))]
                entry[0] += round(float(value) * ONE)
                entry[1] += 1
    return {pair: (s, n) for pair, (s, n) in total.items()}


@given(labels=LABELS, prob=PROBS)
def test_contacts_are_counted(labels, prob) -> None:
    table = contacts(labels, prob, WHOLE)
    assert rows(table) == slow_contacts(labels, prob)
    assert list(rows(table)) == sorted(rows(table))


@given(labels=LABELS, prob=PROBS, block_shape=st.tuples(*[st.integers(1, 7)] * 3))
def test_contacts_add_up_however_the_volume_is_cut(labels, prob, block_shape) -> None:
    parts = [
        contacts(
            labels[block.read.slices], prob[block.read.slices], block.write.relative_to(block.read)
        )
        for block in Grid(WHOLE, block_shape, (1, 1, 1))
    ]
    whole = contacts(labels, prob, WHOLE)
    once = add_contacts(parts)
    in_pairs = add_contacts([add_contacts(parts[i : i + 2]) for i in range(0, len(parts), 2)][::-1])
    for name, column in whole.items():
        np.testing.assert_array_equal(once[name], column)
        np.testing.assert_array_equal(in_pairs[name], column)
        assert once[name].dtype == in_pairs[name].dtype == column.dtype


def test_more_pairs_than_the_first_table_holds() -> None:
    labels = np.random.default_rng(0).integers(1, 2**63, (20, 20, 20), np.uint64)
    prob = np.random.default_rng(1).random(labels.shape, np.float32)
    table = contacts(labels, prob, Box.from_shape(labels.shape))
    assert len(table["u"]) == 3 * 19 * 400
    assert rows(table) == slow_contacts(labels, prob)


def test_one_label_touches_nothing() -> None:
    labels, prob = np.ones((2, 2, 2), np.uint64), np.ones((2, 2, 2), np.float32)
    table = contacts(labels, prob, Box.from_shape((2, 2, 2)))
    assert [len(column) for column in add_contacts([table, table]).values()] == [0, 0, 0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.5])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    labels = np.array([[[1, 2]]], np.uint64)
    with pytest.raises(ContractError, match=r"NaN or outside 0 to 1; .*nan_to_num"):
        contacts(labels, np.array([[[0.5, bad]]], np.float32), Box.from_shape((1, 1, 2)))


def test_shapes_must_agree() -> None:
    with pytest.raises(ContractError, match=r"labels are \(1, 1, 2\), probabilities \(1, 1, 3\)"):
        contacts(
            np.ones((1, 1, 2), np.uint64), np.ones((1, 1, 3), np.float32), Box.from_shape((1, 1, 2))
        )
