"""Skipping: from what a person says to the value that workers ask.

::

    mask ────────────────────────────┐
    boxes ───────────────────────────┼─► Skipper ─► wanted voxels ─► windows that they need
    image ─► cells that hold ────────┘
             something (a stage)
"""

from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import DTypeLike, NDArray

from volkit.errors import ConfigError
from volkit.geometry import AXES, Box, Coord, VoxelScale, Windows
from volkit.io.open import open_volume
from volkit.io.sources import CacheOptions
from volkit.io.volume import Volume
from volkit.ops.arguments import Call
from volkit.ops.coarse_map import CoarseMap, Lookup
from volkit.ops.empty_cells import STAGE, full_cells
from volkit.ops.skip_count import SkipCount, check_wanted, count_windows
from volkit.ops.skip_options import SkipOptions, check_fill
from volkit.ops.skipper import Skipper


def skipper(
    options: SkipOptions | None,
    call: Call,
    windows: Windows,
    *,
    mask: Volume | None = None,
    dtype: DTypeLike = np.float32,
) -> Any:
    """Open what decides what is skipped; once for an operation, before its blocks.

    Where empty cells are skipped, they are mapped first, by the engine, as a stage of its own.

    Parameters
    ----------
    options : SkipOptions or None
        What is left out; None is nothing.
    call : Call
        Whose first input is the image.
    windows : Windows
        The lattice of the domain.
    mask : Volume, optional
        Instead of the one that the options name.
    dtype : dtype
        Of the result, which has to hold the fill.

    Returns
    -------
    Skipper, Delayed of one, or None
        A value with ``facts``, to be shared with all blocks; Delayed where a lazy engine has yet
        to find the empty cells; None where nothing is skipped.

    Raises
    ------
    ConfigError
        If no voxel is wanted (a lazy engine says so when it has found the cells), the fill does
        not fit the type, a mask to invert is missing, or a level of the image is not there.
    ContractError
        If the mask holds floats.
    GeometryError
        If the mask does not cover the domain.
    SourceError
        If the mask cannot be opened.
    """
    options = options or SkipOptions()
    if not (options.skips or options.invert or mask is not None):
        return None
    if mask is not None and not isinstance(mask, Volume):
        raise ConfigError(
            f"the mask is {type(mask).__name__}, expected a Volume; wrap an array with "
            "volkit.open_volume(mask, voxel_size_nm=...)"
        )
    check_fill(options.fill, dtype)
    domain = call.grid.domain
    maps: tuple[CoarseMap, ...] = ()
    if mask is None and options.mask is not None:
        mask = open_volume(
            options.mask,
            level=options.mask_level,
            voxel_size_nm=options.mask_voxel_size_nm,
            cache=CacheOptions(),  # blocks are smaller than what a chunk of a coarse mask covers
        )
    if mask is None and options.invert:
        raise ConfigError("invert is about a mask, and there is none; give mask, or leave it out")
    if mask is not None:
        scale = _scale(call) or _same_voxels(mask, domain)
        maps = (CoarseMap.of(mask, scale=scale, domain=domain, invert=options.invert),)
    found = Skipper(domain, options.boxes, options.without, maps, float(options.fill))
    check_wanted(found, windows)
    if options.empty is None:
        return found
    cell_shape = options.empty.cell_shape or windows.stride
    cells = full_cells(call, options.empty, cell_shape)
    facts = _cell_facts(call, options, cell_shape)
    if isinstance(cells, da.Array):
        return delayed(_with_cells, pure=True)(found, cells, cell_shape, facts, windows)
    return _with_cells(found, cells, cell_shape, facts, windows)


def planned_windows(options: SkipOptions | None, call: Call, windows: Windows) -> SkipCount:
    """Count the windows that masks and boxes leave out, before anything is computed.

    Parameters
    ----------
    options : SkipOptions or None
        What is left out; empty cells do not count, since the image is not looked at.
    call : Call
        Whose first input is the image.
    windows : Windows
        The lattice of the domain.

    Returns
    -------
    SkipCount
    """
    known = None if options is None else replace(options, empty=None)
    return count_windows(skipper(known, call, windows), windows)


def _with_cells(
    found: Skipper,
    cells: Volume | NDArray[np.uint8],
    cell_shape: Coord,
    facts: dict[str, Any],
    windows: Windows,
) -> Skipper:
    """Add the map of cells, and make sure that something is left."""
    lookup = Lookup.cells(found.domain.start, cell_shape)
    counts = Box.from_shape(cells.shape)
    full = replace(found, maps=(*found.maps, CoarseMap(lookup, counts, cells, facts)))
    check_wanted(full, windows)
    return full


def _cell_facts(call: Call, options: SkipOptions, cell_shape: Coord) -> dict[str, Any]:
    """Say what decides the cells; not where their map lies, nor in which blocks it was made."""
    image, empty = call.inputs[0], options.empty
    return {
        STAGE: image.identity if isinstance(image, Volume) else "the image",
        "statistic": empty and empty.statistic,
        "threshold": empty and empty.threshold,
        "value": empty and empty.value,
        "level": empty and empty.level,
        "cell_shape": list(cell_shape),
    }


def _scale(call: Call) -> VoxelScale | None:
    """Find where the image's voxels lie; None where nobody says."""
    if isinstance(call.inputs[0], Volume):
        return call.inputs[0].scale
    return None if call.template is None else _of_coordinates(call.template)


def _of_coordinates(array: xr.DataArray) -> VoxelScale | None:
    """Read the places of voxels off the coordinates of a DataArray, nanometres."""
    if any(axis not in array.coords or array.sizes[axis] < 2 for axis in AXES):
        return None
    places = [np.asarray(array.coords[axis], float) for axis in AXES]
    (oz, oy, ox), (sz, sy, sx) = (
        [float(place[0]) for place in places],
        [round(float(place[-1] - place[0]) / (len(place) - 1), 9) for place in places],
    )
    return VoxelScale((sz, sy, sx), (oz, oy, ox))


def _same_voxels(mask: Volume, domain: Box) -> VoxelScale:
    """Take a mask for one of the image's own voxels, from the first on."""
    size, first = mask.voxel_size_nm, mask.scale.to_nm(mask.domain.start)
    z, y, x = (p - i * s for p, i, s in zip(first, domain.start, size, strict=True))
    return VoxelScale(size, (z, y, x))
