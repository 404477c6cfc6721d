"""Regions, the figure: accuracy of every method with its seeds, and what is taken for what."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

_PALE, _DARK = "#e8e8ec", "#121218"


def regions_figure(path: Path, found: Any, *, heading: str = "") -> None:
    """Draw a study, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    found : RegionStudy
        The study.
    heading : str
        Above the figure.
    """
    methods = list(found.confusion)
    columns = min(4, len(methods))
    rows = -(-len(methods) // columns)
    figure = Figure(
        figsize=(2.9 * columns + 0.6, 3 + 2.7 * rows), dpi=130, facecolor=_DARK,
        layout="constrained",
    )  # fmt: skip
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[1.1] + [1] * rows)
    _accuracies(figure.add_subplot(grid[0, :]), found)
    for n, method in enumerate(methods):
        ax = figure.add_subplot(grid[1 + n // columns, n % columns])
        _confusion(ax, found.confusion[method], found.regions, method)
    figure.suptitle(heading, color=_PALE, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def _accuracies(ax: Axes, found: Any) -> None:
    """Draw every seed as a point, mean and deviation as a bar."""
    summary = found.summary()
    places = np.arange(len(summary))
    deviation = summary["deviation"].fillna(0)
    ax.errorbar(places, summary["accuracy"], deviation, fmt="_", color="#ffd166", markersize=22,
                capsize=4)  # fmt: skip
    for place, method in zip(places, summary["method"], strict=True):
        mine = found.runs.loc[found.runs["method"] == method, "accuracy"]
        ax.plot(np.full(len(mine), place + 0.16), mine, "o", color="#6bc5ff", markersize=4)
    chance = 1 / len(found.regions)
    ax.axhline(chance, color="#55555f", linewidth=1)
    ax.text(len(summary) - 0.55, chance, "chance", color="#9a9aa6", fontsize=7, ha="right",
            va="bottom")  # fmt: skip
    ax.set_xlim(-0.5, len(summary) - 0.5)
    ax.set_ylim(0, 1.03)
    ax.set_xticks(places, list(summary["method"]))
    _dress(ax, "accuracy: seeds, mean and deviation")


def _confusion(ax: Axes, table: NDArray[np.int64], regions: tuple[str, ...], name: str) -> None:
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="magma", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        colour = _DARK if value > 0.6 else _PALE
        ax.text(column, row, f"{100 * value:.0f}", color=colour, fontsize=7, ha="center",
                va="center")  # fmt: skip
    places = np.arange(len(regions))
    ax.set_xticks(places, regions, rotation=30, ha="right")
    ax.set_yticks(places, regions)
    _dress(ax, f"{name}: % of a region's tiles")


def _dress(ax: Axes, title: str) -> None:
    ax.set_facecolor(_DARK)
    ax.set_title(title, color=_PALE, fontsize=9)
    ax.tick_params(colors=_PALE, labelsize=7)
    for spine in ax.spines.values():
        spine.set_color("#55555f")
