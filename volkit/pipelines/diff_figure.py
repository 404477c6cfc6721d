"""Heat maps: where two volumes differ, seen along each axis."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from volkit.geometry import AXES, Grid
from volkit.geometry.scale import Vector

Map = NDArray[np.float64]
_PLANES = ((0, "xy"), (1, "xz"), (2, "yz"))  # the axis that is looked along, and the plane's name
_PALE, _DARK = "#e8e8ec", "#121218"


def projections(
    grid: Grid, blocks: NDArray[np.int64], amounts: NDArray[Any]
) -> tuple[Map, Map, Map]:
    """Add up amounts of blocks along each axis, over the voxels that they could be of.

    Parameters
    ----------
    grid : Grid
        The blocks.
    blocks : ndarray of int64, shape (N,)
        Numbers of blocks.
    amounts : ndarray of number, shape (N,)
        What they have, such as changed voxels.

    Returns
    -------
    tuple of ndarray of float64
        Shapes (Y, X), (Z, X) and (Z, Y) of the grid: amount per voxel.

    Examples
    --------
    >>> from volkit.geometry import Box
    >>> grid = Grid(Box.from_shape((4, 4, 4)), (2, 2, 4))
    >>> [m.tolist() for m in projections(grid, np.array([3]), np.array([8]))]
    [[[0.0], [0.25]], [[0.0], [0.25]], [[0.0, 0.0], [0.0, 0.5]]]
    """
    index = np.unravel_index(blocks, grid.shape)
    extents = [np.asarray(lengths, np.float64) for lengths in grid.chunks]
    maps = []
    for cut in range(3):
        a, b = (axis for axis in range(3) if axis != cut)
        shape = (grid.shape[a], grid.shape[b])
        at = np.ravel_multi_index((index[a], index[b]), shape)
        total = np.bincount(at, amounts.astype(np.float64), minlength=shape[0] * shape[1])
        voxels = np.multiply.outer(extents[a], extents[b]) * grid.domain.shape[cut]
        maps.append(total.reshape(shape) / voxels)
    return maps[0], maps[1], maps[2]


def heat_map(
    path: Path,
    maps: tuple[Map, Map, Map],
    *,
    grid: Grid,
    voxel_size_nm: Vector,
    heading: str,
    label: str,
) -> None:
    """Draw three projections beside each other, as PNG.

    Parameters
    ----------
    path : Path
        Target.
    maps : tuple of ndarray
        From :func:`projections`.
    grid : Grid
        The blocks.
    voxel_size_nm : tuple of float
        Extent of a voxel, (z, y, x), nanometres.
    heading : str
        Above.
    label : str
        What the colours mean.
    """
    figure = Figure(figsize=(10.5, 4.2), dpi=130, facecolor=_DARK, layout="constrained")
    FigureCanvasAgg(figure)
    norm = Normalize(0, max(float(found.max()) for found in maps) or 1.0)
    axes = figure.subplots(1, 3)
    for ax, found, (cut, name) in zip(axes, maps, _PLANES, strict=True):
        a, b = (axis for axis in range(3) if axis != cut)
        (top_um, bottom_um), (left_um, right_um) = (
            (grid.domain.start[axis] * voxel_size_nm[axis] / 1000,
             grid.domain.stop[axis] * voxel_size_nm[axis] / 1000)
            for axis in (a, b)
        )  # fmt: skip
        x, y = _edges(grid, b, left_um, right_um), _edges(grid, a, top_um, bottom_um)
        ax.pcolormesh(x, y, found, cmap="magma", norm=norm)
        ax.set_aspect("equal", adjustable="box")
        ax.invert_yaxis()
        ax.set_title(f"{name}, along {AXES[cut]}", color=_PALE, fontsize=11)
        ax.set_xlabel(f"{AXES[b]} (µm)", color=_PALE, fontsize=9)
        ax.set_ylabel(f"{AXES[a]} (µm)", color=_PALE, fontsize=9)
        ax.tick_params(colors=_PALE, labelsize=8)
        ax.set_facecolor(_DARK)
    bar = figure.colorbar(ScalarMappable(norm, "magma"), ax=axes, shrink=0.8)
    bar.set_label(label, color=_PALE, fontsize=9)
    bar.ax.tick_params(colors=_PALE, labelsize=8)
    figure.suptitle(heading, color=_PALE, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in the file, equal pictures are equal bytes.
    figure.savefig(path, facecolor=_DARK, metadata={"Software": None})


def _edges(grid: Grid, axis: int, first_um: float, last_um: float) -> Map:
    """Find where blocks begin and end on an axis, micrometres; the last may be shorter."""
    ends = np.concatenate([[0.0], np.cumsum(grid.chunks[axis], dtype=np.float64)])
    return first_um + ends / ends[-1] * (last_um - first_um)
