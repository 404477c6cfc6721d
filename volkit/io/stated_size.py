"""Stated sizes: whether a volume says how large its voxels are, or 1 nm stands for nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from volkit.geometry import VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.open import open_volume
from volkit.io.sources import OpenArguments
from volkit.io.volume import Volume

_UNSTATED = (1.0, 1.0, 1.0)
_STATES_SIZE = ("voxel_size_nm", "multiscales", "ome", "resolution")

UNSTATED = "voxel_size_stated"
"""Attribute of volkit's own that is False where nobody said it of what a volume was made of."""


def says_size(volume: Volume) -> bool:
    """Tell whether a volume, or who opened it, says how large its voxels are.

    Parameters
    ----------
    volume : Volume
        Any.

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
    if volume.voxel_size_nm != _UNSTATED:
        return True
    return any(key in volume.attributes for key in _STATES_SIZE)


def size_attributes(source: Volume | None) -> dict[str, bool]:
    """Give the attributes of a volume that takes its voxel size from another one.

    Parameters
    ----------
    source : Volume or None
        The other one; None where there is none to take it from.

    Returns
    -------
    dict
        Empty where the size was stated.
    """
    return {} if source is not None and says_size(source) else {UNSTATED: False}


def is_sized(volume: Volume) -> bool:
    """Tell whether lengths in a volume mean something.

    Exactly 1 nm at origin 0 counts as no size: it is what stands where nobody gave one.

    Parameters
    ----------
    volume : Volume
        At any level, all of which are as sure as the finest.
    """
    if volume.options.voxel_size_nm is not None:
        return True
    finest = volume if volume.level == 0 else replace(volume, level=0, region=None)
    return says_size(finest) and finest.scale != VoxelScale(_UNSTATED)


def sized_by(volume: Volume, unit_nm: Vector) -> Volume:
    """Give a volume that has no voxel size one, where that of the finest voxels is known.

    Parameters
    ----------
    volume : Volume
        At any level; one that `is_sized` stays as it is.
    unit_nm : tuple of float
        Extent, (z, y, x), of the voxels of which it counts so many.
    """
    if is_sized(volume):
        return volume
    finest = volume if volume.level == 0 else replace(volume, level=0, region=None)
    z, y, x = (n * nm for n, nm in zip(finest.voxel_size_nm, unit_nm, strict=True))
    return replace(volume, options=replace(volume.options, voxel_size_nm=(z, y, x)))


def open_sized(
    source: str | Path, *, level: int | None = None, **options: Unpack[OpenArguments]
) -> Volume:
    """Open a volume; a voxel size that is given counts only where `is_sized` finds none.

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
    if given is None or is_sized(volume):
        return volume
    options["voxel_size_nm"] = given
    return open_volume(source, level=level, **options)
