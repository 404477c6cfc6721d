"""Stated sizes: whether a volume says how large its voxels are, or 1 nm stands for nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from volkit.geometry import VoxelScale
from volkit.io.open import open_volume
from volkit.io.sources import OpenArguments
from volkit.io.volume import Volume

_UNSTATED = (1.0, 1.0, 1.0)
_STATES_SIZE = ("voxel_size_nm", "multiscales", "ome", "resolution")

UNSTATED = "voxel_size_stated"
"""Attribute of volkit's own that is False where a copy took over that nothing was said."""


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
    if volume.options.voxel_size_nm is not None or volume.voxel_size_nm != _UNSTATED:
        return True
    if not volume.attributes.get("volkit", {}).get(UNSTATED, True):
        return False
    return any(key in volume.attributes for key in _STATES_SIZE)


def open_sized(
    source: str | Path, *, level: int | None = None, **options: Unpack[OpenArguments]
) -> Volume:
    """Open a volume; a voxel size that is given counts only where it states none.

    Exactly 1 nm at origin 0 counts as none: it is what stands where nobody gave a size.

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
    if given is None:
        return volume
    finest = volume if volume.level == 0 else replace(volume, level=0)
    if says_size(finest) and finest.scale != VoxelScale(_UNSTATED):
        return volume
    options["voxel_size_nm"] = given
    return open_volume(source, level=level, **options)
