"""Growth: every level equals the contingency table of the segmentation that it stands for."""

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.kernels.contingency import contingency
from volkit.kernels.counted import square_sums
from volkit.kernels.growth import Entries, Merges, grow


@st.composite
def cases(draw):
    """Pieces with levels at which they enter, and pairs that merge once both are there."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pieces, truths, levels = (draw(st.integers(1, n)) for n in (12, 5, 6))
    rows = draw(st.integers(1, 40))
    piece, truth = rng.integers(0, pieces, rows), rng.integers(0, truths, rows)
    enter = rng.integers(0, levels + 1, pieces)
    count = rng.integers(1, 50, rows)
    a, b = rng.integers(0, pieces, (2, draw(st.integers(0, 20))))
    at = np.maximum(np.maximum(enter[a], enter[b]), rng.integers(0, levels + 1, len(a)))
    return Entries(piece, truth, count, enter[piece]), Merges(a, b, at), pieces, truths, levels


def voxels(entries, merges, step, pieces):
    """Write out every voxel: its true object, and its segment at a level, 0 for none."""
    group = np.arange(pieces)
    for a, b in zip(merges.a[merges.level <= step], merges.b[merges.level <= step], strict=True):
        group[group == group[b]] = group[a]
    inside = entries.level <= step
    true = np.repeat(entries.truth + 1, entries.count)
    pred = np.repeat(np.where(inside, group[entries.piece] + 1, 0), entries.count)
    return true, pred


@settings(max_examples=60)
@given(cases())
def test_every_level_is_what_its_voxels_say(case) -> None:
    entries, merges, pieces, truths, levels = case
    found = grow(entries, merges, pieces=pieces, truths=truths, levels=levels)
    for step in range(levels):
        true, pred = voxels(entries, merges, step, pieces)
        table = contingency(true, pred)
        inside = int((pred > 0).sum())
        assert found.voxels[step] == inside
        assert found.segments[step] == len(np.unique(pred[pred > 0]))
        left = np.bincount(true[pred == 0]).astype(object)
        assert found.rest[step] == int((left**2).sum() if len(left) else 0)
        if not inside:
            assert found.both[step] == found.pred[step] == found.true[step] == 0
            continue
        sums = square_sums(table, true_zero="ignore", pred_zero="ignore")
        assert (found.both[step], found.pred[step], found.true[step]) == (
            sums.both,
            sums.pred,
            sums.true,
        )
        counts = np.unique(pred[pred > 0], return_counts=True)[1]
        expected = sum(n * log2(n) for n in counts.tolist())
        assert found.pred_bits[step] == pytest.approx(expected, rel=1e-13, abs=1e-9)


def test_sums_beyond_64_bits_are_exact() -> None:
    large = 2**40 + 1
    entries = Entries(*(np.array(c) for c in ([0, 1], [0, 0], [large, large], [0, 1])))
    merges = Merges(*(np.array([c]) for c in (0, 1, 1)))
    found = grow(entries, merges, pieces=2, truths=1, levels=2)
    assert found.both == (large**2, (2 * large) ** 2)
    assert found.rest == (large**2, 0)


def test_a_chain_of_many_pieces_outgrows_the_first_table() -> None:
    rng = np.random.default_rng(4)
    n = 6000
    entries = Entries(np.arange(n), rng.integers(0, n, n), np.ones(n, int), np.zeros(n, int))
    order = rng.permutation(n)
    merges = Merges(order[:-1], order[1:], np.arange(n - 1) * 3 // n + 1)
    found = grow(entries, merges, pieces=n, truths=n, levels=4)
    counts = np.bincount(entries.truth)
    assert found.both[3] == int((counts**2).sum())
    assert found.pred == (n, *found.pred[1:3], n * n)
    assert found.segments[0] == n
    assert found.segments[3] == 1
