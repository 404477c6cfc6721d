"""What an evaluation does with a block, and what the sum of all blocks means."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.errors import GeometryError
from volkit.geometry import Block
from volkit.kernels.border import near_border, section_components, thinned
from volkit.kernels.boundary import boundary_curve, count_levels, label_edges
from volkit.kernels.contingency import Table
from volkit.kernels.counted import PredZero, TrueZero
from volkit.kernels.curves import RandCurve, section_curves
from volkit.kernels.leaves import threshold_levels
from volkit.kernels.object_errors import object_errors, segment_errors
from volkit.kernels.probability import probabilities
from volkit.kernels.scores import RandScores, rand_scores, voi_scores
from volkit.kernels.sections import section_contingency, split_sections, stack_table, volume_table
from volkit.kernels.thinned_curve import thinned_curve
from volkit.kernels.threshold_curve import add_curves, finish_curves, tile_curve
from volkit.ops.components import domain_box, single_channel
from volkit.ops.evaluation_alignment import Shifted
from volkit.ops.evaluation_convention import Convention
from volkit.ops.evaluation_results import BoundaryEvaluation, LabelEvaluation
from volkit.ops.metrics import SegmentationScores

Array = NDArray[Any]

_ENOUGH_ZEROS = 0.01  # share of true label 0 from which it is membrane, not a gap here and there
_COUNTS = ("zero", "edges")


def label_block(
    block: Block,
    pred: Array,
    truth: Array | Shifted,
    *,
    background: int,
    border: float,
    components: bool,
    thin: bool,
) -> Table:
    """Count what the labels of a block share, as a convention has it."""
    true = _read(truth, block)
    near = near_border(true, distance=border)[block.crop] if border else None
    true = _objects(true[block.crop], background, components=components)
    if near is not None:
        true = np.where(near, 0, true)
    own = pred[block.crop]
    if thin:
        own = thinned(_ids(own, "predicted"))
    return section_contingency(true, own, start=block.write.start)


def boundary_block(
    block: Block,
    pred: Array,
    truth: Array | Shifted,
    *,
    thresholds: list[float],
    channel: int,
    domain: list[list[int]],
    steps: list[str],
) -> Columns:
    """Count pixels by level, and follow the segments of a block over all thresholds."""
    tried = np.asarray(thresholds, np.float32)
    true = _read(truth, block)
    prob = probabilities(single_channel(pred, channel)[block.crop])
    levels = threshold_levels(prob, tried)
    own = true[block.crop]
    mask = true.dtype.kind == "b"
    counts = {
        "zero": count_levels(levels, own if mask else own == 0, thresholds=len(tried)),
        "edges": count_levels(levels, label_edges(true)[block.crop], thresholds=len(tried)),
    }
    if "segments" not in steps:
        return counts
    box = domain_box(domain)
    objects = _ids(own, "true")
    if "components" in steps:
        objects = section_components(~own if mask else own != 0)
    start = block.write.relative_to(box).start
    if "thin" in steps:
        return {**counts, **thinned_curve(prob, objects, thresholds=tried, start=block.write.start)}
    curve = tile_curve(
        levels,
        objects,
        thresholds=len(tried),
        start=(block.write.start[0], start[1], start[2]),
        shape=box.shape[1:],
    )
    return {**counts, **curve}


def add_boundaries(parts: Sequence[Columns]) -> Columns:
    """Add up counts, and put tiles together."""
    counts = {name: np.sum([part[name] for part in parts], axis=0) for name in _COUNTS}
    if len(parts[0]) == len(_COUNTS):
        return counts
    rest = [{k: v for k, v in part.items() if k not in _COUNTS} for part in parts]
    return {**counts, **add_curves(rest)}


def label_evaluation(table: Table, *, convention: Convention) -> LabelEvaluation:
    """Score labels by the table of their sections."""
    counts = table["true"] != 0
    if not counts.any():
        raise GeometryError(
            f"the truth holds no object that counts, only background (convention "
            f"{convention.name}: {convention.describe()}); choose another box or convention, or "
            "check the truth"
        )
    whole = volume_table(table)
    # Components of sections have numbers of their own, which name nothing in the volume.
    named = {k: v[:0] for k, v in table.items()} if convention.components else table
    objects, segments = object_errors(named), segment_errors(named)
    if convention.background:  # see _objects
        objects = {**objects, "id": objects["id"] - np.uint64(1)}
        best = segments["best"]
        segments = {**segments, "best": np.where(best > 0, best - np.uint64(1), best)}
    return LabelEvaluation(
        convention=convention,
        volume=_scores(whole, convention),
        stack=_stack_scores(table, convention),
        sections=_sections(table, convention),
        objects=objects,
        segments=segments,
        warnings=() if convention.components else _suspicions(whole),
    )


def boundary_evaluation(
    whole: Columns,
    *,
    convention: Convention,
    thresholds: list[float],
    truth_boundary: str,
    shape: list[int],
    segments: bool,
) -> BoundaryEvaluation:
    """Score a boundary map by counts and by the segments of every threshold."""
    steps = np.asarray(thresholds, np.float32)
    if truth_boundary == "auto":
        share = whole["zero"][1].sum() / whole["zero"].sum()
        truth_boundary = "zero" if share >= _ENOUGH_ZEROS else "edges"
    pixels = boundary_curve(whole["zero" if truth_boundary != "edges" else "edges"], steps)
    warnings: tuple[str, ...] = ()
    if pixels.separation < 0.5:
        warnings += (
            f"the map is higher inside than on boundaries (separation {pixels.separation:.3f}): it "
            "looks inverted; score 1 - map",
        )
    if pixels.best == len(steps) - 1 or pixels.best == 0:
        warnings += (
            f"the lowest pixel error is at the {'first' if pixels.best == 0 else 'last'} threshold "
            f"({steps[pixels.best]:g}): it may be lower beyond",
        )
    curve: RandCurve | None = None
    sections: dict[int, RandCurve] = {}
    if segments:
        extent = (shape[0], shape[1])
        sums = finish_curves(
            {name: whole[name] for name in whole if name not in _COUNTS},
            shape=extent,
            thresholds=len(steps),
        )
        curve, sections = section_curves(sums, steps, pred_zero=convention.rand_pred_zero)
    return BoundaryEvaluation(convention, pixels, truth_boundary, curve, sections, warnings)


def _read(truth: Array | Shifted, block: Block) -> Array:
    return truth.read(block.read) if isinstance(truth, Shifted) else truth


def _objects(true: Array, background: int, *, components: bool) -> Array:
    """Make background 0; where another id stands for it, all ids move up by one."""
    if components:
        return section_components(true != 0)
    if not background:
        return true
    moved: Array = _ids(true, "true").astype(np.uint64) + np.uint64(1)  # the largest wraps to 0
    return moved


def _ids(labels: Array, what: str) -> Array:
    """Refuse negative ids, which a view as unsigned would hide."""
    if labels.dtype.kind == "i":
        if labels.size and (least := int(labels.min())) < 0:
            raise GeometryError(
                f"{what} labels hold the negative id {least}; ids begin at 0 (background), so "
                "rename or mask what is negative"
            )
        return labels.view(f"u{labels.dtype.itemsize}")
    return labels


def _stack_scores(table: Table, convention: Convention) -> SegmentationScores:
    """Score the stack: where label 0 is a segment, it is another one in every section."""
    tables = [
        stack_table(table, zeros=(convention.true_zero == "segment", zero == "segment"))
        for zero in (convention.rand_pred_zero, convention.voi_pred_zero)
    ]
    return replace(
        _scores(tables[0], convention),
        voi=_scores(tables[1], convention).voi,
        pred_segments=_objects_in(stack_table(table)["pred"]),
    )


def _scores(table: Table, convention: Convention) -> SegmentationScores:
    true_zero: TrueZero = convention.true_zero
    voi_zero: PredZero = convention.voi_pred_zero
    return SegmentationScores(
        rand=rand_scores(table, true_zero=true_zero, pred_zero=convention.rand_pred_zero),
        voi=voi_scores(table, true_zero=true_zero, pred_zero=voi_zero),
        true_objects=_objects_in(table["true"]),
        pred_segments=_objects_in(table["pred"]),
    )


def _objects_in(ids: NDArray[np.uint64]) -> int:
    return int(np.count_nonzero(np.unique(ids)))


def _sections(table: Table, convention: Convention) -> dict[int, RandScores]:
    found = {}
    for z, part in split_sections(table):
        known = convention.true_zero == "segment" or part["true"].any()
        if known and (convention.rand_pred_zero != "ignore" or part["pred"].any()):
            found[z] = rand_scores(
                part, true_zero=convention.true_zero, pred_zero=convention.rand_pred_zero
            )
    return found


def _suspicions(table: Table) -> tuple[str, ...]:
    """Say what looks like a mistake."""
    objects = np.unique(table["true"][table["true"] != 0])
    segments = np.unique(table["pred"][table["pred"] != 0])
    found = []
    if len(objects) == 1:
        found.append(
            f"the truth has one object ({objects[0]}) only; if it is a mask, label it first, or "
            "choose convention isbi2012"
        )
    if not len(segments):
        found.append("the prediction holds no segment, only label 0")
    return tuple(found)
