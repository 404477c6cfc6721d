"""Histograms add up exactly (law 8)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.kernels.histogram import add_histograms, value_histogram


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@given(cuts=st.lists(st.integers(0, 400), max_size=4))
def test_parts_add_up_to_the_whole(dtype, cuts) -> None:
    values = np.random.default_rng(2).normal(100, 20, 400).astype(dtype)
    parts = [value_histogram(p) for p in np.split(values, sorted(cuts))]
    whole, added = value_histogram(values), add_histograms(parts)
    assert whole["value"].tolist() == added["value"].tolist()
    assert whole["count"].tolist() == added["count"].tolist()
    assert added["count"].sum() == 400


def test_floats_move_by_less_than_one_in_four_thousand() -> None:
    values = np.random.default_rng(2).normal(1000, 1, 5000).astype(np.float32)
    table = value_histogram(values)
    mean = (table["value"] * table["count"]).sum() / 5000
    assert abs(mean - values.mean()) < 0.01
    assert abs(table["value"].max() - values.max()) < 1000 / 4096


def test_nan_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="2 of 3 voxels are NaN or infinite"):
        value_histogram(np.array([1.0, np.nan, np.inf], np.float32))
