"""Evaluation: labels, or a boundary map, against the truth, in one pass over both.

::

    pred ─┐            labels    table of sections ─► 3D, 2D, objects that were cut or joined
          ├─► aligned ─┤
    truth ┘            boundary  counts and leaves ─► pixels and segments at every threshold
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import dask.array as da
import numpy as np
from dask.base import is_dask_collection
from dask.delayed import delayed

from volkit.engine.base import Engine
from volkit.engine.lazy import LazyEngine
from volkit.engine.op import Reduction
from volkit.errors import ConfigError, GeometryError
from volkit.geometry import Box, Coord, Grid
from volkit.io.volume import Volume
from volkit.kernels.sections import add_sections
from volkit.ops.arguments import default_grid
from volkit.ops.evaluation_alignment import Aligned, Shifted, align
from volkit.ops.evaluation_blocks import (
    add_boundaries,
    boundary_block,
    boundary_evaluation,
    label_block,
    label_evaluation,
)
from volkit.ops.evaluation_convention import Convention, find_convention

Kind = Literal["auto", "labels", "boundary"]
TruthBoundary = Literal["auto", "zero", "edges"]

_THRESHOLDS = tuple(round(0.01 * n, 2) for n in range(1, 100))
_COARSE = tuple(round(0.1 * n, 1) for n in range(1, 10))  # as published for thinned borders
_MANY = 2**24  # voxels of a block of whole sections


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How a prediction is understood.

    Parameters
    ----------
    kind : {'auto', 'labels', 'boundary'}
        What the prediction is; ``auto`` takes integers without channels for labels.
    thresholds : tuple of float
        Of a boundary map, ascending; empty takes 0.01 to 0.99.
    channel : int
        Which channel of the map is the boundary.
    truth_boundary : {'auto', 'zero', 'edges'}
        What is boundary in true labels: label 0, or pixels beside another label in their section;
        ``auto`` takes label 0 where it has 1 % of the voxels or more.
    voxel_size_nm : tuple of float, optional
        (z, y, x), for conventions with distances, where the inputs do not say it.

    Raises
    ------
    ConfigError
        If an option is unknown, or thresholds do not ascend from above 0 up to 1.
    """

    kind: Kind = "auto"
    thresholds: tuple[float, ...] = ()
    channel: int = 0
    truth_boundary: TruthBoundary = "auto"
    voxel_size_nm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("auto", "labels", "boundary"):
            raise ConfigError(f"kind is {self.kind!r}; choose auto, labels or boundary")
        if self.truth_boundary not in ("auto", "zero", "edges"):
            raise ConfigError(
                f"truth_boundary is {self.truth_boundary!r}; choose auto, zero or edges"
            )
        if len(self.thresholds):
            _checked(self.thresholds)


def evaluate(
    pred: Any,
    truth: Any,
    *,
    convention: str | Convention = "volkit",
    box: Box | None = None,
    options: EvaluationOptions | None = None,
    grid: Grid | None = None,
    engine: Engine | None = None,
    name: str = "evaluation",
) -> Any:
    """Score a prediction against the truth.

    Parameters
    ----------
    pred : Volume, dask array, ndarray or DataArray, shape ([C,] Z, Y, X)
        Labels (integers), or boundary probability: floats from 0 to 1, or uint8 where 255 is 1.
    truth : Volume, dask array, ndarray or DataArray of int or bool, shape (Z, Y, X)
        Labels; or bool, where True is boundary.
    convention : str or Convention
        What counts: ``volkit``, ``skimage``, ``cremi``, ``snemi3d`` or ``isbi2012``; see
        :mod:`volkit.ops.evaluation_convention`.
    box : Box, optional
        What to score, voxels of the prediction; None takes all that both cover.
    options : EvaluationOptions, optional
        How the prediction is understood.
    grid : Grid, optional
        Blocks to work in, within what both cover; the result does not depend on it.
    engine : Engine, optional
        Where to run; None is LazyEngine.
    name : str
        Of the stage; in a job, its table is kept.

    Returns
    -------
    LabelEvaluation or BoundaryEvaluation
        LazyEngine: a Delayed of it.

    Raises
    ------
    GeometryError
        If prediction and truth cannot be aligned, hold no ids, or no voxel counts.
    ConfigError
        If an option is unknown or makes no sense.

    References
    ----------
    K. Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, 2015, https://doi.org/10.48550/arXiv.1508.04843
    """
    chosen, options = find_convention(convention), options or EvaluationOptions()
    found = align(pred, truth, box)
    wanted = _kind(found, options.kind)
    if wanted == "labels":
        work = _label_work(chosen, options.voxel_size_nm or found.voxel_size_nm)
    else:
        work = _boundary_work(found, chosen, options)
    whole = chosen.components or chosen.thin
    grid = _grid(found, grid, whole=whole, deep=wanted == "boundary")
    inputs, shared = _inputs(found, grid)
    engine = LazyEngine() if engine is None else engine
    result = engine.reduce(work, *inputs, grid=grid, name=name, shared=shared)
    notes = (*found.notes, *_doubts(found, options.kind, wanted))
    finish = delayed(_noted, pure=True) if is_dask_collection(result) else _noted
    return finish(result, notes)


