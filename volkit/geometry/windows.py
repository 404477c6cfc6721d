"""Windows: the global lattice on which a network sees a domain."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from volkit.errors import GeometryError
from volkit.geometry.box import AXES, Box, Coord, coord


@dataclass(frozen=True, slots=True)
class Windows:
    """The lattice of windows of a domain.

    The lattice is fixed by the domain's start alone: never by a block, so that a result cannot
    depend on blocks, and never by the domain's end, so that it does not shift with its size.
    Windows reach over the domain's far face where it is no multiple of the stride.

    Parameters
    ----------
    domain : Box
        The voxels to cover.
    shape : tuple of int
        Extent of a window, (z, y, x).
    stride : tuple of int
        Distance between windows.
    margin : tuple of int
        Voxels at each face of a window whose answer is not used.  The lattice then begins
        ``margin`` before the domain.

    Raises
    ------
    GeometryError
        If windows would leave voxels uncovered.

    Examples
    --------
    >>> windows = Windows(Box.from_shape((4, 6, 10)), (4, 4, 4), (2, 2, 2))
    >>> windows.counts, len(windows)
    ((1, 2, 4), 8)
    """

    domain: Box
    shape: Coord
    stride: Coord
    margin: Coord = (0, 0, 0)

    def __post_init__(self) -> None:
        for name in ("shape", "stride", "margin"):
            object.__setattr__(self, name, coord(getattr(self, name), name=f"window {name}"))
        for axis, n, s, m in zip(AXES, self.shape, self.stride, self.margin, strict=True):
            if s < 1 or m < 0 or s > n - 2 * m:
                raise GeometryError(
                    f"windows of {n} voxels with a margin of {m} and a stride of {s} on axis "
                    f"{axis} leave gaps; choose a stride from 1 to {n - 2 * m}"
                )

    @property
    def trusted(self) -> Coord:
        """Extent of a window without its margin."""
        z, y, x = (n - 2 * m for n, m in zip(self.shape, self.margin, strict=True))
        return z, y, x

    @property
    def counts(self) -> Coord:
        """Number of windows on every axis."""
        z, y, x = (
            max(0, -(-(length - t) // s)) + 1
            for length, t, s in zip(self.domain.shape, self.trusted, self.stride, strict=True)
        )
        return z, y, x

    def __len__(self) -> int:
        return prod(self.counts)

    def window(self, index: Coord) -> Box:
        """Make the window at a position of the lattice; it may reach over the domain's faces."""
        z, y, x = (
            o + i * s - m
            for o, i, s, m in zip(self.domain.start, index, self.stride, self.margin, strict=True)
        )
        return Box.from_shape(self.shape, (z, y, x))

    def trusted_box(self, index: Coord) -> Box:
        """Cut the margin off the window at a position of the lattice."""
        z, y, x = (o + i * s for o, i, s in zip(self.domain.start, index, self.stride, strict=True))
        return Box.from_shape(self.trusted, (z, y, x))

    def touching(self, box: Box) -> Iterator[Coord]:
        """Yield the positions, in C order, of all windows whose trusted part meets ``box``."""
        yield from product(*self._ranges(box))

    def count_touching(self, box: Box) -> int:
        """Count the windows whose trusted part meets ``box``."""
        return prod(len(r) for r in self._ranges(box))

    def reach(self, box: Box) -> Box:
        """Find the voxels that all windows of ``box`` see together, clipped to the domain."""
        return self._around(self._ranges(box), self.window)

    def starting_in(self, box: Box) -> Iterator[Coord]:
        """Yield the positions, in C order, of all windows whose trusted part begins in ``box``.

        The boxes of a grid share all windows out among themselves, each to one.
        """
        yield from product(*self._starts(box))

    def count_starting_in(self, box: Box) -> int:
        """Count the windows whose trusted part begins in ``box``."""
        return prod(len(r) for r in self._starts(box))

    def decided_from(self, box: Box) -> Box:
        """Find the voxels that windows starting in ``box`` answer; empty where there are none."""
        return self._around(self._starts(box), self.trusted_box)

    def seen_from(self, box: Box) -> Box:
        """Find the voxels that windows starting in ``box`` see; empty where there are none."""
        return self._around(self._starts(box), self.window)

    def _around(self, ranges: list[range], extent: Callable[[Coord], Box]) -> Box:
        """Put a box around the windows of some positions, clipped to the domain."""
        if not all(ranges):
            return Box(self.domain.start, self.domain.start)
        first = extent(tuple(r[0] for r in ranges))  # type: ignore[arg-type]
        last = extent(tuple(r[-1] for r in ranges))  # type: ignore[arg-type]
        return Box(first.start, last.stop).intersect(self.domain)

    def _starts(self, box: Box) -> list[range]:
        """Find the lattice positions on every axis at which windows begin in ``box``."""
        inside = box.relative_to(self.domain)
        return [
            range(min(n, max(0, -(-a // s))), min(n, max(0, -(-b // s))))
            for a, b, s, n in zip(inside.start, inside.stop, self.stride, self.counts, strict=True)
        ]

    def _ranges(self, box: Box) -> list[range]:
        """Find the lattice positions on every axis whose trusted part meets ``box``."""
        inside = box.relative_to(self.domain)
        return [
            range(max(0, (a - t) // s + 1), min(n, -(-b // s)))
            for a, b, t, s, n in zip(
                inside.start, inside.stop, self.trusted, self.stride, self.counts, strict=True
            )
        ]
