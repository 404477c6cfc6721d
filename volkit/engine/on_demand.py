"""Inputs on demand: a block reads its own voxels, and of its halo what it turns out to need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Array, Reduction
from volkit.engine.reading import read_metered
from volkit.geometry import Block, Box
from volkit.io.cache.lattice import chunks_met, volume_lattices
from volkit.io.volume import Volume

Parts = Sequence[tuple[Box, Array]]


@dataclass(frozen=True, slots=True)
class OnDemand:
    """An input of a kernel that needs its halo here and there only.

    Neighbours lie in other chunks, which are decoded whole: where few of them are asked for, a
    block costs hardly more than its own voxels.

    Parameters
    ----------
    held : Box
        What is known: the block, or with its halo where that is in memory.
    values : ndarray, shape ([C,] Z, Y, X)
        Its voxels.
    volume : Volume or None
        Where the others are; None where all are held.
    """

    held: Box
    values: Array
    volume: Volume | None = None

    def beyond(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Parts:
        """Read what boxes hold and is not known; each chunk once.

        Parameters
        ----------
        starts, stops : ndarray of int64, shape (N, 3)
            The boxes, volume coordinates, inside ``block.read``.

        Returns
        -------
        sequence of (Box, ndarray)
            Parts of the volume; with ``held`` they cover the boxes.
        """
        if self.volume is None:
            return ()
        chunks, _, offset = volume_lattices(self.volume)
        back = (-offset[0], -offset[1], -offset[2])
        boxes = chunks_met(chunks, starts + back, stops + back, held=self.held.shift(back))
        nobodys = Box(self.held.start, self.held.start)  # other blocks count these as their own
        parts = []
        for box in boxes:
            there = box.shift(offset)
            parts.append((there, read_metered(self.volume, there, decides=nobodys)))
        return parts

    def joined(self, box: Box, parts: Parts, *, channel: int | None) -> Array:
        """Put what is held and what was read together.

        Parameters
        ----------
        box : Box
            Volume coordinates.
        parts : sequence of (Box, ndarray)
            From :meth:`beyond`.
        channel : int or None
            Which; None where there is no such axis.

        Returns
        -------
        ndarray, shape (Z, Y, X)
            Zero where nothing is known.
        """
        lead = () if channel is None else (channel,)
        values = np.zeros(box.shape, self.values.dtype)
        for there, part in ((self.held, self.values), *parts):
            common = box.intersect(there)
            if common.size:
                inside = part[(*lead, *common.relative_to(there).slices)]
                values[common.relative_to(box).slices] = inside
        return values


def as_asked(
    reduction: Reduction, block: Block, arrays: Sequence[Array], volumes: Sequence[Volume | None]
) -> Sequence[Any]:
    """Give the inputs of a reduction's kernel the form that it asks for.

    Parameters
    ----------
    reduction : Reduction
        Whose kernel.
    block : Block
        Where.
    arrays : sequence of ndarray
        What was read of each input, or handed over with its halo.
    volumes : sequence of Volume or None
        From where it was read; None for what was handed over.
    """
    if not reduction.on_demand:
        return arrays
    return [
        OnDemand(block.read if volume is None else block.write, values, volume)
        for values, volume in zip(arrays, volumes, strict=True)
    ]
