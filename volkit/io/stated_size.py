"""Stated sizes: whether a volume says how large its voxels are, or 1 nm stands for nothing."""

from volkit.io.volume import Volume

_UNSTATED = (1.0, 1.0, 1.0)
_STATES_SIZE = ("voxel_size_nm", "multiscales", "ome", "resolution")


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
    return any(key in volume.attributes for key in _STATES_SIZE)
