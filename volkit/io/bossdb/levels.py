"""Levels: where the voxels of each resolution lie, from what the service says of a frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.io.units import nanometres

CUBOID: Coord = (16, 512, 512)  # one stored object of the service, at every level


@dataclass(frozen=True, slots=True)
class Frame:
    """The coordinate frame of an experiment.

    Parameters
    ----------
    extent : Box
        Voxels of level 0, absolute coordinates, (z, y, x).
    voxel_size_nm : tuple of float
        Extent of a voxel of level 0, nanometres.
    unit : str
        In which the service states it.
    """

    extent: Box
    voxel_size_nm: Vector
    unit: str


@dataclass(frozen=True, slots=True)
class Level:
    """Where the voxels of one resolution lie.

    Parameters
    ----------
    domain : Box
        Absolute coordinates of the level, (z, y, x).
    factor : tuple of int
        Voxels of level 0 along one voxel of this level.
    voxel_size_nm : tuple of float
        Extent of a voxel of this level, nanometres.
    cuboid : tuple of int
        Extent of a stored object, which lies on multiples of itself.
    """

    domain: Box
    factor: Coord
    voxel_size_nm: Vector
    cuboid: Coord = CUBOID

    @property
    def origin_nm(self) -> Vector:
        """Centre of voxel (0, 0, 0) of the level; that of level 0 lies at the origin."""
        z, y, x = (
            (f - 1) / 2 * s / f for f, s in zip(self.factor, self.voxel_size_nm, strict=True)
        )
        return z, y, x


def read_frame(stated: Mapping[str, Any], *, uri: str) -> Frame:
    """Read the JSON of a coordinate frame.

    Raises
    ------
    SourceError
        If numbers are missing, or the unit is not known.
    """
    try:
        start = tuple(int(stated[f"{axis}_start"]) for axis in "zyx")
        stop = tuple(int(stated[f"{axis}_stop"]) for axis in "zyx")
        unit = str(stated["voxel_unit"])
        size = [float(stated[f"{axis}_voxel_size"]) for axis in "zyx"]
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{uri}: its coordinate frame {stated.get('name')!r} is not complete "
            f"({type(error).__name__}: {error}); ask the keeper of the experiment to mend it"
        ) from None
    if any(a >= b for a, b in zip(start, stop, strict=True)):
        raise SourceError(
            f"{uri}: its coordinate frame {stated.get('name')!r} goes from {start} to {stop} and "
            "holds no voxels; ask the keeper of the experiment to mend it"
        )
    length = nanometres(unit.lower().removesuffix("s"), uri=uri)
    z, y, x = (round(v * length, 9) for v in size)
    return Frame(Box(cast("Coord", start), cast("Coord", stop)), (z, y, x), unit)


def find_level(
    frame: Frame, level: int, *, isotropic: bool, stated: Mapping[str, Any] | None
) -> Level:
    """Work out where the voxels of a level lie.

    A voxel of a level covers whole voxels of level 0 counted from absolute zero, so a level begins
    at ``floor(start / factor)`` and ends at ``ceil(stop / factor)``.

    Parameters
    ----------
    frame : Frame
        Of the experiment.
    level : int
        0 is the finest.
    isotropic : bool
        Whether z is halved from level to level, too.
    stated : mapping or None
        What the service answers to ``/downsample``; None where it does not answer.

    Examples
    --------
    >>> frame = Frame(Box((0, 100, 7), (40, 701, 710)), (40.0, 4.0, 4.0), "nanometers")
    >>> str(find_level(frame, 1, isotropic=False, stated=None).domain)
    '[0:40, 50:351, 3:355]'
    """
    size = _stated(stated, "voxel_size", level)
    first = _stated(stated, "voxel_size", 0)
    if size is not None and first is not None:
        factor = cast("Coord", tuple(round(s / f) for s, f in zip(size, first, strict=True)))
    else:
        factor = (2**level if isotropic else 1, 2**level, 2**level)
    start = tuple(v // f for v, f in zip(frame.extent.start, factor, strict=True))
    stop: tuple[float, ...] = tuple(
        -(-v // f) for v, f in zip(frame.extent.stop, factor, strict=True)
    )
    if _stated(stated, "extent", 0) == frame.extent.stop:  # counted from zero, not from the start
        stop = _stated(stated, "extent", level) or stop
    z, y, x = (s * f for s, f in zip(frame.voxel_size_nm, factor, strict=True))
    cuboid = _stated(stated, "cuboid_size", level) or CUBOID
    return Level(
        domain=Box(cast("Coord", start), cast("Coord", tuple(map(int, stop)))),
        factor=factor,
        voxel_size_nm=(z, y, x),
        cuboid=cast("Coord", tuple(map(int, cuboid))),
    )


def _stated(stated: Mapping[str, Any] | None, what: str, level: int) -> tuple[float, ...] | None:
    """Give three positive numbers for a level, (z, y, x); None where the service does not."""
    try:
        x, y, z = (float(v) for v in (stated or {})[what][str(level)])
    except (KeyError, TypeError, ValueError):
        return None
    return (z, y, x) if min(z, y, x) > 0 else None
