"""Figures of judged scans: curves, calibration, learning, leakage, and where networks look."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from volkit.kernels.calibration_scores import reliability
from volkit.ops.scan_scores import LEVELS, at_level
from volkit.pipelines.scans_attention import Attention

_PALE, _DARK, _EDGE = "#e8e8ec", "#121218", "#55555f"
_COLOURS = ("#6bc5ff", "#ffd166", "#8ce99a", "#ff7b6b")
_META = {"Software": None}
_TISSUE = 0.1  # of the brightest: what is darker is no head


def judged_figure(
    path: Path,
    judged: pd.DataFrame,
    *,
    classes: tuple[str, str],
    history: pd.DataFrame | None = None,
    leakage: pd.DataFrame | None = None,
    heading: str,
) -> None:
    """Draw what judged scans come to, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    judged : pandas.DataFrame
        As for `volkit.ops.scan_scores.scan_scores`.
    classes : tuple of str
        Negative and positive one.
    history : pandas.DataFrame, optional
        ``fold``, ``epoch``, ``loss`` of the trainings.
    leakage : pandas.DataFrame, optional
        From `volkit.ops.scan_leakage.leakage_table`.
    heading : str
        Above all.
    """
    draw = [_roc, _greys(classes), _calibrated]
    draw += [] if history is None or not len(history) else [lambda ax, _: _learning(ax, history)]
    draw += [] if leakage is None else [lambda ax, _: _leaked(ax, leakage)]
    figure = _dark((3.5 * len(draw), 3.9))
    for ax, each in zip(np.atleast_1d(figure.subplots(1, len(draw))), draw, strict=True):
        each(ax, judged)
    figure.suptitle(heading, color=_PALE, fontsize=10)
    _save(figure, path)


def attention_figure(path: Path, found: Attention, *, heading: str) -> None:
    """Draw mean attention over the mean scan of every class, on three planes, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    found : Attention
        Means.
    heading : str
        Above all.
    """
    figure = _dark((8.4, 3.0 * len(found.classes) + 0.5))
    axes = figure.subplots(len(found.classes), 3, squeeze=False)
    for line, name in enumerate(found.classes):
        image = found.images[line]
        heat = np.where(image > _TISSUE * image.max(), found.maps[line], 0.0)
        middle = np.unravel_index(int(np.argmax(heat)), heat.shape)
        count = int((found.table["label"] == name).sum())
        for axis, plane in enumerate(("axial", "coronal", "sagittal")):
            ax = axes[line, axis]
            ax.imshow(image.take(middle[axis], axis), cmap="gray", origin="lower")
            shown = np.ma.masked_equal(heat.take(middle[axis], axis), 0)
            ax.imshow(shown, cmap="magma", alpha=0.5, origin="lower", vmin=0, vmax=heat.max() or 1)
            ax.set_axis_off()
            title = f"{name}, mean of {count}, {plane} {middle[axis]}"
            ax.set_title(title, color=_PALE, fontsize=8)
    figure.suptitle(heading, color=_PALE, fontsize=10)
    _save(figure, path)


def _roc(ax: Axes, judged: pd.DataFrame) -> None:
    ax.plot([0, 1], [0, 1], color=_EDGE, linewidth=1)
    for level, colour in zip(LEVELS, _COLOURS, strict=False):
        table = at_level(judged, level)
        false, hits = _curve(table)
        ax.plot(false, hits, color=colour, label=f"{len(table)} {level}s")
    _dress(ax, "ROC", "1 - specificity", "sensitivity")
    _legend(ax, "lower right")


def _greys(classes: tuple[str, str]) -> Any:
    def draw(ax: Axes, judged: pd.DataFrame) -> None:
        bins = np.linspace(0, 1, 21)
        for name, here, colour in zip(classes, (False, True), _COLOURS, strict=False):
            said = judged["probability"][judged["positive"] == here]
            ax.hist(said, list(bins), color=colour, alpha=0.6, label=f"{name} ({len(said)})")
        _dress(ax, "what was said", f"probability of {classes[1]}", "scans")
        _legend(ax, "upper center")

    return draw


def _calibrated(ax: Axes, judged: pd.DataFrame) -> None:
    ax.plot([0, 1], [0, 1], color=_EDGE, linewidth=1)
    truth = judged["positive"].to_numpy(bool)
    for n, name in enumerate(("probability", "calibrated")):
        if name in judged and judged[name].notna().all():
            found = reliability(judged[name].to_numpy(np.float64), truth)
            label = f"{name}, ECE {found.expected_error:.3f}"
            ax.plot(found.said, found.happened, "o-", color=_COLOURS[n], markersize=3, label=label)
    _dress(ax, "reliability of scans", "said", "happened")
    _legend(ax, "upper left")


def _learning(ax: Axes, history: pd.DataFrame) -> None:
    for n, (fold, part) in enumerate(history.groupby("fold")):
        ax.plot(
            part["epoch"], part["loss"], color=_COLOURS[n % len(_COLOURS)], label=f"fold {fold}"
        )
    _dress(ax, "learning", "epoch", "loss")
    _legend(ax, "upper right")


def _leaked(ax: Axes, leakage: pd.DataFrame) -> None:
    rows = leakage.set_index("score").loc[["accuracy", "auc"]]
    places = np.arange(len(rows))
    for shift, column, colour, label in (
        (-0.18, "by_subject", _COLOURS[0], "subjects divided"),
        (0.18, "by_scan", _COLOURS[3], "scans divided: leaks"),
    ):
        value = rows[column].to_numpy()
        reach = [
            value - rows[f"{column}_low"].to_numpy(),
            rows[f"{column}_high"].to_numpy() - value,
        ]
        ax.bar(places + shift, value, 0.34, color=colour, label=label)
        ax.errorbar(places + shift, value, np.maximum(reach, 0), fmt="none", ecolor=_PALE)
        for place, each in zip(places + shift, value, strict=True):
            ax.text(place, 0.03, f"{each:.2f}", color=_DARK, fontsize=8, ha="center")
    ax.set_xticks(places, ["accuracy", "AUC"])
    ax.set_ylim(0, 1.25)
    _dress(ax, "leakage", "", "")
    _legend(ax, "upper center")


def _curve(table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the points of a receiver operating characteristic, equal values together."""
    said, truth = table["probability"].to_numpy(), table["positive"].to_numpy(bool)
    values = np.unique(said)[::-1]
    up, down = np.sort(said[truth]), np.sort(said[~truth])
    hits, false = (
        (len(side) - np.searchsorted(side, values)) / max(1, len(side)) for side in (up, down)
    )
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], hits])


def _dark(size: Sequence[float]) -> Figure:
    figure = Figure(figsize=(size[0], size[1]), dpi=110, facecolor=_DARK, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=_DARK, metadata=_META)


def _dress(ax: Axes, title: str, across: str, up: str) -> None:
    ax.set_facecolor(_DARK)
    ax.set_title(title, color=_PALE, fontsize=9)
    ax.set_xlabel(across, color=_PALE, fontsize=8)
    ax.set_ylabel(up, color=_PALE, fontsize=8)
    ax.tick_params(colors=_PALE, labelsize=7)
    for spine in ax.spines.values():
        spine.set_color(_EDGE)


def _legend(ax: Axes, where: Any) -> None:
    ax.legend(facecolor=_DARK, edgecolor="none", labelcolor=_PALE, fontsize=7, loc=where)
