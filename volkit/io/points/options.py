"""Options of reading and writing points: what a file does not say itself."""

from dataclasses import dataclass, field
from typing import Literal

from volkit.errors import ConfigError, SourceError
from volkit.geometry import Coord, VoxelScale
from volkit.geometry.scale import Vector
from volkit.io.points.table import PointChecks
from volkit.io.sources import OpenOptions

Format = Literal["table", "czii", "star", "portal", "copick", "annotations"]

NM_PER_ANGSTROM = 0.1
ANGSTROM_PER_NM = 10.0
ANGSTROM_DECIMALS = 9  # of ångström that come from nanometres: decimal numbers come back exactly


@dataclass(frozen=True, slots=True)
class PointOptions:
    """What a file of points does not say itself.

    Parameters
    ----------
    format : str or None
        ``table`` (Parquet or CSV of volkit), ``czii`` (CSV of the challenge), ``star`` (RELION),
        ``portal`` (ndjson of the CryoET Data Portal), ``copick``, ``annotations`` (Neuroglancer);
        None goes by name and content.
    voxel_size_nm : tuple of float or None
        Extent of a voxel, (z, y, x), nanometres, where the file counts voxels; None takes what the
        file or its folder states.
    origin_nm : tuple of float
        Centre of voxel (0, 0, 0), (z, y, x), nanometres, where the file counts voxels.
    shape : tuple of int or None
        Extent of the tomogram, (z, y, x), voxels, where coordinates begin at its middle.
    class_name : str or None
        What the points are, where the file does not say; or which class of a project.
    tomogram : str or None
        Which tomogram, of a project or of a file of several; None takes all.
    user, session : str or None
        Whose picks of a project, and of which session; None takes all to read, and ``volkit`` and
        ``1`` to write.
    checks : PointChecks
        What the points must be.
    open : OpenOptions or None
        Credentials and patience.

    Raises
    ------
    ConfigError
        If the format is unknown.
    GeometryError
        If a voxel has no extent.
    """

    format: Format | None = None
    voxel_size_nm: Vector | None = None
    origin_nm: Vector = (0.0, 0.0, 0.0)
    shape: Coord | None = None
    class_name: str | None = None
    tomogram: str | None = None
    user: str | None = None
    session: str | None = None
    checks: PointChecks = field(default_factory=PointChecks)
    open: OpenOptions | None = None

    def __post_init__(self) -> None:
        known = ("table", "czii", "star", "portal", "copick", "annotations")
        if self.format is not None and self.format not in known:
            raise ConfigError(f"format is {self.format!r}; choose one of {', '.join(known)}")
        if self.voxel_size_nm is not None:
            VoxelScale(self.voxel_size_nm, self.origin_nm)


def stated_voxel_nm(uri: str, options: PointOptions, angstrom: float | None) -> Vector:
    """Decide how large voxels are that a file counts in.

    Parameters
    ----------
    uri : str
        The file, for the message.
    options : PointOptions
        Their voxel size is believed first.
    angstrom : float or None
        What the file says, along every axis.

    Returns
    -------
    tuple of float
        (z, y, x), nanometres.

    Raises
    ------
    SourceError
        If nothing says it, or the file states a size of 0.
    """
    if options.voxel_size_nm is not None:
        return options.voxel_size_nm
    if angstrom is None or not 0 < angstrom < float("inf"):
        stated = "states no voxel size" if angstrom is None else f"states voxels of {angstrom} Å"
        raise SourceError(
            f"{uri} counts voxels and {stated}; pass voxel_size_nm=(z, y, x) of its tomogram"
        )
    return (angstrom * NM_PER_ANGSTROM,) * 3