def _kind(found: Aligned, kind: Kind) -> Literal["labels", "boundary"]:
    """Decide what the prediction is, and refuse what cannot be scored as such."""
    pred, truth = found.pred, found.truth.volume if _shifted(found) else found.truth
    for what, array in (("prediction", pred), ("truth", truth)):
        floats = array.dtype.kind not in "uib"
        channels = array.channels is not None if isinstance(array, Volume) else array.ndim != 3
        if what == "prediction" and kind != "labels" and (floats or channels or kind == "boundary"):
            continue
        if floats or channels:
            raise GeometryError(
                f"the {what} is {array.dtype}{' with channels' * channels}, which are no labels; "
                "give integer ids of shape (z, y, x), for example labels.astype(numpy.uint64) "
                "where every value is a whole number"
            )
    if kind != "auto":
        return kind
    channels = pred.channels is not None if isinstance(pred, Volume) else pred.ndim != 3
    return "boundary" if pred.dtype.kind == "f" or channels else "labels"


def _doubts(found: Aligned, kind: Kind, wanted: str) -> tuple[str, ...]:
    if kind == "auto" and wanted == "labels" and found.pred.dtype == np.uint8:
        return ("the prediction is uint8 and taken for labels; for a map, say kind boundary",)
    return ()


def _shifted(found: Aligned) -> bool:
    return isinstance(found.truth, Shifted)


def _checked(thresholds: Sequence[float]) -> list[float]:
    """Refuse thresholds out of order, and bring them to the precision of the map."""
    steps = np.asarray(thresholds, np.float32)
    if steps.ndim != 1 or not len(steps) or not (np.diff(steps) > 0).all():
        raise ConfigError(f"thresholds {list(thresholds)} do not ascend; give each once, in order")
    if not (steps[0] > 0 and steps[-1] <= 1):
        raise ConfigError(
            f"thresholds reach from {steps[0]:g} to {steps[-1]:g}; give values above 0, up to 1"
        )
    if len(steps) > 30_000:
        raise ConfigError(f"{len(steps)} thresholds are more than 30,000; give fewer")
    return [float(t) for t in steps]


def _label_work(chosen: Convention, size: Any) -> Reduction:
    reach = 0.0
    if chosen.border_nm:
        if size is None or abs(size[1] - size[2]) > 1e-6 * size[1]:
            raise ConfigError(
                f"convention {chosen.name} leaves out {chosen.border_nm:g} nm around borders, and "
                f"the voxel size is {size or 'not known'}; state one with equal y and x "
                "(voxel_size_nm)"
            )
        reach = chosen.border_nm / size[1]
    halo = (0, int(reach) + 1, int(reach) + 1) if reach else (0, 0, 0)
    return Reduction(
        label_block,
        add_sections,
        partial(label_evaluation, convention=chosen),
        halo=halo,
        params={
            "background": chosen.background,
            "border": reach,
            "components": chosen.components,
            "thin": chosen.thin,
        },
    )


def _boundary_work(found: Aligned, chosen: Convention, options: EvaluationOptions) -> Reduction:
    if chosen.border_nm:
        raise ConfigError(
            f"convention {chosen.name} scores labels in 3D, and the prediction is a boundary map; "
            "segment it first, or choose volkit, snemi3d or isbi2012"
        )
    truth = found.truth.volume if _shifted(found) else found.truth
    is_mask = truth.dtype.kind == "b"
    wanted = {
        "segments": not is_mask or chosen.components,
        "components": chosen.components,
        "thin": chosen.thin,
    }
    thresholds = _checked(options.thresholds or (_COARSE if chosen.thin else _THRESHOLDS))
    return Reduction(
        boundary_block,
        add_boundaries,
        partial(
            boundary_evaluation,
            convention=chosen,
            thresholds=thresholds,
            truth_boundary="mask" if is_mask else options.truth_boundary,
            shape=list(found.box.shape[1:]),
            segments=wanted["segments"],
        ),
        halo=(0, 1, 1),
        params={
            "thresholds": thresholds,
            "channel": options.channel,
            "domain": [list(found.box.start), list(found.box.stop)],
            "steps": [step for step, is_wanted in wanted.items() if is_wanted],
        },
    )


def _grid(found: Aligned, grid: Grid | None, *, whole: bool, deep: bool) -> Grid:
    """Choose blocks: of whole sections where a convention, or a line search, is better so."""
    box = found.box
    if grid is not None:
        if not box.contains(grid.domain):
            raise GeometryError(f"the grid covers {grid.domain}, more than {box}; choose a box")
        if whole and grid.block_shape[1:] != box.shape[1:]:
            return replace(grid, block_shape=(grid.block_shape[0], *box.shape[1:]))
        return grid
    if isinstance(found.pred, Volume):
        block: Coord = default_grid(found.pred).block_shape
    else:
        block = tuple(chunks[0] for chunks in found.pred.chunks[-3:])
    _, y, x = box.shape
    if whole or (deep and y * x <= _MANY):
        depth = max(1, min(block[0], _MANY // (y * x)))
        block = (depth, y, x)
    return Grid(box, block)


def _inputs(found: Aligned, grid: Grid) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Give dask arrays the grid's chunks; a truth that lies elsewhere is read by the blocks."""
    arrays = [
        x.rechunk((*((-1,) * (x.ndim - 3)), *grid.block_shape)) if isinstance(x, da.Array) else x
        for x in (found.pred, found.truth)
    ]
    if _shifted(found):
        return (arrays[0],), (arrays[1],)
    return tuple(arrays), ()


def _noted(result: Any, notes: tuple[str, ...]) -> Any:
    return replace(result, warnings=(*notes, *result.warnings))
