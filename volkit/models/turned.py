"""Turned answers: what networks say of turned windows, added up where it belongs.

Arrays are those of NumPy, or tensors of torch, which stay on their device.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from volkit.geometry import Coord
from volkit.models.roles import Move, Roles
from volkit.models.views import View

_NONE = (0, 0, 0)
_COUNTS_KEPT = 8  # shapes of batches: those of whole windows, and of windows cut at faces


def add_turned(total: Any, answer: Any, moves: tuple[Move, ...], margin: Coord = _NONE) -> Any:
    """Add an answer that was turned back, each channel from where its values are.

    Parameters
    ----------
    total : ndarray or Tensor of float32, shape (B, C, z, y, x)
        Changed in place; where a shifted channel has no value, it stays as it is.
    answer : ndarray or Tensor of float32, shape (B, C, z, y, x)
        Turned back, its channels as they came.
    moves : tuple of Move
        Of the view.
    margin : tuple of int
        Voxels at the window's faces whose values are not to be used, so not elsewhere either.

    Returns
    -------
    ndarray or Tensor
        ``total``.

    Examples
    --------
    >>> total, answer = np.zeros((1, 1, 1, 1, 3)), np.array([[[[[5, 6, 7]]]]])
    >>> add_turned(total, answer, (Move(0, shift=(0, 0, -1)),)).ravel().tolist()
    [0.0, 5.0, 6.0]
    """
    if moves == tuple(map(Move, range(len(moves)))):
        total += answer
        return total
    for channel, move in enumerate(moves):
        here, there = _parts(move.shift, answer.shape[2:], margin)
        place = (slice(None), channel, *here)
        total[place] += move.sign * answer[(slice(None), move.channel, *there)]
    return total


def view_counts(roles: Roles, views: tuple[View, ...], like: Any, margin: Coord = _NONE) -> Any:
    """Count the views that have a value for each voxel.

    Parameters
    ----------
    roles : Roles
        Which channels point somewhere.
    views : tuple of View
        How windows are turned.
    like : ndarray or Tensor, shape (B, C, z, y, x)
        An answer; the counts come in its kind, to its device.
    margin : tuple of int
        As of `add_turned`.

    Returns
    -------
    int, or ndarray or Tensor of float32, shape (C, z, y, x)
        One number where no channel is shifted.

    Examples
    --------
    >>> from volkit.models.views import FLIPS
    >>> view_counts(Roles(((0, 0, -1),)), FLIPS, np.zeros((2, 1, 1, 1, 3))).ravel().tolist()
    [4.0, 8.0, 8.0]
    """
    counts = _counts(roles, views, tuple(like.shape[1:]), margin)
    if counts is None:
        return len(views)
    return counts if isinstance(like, np.ndarray) else like.new_tensor(counts)


@lru_cache(maxsize=_COUNTS_KEPT)
def _counts(
    roles: Roles, views: tuple[View, ...], shape: tuple[int, ...], margin: Coord
) -> npt.NDArray[np.float32] | None:
    moves = [roles.under(view, channels=shape[0]) for view in views]
    if all(move.shift == (0, 0, 0) for of_view in moves for move in of_view):
        return None
    counts = np.zeros(shape, np.float32)
    for of_view in moves:
        for channel, move in enumerate(of_view):
            here: Any = _parts(move.shift, shape[1:], margin)[0]
            counts[channel][here] += 1
    return counts


class Spread:
    """Sums from which the standard deviation follows, about the first answer.

    Differences from an answer are as small as the deviation itself: nothing is lost where their
    squares are subtracted, and equal answers deviate by exactly 0.

    Parameters
    ----------
    reference : ndarray or Tensor of float32, shape (B, C, z, y, x)
        The first answer; kept.
    margin : tuple of int
        As of `add_turned`.
    """

    def __init__(self, reference: Any, margin: Coord = _NONE) -> None:
        self._reference, self._margin = reference, margin
        self._first, self._second = reference * 0, reference * 0

    def add(self, answer: Any, moves: tuple[Move, ...], weight: float) -> None:
        """Add an answer that was turned back; see `add_turned`."""
        for channel, move in enumerate(moves):
            here, there = _parts(move.shift, answer.shape[2:], self._margin)
            place = (slice(None), channel, *here)
            apart = move.sign * answer[(slice(None), move.channel, *there)] - self._reference[place]
            self._first[place] += weight * apart
            self._second[place] += weight * apart * apart

    def deviation(self, total: Any) -> Any:
        """Compute the deviation; ``total`` is the sum of the weights that were added."""
        mean = self._first / total
        return (self._second / total - mean * mean).clip(min=0) ** 0.5


def _parts(
    shift: Coord, shape: Sequence[int], margin: Coord
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Cut out the voxels that have a value after a shift, and those that they take it from.

    None is taken from the margin along an axis that is shifted; along the others a voxel takes
    what lies in its own margin, if it lies there itself.
    """
    here, there = [], []
    for s, n, m in zip(shift, shape, margin, strict=True):
        kept = m if s else 0
        start, stop = max(kept, s), min(n - kept, n + s)
        stop = max(start, stop)
        there.append(slice(start, stop))
        here.append(slice(start - s, stop - s))
    return tuple(here), tuple(there)
