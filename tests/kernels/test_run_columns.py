"""Runs in the smallest types: what is painted of them is what was found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volkit.kernels.label_runs import component_parts
from volkit.kernels.run_columns import run_columns, runs_of

MASKS = arrays(bool, st.tuples(*[st.integers(1, 6)] * 3))
FAR = (2**20, 2**21, 2**21)  # a domain whose names need 62 bits
STARTS = st.sampled_from([(0, 0, 0), (2**19, 77, 2**20)])


@given(values=MASKS, start=STARTS, connectivity=st.sampled_from([6, 18, 26]))
@settings(max_examples=60)
def test_runs_come_back_as_they_were(values, start, connectivity) -> None:
    parts = component_parts(values, connectivity=connectivity, start=start, domain_shape=FAR)
    back = runs_of(run_columns(parts), values.shape)
    for name in ("first", "stop", "rows", "name"):
        found, expected = getattr(back, name), getattr(parts, name)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(back.painted(), parts.painted())


@pytest.mark.parametrize(("length", "bytes_each"), [(255, 1), (256, 2), (70_000, 4)])
def test_types_are_as_wide_as_what_they_hold(length: int, bytes_each: int) -> None:
    columns = run_columns(component_parts(np.ones((1, 1, length), bool), connectivity=6))
    assert columns["length"].tolist() == [length]
    assert columns["length"].itemsize == bytes_each
