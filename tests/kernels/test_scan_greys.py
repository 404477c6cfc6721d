"""Greys of scans: one range, one spread, and nothing that has neither."""

import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.kernels.scan_greys import prepared_scan, standardised, unit_greys

SCAN = np.random.default_rng(0).normal(300, 40, (5, 6, 7)).astype(np.float32)


def test_scale_and_shift_of_a_scan_do_not_matter() -> None:
    for make in (unit_greys, standardised):
        np.testing.assert_allclose(make(SCAN), make(SCAN * 3 - 1000), atol=2e-5)
        assert make(SCAN).dtype == np.float32
    found = unit_greys(SCAN)
    assert (found.min(), found.max()) == (0, 1)
    found = standardised(SCAN)
    assert found.mean() == pytest.approx(0, abs=1e-5)
    assert found.std() == pytest.approx(1, abs=1e-5)


def test_a_scan_of_another_extent_is_resized() -> None:
    found = prepared_scan(SCAN, (5, 12, 7), name="a")
    assert found.shape == (5, 12, 7)
    assert (found.min(), found.max()) == (0, 1)
    np.testing.assert_array_equal(prepared_scan(SCAN, SCAN.shape, name="a"), unit_greys(SCAN))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_has_no_greys_is_refused_by_name(wrong) -> None:
    spoilt = SCAN.copy()
    spoilt[0, 0, 0] = wrong
    with pytest.raises(ContractError, match=r"sub-1: a scan of \(5, 6, 7\) has voxels that are"):
        prepared_scan(spoilt, SCAN.shape, name="sub-1")
    with pytest.raises(ContractError, match="or all are equal"):
        standardised(np.ones((2, 2, 2)))
