"""Clips: where the outlined vessel is, and the part of the film that shows it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Coord
from volkit.kernels.resize import resized

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_AROUND = np.ones((3, 3), bool)  # outlines run obliquely, too


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """What a network sees of one vessel, in frames or in planes of a volume.

    Parameters
    ----------
    voxels : ndarray of uint8, shape (C, Z, Y, X) or (Z, Y, X)
        Colours, or grey with whatever else in further channels; as stored, not resized.
    region : Box
        Where it was cut out, half-open, in the film or the volume.
    flags : tuple of str
        What is wrong with it, in the words of `volkit.kernels.stall_decision.REASONS`:
        ``no_contour`` where there is no outline and all is shown, ``border`` where the outline
        may go on beyond the picture, ``roi_too_small`` where one frame shows no motion.

    Raises
    ------
    ContractError
        If the voxels are of another kind, or not those of the region.
    """

    voxels: Bytes
    region: Box
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = self.voxels
        if given.dtype != np.uint8 or given.ndim not in (3, 4) or given.size == 0:
            raise ContractError(
                f"a clip of {given.dtype} {given.shape} was given; expected uint8 of shape "
                "(C, Z, Y, X) or (Z, Y, X), with a voxel or more"
            )
        if given.shape[-3:] != self.region.shape:
            raise ContractError(
                f"a clip of {given.shape} cannot be cut out of {self.region}, which is "
                f"{self.region.shape}"
            )

    def window(self, shape: Coord) -> Bytes:
        """Bring the clip to what a network takes.

        Parameters
        ----------
        shape : tuple of int
            (z, y, x).

        Returns
        -------
        ndarray of uint8, shape (C, z, y, x)
            Interpolated linearly and rounded.
        """
        channels = self.voxels if self.voxels.ndim == 4 else self.voxels[None]
        return np.rint(resized(channels, shape)).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineRule:
    """How the outline is found.

    Parameters
    ----------
    low, high : tuple of int
        Least and greatest red, green and blue of its colour, both included; as published.
    votes : float
        Share of the frames in which a pixel must have it: compression puts single coloured pixels
        anywhere.  0 takes every pixel that any frame has, as published.
    least : int
        Pixels of the largest component, below which there is no outline.
    margin : int
        Pixels around it.
    components : bool
        Whether only the largest component counts; as published, all do.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    low: tuple[int, int, int] = (104, 13, 9)
    high: tuple[int, int, int] = (255, 143, 98)
    votes: float = 0.2
    least: int = 8
    margin: int = 3
    components: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.votes <= 1 or self.least < 1 or self.margin < 0:
            raise ConfigError(
                f"outlines of votes {self.votes}, least {self.least} and margin {self.margin} "
                "cannot be found; give a share of 0 to 1, a pixel or more, and 0 or more"
            )


PUBLISHED_OUTLINE = OutlineRule(votes=0.0, least=1, margin=0, components=False)
"""The union over all frames, without a margin."""


def outline_mask(frames: Bytes, rule: OutlineRule | None = None) -> Mask:
    """Find the pixels that have the colour of the outline.

    Parameters
    ----------
    frames : ndarray of uint8, shape (3, Z, Y, X)
        Red, green and blue.
    rule : OutlineRule, optional
        Says the colours.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)

    Raises
    ------
    ContractError
        If the frames are of another kind.

    Examples
    --------
    >>> orange, yellow = np.uint8([220, 100, 30]), np.uint8([255, 165, 0])
    >>> outline_mask(np.stack([orange, yellow], -1).reshape(3, 1, 1, 2)).tolist()
    [[[True, False]]]
    """
    how = rule or OutlineRule()
    if frames.dtype != np.uint8 or frames.ndim != 4 or len(frames) != 3:
        raise ContractError(
            f"frames of {frames.dtype} {frames.shape} were given; expected uint8, (3, Z, Y, X)"
        )
    found = np.ones(frames.shape[1:], bool)
    for colour, low, high in zip(frames, how.low, how.high, strict=True):
        found &= (colour >= low) & (colour <= high)
    return found


def outlined_region(mask: Mask, rule: OutlineRule | None = None) -> Box | None:
    """Find the rectangle around the outline, the same in every frame.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        From `outline_mask`.
    rule : OutlineRule, optional
        Says how many frames must agree.

    Returns
    -------
    Box or None
        All frames, half-open, cut at the picture; None where there is no outline.
    """
    how = rule or OutlineRule()
    count = mask.sum(axis=0)
    there = count >= max(1.0, how.votes * len(mask))
    if how.components and there.any():
        label, _ = ndimage.label(there, _AROUND)
        there = label == 1 + int(np.bincount(label.ravel())[1:].argmax())
    if there.sum() < how.least:
        return None
    y, x = np.nonzero(there)
    start = (0, max(int(y.min()) - how.margin, 0), max(int(x.min()) - how.margin, 0))
    stop = (int(y.max()) + 1 + how.margin, int(x.max()) + 1 + how.margin)
    return Box(start, (len(mask), min(stop[0], mask.shape[1]), min(stop[1], mask.shape[2])))


def cut_clip(frames: Bytes, rule: OutlineRule | None = None) -> Clip:
    """Cut the outlined vessel out of a film; the outline stays in it.

    Parameters
    ----------
    frames : ndarray of uint8, shape (3, Z, Y, X)
        Red, green and blue.
    rule : OutlineRule, optional
        How the outline is found.

    Returns
    -------
    Clip
        With its flags; the whole film where there is no outline.

    Raises
    ------
    ContractError
        If the frames are of another kind.
    """
    found = outlined_region(outline_mask(frames, rule), rule)
    shape: Any = frames.shape[1:]
    region = found or Box.from_shape(shape)
    flags = [] if found else ["no_contour"]
    at_edge = any(
        a == 0 or b == n
        for a, b, n in zip(region.start[1:], region.stop[1:], shape[1:], strict=True)
    )
    if found and at_edge:
        flags.append("border")
    if len(frames[0]) == 1:
        flags.append("roi_too_small")
    return Clip(np.ascontiguousarray(frames[(slice(None), *region.slices)]), region, tuple(flags))
