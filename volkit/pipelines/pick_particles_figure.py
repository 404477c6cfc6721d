"""Figure of picks: slices of a tomogram with what was found, what is false and what was missed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray
from scipy.spatial import KDTree

from volkit.geometry import Box
from volkit.io.points.table import centres_of
from volkit.io.volume import Volume
from volkit.ops.particle_convention import PointConvention
from volkit.pipelines.pick_particles_chain import OpenTomogram
from volkit.wording import counted

Bools = NDArray[np.bool_]

_SLICES = (0.25, 0.5, 0.75)  # of the depth
_LONGEST = 1024  # voxels on a side: more than a panel has dots
_RADIUS_NM = 8.0  # of circles, where nobody says how large particles are
_COLOURS = ("#4cc9f0", "#f9c74f", "#90be6d", "#f3722c", "#c77dff", "#ff5d8f", "#2ec4b6", "#e0e1dd")
_PALE, _DARK = "#e8e8ec", "#121218"


def picks_figure(
    path: Path,
    tomogram: OpenTomogram,
    picks: pd.DataFrame,
    classes: tuple[str, ...],
    convention: PointConvention | None,
) -> Path:
    """Draw three slices of a tomogram with the particles that cut them, as PNG.

    A circle is a pick, dashed where no true point is in reach; a cross is a true point that no
    pick is in reach of.

    Parameters
    ----------
    path : Path
        Target.
    tomogram : OpenTomogram
        What to show, and its true points.
    picks : pandas.DataFrame
        Its picks.
    classes : tuple of str
        In the order of the legend.
    convention : PointConvention or None
        Radii; None where nothing is known of them.

    Returns
    -------
    Path
        The target.
    """
    truth = tomogram.truth
    right, met = within_reach(picks, truth, convention)
    figure = Figure(figsize=(13, 5.2), dpi=110, facecolor=_DARK, layout="constrained")
    FigureCanvasAgg(figure)
    domain = tomogram.grid.domain
    depths = [int(domain.start[0] + share * (domain.shape[0] - 1)) for share in _SLICES]
    known = None if convention is None else dict(convention.radius_nm)
    for ax, depth in zip(figure.subplots(1, len(depths)), depths, strict=True):
        _draw_slice(ax, tomogram, depth)
        cut = _Cut(ax, tomogram.scale.to_nm((depth, 0, 0))[0], classes, known or {})
        cut.circles(picks, right)
        if truth is not None:
            cut.crosses(truth[~met])
    _legend(figure, classes, scored=truth is not None)
    figure.suptitle(_heading(tomogram, picks, right, met), color=_PALE, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in the file, equal pictures are equal bytes.
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})
    return path


def within_reach(
    picks: pd.DataFrame, truth: pd.DataFrame | None, convention: PointConvention | None
) -> tuple[Bools, Bools]:
    """Tell which picks have a true point of their class in reach, and which of these have a pick.

    Parameters
    ----------
    picks : pandas.DataFrame
        Points, N rows.
    truth : pandas.DataFrame or None
        True points, M rows; without them all picks are taken for right.
    convention : PointConvention or None
        Says how far that is.

    Returns
    -------
    right : ndarray of bool, shape (N,)
        Of the picks.
    met : ndarray of bool, shape (M,)
        Of the true points.
    """
    if truth is None or convention is None:
        return np.ones(len(picks), np.bool_), np.ones(0, np.bool_)
    right, met = np.zeros(len(picks), np.bool_), np.zeros(len(truth), np.bool_)
    for name in convention.classes:
        ours = np.flatnonzero(picks["class"] == name)
        theirs = np.flatnonzero(truth["class"] == name)
        if len(ours) and len(theirs):
            a, b = centres_of(picks.iloc[ours]), centres_of(truth.iloc[theirs])
            reach = convention.reach_nm(name)
            right[ours] = KDTree(b).query(a)[0] <= reach
            met[theirs] = KDTree(a).query(b)[0] <= reach
    return right, met


class _Cut:
    """A slice on which points are marked that reach it."""

    def __init__(
        self, ax: Axes, depth_nm: float, classes: tuple[str, ...], radius_nm: dict[str, float]
    ) -> None:
        self.ax, self.depth_nm, self.classes, self.radius_nm = ax, depth_nm, classes, radius_nm

    def circles(self, picks: pd.DataFrame, right: Bools) -> None:
        """Mark picks, with the circle in which the plane cuts them."""
        for (z, y, x), name, good in zip(centres_of(picks), picks["class"], right, strict=True):
            radius = self.radius_nm.get(name, _RADIUS_NM)
            if abs(z - self.depth_nm) < radius:
                cut = float(np.sqrt(radius**2 - (z - self.depth_nm) ** 2))
                style = "-" if good else (0, (2, 2))
                colour = _colour(name, self.classes)
                line: dict[str, Any] = {"fill": False, "linewidth": 1.3, "linestyle": style}
                self.ax.add_patch(Circle((x, y), cut, edgecolor=colour, **line))

    def crosses(self, missed: pd.DataFrame) -> None:
        """Mark true points that were not found."""
        for (z, y, x), name in zip(centres_of(missed), missed["class"], strict=True):
            if abs(z - self.depth_nm) < self.radius_nm.get(name, _RADIUS_NM):
                self.ax.plot(x, y, "x", color=_colour(name, self.classes), markersize=7)


def _colour(name: str, classes: tuple[str, ...]) -> str:
    return _COLOURS[classes.index(name) % len(_COLOURS)] if name in classes else "white"


def _draw_slice(ax: Axes, tomogram: OpenTomogram, depth: int) -> None:
    domain, scale = tomogram.grid.domain, tomogram.scale
    over = [max(0, n - _LONGEST) // 2 for n in domain.shape[1:]]
    whole = domain.grow((0, -over[0], -over[1]))
    plane = Box((depth, *whole.start[1:]), (depth + 1, *whole.stop[1:]))
    values = _plane(tomogram.shown, plane)
    low, high = np.percentile(values, (1, 99))
    _, dy, dx = scale.voxel_size_nm
    _, top, left = scale.to_nm(plane.start)
    _, bottom, right = scale.to_nm(plane.stop)
    extent = (left - dx / 2, right - dx / 2, bottom - dy / 2, top - dy / 2)
    limits = {"vmin": float(low), "vmax": float(max(high, low + 1e-6))}
    ax.imshow(values, cmap="gray", extent=extent, interpolation="nearest", **limits)  # type: ignore[arg-type]
    ax.set_xlim(extent[:2])
    ax.set_ylim(extent[2:])
    ax.set_title(f"z = {scale.to_nm(plane.start)[0]:.1f} nm", color=_PALE, fontsize=10)
    ax.tick_params(colors=_PALE, labelsize=7)


def _plane(volume: Volume, plane: Box) -> NDArray[np.float32]:
    values = np.nan_to_num(np.asarray(volume.read(plane), np.float32))
    return np.asarray((values if values.ndim == 3 else values.max(axis=0))[0])


def _legend(figure: Figure, classes: tuple[str, ...], *, scored: bool) -> None:
    marks: list[Line2D] = [
        Line2D([], [], color=_colour(name, classes), linewidth=2, label=name) for name in classes
    ]
    if scored:
        marks += [
            Line2D([], [], color=_PALE, linestyle=(0, (2, 2)), label="false"),
            Line2D([], [], color=_PALE, linestyle="", marker="x", label="missed"),
        ]
    figure.legend(
        handles=marks,
        loc="outside lower center",
        ncols=len(marks),
        fontsize=8,
        labelcolor=_PALE,
        facecolor=_DARK,
        edgecolor=_DARK,
    )


def _heading(tomogram: OpenTomogram, picks: pd.DataFrame, right: Bools, met: Bools) -> str:
    said = f"{tomogram.name}: {counted(len(picks), 'pick')}"
    if tomogram.truth is None:
        return said
    return f"{said}, {int((~right).sum()):,} false, {int((~met).sum()):,} of {len(met):,} missed"
