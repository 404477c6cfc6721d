"""Figure of an evaluation: scores over sections or thresholds, and what is wrong, to look at."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from volkit.geometry import AXES, Box, Coord
from volkit.geometry.scale import Vector
from volkit.kernels.border import section_components, thinned
from volkit.kernels.probability import probabilities
from volkit.ops.components import single_channel
from volkit.ops.evaluation_results import BoundaryEvaluation, LabelEvaluation
from volkit.pipelines.colours import label_colours
from volkit.pipelines.evaluate_report import worst_first
from volkit.pipelines.evaluate_views import Views

Array = NDArray[Any]

_PALE, _DARK, _GRID = "#e8e8ec", "#121218", "#3a3a46"
_F, _SPLIT, _MERGE = "#f2f2f7", "#ff9f6b", "#6bb7ff"
_PLANES = ((0, "xy"), (1, "xz"), (2, "yz"))  # the axis that a plane cuts, and its name
_MARGIN = 12  # voxels shown around an object
_LONGEST: Coord = (192, 384, 384)  # voxels of an object that are read to be drawn


def label_figure(path: Path, found: LabelEvaluation, views: Views, *, worst: int) -> None:
    """Draw Rand scores by section, and the worst objects in three planes, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    found : LabelEvaluation
        The scores.
    views : Views
        The voxels.
    worst : int
        How many objects to draw: those with most voxels split, and merged, in turn.
    """
    chosen = _worst(found, worst)
    figure = Figure(
        figsize=(11, 3.6 + 3.0 * len(chosen)), dpi=130, facecolor=_DARK, layout="constrained"
    )
    FigureCanvasAgg(figure)
    rows = figure.add_gridspec(1 + len(chosen), 3, height_ratios=[1.1] + [1] * len(chosen))
    z = list(found.sections)
    scores = [found.sections[n] for n in z]
    ax = _plot(figure.add_subplot(rows[0, :2]), "z, section", "Rand score of a section")
    for name, colour, label in (("f_score", _F, "F"), ("split", _SPLIT, "split"),
                                ("merge", _MERGE, "merge")):  # fmt: skip
        ax.plot(z, [getattr(s, name) for s in scores], color=colour, label=label, linewidth=1.6,
                marker="." if len(z) < 40 else None)  # fmt: skip
    ax.set_ylim(min(0.5, *(min(s.split, s.merge) for s in scores)) - 0.02, 1.01)
    _legend(ax)
    if chosen:
        _sizes(figure.add_subplot(rows[0, 2]), found)
    for n, (side, row) in enumerate(chosen):
        axes = [figure.add_subplot(rows[1 + n, column]) for column in range(3)]
        _object(axes, found, views, side, row)
    if chosen:
        figure.supxlabel(
            "colours: what the object overlaps on the other side; grey: nothing there",
            color=_PALE,
            fontsize=9,
        )
    main = found.main.rand
    scope = "3D" if found.convention.scope == "volume" else "2D"
    figure.suptitle(
        f"{scope} Rand F {main.f_score:.4f}   split {main.split:.4f}   merge {main.merge:.4f}   "
        f"VOI {found.main.voi.split:.3f} + {found.main.voi.merge:.3f} bits   "
        f"({found.convention.name})",
        color=_PALE,
        fontsize=12,
    )
    _save(figure, path)


def boundary_figure(path: Path, found: BoundaryEvaluation, views: Views, *, channel: int) -> None:
    """Draw scores over thresholds, and the worst section, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    found : BoundaryEvaluation
        The scores.
    views : Views
        The voxels.
    channel : int
        Which channel of the map is the boundary.
    """
    curve, edge = found.curve, found.boundary
    _, height, width = (
        n * size for n, size in zip(views.volumes.box.shape, views.voxel_size_nm, strict=True)
    )
    ratios = [1.0] if curve is None else [1.0, min(max(height / width, 0.3), 1.3)]
    size = (11, 3.8 * sum(ratios) + 0.4)
    figure = Figure(figsize=size, dpi=130, facecolor=_DARK, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(ratios), 3, height_ratios=ratios)
    ax = _plot(figure.add_subplot(grid[0, 1]), "threshold", "boundary pixels")
    ax.plot(edge.thresholds, edge.precision, color=_MERGE, label="precision")
    ax.plot(edge.thresholds, edge.recall, color=_SPLIT, label="recall")
    ax.plot(edge.thresholds, edge.pixel_error, color=_F, label="pixel error")
    _mark(ax, edge.thresholds[edge.best], edge.pixel_error[edge.best])
    ax.set_ylim(-0.02, 1.02)
    _legend(ax)
    ax = _plot(figure.add_subplot(grid[0, 2]), "recall of boundary", "precision of boundary")
    ax.plot(edge.recall, edge.precision, color=_F)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax = _plot(figure.add_subplot(grid[0, 0]), "threshold", "2D Rand score")
    title = f"pixel error {edge.pixel_error[edge.best]:.4f} at {edge.thresholds[edge.best]:g}"
    if curve is None:
        ax.text(0.5, 0.5, "the truth is a mask:\nno objects to score", color=_PALE,
                ha="center", transform=ax.transAxes)  # fmt: skip
    else:
        for name, colour, label in (("f_score", _F, "F"), ("split", _SPLIT, "split"),
                                    ("merge", _MERGE, "merge")):  # fmt: skip
            values = [getattr(s, name) for s in curve.scores]
            ax.plot(curve.thresholds, values, color=colour, label=label)
        best, threshold = curve.scores[curve.best], curve.thresholds[curve.best]
        _mark(ax, threshold, best.f_score)
        ax.set_ylim(-0.02, 1.02)
        _legend(ax)
        title = f"2D Rand F {best.f_score:.4f} at {threshold:g}   {title}"
        _worst_section([figure.add_subplot(grid[1, n]) for n in range(3)], found, views, channel)
    figure.suptitle(f"{title}   ({found.convention.name})", color=_PALE, fontsize=12)
    _save(figure, path)


def _worst(found: LabelEvaluation, count: int) -> list[tuple[str, int]]:
    """Take true objects with most voxels split, and segments with most merged, in turn."""
    sides = []
    for side, table, by in (
        ("split", found.objects, "split"),
        ("merged", found.segments, "merged"),
    ):
        rows = [int(row) for row in worst_first(table, by)[:count] if table[by][row] > 0]
        sides.append([(side, row) for row in rows])
    longest = max(map(len, sides), default=0)
    turns = [pair for n in range(longest) for pair in (side[n] for side in sides if n < len(side))]
    return turns[:count]


def _sizes(ax: Axes, found: LabelEvaluation) -> None:
    """Draw what is wrong with the objects where most is."""
    bars = []
    for name, table, by, colour in (
        ("object", found.objects, "split", _SPLIT),
        ("segment", found.segments, "merged", _MERGE),
    ):
        bars += [
            (int(table[by][row]), f"{name} {table['id'][row]}", colour)
            for row in worst_first(table, by)[:4]
            if table[by][row] > 0
        ]
    bars.sort(key=lambda bar: bar[0])
    _plot(ax, "voxels split, or merged", "")
    ax.barh([f"{text} " for _, text, _ in bars], [n for n, _, _ in bars],
            color=[colour for _, _, colour in bars])  # fmt: skip
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def _object(axes: list[Axes], found: LabelEvaluation, views: Views, side: str, row: int) -> None:
    """Draw an object in three planes, in the colours of what it is cut into, or joins."""
    table = found.objects if side == "split" else found.segments
    box = _around(table, row, views.volumes.box)
    pred, truth, grey = views.read(box)
    own, other = (truth, pred) if side == "split" else (pred, truth)
    inside = own == table["id"][row]
    colours = label_colours(other) * (0.35 + 0.65 * grey[..., None])
    colours[inside & (other == 0)] = (0.55, 0.55, 0.6)  # in none
    colours[~inside] = 0.3 * grey[~inside][:, None] * np.array([1, 1, 1.1], np.float32)
    wrong = inside & (other != table["best"][row])
    for ax, (cut, name) in zip(axes, _PLANES, strict=True):
        at = _best_plane(wrong if wrong.any() else inside, cut)
        _show(ax, np.take(colours, at, axis=cut), views.voxel_size_nm, cut)
        ax.set_xlabel(f"{name}, {AXES[cut]} = {box.start[cut] + at}", color=_PALE, fontsize=8)
    kind = "true object" if side == "split" else "segment"
    rest = int(table[side][row])
    what = f"in {int(table['pieces'][row])} segments" if side == "split" else (
        f"over {int(table['pieces'][row])} true objects"
    )  # fmt: skip
    axes[0].set_title(
        f"{kind} {table['id'][row]}: {int(table['voxels'][row]):,} voxels {what}, {rest:,} {side}",
        color=_SPLIT if side == "split" else _MERGE,
        fontsize=10,
        loc="left",
    )


def _around(table: Any, row: int, domain: Box) -> Box:
    """Make the box of an object with a margin, cut to what is cheap to read."""
    start = [int(table[f"{axis}_start"][row]) for axis in AXES]
    stop = [int(table[f"{axis}_stop"][row]) for axis in AXES]
    for axis, most in enumerate(_LONGEST):
        over = max(0, stop[axis] - start[axis] - most)
        start[axis] += over // 2
        stop[axis] -= over - over // 2
    box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    return box.grow((_MARGIN // 3, _MARGIN, _MARGIN)).intersect(domain)


def _best_plane(mask: Array, cut: int) -> int:
    """Find the plane that holds most of a mask."""
    others = tuple(axis for axis in range(3) if axis != cut)
    return int(mask.sum(axis=others).argmax())


def _worst_section(axes: list[Axes], found: BoundaryEvaluation, views: Views, channel: int) -> None:
    """Draw the section with the lowest score at the best threshold: map, segments, truth."""
    curve = found.curve
    if curve is None:
        return
    z = min(found.sections, key=lambda n: found.sections[n].scores[curve.best].f_score)
    whole = views.volumes.box
    box = Box((z, *whole.start[1:]), (z + 1, *whole.stop[1:]))
    over = [max(0, n - 1024) // 2 for n in box.shape[1:]]
    box = box.grow((0, -over[0], -over[1]))
    pred, truth, _ = views.read(box)
    prob = probabilities(single_channel(pred, channel))
    parts = section_components(prob < np.float32(curve.thresholds[curve.best]))
    parts = thinned(parts) if found.convention.thin else parts
    scores = found.sections[z].scores[curve.best]
    true = section_components(truth != 0) if found.convention.components else truth
    for ax, picture, name in (
        (axes[0], prob[0], f"worst section, z = {z}: map"),
        (axes[1], label_colours(parts[0]), f"segments, F {scores.f_score:.3f}, split "
                                           f"{scores.split:.3f}, merge {scores.merge:.3f}"),
        (axes[2], label_colours(true[0]), "truth"),
    ):  # fmt: skip
        _show(ax, picture, views.voxel_size_nm, 0)
        ax.set_title(name, color=_PALE, fontsize=9)


def _show(ax: Axes, picture: Array, voxel_size_nm: Vector, cut: int) -> None:
    height, width = (size for axis, size in enumerate(voxel_size_nm) if axis != cut)
    ax.imshow(picture, cmap="magma", vmin=0, vmax=1, interpolation="nearest",
              aspect=height / width)  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _plot(ax: Axes, across: str, up: str) -> Axes:
    ax.set_facecolor(_DARK)
    ax.set_xlabel(across, color=_PALE, fontsize=9)
    ax.set_ylabel(up, color=_PALE, fontsize=9)
    ax.tick_params(colors=_PALE, labelsize=8)
    ax.grid(color=_GRID, linewidth=0.6)
    for spine in ax.spines.values():
        spine.set_color(_GRID)
    return ax


def _mark(ax: Axes, x: float, y: float) -> None:
    ax.plot([x], [y], marker="o", color=_F, markersize=6)
    ax.annotate(f"{y:.3f} at {x:g}", (x, y), (-6, 8), textcoords="offset points", color=_PALE,
                fontsize=8, ha="right")  # fmt: skip


def _legend(ax: Axes) -> None:
    ax.legend(facecolor=_DARK, edgecolor=_GRID, labelcolor=_PALE, fontsize=8)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in the file, equal pictures are equal bytes.
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})
