"""Inputs of jobs: volumes that are stored, and cover what is asked for."""

from collections.abc import Sequence
from typing import Any

from volkit.engine.lazy import check_inside
from volkit.errors import GeometryError
from volkit.geometry import Grid
from volkit.io.volume import Volume


def stored_volumes(inputs: Sequence[Any], grid: Grid) -> tuple[Volume, ...]:
    """Check that inputs are stored volumes that cover a grid.

    Parameters
    ----------
    inputs : sequence
        What a stage is given.
    grid : Grid
        Its blocks.

    Returns
    -------
    tuple of Volume
        The same.

    Raises
    ------
    GeometryError
        If one is no Volume, or does not cover the domain.
    """
    for value in inputs:
        if not isinstance(value, Volume):
            raise GeometryError(
                f"a job reads stored volumes, this input is {type(value).__name__}; store it, or "
                "use LazyEngine"
            )
        check_inside(grid, value)
    return tuple(inputs)
