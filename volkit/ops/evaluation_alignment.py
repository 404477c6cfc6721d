"""Alignment: prediction and truth brought to the same voxels by their coordinates, or refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import AXES, Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.open import open_volume
from volkit.io.stated_size import SIZE_TOLERANCE, same_size, says_size
from volkit.io.volume import Volume

_WHOLE = 0.02  # voxels by which an offset may miss a whole number


@dataclass(frozen=True, slots=True)
class Shifted:
    """A volume whose voxels are read at the coordinates of another one.

    Parameters
    ----------
    volume : Volume
        What is read.
    offset : tuple of int
        From the other's coordinates to its own, voxels.
    """

    volume: Volume
    offset: Coord

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box of the other's coordinates."""
        return self.volume.read(box.shift(self.offset))

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it holds, for fingerprints."""
        return {"input": self.volume.identity, "offset": list(self.offset)}


@dataclass(frozen=True, slots=True)
class Aligned:
    """A prediction and its truth over the same voxels.

    Parameters
    ----------
    pred : Volume or dask array
        The prediction.
    truth : Volume, dask array or Shifted
        The truth.
    box : Box
        What is in both, in coordinates of the prediction.
    voxel_size_nm : tuple of float or None
        None where neither says it.
    notes : tuple of str
        What a person should know.
    """

    pred: Any
    truth: Any
    box: Box
    voxel_size_nm: Vector | None
    notes: tuple[str, ...] = ()


def align(pred: Any, truth: Any, box: Box | None) -> Aligned:
    """Find the voxels that prediction and truth have in common.

    Volumes and DataArrays are aligned by voxel size and origin, arrays by their shape.

    Parameters
    ----------
    pred, truth : Volume, dask array, ndarray or DataArray
        Axes ([c,] z, y, x).
    box : Box or None
        What to score, in coordinates of the prediction; None takes all that both cover.

    Returns
    -------
    Aligned

    Raises
    ------
    GeometryError
        If voxel sizes differ, offsets are no whole voxels, shapes differ and nothing says where
        they lie, or both have no voxel, or not the box, in common.
    """
    if isinstance(pred, xr.DataArray) and isinstance(truth, xr.DataArray):
        pred, truth, size = _common_coordinates(pred, truth)
        return _arrays(pred, truth, box, size)
    bare = not (isinstance(pred, Volume) and isinstance(truth, Volume))
    pred, truth = (_opened(x) for x in (pred, truth))
    stored = isinstance(pred, Volume) and isinstance(truth, Volume)
    if stored and (not bare or pred.domain == truth.domain):
        return _volumes(pred, truth, box)
    return _arrays(pred, truth, box, None)


def _opened(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return open_volume(value)
    return _plain(value) if isinstance(value, xr.DataArray) else value


def _volumes(pred: Volume, truth: Volume, box: Box | None) -> Aligned:
    notes: tuple[str, ...] = ()
    offset: Coord = (0, 0, 0)
    alike = same_size(pred, truth)
    silent = next((side for side in (pred, truth) if not says_size(side)), None)
    if not alike and silent is not None and pred.domain == truth.domain:
        notes = (f"{_name(silent)} states no voxel size: taken to be that of the other",)
    elif not alike:
        raise GeometryError(_unlike_sizes(pred, truth))
    else:
        offset = _offset(pred, truth)
    common = pred.domain.intersect(truth.domain.shift(_negative(offset)))
    if not common.size:
        raise GeometryError(
            f"{_name(pred)} covers {pred.domain} and {_name(truth)} "
            f"{truth.domain.shift(_negative(offset))} in the same coordinates: they have no voxel "
            "in common; check offset and origin of both"
        )
    if box is not None and not common.contains(box):
        raise GeometryError(
            f"box {box} is not inside {common}, which is what prediction and truth both cover; "
            "choose a box within it"
        )
    if box is None and common.size < max(pred.domain.size, truth.domain.size):
        notes = (*notes, f"only {common} is in both: of {pred.domain} and {truth.domain}")
    size = next((side.voxel_size_nm for side in (pred, truth) if says_size(side)), None)
    target = Shifted(truth, offset) if any(offset) else truth
    return Aligned(pred, target, box or common, size, notes)


def check_same_voxels(volume: Volume, truth: Volume) -> None:
    """Refuse a truth that says that its voxels lie elsewhere, or are of another size.

    Parameters
    ----------
    volume, truth : Volume
        What is compared voxel by voxel.  One that states no size may lie anywhere.

    Raises
    ------
    GeometryError
        If both say where they lie, and not at the same place.
    """
    if not (says_size(volume) and says_size(truth)):
        return
    if not same_size(volume, truth):
        raise GeometryError(_unlike_sizes(volume, truth))
    offset = _offset(volume, truth)
    if any(offset):
        raise GeometryError(
            f"voxel (0, 0, 0) of {_name(volume)} is voxel {offset} of {_name(truth)} by their "
            "origins; give a truth of the same voxels, or score the labels afterwards with "
            "volkit evaluate, which aligns them"
        )


def _offset(pred: Volume, truth: Volume) -> Coord:
    """Find how far the same tissue is in the coordinates of the truth, whole voxels."""
    exact = [
        (a - b) / size
        for a, b, size in zip(pred.origin_nm, truth.origin_nm, pred.voxel_size_nm, strict=True)
    ]
    whole = [round(n) for n in exact]
    if any(abs(n - m) > _WHOLE for n, m in zip(exact, whole, strict=True)):
        raise GeometryError(
            f"{_name(pred)} and {_name(truth)} are {tuple(round(n, 3) for n in exact)} voxels "
            "apart, which is no whole number; resample one of them, or correct its origin"
        )
    return whole[0], whole[1], whole[2]


def _negative(offset: Coord) -> Coord:
    return -offset[0], -offset[1], -offset[2]


def _unlike_sizes(pred: Volume, truth: Volume) -> str:
    """Say which level would fit, where one does."""
    advice = "score volumes of the same voxel size, or state it (voxel_size_nm)"
    for volume, other in ((pred, truth), (truth, pred)):
        for level in range(volume.levels):
            found = volume.at_level(level).voxel_size_nm if volume.region is None else ()
            if len(found) and np.allclose(found, other.voxel_size_nm, rtol=SIZE_TOLERANCE, atol=0):
                advice = f"level {level} of {_name(volume)} has the same: add ?level={level} to it"
    return (
        f"{_name(pred)} has voxels of {pred.voxel_size_nm} nm and {_name(truth)} of "
        f"{truth.voxel_size_nm} nm; {advice}"
    )


def _arrays(pred: Any, truth: Any, box: Box | None, size: Vector | None) -> Aligned:
    """Align what has no coordinates by shape, and bring dask arrays to the same chunks."""
    shapes = [tuple(x.shape[-3:]) for x in (pred, truth)]
    if shapes[0] != shapes[1]:
        raise GeometryError(
            f"the prediction has shape {shapes[0]} and the truth {shapes[1]}, and arrays do not "
            "say where they lie; give arrays of the same voxels, or Volumes or DataArrays with "
            "coordinates"
        )
    if isinstance(pred, Volume):  # everything is counted from the array's first voxel
        pred = pred.to_dask()
    if isinstance(truth, Volume):
        truth = truth.to_dask()
    whole = Box.from_shape(shapes[0])
    if box is not None:
        if not whole.contains(box):
            raise GeometryError(f"box {box} is not inside {whole}; choose a box within it")
        pred, truth = (x[(..., *box.slices)] for x in (pred, truth))
        whole = Box.from_shape(box.shape)
    return Aligned(pred, truth, whole, size)


def _common_coordinates(
    pred: xr.DataArray, truth: xr.DataArray
) -> tuple[da.Array, da.Array, Vector | None]:
    """Cut two DataArrays to the coordinates that they share; by shape where they have none."""
    if not all(axis in x.coords for axis in AXES for x in (pred, truth)):
        return _plain(pred), _plain(truth), None
    sizes: list[float] = []
    for axis in AXES:
        a, b = (np.asarray(x.coords[axis], np.float64) for x in (pred, truth))
        steps = [float(np.diff(c).mean()) for c in (a, b) if len(c) > 1] or [1.0]
        size = steps[0]
        away = (a[0] - b[0]) / size
        if (
            not np.allclose(steps, size, rtol=SIZE_TOLERANCE, atol=0)
            or abs(away - round(away)) > _WHOLE
        ):
            raise GeometryError(
                f"coordinates {axis} of prediction and truth begin at {a[0]:g} and {b[0]:g} with "
                f"steps of {', '.join(f'{s:g}' for s in steps)}: not the same voxels; resample one"
            )
        first, last = max(0, -round(away)), min(len(a), len(b) - round(away))
        if first >= last:
            raise GeometryError(
                f"prediction and truth have no coordinate {axis} in common: {a[0]:g} to "
                f"{a[-1]:g} and {b[0]:g} to {b[-1]:g}; check their offsets"
            )
        pred = pred.isel({axis: slice(first, last)})
        truth = truth.isel({axis: slice(first + round(away), last + round(away))})
        sizes.append(abs(size))
    return _plain(pred), _plain(truth), (sizes[0], sizes[1], sizes[2])


def _plain(array: xr.DataArray) -> da.Array:
    if set(array.dims) - {"c"} != set(AXES):
        raise GeometryError(f"DataArray has dims {array.dims}; rename them to z, y, x (and c)")
    data = array.transpose(*(d for d in ("c", *AXES) if d in array.dims)).data
    return data if isinstance(data, da.Array) else da.from_array(data, chunks=-1)


def _name(volume: Volume) -> str:
    return volume.uri
