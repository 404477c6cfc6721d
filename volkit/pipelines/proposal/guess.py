"""Guess: what a volume seems to be, by its type, some of its values, and its name."""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volkit.io.labels import content_of
from volkit.io.stated_size import says_size
from volkit.io.uris import split_query
from volkit.io.volume import Volume

Kind = Literal["image", "tomogram", "boundaries", "affinities", "labels", "classes"]

_SURE, _MOSTLY, _SELDOM = 0.1, 0.6, 0.005  # distance from 0 or 1; shares of voxels
_RISES = 1.5  # times as many values are near 0, and near 1, as around the middle
_TOMOGRAM_NM = (0.1, 2.5)  # voxels of cryo-electron tomograms
TOMOGRAM_SUFFIXES = (".mrc", ".rec", ".map", ".ccp4")
_PROBABLE = re.compile(r"prob|boundar|membrane|pred", re.IGNORECASE)
_AFFINE = re.compile(r"affin", re.IGNORECASE)
_UNSURE = "its name says so, its values, most of which are neither near 0 nor near 1, do not"
_NAMELESS = "its values, most of which are near 0 or near 1, say so, its name does not"
_UNNAMED = "it has channels of values from 0 to 1, and nothing else says so"


class Guess(NamedTuple):
    """What a volume seems to be.

    Parameters
    ----------
    kind : str
        What.
    doubt : str
        Why it may be something else; empty where nothing speaks against it.
    """

    kind: Kind
    doubt: str = ""


def guessed(uri: str, volume: Volume, values: NDArray[Any], few: tuple[int, ...]) -> Guess:
    """Guess by type and values; the name decides where these leave it open.

    Parameters
    ----------
    uri : str
        As a person gave it.
    volume : Volume
        At any level.
    values : ndarray, shape (N,)
        Some of it, all finite.
    few : tuple of int
        Distinct ones, where there are few.

    Returns
    -------
    Guess
    """
    name = _name(uri)
    share = volume.dtype.kind == "f" and bool(
        values.size and 0 <= values.min() <= values.max() <= 1
    )
    affine = bool(_AFFINE.search(name))
    if (volume.channels or 1) >= 3 and (share or affine):
        return Guess("affinities", "" if affine else _UNNAMED)
    if share:
        called, sure = bool(_PROBABLE.search(name)), is_sure(values)
        if called or sure:
            return Guess("boundaries", "" if called and sure else _UNSURE if called else _NAMELESS)
    kind = content_of(volume, few)
    if kind != "image":
        return Guess(kind)
    return Guess("tomogram" if _like_a_tomogram(uri, volume) else "image")


def is_sure(values: NDArray[Any]) -> bool:
    """Tell what a network answers, most of it sure, from grey values that were scaled.

    Answers are near 0 or near 1, and the fewer the further from both.  Grey values are not: they
    have one heap, or a heap of darkness that thins out.  Where they were clipped, many are exactly
    0 and 1, so that the heaps are sought between.

    Parameters
    ----------
    values : ndarray
        From 0 to 1.

    Examples
    --------
    >>> grey = np.linspace(0, 1, 101)
    >>> is_sure(grey), is_sure(np.clip(8 * grey - 3.5, 0, 1)), is_sure(grey**2 * (3 - 2 * grey))
    (False, False, False)
    >>> is_sure(1 / (1 + np.exp(10 - 20 * grey)))
    True
    """
    ends = ((values < _SURE).mean(), (values > 1 - _SURE).mean())
    if sum(ends) <= _MOSTLY or min(ends) <= _SELDOM:
        return False
    between = values[(values > 0) & (values < 1)]
    counts, _ = np.histogram(between, bins=10, range=(0, 1))
    return bool(min(counts[0], counts[-1]) >= _RISES * counts[4:7].max())


def _name(uri: str) -> str:
    """Find what a person called a volume, or the part of a file or of a specimen that it is."""
    place, query = split_query(uri)
    return Path(place).name + place.partition("::")[2] + query.get("part", "")


def _like_a_tomogram(uri: str, volume: Volume) -> bool:
    suffix = Path(split_query(uri)[0]).suffix.lower()
    isotropic = max(volume.voxel_size_nm) < 1.05 * min(volume.voxel_size_nm)
    small = _TOMOGRAM_NM[0] <= volume.voxel_size_nm[0] <= _TOMOGRAM_NM[1]
    stated = says_size(volume) or suffix in TOMOGRAM_SUFFIXES
    return volume.channels is None and isotropic and small and stated
