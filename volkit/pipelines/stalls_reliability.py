"""Reliability diagrams: what was said beside what happened."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from volkit.kernels.calibration_scores import Reliability, reliability

_PALE, _DARK, _EDGE = "#e8e8ec", "#121218", "#55555f"
_COLOUR, _BARS = "#6bc5ff", "#3b4a5c"


def reliability_figure(
    path: Path,
    tried: Mapping[str, NDArray[np.float64]],
    truth: NDArray[np.bool_],
    *,
    chosen: str,
    positive: str = "stalled",
) -> None:
    """Draw a reliability diagram for every way of calibrating, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    tried : mapping of str to ndarray of float64, shape (N,)
        Probabilities by method.
    truth : ndarray of bool, shape (N,)
        Positive ones.
    chosen : str
        Which is marked.
    positive : str
        What positive ones are.
    """
    figure = Figure(figsize=(3.2 * len(tried), 3.9), dpi=120, facecolor=_DARK, layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(1, len(tried)))
    for ax, (name, probability) in zip(axes, tried.items(), strict=True):
        found = reliability(probability, truth)
        title = f"{name}{' (chosen)' if name == chosen else ''}\nECE {found.expected_error:.3f}"
        _diagram(ax, found, title, positive)
    figure.suptitle(
        f"{len(truth):,} held-out examples, {int(truth.sum()):,} {positive}",
        color=_PALE,
        fontsize=10,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def _diagram(ax: Axes, found: Reliability, title: str, positive: str) -> None:
    ax.plot([0, 1], [0, 1], color=_EDGE, linewidth=1)
    share = found.count / found.count.sum()
    ax.bar(found.said, share, width=0.05, color=_BARS, label="share of examples")
    ax.plot(found.said, found.happened, color=_COLOUR, marker="o", markersize=4, label=positive)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", facecolor=_DARK)
    ax.set_xlabel("said", color=_PALE, fontsize=8)
    ax.set_ylabel("happened", color=_PALE, fontsize=8)
    ax.set_title(title, color=_PALE, fontsize=9)
    ax.tick_params(colors=_PALE, labelsize=7)
    ax.legend(facecolor=_DARK, edgecolor="none", labelcolor=_PALE, fontsize=6, loc="upper left")
    for spine in ax.spines.values():
        spine.set_color(_EDGE)
