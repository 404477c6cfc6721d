"""Arguments of operations: what becomes of the coordinates and attributes of a DataArray."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from volkit.errors import GeometryError
from volkit.ops.arguments import arguments


def test_results_keep_what_is_not_of_channels() -> None:
    """A channel that was chosen leaves a coordinate of one value, which results have no use for."""
    image = xr.DataArray(
        da.zeros((2, 3, 4, 5)),
        dims=("c", "z", "y", "x"),
        coords={"c": ["red", "green"], "z": [0.0, 30.0, 60.0], "animal": "M7"},
        attrs={"units": "counts"},
    )
    call = arguments(image.sel(c="red"), grid=None, engine=None)
    for shape, dims in (((3, 4, 5), ("z", "y", "x")), ((2, 3, 4, 5), ("c", "z", "y", "x"))):
        found = call.wrap(da.zeros(shape))
        assert found.dims == dims
        assert {*found.coords} == {"z", "animal"}
        np.testing.assert_array_equal(found["z"], [0.0, 30.0, 60.0])
        assert found.attrs == {"units": "counts"}


def test_chunks_of_unknown_size_are_refused_with_the_cure() -> None:
    image = da.ones((4, 6, 6), chunks=2)
    chosen = image[image[:, 0, 0] > 0]
    with pytest.raises(GeometryError, match="call its compute_chunk_sizes"):
        arguments(chosen, grid=None, engine=None)
    assert arguments(chosen.compute_chunk_sizes(), grid=None, engine=None).grid.shape == (2, 3, 3)
