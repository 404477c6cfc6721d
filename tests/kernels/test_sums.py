"""Sums of answers in fixed point: against whole numbers of Python, in any order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volkit.errors import ContractError
from volkit.kernels.sums import (
    BOUNDED_BITS,
    MOST_MARKS,
    WIDE_BITS,
    WIDEST,
    add_answer,
    blended,
    empty_sums,
)

SHAPE = (4, 5, 6)
ONE = np.ones(1, np.float32)
PLANE = np.ones((1, 1), np.float32)


def floats(least, most):
    return st.floats(least, most, width=32, allow_subnormal=False)


@st.composite
def placed(draw, limit):
    """An answer of two channels with its weights, and its corner in sums of SHAPE."""
    extent = tuple(draw(st.integers(1, n)) for n in SHAPE)
    corner = tuple(draw(st.integers(0, n - e)) for n, e in zip(SHAPE, extent, strict=True))
    answer = draw(hnp.arrays(np.float32, (2, *extent), elements=floats(-limit, limit)))
    z = draw(hnp.arrays(np.float32, extent[:1], elements=floats(0, 0.5)))
    plane = draw(hnp.arrays(np.float32, extent[1:], elements=floats(0, 0.5)))
    return answer, z, plane, corner


def by_hand(answer, z, plane, corner, *, bounded):
    """Round every term as Python rounds fractions (half to even), voxel by voxel.

    Bounded terms are products in float32, of which scaling by a power of two loses nothing.
    """
    sums = np.zeros((2, *SHAPE), object)
    for c, k, j, i in np.ndindex(*answer.shape):
        weight, value = z[k] * plane[j, i], answer[c, k, j, i]
        if bounded:
            term = Fraction(float(np.float32(weight * value))) * 2**BOUNDED_BITS
        else:
            term = Fraction(float(weight) * float(value)) * 2**WIDE_BITS
        sums[c, corner[0] + k, corner[1] + j, corner[2] + i] = round(term)
    return sums


@pytest.mark.parametrize("bounded", [True, False])
@given(data=st.data())
@settings(max_examples=25)
def test_every_term_is_the_nearest_whole_number(bounded, data) -> None:
    piece = data.draw(placed(1 if bounded else 1000))
    sums = empty_sums(2, SHAPE, bounded=bounded)
    assert sums.dtype == (np.int32 if bounded else np.int64)
    add_answer(sums, *piece[:3], corner=piece[3])
    np.testing.assert_array_equal(sums.astype(object), by_hand(*piece, bounded=bounded))


@pytest.mark.parametrize(("bounded", "marks"), [(True, False), (False, False), (False, True)])
@given(data=st.data())
@settings(max_examples=25)
def test_neither_order_nor_grouping_shows(bounded, marks, data) -> None:
    pieces = data.draw(st.lists(placed(1 if bounded else 1000), min_size=2, max_size=5))
    if marks:
        pieces[0][0][0, 0, 0, 0] = np.nan
    turned = data.draw(st.permutations(pieces))
    cut = data.draw(st.integers(0, len(pieces)))
    parts = [empty_sums(2, SHAPE, bounded=bounded) for _ in range(3)]
    for sums, chosen in zip(parts, (pieces, turned[:cut], turned[cut:]), strict=True):
        for answer, z, plane, corner in chosen:
            add_answer(sums, answer, z, plane, corner=corner, marks=marks)
    np.testing.assert_array_equal(parts[0], parts[1] + parts[2])
    if marks:
        values = blended(parts[0], marks=True)
        assert np.isnan(values[(0, *pieces[0][3])])
        assert np.isnan(values).sum() == 1


@pytest.mark.parametrize("bounded", [True, False])
def test_a_mean_is_as_exact_as_float32(bounded) -> None:
    rng = np.random.default_rng(0)
    answers = rng.uniform(-1, 1, (8, 1, *SHAPE)).astype(np.float32)
    share = rng.random(8)
    share = (share / share.sum()).astype(np.float32)
    sums = empty_sums(1, SHAPE, bounded=bounded)
    for answer, part in zip(answers, share, strict=True):
        z = np.full(SHAPE[0], part, np.float32)
        add_answer(sums, answer, z, np.ones(SHAPE[1:], np.float32), corner=(0, 0, 0))
    expected = np.tensordot(share.astype(float), answers.astype(float), 1)
    np.testing.assert_allclose(blended(sums), expected, atol=3e-7)


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("value", [-1.0, -0.5, 0.0, 2.0**-10, 0.75, 1.0])
def test_halves_and_quarters_come_back_as_they_are(bounded, value) -> None:
    sums = empty_sums(1, (1, 1, 1), bounded=bounded)
    for share in (0.5, 0.25, 0.25):
        add_answer(
            sums, np.full((1, 1, 1, 1), value, np.float32), ONE * share, PLANE, corner=(0, 0, 0)
        )
    assert blended(sums).item() == value


def test_weights_that_round_above_one_answer_no_more_than_one() -> None:
    sums = empty_sums(1, (1, 1, 1), bounded=True)
    answer = np.ones((1, 1, 1, 1), np.float32)
    for share in (0.5, np.nextafter(np.float32(0.5), np.float32(1))):
        add_answer(sums, answer, ONE * share, PLANE, corner=(0, 0, 0))
    assert sums.item() > 2**BOUNDED_BITS
    assert blended(sums).item() == 1


def test_marks_of_all_windows_over_a_voxel_fit() -> None:
    """The largest answers beside them neither hide marks nor look like one."""
    sums = empty_sums(1, (1, 1, 2), bounded=False)
    nothing = np.array([np.nan, 0], np.float32).reshape(1, 1, 1, 2)
    plane = np.ones((1, 2), np.float32)
    add_answer(sums, nothing, ONE, plane, corner=(0, 0, 0), marks=True)
    one = sums[0, 0, 0, 0]
    sums *= MOST_MARKS
    assert sums[0, 0, 0, 0] // MOST_MARKS == one > 0
    for value in (8191, np.inf):
        answer = np.full((1, 1, 1, 2), value, np.float32)
        answer[..., 1] = 8191
        share = ONE * np.float32(0.5)
        add_answer(sums, answer, share, plane, corner=(0, 0, 0), marks=True)
    values = blended(sums, marks=True).ravel()
    assert np.isnan(values[0])
    assert values[1] == 8191


def test_a_mark_beside_the_most_negative_answers_is_seen() -> None:
    sums = empty_sums(1, (1, 1, 1), bounded=False)
    for value, share in ((np.nan, 0.01), (-8191, 0.99)):
        answer = np.full((1, 1, 1, 1), value, np.float32)
        add_answer(sums, answer, ONE * np.float32(share), PLANE, corner=(0, 0, 0), marks=True)
    assert np.isnan(blended(sums, marks=True)).all()


@pytest.mark.parametrize(
    ("value", "bounded", "marks", "message"),
    [
        (1.5, True, False, r"answered 1.5, and says that its answers lie within -1 to 1"),
        (-2, True, False, r"answered 2, and says"),
        (WIDEST, False, False, r"answered 6.71089e\+07; sums are exact up to 6.71089e\+07"),
        (-1e9, False, False, r"answered 1e\+09; sums are exact"),
        (8192, False, True, "answered 8192; sums are exact up to 8192"),
        (np.nan, False, False, "answered nan"),
        (np.nan, True, False, "answered nan"),
    ],
)
def test_answers_beyond_exact_sums_are_refused(value, bounded, marks, message) -> None:
    sums = empty_sums(1, (1, 1, 1), bounded=bounded)
    answer = np.full((1, 1, 1, 1), value, np.float32)
    with pytest.raises(ContractError, match=message):
        add_answer(sums, answer, ONE, PLANE, corner=(0, 0, 0), marks=marks)
    assert not sums.any()


@pytest.mark.parametrize(
    ("shape", "corner"),
    [
        ((1, 2, 2, 2), (0, 0, 3)),
        ((1, 2, 2, 2), (-1, 0, 0)),
        ((2, 2, 2, 2), (0, 0, 0)),
        ((1, 5, 2, 2), (0, 0, 0)),
    ],
)
def test_an_answer_that_does_not_lie_inside_is_refused(shape, corner) -> None:
    sums = empty_sums(1, (4, 4, 4), bounded=True)
    answer = np.ones(shape, np.float32)
    z, plane = np.ones(shape[1], np.float32), np.ones(shape[2:], np.float32)
    with pytest.raises(ContractError, match="does not fit into sums"):
        add_answer(sums, answer, z, plane, corner=corner)
    if answer.shape[0] == 1:
        with pytest.raises(ContractError, match="does not fit into sums"):
            add_answer(sums, answer, z, plane[:, 1:], corner=(0, 0, 0))
    assert not sums.any()
