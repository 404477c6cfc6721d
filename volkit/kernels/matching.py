"""Matching: how many references candidates hit, as the CZII challenge counts, or one to one."""

from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, GeometryError
from volkit.kernels.assignment import assign
from volkit.kernels.cells import check_points
from volkit.kernels.neighbours import neighbours

Match = Literal["czii", "one_to_one"]
Counts = tuple[int, int, int]


def check_match(match: str) -> None:
    """Refuse a way of matching that does not exist.

    Raises
    ------
    ConfigError
        Naming those that do.
    """
    if match not in ("czii", "one_to_one"):
        raise ConfigError(f"match is {match!r}; choose czii or one_to_one")


def match_counts(
    candidates: NDArray[Any],
    references: NDArray[Any],
    *,
    radius: float,
    match: Match = "czii",
) -> Counts:
    """Count true positives, false positives and false negatives.

    Parameters
    ----------
    candidates : ndarray of float, shape (N, 3)
        Points of one class in one tomogram, any unit.
    references : ndarray of float, shape (M, 3)
        True points of that class there, in the same unit.
    radius : float
        Up to which distance, that included, a candidate hits a reference; in the same unit.
    match : {'czii', 'one_to_one'}
        ``czii``: the references within the radius of any candidate are true positives, all other
        candidates than their number are false positives; one candidate between two references
        makes 2 and -1.  ``one_to_one``: no point is used twice, and as many as can be are used.

    Returns
    -------
    tuple of int
        True positives, false positives (from -1 on down where ``czii`` makes it so), false
        negatives.

    Raises
    ------
    ConfigError
        If the way of matching is unknown.
    GeometryError
        If coordinates are not finite, or the radius is not above 0.

    Examples
    --------
    >>> between = np.array([[0, 0, 0]]), np.array([[0, 0, -1], [0, 0, 1]])
    >>> match_counts(*between, radius=1), match_counts(*between, radius=1, match="one_to_one")
    ((2, -1, 0), (1, 0, 1))
    """
    check_match(match)
    if match == "one_to_one":
        hits = int(np.count_nonzero(matched(candidates, references, radius=radius) >= 0))
    else:
        hits = len(np.unique(neighbours(candidates, references, radius=radius)[1]))
    return hits, len(candidates) - hits, len(references) - hits


def matched(
    candidates: NDArray[Any], references: NDArray[Any], *, radius: float
) -> NDArray[np.int64]:
    """Match one to one: as many as possible, with the least sum of distances.

    Parameters
    ----------
    candidates : ndarray of float, shape (N, 3)
        Points, any unit.
    references : ndarray of float, shape (M, 3)
        Points, in the same unit.
    radius : float
        The largest distance of a match, that included.

    Returns
    -------
    ndarray of int64, shape (M,)
        The candidate of each reference; -1 where it has none.

    Raises
    ------
    GeometryError
        If coordinates are not finite, or the radius is not above 0.
    """
    candidate, reference, squared = neighbours(candidates, references, radius=radius)
    sizes = {"candidates": len(candidates), "references": len(references)}
    return assign(candidate, reference, np.sqrt(squared), **sizes)


def hit_curve(
    candidates: NDArray[Any],
    scores: NDArray[Any],
    references: NDArray[Any],
    *,
    radius: float,
    thresholds: NDArray[Any],
    match: Match = "czii",
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count, for each of many thresholds in one pass, what the candidates above it hit.

    Parameters
    ----------
    candidates : ndarray of float, shape (N, 3)
        Points, any unit.
    scores : ndarray of float, shape (N,)
        Of each.
    references : ndarray of float, shape (M, 3)
        True points, in the same unit.
    radius : float
        As for :func:`match_counts`.
    thresholds : ndarray of float, shape (T,)
        Candidates count whose score is larger; any order.
    match : {'czii', 'one_to_one'}
        As for :func:`match_counts`.

    Returns
    -------
    hits, kept : ndarray of int64, shape (T,)
        True positives, and candidates above each threshold.

    Raises
    ------
    ConfigError
        If the way of matching is unknown.
    GeometryError
        If coordinates, scores or thresholds are not finite, or the radius is not above 0.

    Examples
    --------
    >>> points = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 9]])
    >>> scores, thresholds = np.array([0.9, 0.8, 0.5]), np.array([0.1, 0.6, 0.95])
    >>> hits, kept = hit_curve(points, scores, points[1:], radius=1, thresholds=thresholds)
    >>> hits.tolist(), kept.tolist()
    ([2, 1, 0], [3, 2, 0])
    """
    check_match(match)
    scores, thresholds = np.asarray(scores, np.float64), np.asarray(thresholds, np.float64)
    candidates = check_points(candidates, name="candidates")
    if scores.shape != (len(candidates),) or np.isnan(scores).any() or np.isnan(thresholds).any():
        raise GeometryError(
            f"scores of shape {scores.shape} for {len(candidates)} candidates, or scores or "
            "thresholds are NaN; give a number for each candidate"
        )
    best_first = np.argsort(-scores, kind="stable")
    ranked = scores[best_first]
    candidate, reference, _ = neighbours(candidates[best_first], references, radius=radius)
    if match == "czii":
        # Pairs come by rank: the first of a reference is of its best candidate.
        first = np.unique(reference, return_index=True)[1]
        ranks = np.sort(candidate[first])
    else:
        starts = np.searchsorted(candidate, np.arange(len(candidates) + 1))
        ranks = np.flatnonzero(_takes_one(starts, reference, len(references)))
    kept = np.searchsorted(-ranked, -thresholds, side="left")
    return np.searchsorted(ranks, kept, side="left"), kept


@numba.njit(nogil=True, cache=True)
def _takes_one(starts, reference, references):  # type: ignore[no-untyped-def]
    """Offer references to candidates, the best first; tell which of them enlarge the matching.

    A candidate that is matched stays so, though perhaps to another reference, so that the matching
    of each prefix has the most pairs that its candidates allow.
    """
    takes = np.zeros(len(starts) - 1, np.bool_)
    owner = np.full(references, -1, np.int64)
    seen = np.zeros(references, np.bool_)  # and of failed searches: nothing free lies beyond
    came_from = np.full(references, -1, np.int64)
    for begin in range(len(takes)):
        queue, free, at = [begin], -1, 0
        touched = [0 for _ in range(0)]
        while at < len(queue) and free < 0:
            for n in range(starts[queue[at]], starts[queue[at] + 1]):
                j = reference[n]
                if seen[j]:
                    continue
                seen[j], came_from[j] = True, queue[at]
                touched.append(j)
                if owner[j] < 0:
                    free = j
                    break
                queue.append(owner[j])
            at += 1
        if free < 0:
            continue
        takes[begin] = True
        _shift(free, begin, owner, came_from, starts, reference)
        for j in touched:
            seen[j] = False
    return takes


@numba.njit(nogil=True, cache=True)
def _shift(free, begin, owner, came_from, starts, reference):  # type: ignore[no-untyped-def]
    """Hand references on along the path, from its free end back to the candidate it began at."""
    j = free
    while True:
        candidate = came_from[j]
        given_up = -1
        if candidate != begin:
            for n in range(starts[candidate], starts[candidate + 1]):
                if owner[reference[n]] == candidate:
                    given_up = reference[n]
                    break
        owner[j] = candidate
        if given_up < 0:
            return
        j = given_up
