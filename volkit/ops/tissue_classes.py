"""Tissue classes: codes of a source merged, probabilities decided, and both compared.

Counts of pairs of true and predicted classes add up over blocks, so that scores of a volume do not
depend on how it is cut.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Op, Reduction
from volkit.errors import ConfigError, ContractError
from volkit.geometry import Block, Grid
from volkit.io.volume import Volume
from volkit.kernels.class_merge import Classes, check_codes, merged_classes
from volkit.kernels.sections import add_sections, section_contingency
from volkit.ops.arguments import arguments

Array = NDArray[Any]
_MOST = 255


def merge_classes(
    labels: Any,
    classes: Classes,
    *,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "truth",
) -> Any:
    """Turn the codes of a source into numbers of classes.

    Parameters
    ----------
    labels : Volume, dask array, ndarray or DataArray of int, shape (Z, Y, X)
        Codes; every one must belong to a class.
    classes : mapping of str to sequence of int
        Codes of every class; the first class is 0.
    grid : Grid, optional
        Blocks to work in.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the stage.

    Returns
    -------
    Volume, dask array or DataArray of uint8, shape (Z, Y, X)

    Raises
    ------
    ConfigError
        If classes share a code.
    ContractError
        If labels are no integers; by the block that holds a code of no class.
    """
    check_codes(classes)
    if isinstance(labels, Volume) and labels.dtype.kind not in "uib":
        raise ContractError(
            f"labels {labels.uri} are {labels.dtype}, which are no codes of classes; give integers"
        )
    call = arguments(labels, grid=grid, engine=engine)
    codes = [[key, [int(code) for code in several]] for key, several in classes.items()]
    op = Op(_merge_block, dtype=np.uint8, params={"classes": codes})
    return call.wrap(call.engine.map(op, *call.inputs, grid=call.grid, name=name))


def decide_classes(
    prob: Any, *, grid: Grid | None = None, engine: Engine | None = None, name: str = "classes"
) -> Any:
    """Take the most probable class of every voxel.

    Parameters
    ----------
    prob : Volume, dask array or DataArray, shape (C, Z, Y, X)
        What a network says of each class; at a tie the first one counts.
    grid : Grid, optional
        Blocks to work in.
    engine : Engine, optional
        Where; None builds a lazy dask array.
    name : str
        Of the stage.

    Returns
    -------
    Volume, dask array or DataArray of uint8, shape (Z, Y, X)

    Raises
    ------
    ConfigError
        If there are not two to 255 channels.
    """
    call = arguments(prob, grid=grid, engine=engine)
    given = call.inputs[0]
    channels = given.channels if isinstance(given, Volume) else given.shape[0] * (given.ndim == 4)
    if not 2 <= (channels or 0) <= _MOST:
        raise ConfigError(
            f"prob has {channels or 'no'} channels; give one for each of two or more classes"
        )
    op = Op(_decide_block, dtype=np.uint8)
    return call.wrap(call.engine.map(op, *call.inputs, grid=call.grid, name=name))


def class_pairs(
    true: Any,
    pred: Any,
    *,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "pairs",
) -> Any:
    """Count pairs of true and predicted classes in every section.

    Parameters
    ----------
    true, pred : Volume, dask array, ndarray or DataArray of int, shape (Z, Y, X)
        Numbers of classes, aligned voxel by voxel.
    grid : Grid, optional
        Blocks to work in; the table does not depend on it.
    engine : Engine, optional
        Where; None is LazyEngine.
    name : str
        Of the stage.

    Returns
    -------
    dict of ndarray
        As :func:`volkit.kernels.sections.section_contingency` gives it (LazyEngine: a Delayed of
        it); :mod:`volkit.kernels.class_confusion` makes scores of it.
    """
    call = arguments(true, pred, grid=grid, engine=engine)
    reduction = Reduction(_pairs_block, add_sections)
    return call.engine.reduce(reduction, *call.inputs, grid=call.grid, name=name)


def _merge_block(
    block: Block, labels: Array, *, classes: list[tuple[str, list[int]]]
) -> NDArray[np.uint8]:
    return merged_classes(labels, dict(classes))


def _decide_block(block: Block, prob: Array) -> NDArray[np.uint8]:
    return prob.argmax(axis=0).astype(np.uint8)


def _pairs_block(block: Block, true: Array, pred: Array) -> Columns:
    return section_contingency(true, pred, start=block.write.start)
