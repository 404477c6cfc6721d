"""Stated sizes: whether a volume says how large its voxels are, or 1 nm stands for nothing."""

from collections.abc import Mapping
from dataclasses import replace
from math import isclose
from pathlib import Path
from typing import Unpack

from volkit.geometry.scale import Vector
from volkit.io.layout import UNSTATED
from volkit.io.open import open_volume
from volkit.io.sources import OpenArguments
from volkit.io.volume import Volume
from volkit.io.zarr.ome import multiscale

SIZE_TOLERANCE = 1e-3
"""Voxel sizes that differ by less are one, rounded in different ways."""

_UNSTATED = (1.0, 1.0, 1.0)
_STATES_SIZE = ("voxel_size_nm", "resolution")


def says_size(volume: Volume) -> bool:
    """Tell whether a volume, or who opened it, says how large its voxels are.

    1 nm is what stands where nobody said anything, and counts where it is written: beside a unit in
    OME-Zarr, whose writers put 1 without one where they know nothing.

    Parameters
    ----------
    volume : Volume
        At any level, all of which are as sure as the finest.

    Examples
    --------
    >>> import numpy as np
    >>> from volkit.io import open_volume
    >>> says_size(open_volume(np.zeros((2, 2, 2)))), says_size(
    ...     open_volume(np.zeros((2, 2, 2)), voxel_size_nm=(1, 1, 1))
    ... )
    (False, True)
    """
    if volume.options.voxel_size_nm is not None:
        return True
    if not volume.attributes.get("volkit", {}).get(UNSTATED, True):
        return False  # at any level, whose voxels are then so many of the finest
    finest = volume if volume.level == 0 else replace(volume, level=0, region=None)
    if finest.voxel_size_nm != _UNSTATED:
        return True
    image = multiscale(finest.attributes)
    if image is not None:
        axes = [a for a in image.get("axes") or () if isinstance(a, dict)]
        return any(a.get("unit") for a in axes if a.get("type") == "space")
    return any(key in finest.attributes for key in _STATES_SIZE)


def size_attributes(source: Volume) -> dict[str, bool]:
    """Give the attributes of a volume that takes its voxel size from another one.

    Parameters
    ----------
    source : Volume
        The other one.

    Returns
    -------
    dict
        Empty where the size was stated.
    """
    return {} if says_size(source) else {UNSTATED: False}


def sized_by(volume: Volume, unit_nm: Vector) -> Volume:
    """Give a volume that has no voxel size one, where that of the finest voxels is known.

    Parameters
    ----------
    volume : Volume
        At any level; one that `says_size` stays as it is.
    unit_nm : tuple of float
        Extent, (z, y, x), of the voxels of which it counts so many.
    """
    if says_size(volume):
        return volume
    finest = volume if volume.level == 0 else replace(volume, level=0, region=None)
    z, y, x = (n * nm for n, nm in zip(finest.voxel_size_nm, unit_nm, strict=True))
    return replace(volume, options=replace(volume.options, voxel_size_nm=(z, y, x)))


def sized_alike(volumes: Mapping[str, Volume]) -> dict[str, Volume]:
    """Let the first volume that says its voxel size say it for those that do not.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Of the same voxels, by any name.
    """
    sized = next((v for v in volumes.values() if says_size(v)), None)
    if sized is None:
        return dict(volumes)
    unit = sized.at_level(0).voxel_size_nm
    return {key: sized_by(volume, unit) for key, volume in volumes.items()}


def same_size(one: Volume, other: Volume) -> bool:
    """Tell whether two volumes have voxels of one size, rounded in whatever way.

    Parameters
    ----------
    one, other : Volume
        That both state a size is not looked at.
    """
    pairs = zip(one.voxel_size_nm, other.voxel_size_nm, strict=True)
    return all(isclose(a, b, rel_tol=SIZE_TOLERANCE) for a, b in pairs)


def open_sized(
    source: str | Path, *, level: int | None = None, **options: Unpack[OpenArguments]
) -> Volume:
    """Open a volume; a voxel size that is given counts only where it `says_size` of none.

    Parameters
    ----------
    source : str or Path
        What ``open_volume`` takes.
    level : int or None
        0 is the finest.
    **options
        Of ``open_volume``; ``voxel_size_nm`` is of level 0.

    Raises
    ------
    SourceError
        If it cannot be opened.
    ConfigError
        If an option is not understood.
    """
    given = options.pop("voxel_size_nm", None)
    volume = open_volume(source, level=level, **options)
    if given is None or says_size(volume):
        return volume
    options["voxel_size_nm"] = given
    return open_volume(source, level=level, **options)
