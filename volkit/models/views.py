"""Views: the ways in which a window is turned before a network sees it, and turned back after.

A view swaps y and x or not, then flips axes.  These are all 16 ways in which a grid whose planes
lie across z maps onto itself: the 8 flips, and the same after a turn by 90 degrees in plane.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeVar

import numpy as np

from volkit.errors import ConfigError
from volkit.geometry import AXES, Coord

ViewSet = Literal["none", "flips", "flips+rotations"]
A = TypeVar("A")  # an ndarray or a tensor of torch

_NAME = re.compile(r"(z?y?x?)(r90|r180|r270)?")
_TURNS = {None: 0, "r90": 1, "r180": 2, "r270": 3}


@dataclass(frozen=True, slots=True)
class View:
    """One way to turn a window.

    Parameters
    ----------
    flips : tuple of bool
        Axes that are reversed, (z, y, x).
    swapped : bool
        Whether y and x change places first.

    Examples
    --------
    >>> quarter = View((False, True, False), swapped=True)
    >>> quarter.name, quarter.apply(np.array([[[1, 2], [3, 4]]])).tolist()
    ('r90', [[[2, 4], [1, 3]]])
    >>> quarter.undo(quarter.apply(np.array([[[1, 2], [3, 4]]]))).tolist()
    [[[1, 2], [3, 4]]]
    """

    flips: tuple[bool, bool, bool] = (False, False, False)
    swapped: bool = False

    @property
    def name(self) -> str:
        """Name it as `views_of` reads it: flipped axes, then a turn; or ``identity``."""
        z, y, x = self.flips
        if self.swapped:
            # A turn by 90 degrees is a swap and a flip of y; what is left over is flipped before.
            turn = {(True, False): "r90", (False, True): "r270", (False, False): "xr90"}
            return ("z" if z else "") + turn.get((y, x), "yr90")
        return "".join(axis for axis, flip in zip(AXES, self.flips, strict=True) if flip) or (
            "identity"
        )

    def apply(self, window: A) -> A:
        """Turn an array.

        Parameters
        ----------
        window : ndarray or Tensor, shape (..., z, y, x)
            Anything.

        Returns
        -------
        ndarray or Tensor, shape (..., z, y, x) or (..., z, x, y)
            May share memory with what was given.
        """
        turned: Any = window
        return _flipped(turned.swapaxes(-2, -1) if self.swapped else turned, self.flips)

    def undo(self, window: A) -> A:
        """Turn an array back; see `apply`."""
        turned: Any = _flipped(window, self.flips)
        return turned.swapaxes(-2, -1) if self.swapped else turned

    def turned(self, step: Coord) -> Coord:
        """Turn a step from one voxel to another.

        Examples
        --------
        >>> View((False, False, True), swapped=True).turned((1, 2, 3))
        (1, 3, -2)
        """
        z, y, x = (step[0], step[2], step[1]) if self.swapped else step
        signs = [-1 if flip else 1 for flip in self.flips]
        return z * signs[0], y * signs[1], x * signs[2]


IDENTITY = View()
FLIPS = tuple(View(flips) for flips in product((False, True), repeat=3))  # type: ignore[arg-type]
FLIPS_AND_ROTATIONS = (*FLIPS, *(View(view.flips, swapped=True) for view in FLIPS))


def views_of(wanted: ViewSet | Sequence[str]) -> tuple[View, ...]:
    """List the views that are wanted.

    Parameters
    ----------
    wanted : {'none', 'flips', 'flips+rotations'} or sequence of str
        One view, the window as it is; 8; 16; or names: the axes that are flipped, in the order
        ``zyx``, then the turn from y to x, ``r90``, ``r180`` or ``r270``, as in ``x``, ``zy``,
        ``r90`` and ``zr270``.  The window as it is, ``identity``, always counts among them.

    Returns
    -------
    tuple of View
        The first is the window as it is.

    Raises
    ------
    ConfigError
        If a name is unknown, or two of them are the same view.

    Examples
    --------
    >>> [view.name for view in views_of(["yx", "r90"])]
    ['identity', 'yx', 'r90']
    >>> len(views_of("none")), len(views_of("flips")), len(views_of("flips+rotations"))
    (1, 8, 16)
    """
    if isinstance(wanted, str):
        sets = {"none": FLIPS[:1], "flips": FLIPS, "flips+rotations": FLIPS_AND_ROTATIONS}
        if wanted not in sets:
            raise ConfigError(
                f"views {wanted!r} is unknown; choose one of {', '.join(sets)}, or list names such "
                "as [x, yx, r90]"
            )
        return sets[wanted]
    views = [_view(name) for name in wanted if name != IDENTITY.name]
    for place, view in enumerate(views):
        if view == IDENTITY or view in views[:place]:
            raise ConfigError(
                f"views {list(wanted)} hold {view.name} twice; name every view once (yx is r180)"
            )
    return IDENTITY, *views


def _view(name: str) -> View:
    found = _NAME.fullmatch(name)
    if not name or found is None:
        raise ConfigError(
            f"view {name!r} is unknown; name the flipped axes in the order zyx, then a turn r90, "
            "r180 or r270, such as x, zy, r90 or zr270"
        )
    z, y, x = (axis in found[1] for axis in AXES)
    swapped = False
    for _ in range(_TURNS[found[2]]):
        # Each quarter swaps what was flipped so far, then flips y.
        y, x, swapped = not x, y, not swapped
    return View((z, y, x), swapped=swapped)


def _flipped(array: Any, flips: tuple[bool, bool, bool]) -> Any:
    axes = tuple(axis - 3 for axis, flip in enumerate(flips) if flip)
    if not axes:
        return array
    return np.flip(array, axes) if isinstance(array, np.ndarray) else array.flip(axes)
