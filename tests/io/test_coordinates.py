"""Coordinates of DataArrays: what places no voxel, or elsewhere, is refused."""

import numpy as np
import pytest

from volkit.errors import GeometryError
from volkit.io.coordinates import check_same_place, scale_of

xarray = pytest.importorskip("xarray")


def placed(*y: float) -> "xarray.DataArray":
    """Three planes, so many rows, two columns."""
    nm = {"units": "nm"}
    coords = {"z": ("z", [0.0, 30.0, 60.0], nm), "y": ("y", list(y), nm), "x": ("x", [4, 8], nm)}
    return xarray.DataArray(np.zeros((3, len(y), 2)), coords, tuple("zyx"))


def test_even_steps_are_a_scale() -> None:
    found = scale_of(placed(10.0, 12.0, 14.0))
    assert found.voxel_size_nm == (30.0, 2.0, 4.0)
    assert found.origin_nm == (0.0, 10.0, 4.0)


@pytest.mark.parametrize("y", [(0, 1, 3), (2, 1, 0), (1, 1, 1), (0, np.nan, 2), (np.nan, 1, 2)])
def test_uneven_falling_and_absent_steps_are_refused(y) -> None:
    with pytest.raises(GeometryError, match="the coordinate y goes .* sort or resample it"):
        scale_of(placed(*y))


@pytest.mark.parametrize("y", [(0, 1, 2.02), (0, 1), (0, np.nan, 2)])
def test_other_places_are_refused(y) -> None:
    here = placed(0, 1, 2)
    check_same_place(here, placed(0, 1.009, 2))
    check_same_place(here, np.zeros(3))
    with pytest.raises(GeometryError, match="coordinates along y differ: 0 to 2 .3. and "):
        check_same_place(here, placed(*y))
