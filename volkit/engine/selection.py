"""Selection: which part of a domain is to be computed anew, where not all of it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.dispatch import dispatch
from volkit.engine.task_batch import Outcome
from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.geometry.touching import touching
from volkit.io.volume import Volume

_NOT_THERE, _THERE = 1, 2


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a domain: boxes, or where a volume has certain values.

    Parameters
    ----------
    boxes : tuple of Box
        Volume coordinates, voxels.
    where : Volume, optional
        A mask, or any map of values; voxels beyond it do not count.
    between : tuple of float, optional
        Lowest and highest of the values of ``where`` that count, in any channel; None takes all
        that are not 0.
    may_miss : bool
        Whether it may touch no block, so that all of them stay: one of several domains that it is
        for.

    Raises
    ------
    GeometryError
        If nothing is said, or both, or the range is empty.
    """

    boxes: tuple[Box, ...] = ()
    where: Volume | None = None
    between: tuple[float, float] | None = None
    may_miss: bool = False

    def __post_init__(self) -> None:
        if bool(self.boxes) is (self.where is not None):
            raise GeometryError("a selection is boxes or a volume; give one of them")
        if self.between is not None and not self.between[0] <= self.between[1]:
            raise GeometryError(
                f"values between {self.between[0]} and {self.between[1]}: there are none; give "
                "the lower one first"
            )

    @property
    def facts(self) -> dict[str, Any]:
        """What decides it, as JSON; a volume by its identity."""
        if self.where is None:
            return {"boxes": [[list(box.start), list(box.stop)] for box in self.boxes]}
        between = None if self.between is None else list(self.between)
        return {"where": self.where.identity, "between": between}

    def blocks(self, grid: Grid, *, client: Any | None = None) -> NDArray[np.bool_]:
        """Find the blocks that it touches.

        Parameters
        ----------
        grid : Grid
            The blocks; their halo does not count.
        client : distributed.Client, optional
            Where a volume is looked through; None does it in this process.

        Returns
        -------
        ndarray of bool, shape (len(grid),)

        Examples
        --------
        >>> grid = Grid(Box.from_shape((1, 1, 40)), (1, 1, 10), halo=(0, 0, 2))
        >>> Selection(boxes=(Box((0, 0, 18), (1, 1, 30)),)).blocks(grid).tolist()
        [False, True, True, False]
        """
        marks = np.zeros(len(grid), bool)
        grid = grid.with_halo((0, 0, 0))
        for box in self.boxes:
            inside = box.intersect(grid.domain)
            if inside.size:
                marks[touching(grid, inside)] = True
        if self.where is not None:
            look = LookTask(self.where, self.between, grid)

            def receive(outcome: Outcome) -> None:
                found = np.array(outcome.checks, int) == _THERE
                marks[np.array(outcome.numbers, int)[found]] = True

            dispatch(look, grid.morton(), client=client, receive=receive)
        return marks


@dataclass(frozen=True, slots=True)
class LookTask:
    """What a worker does for a block: look for values.

    Parameters
    ----------
    volume : Volume
        Where.
    between : tuple of float or None
        For which.
    grid : Grid
        The blocks.
    """

    volume: Volume
    between: tuple[float, float] | None
    grid: Grid

    def __call__(self, number: int) -> int:
        """Look at one block."""
        box = self.grid[number].write.intersect(self.volume.domain)
        if not box.size:
            return _NOT_THERE
        values = self.volume.read(box)
        if self.between is None:
            return _THERE if values.any() else _NOT_THERE
        low, high = self.between
        return _THERE if ((values >= low) & (values <= high)).any() else _NOT_THERE
