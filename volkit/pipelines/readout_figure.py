"""Readout, the figure: R^2 of every target, and a map of embeddings coloured by each."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from volkit.errors import missing_extra

_PALE, _DARK = "#e8e8ec", "#121218"
_COLUMNS = 3
_MOST = 20_000  # tiles that are drawn


def readout_figure(
    path: Path,
    scores: pd.DataFrame,
    rows: NDArray[np.float32],
    targets: Mapping[str, NDArray[np.float64]],
    *,
    umap: bool,
    heading: str = "",
) -> None:
    """Draw scores, and the tiles in two dimensions, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    scores : DataFrame
        ``target``, ``published``, ``held_out``.
    rows : ndarray of float32, shape (N, D)
        Embeddings.
    targets : mapping of str to ndarray of float64, shape (N,)
        Features of the tiles, by name.
    umap : bool
        Lay the tiles out by UMAP; else by their two first principal components.
    heading : str
        Above the figure.

    Raises
    ------
    MissingExtraError
        If umap-learn is wanted and not installed.

    References
    ----------
    McInnes et al., UMAP, 2018, doi:10.48550/arXiv.1802.03426.
    """
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).round().astype(np.intp)
    places = _umap(rows[chosen]) if umap else _principal(rows[chosen])
    lines = -(-len(targets) // _COLUMNS)
    figure = Figure(
        figsize=(3.3 * _COLUMNS, 2.8 + 3 * lines), dpi=130, facecolor=_DARK, layout="constrained"
    )
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + lines, _COLUMNS)
    _bars(figure.add_subplot(grid[0, :]), scores)
    axis = "UMAP" if umap else "component"
    for n, (name, values) in enumerate(targets.items()):
        ax = figure.add_subplot(grid[1 + n // _COLUMNS, n % _COLUMNS])
        known = np.isfinite(values[chosen])
        x, y = places.T
        ax.scatter(x[~known], y[~known], s=3, color="#3a3a46", linewidths=0)
        shown = values[chosen][known]
        drawn = ax.scatter(x[known], y[known], c=shown, s=3, cmap="magma", linewidths=0)
        figure.colorbar(drawn, ax=ax, shrink=0.8).ax.tick_params(colors=_PALE, labelsize=6)
        _dress(ax, name, f"{axis} 1", f"{axis} 2")
    figure.suptitle(heading, color=_PALE, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def _umap(rows: NDArray[np.float32]) -> NDArray[Any]:
    with warnings.catch_warnings():
        # It warns of what it could do with TensorFlow, which nobody asked for.
        warnings.simplefilter("ignore", ImportWarning)
        try:
            from umap import UMAP
        except ImportError as error:
            raise missing_extra("umap-learn", "statistics") from error
    neighbours = max(2, min(15, len(rows) - 1))
    # One thread: with a seed, the same picture every time.
    found: NDArray[Any] = UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1).fit_transform(rows)
    return found


def _principal(rows: NDArray[np.float32]) -> NDArray[Any]:
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    two = axes[:, ::-1][:, :2]
    found = np.zeros((len(rows), 2))
    found[:, : two.shape[1]] = centred @ two
    return found


def _bars(ax: Axes, scores: pd.DataFrame) -> None:
    places = np.arange(len(scores))
    for shift, name, colour, label in (
        (-0.18, "published", "#ffd166", "as published: the rows that were fitted"),
        (0.18, "held_out", "#6bc5ff", "held out: other sections"),
    ):
        values = scores[name].to_numpy()
        ax.bar(places + shift, np.clip(values, 0, 1), 0.34, color=colour, label=label)
        for place, value in zip(places + shift, values, strict=True):
            ax.text(place, max(0, min(value, 1)) + 0.02, f"{value:.2f}", color=_PALE, fontsize=7,
                    ha="center")  # fmt: skip
    ax.set_xticks(places, list(scores["target"]))
    ax.set_ylim(0, 1.35)
    _dress(ax, "linear readout", "", "R²")
    ax.legend(facecolor=_DARK, edgecolor="none", labelcolor=_PALE, fontsize=7, loc="upper right",
              ncols=2)  # fmt: skip


def _dress(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set_facecolor(_DARK)
    ax.set_title(title, color=_PALE, fontsize=9)
    ax.set_xlabel(x, color=_PALE, fontsize=8)
    ax.set_ylabel(y, color=_PALE, fontsize=8)
    ax.tick_params(colors=_PALE, labelsize=7)
    for spine in ax.spines.values():
        spine.set_color("#55555f")
