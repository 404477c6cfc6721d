"""Counts of what is skipped: exact, from masks, cells and boxes alone, without the image."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord, Grid, Windows
from volkit.ops.skipper import Marks, Skipper

# Windows on an axis, and voxels of the finest map, that are looked at together: a few MB of
# either, and seldom more reads than there are stored objects.
_TOGETHER = 128


@dataclass(frozen=True, slots=True)
class SkipCount:
    """How many windows are left out.

    Parameters
    ----------
    windows : int
        On the lattice of the domain.
    evaluated : int
        Of these, windows whose trusted part holds a wanted voxel.
    """

    windows: int
    evaluated: int

    @property
    def skipped(self) -> int:
        """Windows that are left out."""
        return self.windows - self.evaluated

    def __str__(self) -> str:
        share = 100 * self.skipped / self.windows
        return f"{self.skipped} of {self.windows} windows skipped ({share:.1f} %)"


def count_windows(skip: Skipper | None, windows: Windows) -> SkipCount:
    """Count the windows that are evaluated and those that are skipped.

    Reads the mask, and the map of cells where there is one, once and in pieces.

    Parameters
    ----------
    skip : Skipper or None
        What is wanted; None is everything.
    windows : Windows
        The lattice.

    Returns
    -------
    SkipCount

    Examples
    --------
    >>> windows = Windows(Box.from_shape((1, 1, 12)), (1, 1, 4), (1, 1, 2))
    >>> skip = Skipper(windows.domain, without=(Box((0, 0, 0), (1, 1, 7)),))
    >>> str(count_windows(skip, windows))
    '2 of 5 windows skipped (40.0 %)'
    """
    if skip is None:
        return SkipCount(len(windows), len(windows))
    return SkipCount(len(windows), sum(int(marks.sum()) for marks in _pieces(skip, windows)))


def check_wanted(skip: Skipper, windows: Windows) -> None:
    """Refuse to skip everything; looks only as far as the first window that is needed.

    Parameters
    ----------
    skip : Skipper
        What is wanted.
    windows : Windows
        The lattice.

    Raises
    ------
    ConfigError
        If no voxel is wanted.
    """
    if not any(marks.any() for marks in _pieces(skip, windows)):
        raise ConfigError(
            f"no voxel of the domain {skip.domain} is wanted, so there is nothing to infer; look "
            "at boxes (volume coordinates of the image, voxels), at the mask and whether it is "
            "meant inverted, and at the threshold of what counts as empty"
        )


def _pieces(skip: Skipper, windows: Windows) -> Iterator[Marks]:
    """Ask for the windows of one piece of the lattice after another."""
    lattice = Grid(Box.from_shape(windows.counts), _piece_shape(skip, windows))
    return (skip.needed(windows, block.write) for block in lattice)


def _piece_shape(skip: Skipper, windows: Windows) -> Coord:
    finest = [max((m.lookup.slope[axis] for m in skip.maps), default=0) for axis in range(3)]
    z, y, x = (
        max(1, min(_TOGETHER, ceil(_TOGETHER / (stride * slope)))) if slope else _TOGETHER
        for stride, slope in zip(windows.stride, finest, strict=True)
    )
    return z, y, x
