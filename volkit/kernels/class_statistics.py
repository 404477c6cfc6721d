"""Class statistics: what is seen in every tile of every section, as published or corrected.

The published features (MTNeuro, Quesada et al. 2022) came with quirks of their code; scores that
were computed from them can be compared only with the same.  ``published`` has them to the digit,
``corrected`` has what the names say.

=================  ====================================  =======================================
feature            published                             corrected
=================  ====================================  =======================================
class, percent     of the tile's full area; ``vessel``   of the pixels of the tile that are there;
                   stops with an error where there is    0 where there is none
                   none: NaN here
cells              distinct ids of the whole volume      the same
cell size          mean pixels inside the tile; 0 for    mean pixels inside the tile; NaN for
                   fewer than two cells                  none
nearest distance   half the mean distance (the point     mean distance to the nearest other;
                   itself counts, at 0); 64 for fewer    NaN for fewer than two cells
                   than two cells
third distance     the nearest one again; 0 for fewer    mean distance to the third nearest
                   than two cells                        other; NaN for fewer than four
=================  ====================================  =======================================
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from volkit.errors import GeometryError
from volkit.kernels.keyed_sums import Columns
from volkit.kernels.nearest import neighbour_distances

Mode = Literal["published", "corrected"]
MODES: tuple[Mode, ...] = ("published", "corrected")
RANKS = (1, 2, 3)
_TILE = ("z", "y_bin", "x_bin")
_NO_NEIGHBOUR = 64.0  # what the published code writes, half the side of its tiles


def section_features(
    counts: Columns,
    cells: Columns,
    *,
    classes: Mapping[str, int],
    tile: tuple[int, int],
    mode: Mode,
    pixel_size: tuple[float, float] = (1.0, 1.0),
) -> Columns:
    """Compute the features of every tile of every section.

    Parameters
    ----------
    counts : dict of ndarray
        From :func:`volkit.kernels.class_counts.class_counts`, with bins of (1, *tile).
    cells : dict of ndarray
        From :func:`volkit.kernels.section_cells.section_cells`, with the same tiles.
    classes : mapping of str to int
        Labels by name.
    tile : tuple of int
        Extent of a tile, pixels, (y, x).
    mode : {'published', 'corrected'}
        See above.
    pixel_size : tuple of float
        (y, x); distances of ``corrected`` are in its unit, those of ``published`` in pixels.

    Returns
    -------
    dict of ndarray
        ``z``, ``y_bin``, ``x_bin``, ``pixels`` (int64); for every class ``NAME_percent``;
        ``cells`` and ``cells_cut`` (int64, those in other tiles of the section, too),
        ``cell_size``, ``distance_1``, ``distance_2`` (corrected only) and ``distance_3`` (float64).

    Raises
    ------
    GeometryError
        If the mode is unknown.
    """
    if mode not in MODES:
        raise GeometryError(f"mode is {mode!r}; choose one of {', '.join(MODES)}")
    keys = np.stack([counts[name] for name in ("z_bin", "y_bin", "x_bin")], axis=1)
    places, row = np.unique(keys, axis=0, return_inverse=True)
    row = row.reshape(-1)
    pixels = np.zeros(len(places), np.int64)
    np.add.at(pixels, row, counts["voxels"])
    table: Columns = {name: places[:, k] for k, name in enumerate(_TILE)}
    table["pixels"] = pixels
    area = np.full(len(places), tile[0] * tile[1]) if mode == "published" else pixels
    for name, label in classes.items():
        found = np.zeros(len(places), np.int64)
        mine = counts["label"] == label
        np.add.at(found, row[mine], counts["voxels"][mine])
        table[f"{name}_percent"] = 100 * found / area
        if mode == "published" and name == "vessel":
            table[f"{name}_percent"][found == 0] = np.nan
    table.update(_cell_features(places, cells, tile, mode, pixel_size))
    return table


def _cell_features(
    places: NDArray[np.int64],
    cells: Columns,
    tile: tuple[int, int],
    mode: Mode,
    pixel_size: tuple[float, float],
) -> Columns:
    """Look at the cells of one tile after the other."""
    count = np.zeros(len(places), np.int64)
    cut = np.zeros(len(places), np.int64)
    names = ("cell_size", *(f"distance_{k}" for k in RANKS))
    values = np.zeros((len(places), len(names)))
    seen = np.stack([cells[name] for name in _TILE], axis=1)
    first_of = np.ones(len(seen), bool)
    first_of[1:] = np.any(seen[1:] != seen[:-1], axis=1)
    edges = [*np.flatnonzero(first_of).tolist(), len(seen)]
    spans = {tuple(seen[a].tolist()): (a, b) for a, b in pairwise(edges)}
    several = _in_several_tiles(cells)
    fill = _published if mode == "published" else _corrected
    for row in range(len(places)):
        first, stop = spans.get(tuple(places[row].tolist()), (0, 0))
        count[row], cut[row] = stop - first, several[first:stop].sum()
        pixels = cells["pixels"][first:stop]
        centres = np.stack(
            [
                (cells[f"sum_{axis}"][first:stop] - pixels * (places[row, k + 1] * tile[k]))
                / pixels
                for k, axis in enumerate("yx")
            ],
            axis=1,
        )
        values[row] = fill(pixels, centres, pixel_size)
    found: Columns = {"cells": count, "cells_cut": cut}
    for k, name in enumerate(names):
        if not (mode == "published" and name == "distance_2"):
            found[name] = values[:, k]
    return found


def _in_several_tiles(cells: Columns) -> NDArray[np.bool_]:
    """Tell which rows are of cells that other tiles of the same section have, too."""
    keys = np.stack([cells["z"].astype(np.uint64), cells["id"]], axis=1)
    _, row, times = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    found: NDArray[np.bool_] = times[row.reshape(-1)] > 1
    return found


def _published(
    pixels: NDArray[np.int64], centres: NDArray[np.float64], _: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Give size, and the distances of rank 1, 2 (which nobody published) and 3."""
    if len(pixels) < 2:
        return 0.0, _NO_NEIGHBOUR, np.nan, 0.0
    # The mean of the whole array: half of it is the distance of each point to itself.
    distance = float(np.mean(cKDTree(centres).query(centres, k=2)[0]))
    return float(np.mean(pixels)), distance, np.nan, distance


def _corrected(
    pixels: NDArray[np.int64], centres: NDArray[np.float64], pixel_size: tuple[float, float]
) -> tuple[float, ...]:
    """Give size, and the mean distances to the nearest others."""
    if not len(pixels):
        return (np.nan,) * 4
    distances = neighbour_distances(centres * np.asarray(pixel_size), ranks=RANKS)
    return float(np.mean(pixels)), *(float(np.mean(column)) for column in distances.T)
