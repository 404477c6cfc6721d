"""Batches of clips: drawn by class, varied by chance; or one after the other to be judged."""

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.models.scaling import Scale
from volkit.training.stall_augment import varied_clip
from volkit.training.stall_options import StallAugmentation
from volkit.training.stall_set import ClipSet

Floats = NDArray[np.float32]


def drawn_rows(
    stalled: NDArray[np.bool_], number: int, rng: Generator, *, positive: float
) -> NDArray[np.int64]:
    """Draw clips with replacement: each is stalled by the same probability.

    Parameters
    ----------
    stalled : ndarray of bool, shape (N,)
        Labels; both occur.
    number : int
        How many to draw.
    rng : numpy.random.Generator
        Source of chance.
    positive : float
        Probability that a drawn clip is stalled.

    Returns
    -------
    ndarray of int64, shape (number,)
        Rows.

    Examples
    --------
    >>> stalled = np.arange(1000) < 10
    >>> rows = drawn_rows(stalled, 10000, np.random.default_rng(0), positive=0.25)
    >>> round(float(stalled[rows].mean()), 2)
    0.25
    """
    wanted = rng.random(number) < positive
    place = rng.random(number)
    rows = np.empty(number, np.int64)
    for side in (False, True):
        there = np.flatnonzero(stalled == side)
        rows[wanted == side] = there[(place[wanted == side] * len(there)).astype(np.int64)]
    return rows


def drawn_batch(
    clips: ClipSet,
    rows: NDArray[np.int64],
    shape: Coord,
    rng: Generator,
    *,
    scale: Scale,
    channels: int,
    options: StallAugmentation,
) -> tuple[Floats, Floats]:
    """Give varied clips with their labels.

    Parameters
    ----------
    clips : ClipSet
        Where they are from.
    rows : ndarray of int64, shape (B,)
        Which.
    shape : tuple of int
        Of what the network sees, (z, y, x).
    rng : numpy.random.Generator
        Source of chance.
    scale : Scale
        Of grey levels.
    channels : int
        3 colours, or 1: their mean.
    options : StallAugmentation
        Probabilities and extents.

    Returns
    -------
    images : ndarray of float32, shape (B, C, z, y, x)
        Scaled.
    stalled : ndarray of float32, shape (B,)
        1 or 0.
    """
    varied = [varied_clip(clips.voxels(row), shape, rng, options) for row in rows]
    images = scale.apply(_channels(np.stack(varied), channels))
    return images, clips.stalled[rows].astype(np.float32)


def judged_batches(
    clips: ClipSet, shape: Coord, *, scale: Scale, channels: int, batch: int
) -> Iterator[Floats]:
    """Give all clips as they are, in their order.

    Parameters
    ----------
    clips : ClipSet
        Any.
    shape, scale, channels
        As for `drawn_batch`.
    batch : int
        Clips at once.

    Yields
    ------
    ndarray of float32, shape (B, C, z, y, x)
    """
    still = StallAugmentation(**dict.fromkeys(_CHANCES, 0.0))
    nothing = np.random.default_rng(0)
    for first in range(0, len(clips), batch):
        rows = range(first, min(first + batch, len(clips)))
        images = [varied_clip(clips.voxels(row), shape, nothing, still) for row in rows]
        yield scale.apply(_channels(np.stack(images), channels))


_CHANCES = (
    "rotate",
    "elastic",
    "crop",
    "drop_planes",
    "grid_dropout",
    "flip",
    "turn",
    "noise",
    "gamma",
)


def _channels(images: Floats, channels: int) -> Floats:
    return images if images.shape[1] == channels else images.mean(axis=1, keepdims=True)


def judged_rows(
    stalled: NDArray[np.bool_], tier1: NDArray[np.bool_], *, negatives: float, sure: bool, seed: int
) -> NDArray[np.int64]:
    """Choose the clips that judge: all stalled ones, and so many flowing ones for each.

    Parameters
    ----------
    stalled, tier1 : ndarray of bool, shape (N,)
        Labels, and which are of high confidence.
    negatives : float
        Flowing clips for each stalled one, as far as there are; 0 takes all.
    sure : bool
        Whether only labels of high confidence count.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int64
        Rows, ascending.

    Examples
    --------
    >>> stalled = np.array([True, False, False, False])
    >>> len(judged_rows(stalled, stalled, negatives=2, sure=False, seed=0))
    3
    """
    allowed = tier1 if sure else np.ones(len(stalled), bool)
    up, down = np.flatnonzero(stalled & allowed), np.flatnonzero(~stalled & allowed)
    if negatives:
        most = round(negatives * len(up))
        down = np.random.default_rng(seed).permutation(down)[:most]
    return np.sort(np.concatenate([up, down]))
