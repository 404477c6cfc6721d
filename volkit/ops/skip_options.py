"""What is skipped, as a person says it: masks, boxes, empty cells, and what is written there."""

from dataclasses import dataclass
from math import isfinite
from typing import get_args

import numpy as np
from numpy.typing import DTypeLike

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.geometry.scale import Vector
from volkit.kernels.emptiness import Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyOptions:
    """Which cells of the image hold nothing.

    Cells lie on one lattice, which begins where the domain does, so that the result does not
    depend on blocks.

    Parameters
    ----------
    statistic : {'range', 'std', 'value'}
        A cell is empty where largest less smallest voxel is at most ``threshold``; or their
        standard deviation; or where none is farther than ``threshold`` from ``value``.
    threshold : float
        Units of the voxels.
    value : float
        Of a voxel that holds nothing, for ``value``.
    cell_shape : tuple of int, optional
        Extent of a cell, (z, y, x), voxels; None takes the stride of the windows.
    level : int, optional
        Of the image, where the voxels are looked at: a coarser one costs little, and averages out
        what is small; None takes the level that the network sees.

    Raises
    ------
    ConfigError
        If an option is unknown or no sensible number.
    """

    statistic: Statistic = "range"
    threshold: float = 0.0
    value: float = 0.0
    cell_shape: Coord | None = None
    level: int | None = None

    def __post_init__(self) -> None:
        known = get_args(Statistic)
        if self.statistic not in known:
            raise ConfigError(
                f"statistic {self.statistic!r} is unknown; choose one of {', '.join(known)}"
            )
        if not (isfinite(self.threshold) and self.threshold >= 0 and isfinite(self.value)):
            raise ConfigError(
                f"threshold {self.threshold} and value {self.value}: give finite numbers, the "
                "threshold not below 0"
            )
        if self.cell_shape is not None and min(self.cell_shape) < 1:
            raise ConfigError(f"cell_shape {self.cell_shape} must be at least 1 on every axis")
        if self.level is not None and self.level < 0:
            raise ConfigError(f"level {self.level} of an image is none; 0 is the finest")


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipOptions:
    """What inference leaves out.

    A voxel is wanted where all that is given wants it.  Windows are evaluated whose trusted part
    holds a wanted voxel; wanted voxels get just what they would get without skipping, all others
    ``fill``.

    Parameters
    ----------
    mask : str, optional
        Path or URI of a volume of bool or integers: wanted where it is not 0.  Its voxels may be
        of any size; where a voxel of the image has its centre, there the mask is asked.
    mask_level : int, optional
        Level of the mask.
    mask_voxel_size_nm : tuple of float, optional
        Extent of a voxel of the mask, where it does not say so itself, nanometres.
    invert : bool
        Wanted where the mask is 0 instead.
    boxes : tuple of Box
        Wanted; volume coordinates of the image, voxels.  Where there are none, everything is.
    without : tuple of Box
        Not wanted, boxes or not.
    empty : EmptyOptions, optional
        Cells that hold nothing are not wanted.
    fill : float
        Answer at voxels that are not wanted, as it is stored.

    Raises
    ------
    ConfigError
        If nothing says what is skipped, or options contradict each other.
    """

    mask: str | None = None
    mask_level: int | None = None
    mask_voxel_size_nm: Vector | None = None
    invert: bool = False
    boxes: tuple[Box, ...] = ()
    without: tuple[Box, ...] = ()
    empty: EmptyOptions | None = None
    fill: float = 0.0

    def __post_init__(self) -> None:
        told = (self.mask_level, self.mask_voxel_size_nm)
        if self.mask is None and any(value is not None for value in told):
            raise ConfigError(
                "mask_level and mask_voxel_size_nm say how to open a mask, and none is named; give "
                "mask, or leave them out"
            )
        for box in (*self.boxes, *self.without):
            if not box.size:
                raise ConfigError(f"box {box} holds no voxel; give one that does, or leave it out")
        if not isfinite(self.fill):
            raise ConfigError(f"fill {self.fill} is not finite; give a number")

    @property
    def skips(self) -> bool:
        """Whether anything can be left out."""
        return bool(self.mask is not None or self.boxes or self.without or self.empty)


def check_fill(fill: float, dtype: DTypeLike) -> None:
    """Refuse a fill that a type of voxels cannot hold.

    Parameters
    ----------
    fill : float
        What is to be written where nothing is wanted.
    dtype : dtype
        Of the result.

    Raises
    ------
    ConfigError
        If it would come out as another number; floats may round it.

    Examples
    --------
    >>> check_fill(255, "uint8")
    >>> check_fill(256, "uint8")
    Traceback (most recent call last):
        ...
    volkit.errors.ConfigError: fill 256 does not fit into uint8, which holds whole numbers from 0 \
to 255; choose another fill
    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        most = float(np.finfo(kind).max)
        fits, holds = abs(fill) <= most, f"numbers up to {most:g}"
    else:
        low, high = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
        fits = fill == int(fill) and low <= fill <= high
        holds = f"whole numbers from {low} to {high}"
    if not fits:
        raise ConfigError(
            f"fill {fill:g} does not fit into {kind.name}, which holds {holds}; choose another fill"
        )
