"""Polarity of boundary maps and affinities, looked at with the truth."""

from functools import partial
from typing import Any

from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Grid
from volkit.kernels.polarity import add_levels, edge_levels, edge_separation, voxel_levels
from volkit.kernels.probability import probabilities
from volkit.ops.affinity_watershed import AffinityOptions
from volkit.ops.arguments import arguments
from volkit.ops.components import single_channel

Array = NDArray[Any]


def polarity(
    values: Any,
    truth: Any,
    *,
    options: AffinityOptions | int = 0,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "polarity",
) -> Any:
    """Say what looks inverted: a map that is high inside true objects, or affinities that are low.

    Parameters
    ----------
    values : Volume, dask array or DataArray of float or uint8
        Affinities, shape (3, Z, Y, X), 0 to 1, on z, y, x; or boundary probabilities, shape
        ([C,] Z, Y, X).
    truth : Volume, dask array or DataArray of int, shape (Z, Y, X)
        True labels; 0 is between objects.
    options : AffinityOptions or int
        Offsets of the affinities; or the channel of the boundary.
    grid : Grid, optional
        Blocks to work in; the answer does not depend on it.
    engine : Engine, optional
        Where; None builds a Delayed.
    name : str
        Of the stage in a job.

    Returns
    -------
    tuple of str, or Delayed of it
        Empty where nothing looks inverted, or the truth has no border.

    Raises
    ------
    ContractError
        By the block that meets NaN or values outside 0 to 1.
    """
    call = arguments(values, truth, grid=grid, engine=engine)
    known = isinstance(options, AffinityOptions)
    params = (
        {"toward": options.toward} if isinstance(options, AffinityOptions) else {"channel": options}
    )
    count = Reduction(
        _affinity_block if known else _boundary_block,
        add_levels,
        partial(_doubts, what="affinities" if known else "boundary probabilities"),
        halo=(1, 1, 1),
        params=params,
    )
    return call.engine.reduce(count, *call.inputs, grid=call.grid, name=name)


def _affinity_block(block: Block, affinities: Array, truth: Array, *, toward: int) -> Columns:
    core = block.write.relative_to(block.read)
    return edge_levels(probabilities(affinities), truth, core, toward=toward)


def _boundary_block(block: Block, prob: Array, truth: Array, *, channel: int) -> Columns:
    inside = 1 - probabilities(single_channel(prob, channel))
    return voxel_levels(inside, truth, block.write.relative_to(block.read))


def _doubts(counts: Columns, *, what: str) -> tuple[str, ...]:
    found = edge_separation(counts)
    if not found < 0.5:
        return ()
    high, give = (
        ("lower inside true objects than at their borders", "1 - affinities")
        if what == "affinities"
        else ("higher inside true objects than at their borders", "1 - map")
    )
    return (
        f"{what} are {high} (separation {found:.3f}; 1 is best, 0.5 is chance): they look "
        f"inverted; give {give}, or check that the truth lies where they do",
    )
