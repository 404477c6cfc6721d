"""The table of pairs: by hand, against a slow count, and added up from any parts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volkit.errors import GeometryError
from volkit.kernels.contingency import add_contingency, contingency

DTYPES = [("u1", "i1"), ("i2", "u2"), ("u4", "i4"), ("i8", "u8"), (">u4", "<i4"), ("u8", "u1")]


def rows(table):
    return list(zip(*(table[name].tolist() for name in ("true", "pred", "count")), strict=True))


def slow(true, pred):
    counts = {}
    for pair in zip(true.ravel().tolist(), pred.ravel().tolist(), strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    return [(*pair, n) for pair, n in sorted(counts.items())]


@st.composite
def label_pairs(draw):
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    ids = st.one_of(st.integers(0, 3), st.sampled_from([2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1]))
    return tuple(draw(hnp.arrays(np.uint64, shape, elements=ids)) for _ in range(2))


def test_by_hand() -> None:
    table = contingency(np.array([[[1, 1, 2], [2, 2, 0]]]), np.array([[[9, 9, 9], [0, 0, 9]]]))
    assert rows(table) == [(0, 9, 1), (1, 9, 2), (2, 0, 2), (2, 9, 1)]
    assert [table[name].dtype for name in ("true", "pred", "count")] == ["u8", "u8", "i8"]


@given(label_pairs())
def test_equals_a_slow_count_whatever_the_ids(pair) -> None:
    assert rows(contingency(*pair)) == slow(*pair)


@given(label_pairs(), st.data())
def test_parts_add_up_however_they_are_cut_and_grouped(pair, data) -> None:
    true, pred = (labels.ravel() for labels in pair)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(true)), max_size=5)))
    edges = [0, *cuts, len(true)]
    parts = [contingency(true[a:b], pred[a:b]) for a, b in pairwise(edges)]
    middle = data.draw(st.integers(0, len(parts)))
    grouped = [add_contingency(parts[:middle]), add_contingency(parts[middle:])]
    assert rows(add_contingency(parts)) == rows(contingency(*pair))
    assert rows(add_contingency(grouped)) == rows(contingency(*pair))


@pytest.mark.parametrize(("true_dtype", "pred_dtype"), DTYPES)
def test_every_integer_dtype_gives_the_same_table(true_dtype, pred_dtype) -> None:
    true, pred = np.random.default_rng(1).integers(0, 100, (2, 3, 4, 5))
    table = contingency(true.astype(true_dtype), pred.astype(pred_dtype))
    assert rows(table) == slow(true, pred)


def test_masks_count_as_0_and_1() -> None:
    assert rows(contingency(np.array([True, False]), np.array([3, 4]))) == [(0, 4, 1), (1, 3, 1)]


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_layout_does_not_matter(order) -> None:
    true, pred = np.random.default_rng(2).integers(0, 9, (2, 6, 7, 8))
    expected = rows(contingency(true, pred))
    true, pred = np.array(true, order=order), np.array(pred, order=order)
    assert rows(contingency(true, pred)) == expected
    assert rows(contingency(true[::-1, :, ::2], pred[::-1, :, ::2])) == slow(
        true[..., ::2], pred[..., ::2]
    )
    assert rows(contingency(np.array(true, order="C"), np.array(pred, order="F"))) == expected


def test_runs_longer_and_shorter_than_a_piece() -> None:
    """The search for runs goes by 4096 voxels; a run across that edge is one count."""
    true = np.repeat([1, 2, 3], [4095, 5000, 9000])
    pred = np.repeat([7, 8], [4097, len(true) - 4097])
    assert rows(contingency(true, pred)) == [(1, 7, 4095), (2, 7, 2), (2, 8, 4998), (3, 8, 9000)]


def test_many_pairs_outgrow_the_first_table() -> None:
    true = np.arange(50_000)
    table = contingency(np.tile(true, 2), np.tile(true[::-1], 2))
    assert len(table["count"]) == 50_000
    assert (table["count"] == 2).all()
    assert (np.diff(table["true"].astype(np.int64)) == 1).all()
    assert (table["pred"] == true[::-1]).all()


@pytest.mark.parametrize("which", [0, 1])
def test_one_id_of_more_than_32_bits_counts_like_all_others(which) -> None:
    """Pairs of smaller ids are one number each; that they are not all small shows at the end."""
    labels = np.random.default_rng(3).integers(0, 2**32, (2, 20_000), np.uint64)
    expected = slow(*labels[:, :-1])
    assert rows(contingency(*labels[:, :-1])) == expected
    labels[which, -1] = 2**32
    last = tuple(labels[:, -1].tolist())
    assert rows(contingency(*labels)) == sorted([*expected, (*last, 1)])


def test_more_large_ids_than_there_is_room_for_are_added_up_in_between() -> None:
    """Room is made for a million rows; every pair makes way, and is met again much later."""
    true = np.arange(700_000, dtype=np.uint64) << np.uint64(40)
    table = contingency(np.tile(true, 2), np.tile(true[::-1], 2))
    assert (table["count"] == 2).all()
    assert np.array_equal(table["true"], true)
    assert np.array_equal(table["pred"], true[::-1])


def test_nothing_gives_an_empty_table_that_adds_nothing() -> None:
    empty = contingency(np.zeros((0, 3), int), np.zeros((0, 3), int))
    some = contingency(np.array([1]), np.array([2]))
    assert rows(empty) == rows(add_contingency([])) == []
    assert rows(add_contingency([empty, some, empty])) == [(1, 2, 1)]
    assert [add_contingency([])[name].dtype for name in ("true", "pred", "count")] == [
        "u8",
        "u8",
        "i8",
    ]


def test_counts_beyond_2_to_53_add_exactly() -> None:
    big = {"true": np.uint64([1]), "pred": np.uint64([1]), "count": np.int64([2**53])}
    one = {"true": np.uint64([1]), "pred": np.uint64([1]), "count": np.int64([1])}
    assert add_contingency([big, one])["count"].tolist() == [2**53 + 1]


def test_refuses_what_is_no_label() -> None:
    ids = np.array([1, 2])
    with pytest.raises(GeometryError, match="predicted labels are float64, which are not ids"):
        contingency(ids, np.array([1.0, 2.0]))
    with pytest.raises(GeometryError, match="true labels hold the negative id -3"):
        contingency(np.array([-3, 2], np.int16), ids)
    with pytest.raises(GeometryError, match="predicted labels hold the negative id -1"):
        contingency(ids, np.array([-1, 2]))
    with pytest.raises(GeometryError, match=r"shape \(2,\) and predicted ones \(3,\)"):
        contingency(ids, np.array([1, 2, 3]))
