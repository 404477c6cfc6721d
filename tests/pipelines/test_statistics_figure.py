"""The figure of statistics: what it shows where there is little to show."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from volkit.pipelines.statistics_figure import _PALE, _distributions, _map


def dataset(values) -> xr.Dataset:
    dims = ("z", "tile_y", "tile_x")
    axes = {dim: (dim, np.arange(2) * 1000.0, {"units": "nm"}) for dim in dims}
    shares = {"vessel_fraction": (dims, values), "voxels": (dims, np.full((2, 2, 2), 5))}
    return xr.Dataset(shares, axes)


def test_a_class_that_is_nowhere_has_no_negative_share() -> None:
    for value, limits in ((0.0, (0, 1)), (0.2, (0, 20))):
        figure = Figure()
        ax = figure.add_subplot()
        _map(figure, ax, dataset(np.full((2, 2, 2), value)), "vessel")
        np.testing.assert_allclose(ax.images[0].get_clim(), limits)


def test_cells_of_one_size_are_seen() -> None:
    """A box without height is its median, which must not have the colour of the ground."""
    ax = Figure().add_subplot()
    _distributions(ax, pd.DataFrame({"voxels": [1] * 9 + [50]}), "voxels", {})
    assert all(to_rgba(line.get_color()) == to_rgba(_PALE) for line in ax.lines)
