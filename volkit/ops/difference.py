"""Differences: what changed between two segmentations, or two maps of values.

Labels are read twice: once for the contingency table, which says how objects are called on the
other side, and once to see where voxels changed beyond such renaming.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from dask.base import is_dask_collection
from dask.delayed import delayed
from numpy.typing import NDArray

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.errors import GeometryError
from volkit.geometry import Block, Grid
from volkit.io.volume import Volume
from volkit.kernels.contingency import Table
from volkit.kernels.deviation import DeviationScores, block_deviation, deviation_scores
from volkit.kernels.overlap import (
    CHANGES,
    best_matches,
    block_change,
    changed_counts,
    object_changes,
)
from volkit.kernels.scores import RandScores, VoiScores, rand_scores, voi_scores
from volkit.ops.arguments import arguments
from volkit.ops.metrics import contingency_table


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """What changed between two segmentations.

    Parameters
    ----------
    voxels : int
        All voxels.
    differing : int
        Voxels whose ids are not the same.
    changed : int
        Voxels that changed beyond a renaming of objects.
    rand, voi : RandScores, VoiScores
        Of the new segmentation, with the old one as the truth; background is an object like others.
    old_counts, new_counts : dict of str to int
        Objects of the old and of the new segmentation by what became of them.
    blocks : Columns
        Where it changed: one row for each block that did; see
        :func:`volkit.kernels.overlap.block_change`.
    objects : Columns
        One row for each object that changed; see :func:`volkit.kernels.overlap.object_changes`.
    """

    voxels: int
    differing: int
    changed: int
    rand: RandScores
    voi: VoiScores
    old_counts: dict[str, int]
    new_counts: dict[str, int]
    blocks: Columns = field(repr=False, compare=False)
    objects: Columns = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """How far two maps of values are apart.

    Parameters
    ----------
    scores : DeviationScores
        Of the whole.
    blocks : Columns
        One row for each block; see :func:`volkit.kernels.deviation.block_deviation`.
    """

    scores: DeviationScores
    blocks: Columns = field(repr=False, compare=False)


def label_difference(
    old: Any,
    new: Any,
    *,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "labels",
) -> Any:
    """Find what changed between two segmentations.

    Parameters
    ----------
    old, new : Volume, dask array, ndarray or DataArray of int, shape (Z, Y, X)
        Labels, aligned voxel by voxel; 0 is background.
    grid : Grid, optional
        Blocks to work in; only ``blocks`` of the result depends on it.  None takes the chunks.
    engine : Engine, optional
        Where to run; None is LazyEngine.
    name : str
        First word of the names of the stages.

    Returns
    -------
    LabelDifference
        LazyEngine: a Delayed of it.

    Raises
    ------
    GeometryError
        If the domains differ, or an input holds no ids.
    """
    call = arguments(old, new, grid=grid, engine=engine)
    table = contingency_table(old, new, grid=grid, engine=engine, name=f"{name}_overlap")
    lazy = is_dask_collection(table)
    matches = delayed(best_matches, pure=True)(table) if lazy else best_matches(table)
    blocks = call.engine.reduce(
        Reduction(_change_block, _rows),
        *call.inputs,
        grid=call.grid,
        name=f"{name}_change",
        shared=(matches,),
    )
    finish = delayed(_label_difference, pure=True) if lazy else _label_difference
    return finish(table, matches, blocks)


def value_difference(
    old: Any,
    new: Any,
    *,
    threshold: float,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "values",
) -> Any:
    """Find how far two maps of values are apart.

    Parameters
    ----------
    old, new : Volume, dask array, ndarray or DataArray of number, shape ([C,] Z, Y, X)
        Probabilities or intensities, aligned voxel by voxel.
    threshold : float
        What counts as far apart, in units of the values.
    grid, engine, name
        As for :func:`label_difference`.

    Returns
    -------
    ValueDifference
        LazyEngine: a Delayed of it.

    Raises
    ------
    GeometryError
        If the domains or channels differ.
    """
    call = arguments(old, new, grid=grid, engine=engine)
    _check_alike(*call.inputs, whole=grid is None)
    work = Reduction(
        _deviation_block,
        _rows,
        finalize=partial(_value_difference, threshold=threshold),
        params={"threshold": threshold},
    )
    return call.engine.reduce(work, *call.inputs, grid=call.grid, name=f"{name}_deviation")


def _label_difference(table: Table, matches: Table, blocks: Columns) -> LabelDifference:
    objects = object_changes(table)
    is_new, change = objects["is_new"], objects["change"]
    return LabelDifference(
        voxels=int(table["count"].sum()),
        differing=int(table["count"][table["true"] != table["pred"]].sum()),
        changed=int(changed_counts(table, matches).sum()),
        rand=rand_scores(table, true_zero="segment", pred_zero="segment"),
        voi=voi_scores(table, true_zero="segment", pred_zero="segment"),
        old_counts=_counts(change[~is_new]),
        new_counts=_counts(change[is_new]),
        blocks=blocks,
        objects={name: column[change != 0] for name, column in objects.items()},
    )


def _counts(change: NDArray[np.uint8]) -> dict[str, int]:
    found = np.bincount(change, minlength=len(CHANGES))
    return {name: int(count) for name, count in zip(CHANGES, found, strict=True)}


def _value_difference(rows: Columns, *, threshold: float) -> ValueDifference:
    return ValueDifference(deviation_scores(rows, threshold=threshold), rows)


def _change_block(block: Block, old: NDArray[Any], new: NDArray[Any], matches: Table) -> Columns:
    return block_change(block.number, old, new, matches)


def _deviation_block(
    block: Block, old: NDArray[Any], new: NDArray[Any], *, threshold: float
) -> Columns:
    return block_deviation(block.number, old, new, threshold=threshold)


def _rows(parts: Sequence[Columns]) -> Columns:
    """Put rows together in the order of the blocks."""
    order = np.argsort(np.concatenate([part["block"] for part in parts]), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def _check_alike(old: Any, new: Any, *, whole: bool) -> None:
    shapes = [_extent(x) for x in (old, new)]
    same = shapes[0] == shapes[1] if whole else shapes[0][0] == shapes[1][0]
    if not same and isinstance(old, Volume) is isinstance(new, Volume):
        raise GeometryError(
            f"old values {_describe(old)} and new values {_describe(new)} do not cover the same "
            "voxels and channels; give volumes that do"
        )


def _extent(values: Any) -> tuple[int | None, Any]:
    """Give channels and domain."""
    if isinstance(values, Volume):
        return values.channels, values.domain
    return (values.shape[0] if values.ndim == 4 else None), values.shape[-3:]


def _describe(values: Any) -> str:
    where = values.uri if isinstance(values, Volume) else "(dask array)"
    channels, domain = _extent(values)
    return f"{where} {domain}" + ("" if channels is None else f" of {channels} channels")
