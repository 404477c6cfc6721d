"""Totals of cells: those of the cells themselves, to the last digit, in any parts."""

import itertools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.geometry import Box
from volkit.ops.statistics_totals import added, counted, deviation, grouped, inside, sampled

DOMAIN = Box((4, 0, 2), (40, 50, 60))
BOXES = [Box((4, 0, 2), (20, 20, 20)), Box((10, 10, 10), (40, 50, 60))]
MOMENTS = ("low", "high", "square_0", "square_1", "square_2", "square_3")


def cells(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    places = rng.uniform(DOMAIN.start, np.array(DOMAIN.stop) - 1, (count, 3))
    return pd.DataFrame(
        {
            "id": rng.permutation(count).astype(np.uint64) * 977 + 5,
            "voxels": rng.integers(1, 2**40, count),
            "at_border": rng.random(count) < 0.2,
            "region": rng.integers(0, 3, count).astype(np.uint64),
            **{axis: places[:, k] for k, axis in enumerate("zyx")},
            "distance_1_nm": rng.uniform(1, 2e7, count),
            "distance_2_nm": np.nan,
        }
    )


@settings(max_examples=20)
@given(st.integers(1, 200), st.integers(0, 9), st.lists(st.integers(0, 200), max_size=4))
def test_groups_of_parts_are_those_of_all(count, seed, cuts) -> None:
    frame = cells(count, seed)
    edges = sorted({0, count, *(min(c, count) for c in cuts)})
    parts = [frame.iloc[a:b] for a, b in itertools.pairwise(edges)]
    about = {"domain": DOMAIN, "bins": (7, 11, 13)}
    whole = grouped(frame, **about)
    pd.testing.assert_frame_equal(added([grouped(part, **about) for part in parts]), whole)
    assert whole["cells"].sum() == count
    assert whole["voxels"].sum() == frame["voxels"].sum()
    assert whole["at_border"].sum() == frame["at_border"].sum()
    assert whole["distance_1_nm:known"].sum() == count
    assert whole["distance_2_nm:known"].sum() == 0
    units = [round(Fraction(d) * 2**34) for d in frame["distance_1_nm"]]
    for names, values in ((MOMENTS[:2], units), (MOMENTS[2:], [u * u for u in units])):
        digits = [int(whole[f"distance_1_nm:{name}"].sum()) for name in names]
        assert sum(d << (32 * k) for k, d in enumerate(digits)) == sum(values)
    for box in BOXES:
        centre = np.floor(frame[list("zyx")].to_numpy() + 0.5)
        there = ((centre >= box.start) & (centre < box.stop)).all(axis=1)
        assert np.array_equal(inside(frame, box), there)
    exact = sum(int(v) ** 2 for v in frame["voxels"])
    assert (int(whole["squares_high"].sum()) << 32) + int(whole["squares_low"].sum()) == exact
    if count > 1:
        expected = np.std(frame["voxels"].astype(np.longdouble), ddof=1)
        assert deviation(whole) == pytest.approx(float(expected), rel=1e-9)


def test_one_cell_has_no_deviation() -> None:
    assert np.isnan(deviation(cells(1, 0)))
    assert np.isnan(deviation(cells(1, 0).iloc[:0]))
    frame = counted(cells(5, 0))
    assert counted(frame) is frame


def test_squares_of_billions_of_cells_do_not_overflow() -> None:
    size = 2**16 - 1  # its square fills the low half
    frame = cells(2, 0).assign(voxels=[size, size - 2], region=np.uint64(1))
    totals = grouped(frame, domain=DOMAIN, bins=(99, 99, 99))
    for _ in range(34):
        totals = added([totals, totals])
    assert totals["cells"].tolist() == [2**35]
    assert deviation(totals) == pytest.approx(1, rel=1e-9)
    low = int(totals["squares_low"].iloc[0])
    exact = 2**34 * (size**2 + (size - 2) ** 2)
    assert (int(totals["squares_high"].iloc[0]) << 32) + low == exact


@pytest.mark.parametrize("cut", [1, 70, 299])
def test_a_sample_does_not_depend_on_parts(cut) -> None:
    frame = cells(300, 3)
    whole = sampled([frame], most=50)
    first = sampled([frame.iloc[:cut]], most=50)
    parts = sampled([first, frame.iloc[cut:]], most=50)
    assert sorted(parts["id"]) == sorted(whole["id"])
    assert len(whole) == 50
    assert len(sampled([frame], most=300)) == 300
