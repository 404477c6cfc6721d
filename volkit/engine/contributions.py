"""Contributions: an Op with a Spread applied to a block, and the only caller of it."""

from collections.abc import Sequence

import numpy as np

from volkit.engine.op import Array, Op, Spread, add_note, check_result, kernel_name
from volkit.errors import ContractError
from volkit.geometry import Block


def run_contribution(
    op: Op, block: Block, arrays: Sequence[Array], shared: Sequence[object] = ()
) -> Array:
    """Compute what a block contributes to itself and its neighbours.

    Parameters
    ----------
    op : Op
        With a Spread.
    block : Block
        Where.
    arrays : sequence of ndarray
        The inputs, each covering what the Spread reads.
    shared : sequence
        Values that every block gets.

    Returns
    -------
    ndarray
        Sums over the voxels that the block covers.

    Raises
    ------
    ContractError
        If the Op has no Spread.
    """
    spread = spread_of(op)
    try:
        return spread.contribute(block, *arrays, *shared)
    except Exception as error:
        add_note(error, op.kernel, block)
        raise


def spread_of(op: Op) -> Spread:
    """Give the Spread of an Op that has one.

    Raises
    ------
    ContractError
        If it has none.
    """
    if op.spread is None:
        raise ContractError(
            f"the Op of {kernel_name(op.kernel)} has no Spread; map it block by block"
        )
    return op.spread


def run_finish(op: Op, block: Block, sums: Array, shared: Sequence[object] = ()) -> Array:
    """Turn the sum of all contributions to a block into its result.

    Parameters
    ----------
    op : Op
        With a Spread.
    block : Block
        Where.
    sums : ndarray
        Over ``block.write``.
    shared : sequence
        Values that every block gets.

    Returns
    -------
    ndarray
        What the Op's kernel says about ``block.write``.

    Raises
    ------
    ContractError
        If shape or dtype differ from what the Op declares.
    """
    try:
        result = np.asarray(spread_of(op).finish(block, sums, *shared))
        check_result(op, block, result)
    except Exception as error:
        add_note(error, op.kernel, block)
        raise
    return result
