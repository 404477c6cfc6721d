"""Peaks of a block: it looks beyond its faces only where a peak hangs on what is there."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volkit.engine.on_demand import OnDemand
from volkit.errors import ContractError
from volkit.geometry import Block, Box, Coord
from volkit.kernels.peak_offsets import peak_offsets
from volkit.kernels.peaks import are_peaks, peaks_and_nans


class Peaks(NamedTuple):
    """Some peaks of one map.

    Parameters
    ----------
    channel : int
        Number of the map.
    voxels : ndarray of int64, shape (N, 3)
        (z, y, x), volume coordinates.
    shifts : ndarray of float64, shape (N, 3)
        From them to the tops between voxels; 0 where peaks are not refined.
    scores : ndarray, shape (N,)
        Their values.
    """

    channel: int
    voxels: NDArray[np.int64]
    shifts: NDArray[np.float64]
    scores: NDArray[Any]


def peaks_halo(radius: Coord, *, refine: bool) -> Coord:
    """Say how far beyond a block lies what its peaks hang on.

    Parameters
    ----------
    radius : tuple of int
        Reach of the neighbourhood on each side, (z, y, x), voxels.
    refine : bool
        Whether tops are looked for between voxels, which takes the nearest neighbours.

    Returns
    -------
    tuple of int
        Voxels.
    """
    z, y, x = (max(n, 1) if refine else n for n in radius)
    return z, y, x


def block_peaks(
    heat: OnDemand, block: Block, *, thresholds: Sequence[float], radius: Coord, refine: bool
) -> Iterator[Peaks]:
    """Find the peaks that a block decides, in any order.

    A voxel that is not the largest of what is held of its neighbourhood is no peak, whatever lies
    beyond.  The few others whose neighbourhood goes on are settled with what is read of it.

    Parameters
    ----------
    heat : OnDemand
        The maps, shape ([C,] Z, Y, X).
    block : Block
        With the halo that :func:`peaks_halo` says.
    thresholds : sequence of float
        Of each map.
    radius : tuple of int
        Reach of the neighbourhood on each side, (z, y, x), voxels.
    refine : bool
        Whether tops are looked for between voxels.

    Yields
    ------
    Peaks

    Raises
    ------
    ContractError
        If there is NaN in the block.
    """
    held, halo = heat.held, peaks_halo(radius, refine=refine)
    several = heat.values.ndim == 4
    maps = heat.values if several else heat.values[None]
    found = list(_candidates(heat, maps, block, thresholds, radius))
    windows = [_windows(voxels, block, halo) for voxels, _ in found]
    cut = [((w[:, 0] < held.start) | (w[:, 1] > held.stop)).any(axis=1) for w in windows]
    beyond = np.concatenate([w[c] for w, c in zip(windows, cut, strict=True)])
    parts = heat.beyond(beyond[:, 0], beyond[:, 1])
    for number, (voxels, scores) in enumerate(found):
        c, channel = cut[number], number if several else None
        yield _placed(number, maps[number], held, voxels[~c], scores[~c], refine=refine)
        for rows, box in _by_face(np.flatnonzero(c), windows[number], held):
            values = heat.joined(box, parts, channel=channel)
            rows = rows[are_peaks(values, voxels[rows] - box.start, radius=radius)]
            yield _placed(number, values, box, voxels[rows], scores[rows], refine=refine)


def _candidates(
    heat: OnDemand,
    maps: NDArray[Any],
    block: Block,
    thresholds: Sequence[float],
    radius: Coord,
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Find the voxels of the block that are the largest of what is held, and their values."""
    within = block.write.relative_to(heat.held)
    for number, (values, threshold) in enumerate(zip(maps, thresholds, strict=True)):
        points, scores, nans = peaks_and_nans(
            values, radius=radius, threshold=threshold, within=within
        )
        if nans:
            raise ContractError(
                f"the heat map of class {number} is NaN in places, which are neither peaks nor "
                "none; see what made them, or replace them (numpy.nan_to_num)"
            )
        yield points + heat.held.start, scores


def _by_face(
    rows: NDArray[np.int64], windows: NDArray[np.int64], held: Box
) -> Iterator[tuple[NDArray[np.int64], Box]]:
    """Group windows by a face that they reach over, since what is around a face is thin."""
    over = np.hstack([windows[rows, 0] < held.start, windows[rows, 1] > held.stop])
    face = over.argmax(axis=1)
    for each in np.unique(face):
        group = rows[face == each]
        starts, stops = windows[group, 0].min(axis=0), windows[group, 1].max(axis=0)
        yield group, Box(tuple(starts), tuple(stops))


def _windows(voxels: NDArray[np.int64], block: Block, halo: Coord) -> NDArray[np.int64]:
    """Give what each voxel hangs on, shape (N, 2, 3): start and stop, volume coordinates."""
    starts = np.maximum(voxels - halo, block.read.start)
    stops = np.minimum(voxels + halo + 1, block.read.stop)
    return np.stack([starts, stops], axis=1)


def _placed(
    number: int,
    values: NDArray[Any],
    box: Box,
    voxels: NDArray[np.int64],
    scores: NDArray[Any],
    *,
    refine: bool,
) -> Peaks:
    """Find the tops, in values that hold all neighbours which there are."""
    shifts = peak_offsets(values, voxels - box.start) if refine else np.zeros(voxels.shape)
    return Peaks(number, voxels, shifts, scores)
