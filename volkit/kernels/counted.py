"""What counts under a convention: voxels shared by objects and segments, and sums of their squares.

Sums of squares are integers of any size; sums of parts that share no object add up.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.kernels.contingency import Table
from volkit.kernels.radix import sorted_rows

TrueZero = Literal["ignore", "segment"]
PredZero = Literal["singletons", "segment", "ignore"]
Form = Literal["probabilities", "pairs"]

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_DENSE = 4  # ids up to so many times their number have a place each: no sorting


@dataclass(frozen=True, slots=True)
class Counted:
    """The voxels that count: shared by pairs, and of every object and segment.

    Parameters
    ----------
    both : ndarray of int64, shape (N,)
        Voxels of each pair of a true object and a segment.
    true, pred : ndarray of int64
        Voxels of each true object and of each segment.
    true_row, pred_row : ndarray of intp, shape (N,)
        Which of them a pair is of.
    single : ndarray of int64
        Voxels of true objects that are segments of their own.
    single_row : ndarray of intp
        Of which true object.
    voxels : int
        All that count.
    """

    both: NDArray[np.int64]
    true: NDArray[np.int64]
    pred: NDArray[np.int64]
    true_row: NDArray[np.intp]
    pred_row: NDArray[np.intp]
    single: NDArray[np.int64]
    single_row: NDArray[np.intp]
    voxels: int

    @property
    def singletons(self) -> int:
        """Number of segments of one voxel: each adds 1 to a sum of squares."""
        return int(self.single.sum())


@dataclass(frozen=True, slots=True)
class SquareSums:
    """What the Rand scores are made of; sums of sections add up to those of a stack.

    Parameters
    ----------
    both, true, pred : int
        Sum of squares of the voxels of all pairs, of all true objects and of all segments.
    voxels : int
        Voxels that count.

    Examples
    --------
    >>> SquareSums(2, 4, 4, 2) + SquareSums(1, 1, 1, 1)
    SquareSums(both=3, true=5, pred=5, voxels=3)
    """

    both: int
    true: int
    pred: int
    voxels: int

    def __add__(self, other: "SquareSums") -> "SquareSums":
        """Add the sums of parts that share no object and no segment."""
        return SquareSums(
            self.both + other.both,
            self.true + other.true,
            self.pred + other.pred,
            self.voxels + other.voxels,
        )


def square_sums(table: Table, *, true_zero: TrueZero, pred_zero: PredZero) -> SquareSums:
    """Add up squares of the voxels that count.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table.
    true_zero, pred_zero : str
        As for :func:`volkit.kernels.scores.rand_scores`.

    Returns
    -------
    SquareSums

    Raises
    ------
    GeometryError
        If no voxel counts, or an option is unknown.

    Examples
    --------
    >>> halves = {"true": [1, 2], "pred": [5, 0], "count": [8, 8]}
    >>> table = {name: np.array(column) for name, column in halves.items()}
    >>> square_sums(table, true_zero="ignore", pred_zero="singletons")
    SquareSums(both=72, true=128, pred=72, voxels=16)
    """
    sums = counted(table, true_zero, pred_zero)
    return SquareSums(
        both=sum_of_squares(sums.both) + sums.singletons,
        true=sum_of_squares(sums.true),
        pred=sum_of_squares(sums.pred) + sums.singletons,
        voxels=sums.voxels,
    )


def counted(table: Table, true_zero: TrueZero, pred_zero: PredZero) -> Counted:
    """Drop what does not count, and add up the rest by object and by segment.

    Raises
    ------
    GeometryError
        If no voxel counts, or an option is unknown.
    """
    check_choice("true_zero", true_zero, ("ignore", "segment"))
    check_choice("pred_zero", pred_zero, ("singletons", "segment", "ignore"))
    keep = np.ones(len(table["count"]), bool)
    if true_zero == "ignore":
        keep &= table["true"] != 0
    if pred_zero == "ignore":
        keep &= table["pred"] != 0
    rows = slice(None) if keep.all() else keep  # the former copies nothing
    true_id, pred_id, count = (table[name][rows] for name in ("true", "pred", "count"))
    if not len(count):
        raise GeometryError(
            f"no voxel counts with true_zero={true_zero!r} and pred_zero={pred_zero!r}: "
            "the labels that do count are absent; choose other options, or check the labels"
        )
    true, true_row = _sums(true_id, count)
    single = (pred_id == 0) if pred_zero == "singletons" else np.zeros(len(count), bool)
    several = ~single if single.any() else slice(None)
    pred, pred_row = _sums(pred_id[several], count[several])
    return Counted(
        both=count[several],
        true=true,
        pred=pred,
        true_row=true_row[several],
        pred_row=pred_row,
        single=count[single],
        single_row=true_row[single],
        voxels=int(count.sum()),
    )


def _sums(
    ids: NDArray[Any], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Add counts by id, and tell for every row which sum it went to."""
    if not len(ids):
        return np.zeros(0, np.int64), np.zeros(0, np.intp)
    if (ids[1:] >= ids[:-1]).all():
        return _sums_in_order(ids, count)
    most = int(ids.max())
    if most < _DENSE * len(ids):
        return _sums_by_place(ids, count, most)
    rows = np.stack([ids.astype(np.uint64), np.arange(len(ids), dtype=np.uint64)], axis=1)
    order = sorted_rows(rows, (0,))[:, 1].astype(np.intp)
    sums, rank = _sums_in_order(ids[order], count[order])
    row = np.empty(len(ids), np.intp)
    row[order] = rank
    return sums, row


def _sums_in_order(
    ids: NDArray[Any], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    begins = np.concatenate([[True], ids[1:] != ids[:-1]])
    sums: NDArray[np.int64] = np.add.reduceat(count, np.flatnonzero(begins))
    return sums, np.cumsum(begins) - 1


@numba.njit(nogil=True, cache=True)
def _sums_by_place(ids: NDArray[Any], count: NDArray[np.int64], most: int) -> Any:
    """Give every id a place of its own; those that are not met are left out."""
    place = np.zeros(most + 1, np.intp)
    for id_ in ids:
        place[id_] = 1
    met = 0
    for at in range(len(place)):
        here = place[at]
        place[at] = met
        met += here
    sums, row = np.zeros(met, np.int64), np.empty(len(ids), np.intp)
    for n in range(len(ids)):
        row[n] = place[ids[n]]
        sums[row[n]] += count[n]
    return sums, row


def sum_of_squares(counts: NDArray[np.int64]) -> int:
    """Add squares exactly: (h 2^32 + l)^2 has three products that each fit in 64 bits."""
    n = counts.astype(np.uint64)
    high, low = n >> _HALF, n & _LOW
    return _sum(low * low) + (_sum(high * low) << 33) + (_sum(high * high) << 64)


def _sum(terms: NDArray[np.uint64]) -> int:
    """Add in two halves, which cannot overflow below 2^32 terms."""
    return int((terms & _LOW).sum()) + (int((terms >> _HALF).sum()) << 32)


def check_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    """Refuse an option that is not one of its choices.

    Raises
    ------
    GeometryError
        If it is none of them.
    """
    if given not in choices:
        raise GeometryError(f"{name} is {given!r}; choose one of {', '.join(choices)}")
