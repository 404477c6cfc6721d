"""Coordinates: where the voxels of a DataArray lie, by the coordinates that it has."""

from typing import TYPE_CHECKING, Any

import numpy as np

from volkit.errors import GeometryError
from volkit.geometry import AXES, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.units import nanometres

if TYPE_CHECKING:
    import xarray as xr

SIZE = "voxel_size_nm"
"""Attribute that says how large voxels are where an axis has only one of them."""

_UNEVEN = 1e-3  # of a step: what rounding to single precision leaves


def scale_of(array: "xr.DataArray") -> VoxelScale:
    """Find where the voxels of a DataArray lie.

    Parameters
    ----------
    array : xarray.DataArray
        With coordinates along z, y and x, evenly spaced, each with an attribute ``units``.

    Returns
    -------
    VoxelScale
        In nanometres; the voxel at (0, 0, 0) is the first of the array.

    Raises
    ------
    GeometryError
        If coordinates are missing, uneven, or do not say their units.
    SourceError
        If their units are no lengths.

    Examples
    --------
    >>> import xarray as xr
    >>> um = {"units": "um"}
    >>> coords = {a: (a, [1.0, 1.5, 2.0], um) for a in "zyx"}
    >>> scale_of(xr.DataArray(np.zeros((3, 3, 3)), coords, tuple("zyx")))
    VoxelScale(voxel_size_nm=(500.0, 500.0, 500.0), origin_nm=(1000.0, 1000.0, 1000.0))
    """
    steps, firsts = zip(*(_along(array, axis) for axis in AXES), strict=True)
    size, origin = _vector(steps), _vector(firsts)
    return VoxelScale(size, origin)


def check_same_place(array: "xr.DataArray", other: Any) -> None:
    """Refuse two DataArrays whose voxels lie elsewhere.

    Parameters
    ----------
    array : xarray.DataArray
        One.
    other : object
        Another one; anything else is not looked at, nor are axes without coordinates.

    Raises
    ------
    GeometryError
        If coordinates differ by more than a hundredth of a voxel.
    """
    for axis in AXES:
        if axis not in getattr(other, "coords", ()) or axis not in array.coords:
            continue
        a, b = (np.asarray(one.coords[axis], np.float64) for one in (array, other))
        step = np.abs(np.diff(a)).min() if len(a) > 1 else 1.0
        if a.shape != b.shape or not np.abs(a - b).max(initial=0.0) <= 0.01 * step:
            raise GeometryError(
                f"coordinates along {axis} differ: {_span(a)} and {_span(b)}; cut both to the same "
                "voxels (xarray.align), or drop the coordinates (drop_vars) if they mean nothing"
            )


def _along(array: "xr.DataArray", axis: str) -> tuple[float, float]:
    """Give voxel size and first centre along an axis, nanometres."""
    if axis not in array.coords:
        raise GeometryError(
            f"the DataArray has no coordinate {axis}, so that nothing says where its voxels lie; "
            f'give it one in a unit of length: {axis}=("{axis}", positions, {{"units": "nm"}})'
        )
    along = array.coords[axis]
    unit = along.attrs.get("units")
    if unit is None:
        raise GeometryError(
            f"the coordinate {axis} does not say its unit; set "
            f'array.{axis}.attrs["units"] = "nm", or whatever it is'
        )
    factor = nanometres(str(unit), uri=f"the coordinate {axis}")
    values = np.asarray(along, np.float64) * factor
    steps = np.diff(values)
    if not len(steps):
        return _stated(array, axis), float(values[0])
    step = float((values[-1] - values[0]) / len(steps))
    if not (step > 0 and np.abs(steps - step).max() <= _UNEVEN * step):  # nor with NaN in it
        raise GeometryError(
            f"the coordinate {axis} goes {_span(values)} nm in steps of {steps.min():g} to "
            f"{steps.max():g}; voxels lie in ascending, even steps: sort or resample it"
        )
    return step, float(values[0])


def _stated(array: "xr.DataArray", axis: str) -> float:
    """Take the voxel size of an axis of one voxel from the attributes."""
    stated = array.attrs.get(SIZE)
    if stated is None:
        raise GeometryError(
            f"the DataArray has one voxel along {axis}, which does not tell its size; set "
            f'array.attrs["{SIZE}"] = (z, y, x)'
        )
    return float(stated[AXES.index(axis)])


def _vector(values: tuple[Any, ...]) -> Vector:
    z, y, x = (float(f"{value:.12g}") for value in values)
    return z, y, x


def _span(values: Any) -> str:
    return f"{values[0]:g} to {values[-1]:g} ({len(values)})" if len(values) else "nowhere (0)"
