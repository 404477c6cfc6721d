"""Stated scales: where voxels lie in space, by the source or by a caller who knows better."""

from volkit.geometry import VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.sources import Source


def stated_scale(source: Source, finest: Source, voxel_size_nm: Vector | None) -> VoxelScale:
    """Place the voxels of a level.

    Parameters
    ----------
    source : Source
        The level.
    finest : Source
        Level 0 of the same volume.
    voxel_size_nm : tuple of float or None
        Extent of a voxel of level 0 that the caller states; all lengths follow it.

    Returns
    -------
    VoxelScale
        Of volume coordinates.
    """
    factors: Vector = (1.0, 1.0, 1.0)
    if voxel_size_nm is not None:
        z, y, x = (a / b for a, b in zip(voxel_size_nm, finest.voxel_size_nm, strict=True))
        factors = z, y, x
    lengths = zip(source.voxel_size_nm, source.origin_nm, source.voxel_offset, factors, strict=True)
    found = [(round(s * f, 9), round((t - o * s) * f, 6)) for s, t, o, f in lengths]
    (a, p), (b, q), (c, r) = found
    return VoxelScale((a, b, c), (p, q, r))
