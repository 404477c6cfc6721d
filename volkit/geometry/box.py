"""Boxes: half-open ranges of voxels in (z, y, x)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from operator import index
from typing import Self

from volkit.errors import GeometryError

Coord = tuple[int, int, int]
AXES = "zyx"


def coord(values: Sequence[int] | int, *, name: str = "coordinate") -> Coord:
    """Check three integers, or spread one over the three axes.

    Parameters
    ----------
    values : int or sequence of int
        One value for every axis, or (z, y, x).
    name : str
        What the values are, for the message.

    Returns
    -------
    tuple of int
        (z, y, x).

    Raises
    ------
    GeometryError
        If there are not three values, or one is not an integer.

    Examples
    --------
    >>> coord(64), coord([1, 2, 3])
    ((64, 64, 64), (1, 2, 3))
    """
    try:
        if type(values) is tuple or isinstance(values, Sequence):
            z, y, x = (index(v) for v in values)
            return z, y, x
        return (index(values),) * 3
    except (TypeError, ValueError):
        raise GeometryError(
            f"{name} {values!r} is not three integers (z, y, x); give a list such as [64, 64, 64]"
        ) from None


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open box of voxels.

    Parameters
    ----------
    start, stop : tuple of int
        First voxel and the one after the last, (z, y, x).

    Raises
    ------
    GeometryError
        If ``stop`` lies before ``start`` on an axis.

    Examples
    --------
    >>> box = Box((0, 4, 4), (2, 8, 8))
    >>> box.shape, box.size, str(box)
    ((2, 4, 4), 32, '[0:2, 4:8, 4:8]')
    """

    start: Coord
    stop: Coord

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", coord(self.start, name="start"))
        object.__setattr__(self, "stop", coord(self.stop, name="stop"))
        if any(b < a for a, b in zip(self.start, self.stop, strict=True)):
            raise GeometryError(f"box stops at {self.stop}, before it starts at {self.start}")

    @classmethod
    def from_shape(cls, shape: Sequence[int], start: Sequence[int] = (0, 0, 0)) -> Self:
        """Make the box of a shape that begins at ``start``."""
        z, y, x = coord(shape, name="shape")
        oz, oy, ox = coord(start, name="start")
        return cls((oz, oy, ox), (oz + z, oy + y, ox + x))

    @property
    def shape(self) -> Coord:
        """Extent in voxels, (z, y, x)."""
        (az, ay, ax), (bz, by, bx) = self.start, self.stop
        return bz - az, by - ay, bx - ax

    @property
    def size(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Slices that cut this box from an array that begins at the origin."""
        (az, ay, ax), (bz, by, bx) = self.start, self.stop
        return slice(az, bz), slice(ay, by), slice(ax, bx)

    def shift(self, offset: Coord) -> "Box":
        """Move by an offset."""
        return Box(_add(self.start, offset), _add(self.stop, offset))

    def grow(self, halo: Coord) -> "Box":
        """Widen by a halo on both faces of every axis."""
        return Box(_add(self.start, halo, -1), _add(self.stop, halo))

    def intersect(self, other: "Box") -> "Box":
        """Keep what both boxes hold; empty, at a corner of this box, where they do not meet."""
        start = tuple(
            min(max(a, c), b) for a, b, c in zip(self.start, self.stop, other.start, strict=True)
        )
        stop = tuple(
            max(min(b, d), s) for b, d, s in zip(self.stop, other.stop, start, strict=True)
        )
        return Box(start, stop)  # type: ignore[arg-type]

    def relative_to(self, outer: "Box") -> "Box":
        """Express this box in the coordinates of an array that holds ``outer``.

        Raises
        ------
        GeometryError
            If it is not inside ``outer``.
        """
        if not outer.contains(self):
            raise GeometryError(f"box {self} is not inside {outer}; choose a box within {outer}")
        return Box(_add(self.start, outer.start, -1), _add(self.stop, outer.start, -1))

    def contains(self, other: "Box") -> bool:
        """Tell whether ``other`` lies inside this box, faces included."""
        return all(
            a <= c and d <= b
            for a, b, c, d in zip(self.start, self.stop, other.start, other.stop, strict=True)
        )

    def __str__(self) -> str:
        return "[" + ", ".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True)) + "]"


def _add(a: Coord, b: Coord, sign: int = 1) -> Coord:
    return a[0] + sign * b[0], a[1] + sign * b[1], a[2] + sign * b[2]
