"""Statistics, the figure: profiles of classes over z, maps of density, distributions by region."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from volkit.ops.statistics_distances import distance_columns

_PALE, _DARK = "#e8e8ec", "#121218"
_COLOURS = ("#ff7b6b", "#6bc5ff", "#ffd166", "#8ce99a", "#d0a8ff", "#f4a4c8")
_MOST_REGIONS = 12


def statistics_figure(
    path: Path,
    dataset: xr.Dataset,
    cells: pd.DataFrame | None,
    *,
    classes: Mapping[str, int],
    regions: Mapping[str, int],
    heading: str = "",
) -> None:
    """Draw features of a volume, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    dataset : xarray.Dataset
        From :func:`volkit.ops.statistics_dataset.grid_dataset`.
    cells : DataFrame or None
        Of all cells.
    classes : mapping of str to int
        Labels by name.
    regions : mapping of str to int
        Ids of regions by name.
    heading : str
        Above the figure.
    """
    rows = 2 if cells is None else 3
    columns = max(2, len(classes))
    figure = Figure(
        figsize=(3.4 * columns, 3.2 * rows + 0.4), dpi=130, facecolor=_DARK, layout="constrained"
    )
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, 2 * columns)  # maps beside each other, and two halves below
    _profiles(figure.add_subplot(grid[0, :]), dataset, classes)
    for k, name in enumerate(classes):
        _map(figure, figure.add_subplot(grid[1, 2 * k : 2 * k + 2]), dataset, name)
    if cells is not None:
        _sizes(figure.add_subplot(grid[2, :columns]), cells, regions)
        _distances(figure.add_subplot(grid[2, columns:]), cells, regions)
    figure.suptitle(heading, color=_PALE, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in the file, equal pictures are equal bytes.
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def _profiles(ax: Axes, dataset: xr.Dataset, classes: Mapping[str, int]) -> None:
    """Draw the fraction of each class over z, all tiles together."""
    weights = dataset["voxels"].sum(("tile_y", "tile_x"))
    scale, unit = _scale(dataset["z"].attrs.get("units", ""))
    for name, colour in zip(classes, _cycle(len(classes)), strict=True):
        share = (dataset[f"{name}_fraction"].fillna(0) * dataset["voxels"]).sum(
            ("tile_y", "tile_x")
        ) / weights
        ax.plot(
            dataset["z"] * scale,
            100 * share,
            color=colour,
            label=name,
            marker="." * (len(share) < 40),
        )
    _dress(ax, f"z, {unit}", "% of the voxels", "profile over z")
    ax.set_ylim(bottom=0)
    ax.legend(facecolor=_DARK, edgecolor="none", labelcolor=_PALE, fontsize=8)


def _map(figure: Figure, ax: Axes, dataset: xr.Dataset, name: str) -> None:
    """Draw the fraction of a class, averaged over z."""
    weights = dataset["voxels"].sum("z")
    share = (dataset[f"{name}_fraction"].fillna(0) * dataset["voxels"]).sum("z") / weights
    scale, unit = _scale(dataset["tile_x"].attrs.get("units", ""))
    y, x = (_edges(dataset[dim].to_numpy() * scale) for dim in ("tile_y", "tile_x"))
    image = ax.imshow(
        100 * share,
        cmap="magma",
        vmin=0,
        vmax=100 * float(share.max()) or 1,  # a class that is nowhere has a scale, too
        extent=(x[0], x[1], y[1], y[0]),
        interpolation="nearest",
        aspect="equal",
    )
    bar = figure.colorbar(image, ax=ax, shrink=0.8)
    bar.ax.tick_params(colors=_PALE, labelsize=7)
    _dress(ax, f"x, {unit}", f"y, {unit}", f"{name}, % over all z")


def _sizes(ax: Axes, cells: pd.DataFrame, regions: Mapping[str, int]) -> None:
    _distributions(ax, cells, "voxels", regions)
    _dress(ax, "", "voxels", "size of cells")


def _distances(ax: Axes, cells: pd.DataFrame, regions: Mapping[str, int]) -> None:
    name = next(iter(distance_columns(cells)), None)
    if name is None:
        ax.set_axis_off()
        return
    scale, unit = _scale("nm" if name.endswith("_nm") else "voxels")
    _distributions(ax, cells.assign(**{name: cells[name] * scale}), name, regions)
    _dress(ax, "", unit, "distance to the nearest cell")


def _distributions(ax: Axes, cells: pd.DataFrame, column: str, regions: Mapping[str, int]) -> None:
    """Draw quartiles and range of every region, the ones with most cells where there are many."""
    names = {label: name for name, label in regions.items()}
    if "region" in cells:
        chosen = cells["region"].value_counts().index[:_MOST_REGIONS].sort_values()
        groups = {
            names.get(int(r), str(r)): cells.loc[cells["region"] == r, column] for r in chosen
        }
    else:
        groups = {"all": cells[column]}
    values = [group.dropna().to_numpy() for group in groups.values()]
    if not any(len(v) for v in values):
        ax.text(0.5, 0.5, "no cells", color=_PALE, ha="center", transform=ax.transAxes)
        return
    line = {"color": _PALE}
    drawn = ax.boxplot(
        values,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        whiskerprops=line,
        capprops=line,
        medianprops=line,  # to be seen where quartiles are one
    )
    for box, colour in zip(drawn["boxes"], _cycle(len(values)), strict=True):
        box.set(facecolor=to_rgba(colour, 0.45), edgecolor=colour)
    ax.set_xticks(
        np.arange(1, len(values) + 1),
        [f"{name}\n{len(v):,}" for name, v in zip(groups, values, strict=True)],
    )


def _dress(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_facecolor(_DARK)
    ax.set_xlabel(x, color=_PALE, fontsize=8)
    ax.set_ylabel(y, color=_PALE, fontsize=8)
    ax.set_title(title, color=_PALE, fontsize=10)
    ax.tick_params(colors=_PALE, labelsize=7)
    for spine in ax.spines.values():
        spine.set_color("#55555f")


def _scale(unit: str) -> tuple[float, str]:
    """Show nanometres as micrometres: cells and vessels are that large."""
    return (1e-3, "µm") if unit == "nm" else (1.0, unit)


def _cycle(count: int) -> list[str]:
    return [_COLOURS[k % len(_COLOURS)] for k in range(count)]


def _edges(centres: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> tuple[float, float]:
    step = centres[1] - centres[0] if len(centres) > 1 else 1.0
    return float(centres[0] - step / 2), float(centres[-1] + step / 2)
