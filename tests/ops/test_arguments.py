"""Arguments of operations: what becomes of the coordinates and attributes of a DataArray."""

import dask.array as da
import numpy as np
import xarray as xr

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
