"""Results of an evaluation: what labels, or a boundary map, are worth against the truth."""

from dataclasses import dataclass, field
from math import sqrt

from volkit.engine.op import Columns
from volkit.kernels.boundary import BoundaryCurve
from volkit.kernels.curves import RandCurve
from volkit.kernels.scores import RandScores, VoiScores
from volkit.ops.evaluation_convention import Convention
from volkit.ops.metrics import SegmentationScores

Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class LabelEvaluation:
    """What labels are worth.

    Parameters
    ----------
    convention : Convention
        With which it was scored.
    volume : SegmentationScores
        In 3D.
    stack : SegmentationScores
        Of all sections, where labels of different sections are different.
    sections : dict of int to RandScores
        By z; sections without voxels that count are left out.
    objects : Columns
        One row for each true object; see :func:`volkit.kernels.object_errors.object_errors`.
    segments : Columns
        One row for each segment; see :func:`volkit.kernels.object_errors.segment_errors`.
    warnings : tuple of str
        What a person should know.
    """

    convention: Convention
    volume: SegmentationScores
    stack: SegmentationScores
    sections: dict[int, RandScores]
    objects: Columns = field(repr=False, compare=False)
    segments: Columns = field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()

    @property
    def main(self) -> SegmentationScores:
        """The scores that the convention counts."""
        return self.volume if self.convention.scope == "volume" else self.stack

    @property
    def cremi_score(self) -> float:
        """Geometric mean of VOI and adapted Rand error, as CREMI ranks; 0 best."""
        return sqrt(self.volume.voi.total * self.volume.rand.adapted_rand_error)

    def as_table(self) -> list[Row]:
        """List the scores as rows of name, value and meaning, for printing."""
        three, two = self.volume, self.stack
        objects, segments = self.objects, self.segments
        cut, joined = (int((x["pieces"] > 1).sum()) for x in (objects, segments))
        split, merged = (
            int(x[name].sum()) / max(1, int(x["voxels"].sum()))
            for x, name in ((objects, "split"), (segments, "merged"))
        )
        rows = [*_scores("2D", two.rand, two.voi)]
        if self.convention.components:
            rows += [
                ("2D objects", f"{two.true_objects:,}", "components of sections"),
                ("2D segments", f"{two.pred_segments:,}", "of sections"),
            ]
        else:
            rows = [
                *_scores("3D", three.rand, three.voi),
                *rows,
                ("true objects", f"{three.true_objects:,}", f"{cut:,} cut: {split:.1%} of voxels"),
                (
                    "segments",
                    f"{three.pred_segments:,}",
                    f"{joined:,} join several: {merged:.1%} of voxels",
                ),
            ]
        rows.append(
            ("voxels", f"{two.rand.voxels:,}", f"that count, in {len(self.sections):,} sections")
        )
        if self.convention.name == "cremi":
            rows.insert(0, ("CREMI score", f"{self.cremi_score:.4f}", "0 best"))
        return [*rows, ("convention", self.convention.name, self.convention.describe())]


@dataclass(frozen=True, slots=True)
class BoundaryEvaluation:
    """What a boundary map is worth.

    Parameters
    ----------
    convention : Convention
        With which it was scored.
    boundary : BoundaryCurve
        Pixels, over thresholds.
    truth_boundary : {'zero', 'edges', 'mask'}
        What is boundary in the truth.
    curve : RandCurve or None
        Segments of all sections over thresholds; None where the truth is a mask of boundaries.
    sections : dict of int to RandCurve
        By z.
    warnings : tuple of str
        What a person should know.
    """

    convention: Convention
    boundary: BoundaryCurve
    truth_boundary: str
    curve: RandCurve | None
    sections: dict[int, RandCurve] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    def as_table(self) -> list[Row]:
        """List the scores as rows of name, value and meaning, for printing."""
        edge = self.boundary
        best = edge.best
        f_best = max(range(len(edge.thresholds)), key=lambda k: edge.f_scores[k])
        rows = [
            (
                "pixel error",
                f"{edge.pixel_error[best]:.4f}",
                f"0 best; at threshold {edge.thresholds[best]:g}",
            ),
            (
                "boundary F",
                f"{edge.f_scores[f_best]:.4f}",
                f"precision {edge.precision[f_best]:.3f}, recall {edge.recall[f_best]:.3f} at "
                f"{edge.thresholds[f_best]:g}",
            ),
            ("separation", f"{edge.separation:.4f}", "1 best, 0.5 is chance, below is inverted"),
        ]
        if self.curve is not None:
            at = self.curve.best
            found = self.curve.scores[at]
            where = f"at threshold {self.curve.thresholds[at]:g}"
            rows = [
                ("2D Rand F", f"{found.f_score:.4f}", f"1 best; {where}"),
                ("2D Rand split", f"{found.split:.4f}", "1: no true object is cut"),
                ("2D Rand merge", f"{found.merge:.4f}", "1: no segment joins true objects"),
                ("2D segments", f"{self.curve.segments[at]:,}", f"{len(self.sections):,} sections"),
                *rows,
            ]
        what = {
            "zero": "true label 0",
            "edges": "where true labels meet in a section",
            "mask": "as the truth says",
        }[self.truth_boundary]
        share = edge.boundary / (edge.boundary + edge.interior)
        return [
            *rows,
            ("boundary", f"{share:.2%}", f"of the voxels: {what}"),
            ("convention", self.convention.name, self.convention.describe()),
        ]


def _scores(scope: str, rand: RandScores, voi: VoiScores) -> list[Row]:
    return [
        (f"{scope} Rand F", f"{rand.f_score:.4f}", f"1 best; error {rand.adapted_rand_error:.4f}"),
        (f"{scope} Rand split", f"{rand.split:.4f}", "1: no true object is cut"),
        (f"{scope} Rand merge", f"{rand.merge:.4f}", "1: no segment joins true objects"),
        (f"{scope} VOI split", f"{voi.split:.4f}", "bits, 0: no true object is cut"),
        (f"{scope} VOI merge", f"{voi.merge:.4f}", "bits, 0: no segment joins true objects"),
    ]
