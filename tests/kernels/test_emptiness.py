"""Emptiness: boxes that hold nothing, against a slow loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.kernels.emptiness import any_in_boxes, empty_boxes

ONE = np.array([[0, 1]])


def line(values, dtype=np.uint8):
    return np.array(values, dtype)[None, None]


def spans_of(*pairs):
    return ONE, ONE, np.array(pairs)


def test_the_range_counts_to_the_threshold() -> None:
    got = empty_boxes(line([1, 3, 1, 4]), spans_of((0, 2), (2, 4)), threshold=2)
    assert got.tolist() == [[[True, False]]]


def test_the_deviation_is_that_of_all_voxels() -> None:
    # 1 and 3 deviate by 1 from 2; 0, 0, 0, 4 by the square root of 3.
    values, spans = line([1, 3, 0, 0, 0, 4]), spans_of((0, 2), (2, 6))
    assert empty_boxes(values, spans, statistic="std", threshold=1).tolist() == [[[True, False]]]
    assert empty_boxes(values, spans, statistic="std", threshold=1.7321).all()


def test_small_deviations_of_large_values_are_seen() -> None:
    values = line([1e9, 1e9 + 2], np.float64)
    assert not empty_boxes(values, spans_of((0, 2)), statistic="std", threshold=0.999).any()
    assert empty_boxes(values, spans_of((0, 2)), statistic="std", threshold=1).all()


def test_a_value_stands_for_nothing() -> None:
    values, spans = line([255, 255, 7, 7]), spans_of((0, 2), (2, 4))
    got = empty_boxes(values, spans, statistic="value", value=255)
    assert got.tolist() == [[[True, False]]]
    near = empty_boxes(
        line([253, 255]), spans_of((0, 2)), statistic="value", value=254, threshold=1
    )
    assert near.all()


@pytest.mark.parametrize("statistic", ["range", "std", "value"])
@pytest.mark.parametrize("place", [0, 1])
def test_nan_is_not_empty(statistic, place) -> None:
    values = line([3, 3], np.float32)
    values[..., place] = np.nan
    assert not empty_boxes(values, spans_of((0, 2)), statistic=statistic, threshold=9).any()


def test_infinite_is_not_empty() -> None:
    values = line([np.inf, np.inf], np.float32)
    assert not empty_boxes(values, spans_of((0, 2)), threshold=9).any()


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64, np.float32, np.bool_])
def test_extremes_of_a_type_are_far_apart(dtype) -> None:
    ends = (0, 1)
    if np.dtype(dtype).kind in "iu":
        ends = (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = np.array(ends, dtype)[None, None]
    assert not empty_boxes(values, spans_of((0, 2)), threshold=0.5).any()
    assert empty_boxes(values[..., :1], spans_of((0, 1))).all()


def test_a_difference_of_one_counts_among_large_integers() -> None:
    values = line([2**60, 2**60 + 1], np.int64)
    assert not empty_boxes(values, spans_of((0, 2))).any()


def test_every_channel_has_to_be_empty() -> None:
    values = np.array([[[[1, 1, 2, 2]]], [[[5, 5, 5, 6]]]])
    assert empty_boxes(values, spans_of((0, 2), (2, 4))).tolist() == [[[True, False]]]


@given(seed=st.integers(0, 2**32 - 1), data=st.data())
@settings(max_examples=25)
def test_equal_to_a_slow_loop(seed, data) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    values = np.random.default_rng(seed).integers(0, 3, shape)

    def axis(n):
        pairs = st.integers(0, n - 1).flatmap(lambda a: st.integers(a + 1, n).map(lambda b: (a, b)))
        return np.array(data.draw(st.lists(pairs, min_size=1, max_size=4)))

    spans = tuple(axis(n) for n in shape)
    boxes = [values[a:b, c:d, e:f] for a, b in spans[0] for c, d in spans[1] for e, f in spans[2]]
    counts = tuple(len(s) for s in spans)
    gaps = np.array([np.ptp(box) <= 1 for box in boxes]).reshape(counts)
    np.testing.assert_array_equal(empty_boxes(values, spans, threshold=1), gaps)
    flat = np.array([box.std() <= 0.5 for box in boxes]).reshape(counts)
    got = empty_boxes(values, spans, statistic="std", threshold=0.5 + 1e-12)
    np.testing.assert_array_equal(got | ~flat, np.ones(counts, bool))
    marked = np.array([(box == 2).any() for box in boxes]).reshape(counts)
    np.testing.assert_array_equal(any_in_boxes(values == 2, spans), marked)


def test_a_box_without_voxels_holds_no_mark() -> None:
    marks = np.ones((1, 1, 3), bool)
    assert any_in_boxes(marks, spans_of((1, 1), (0, 1))).tolist() == [[[False, True]]]
