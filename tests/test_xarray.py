"""The accessor: results are those of plain arrays, lie where their input did, and are lazy."""

import subprocess
import sys

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import ndimage

import volkit.xarray  # noqa: F401 - makes array.volkit known
from volkit.errors import ContractError, GeometryError, SourceError
from volkit.io.open import create_volume, open_volume
from volkit.ops.inference_options import InferenceOptions
from volkit.ops.particle_options import PickOptions

SIZE = (40.0, 8.0, 8.0)


def located(values, *, chunks=None, start=(2, 5, 7), unit="nm", factor=1.0) -> xr.DataArray:
    """An array whose first voxel is not at 0, with a coordinate that is none of its axes."""
    coords = {
        axis: (axis, (first + np.arange(n)) * size / factor, {"units": unit})
        for axis, first, n, size in zip("zyx", start, values.shape[-3:], SIZE, strict=True)
    }
    coords["section"] = ("z", np.array([f"s{n}" for n in range(values.shape[-3])]))
    coords["day"] = 3
    data = values if chunks is None else da.from_array(values, chunks=chunks)
    dims = ("z", "y", "x") if values.ndim == 3 else ("c", "z", "y", "x")
    return xr.DataArray(data, coords, dims, attrs={"animal": "m1"}, name="em")


def blobs(shape=(12, 20, 20), seed=0) -> np.ndarray:
    noise = np.random.default_rng(seed).random(shape)
    return ndimage.gaussian_filter(noise, 1.5).astype(np.float32)


def double(batch):
    return 2 * batch


def test_components_keep_coordinates_and_attributes_and_are_lazy() -> None:
    values = blobs()
    em = located(values, chunks=(6, 8, 8))
    level = float(np.median(values))
    labels = em.volkit.connected_components(threshold=level, connectivity=6)
    assert isinstance(labels.data, da.Array)
    assert labels.attrs == {"animal": "m1"}
    assert (labels.name, labels.dims) == ("labels", ("z", "y", "x"))
    for name in ("z", "y", "x", "section", "day"):
        xr.testing.assert_identical(labels.coords[name], em.coords[name])
    assert labels.x.attrs == {"units": "nm"}
    oracle, count = ndimage.label(values > level)
    found = labels.values
    assert len(np.unique(found[found > 0])) == count
    pairs = np.unique(np.stack([found.ravel(), oracle.ravel()]), axis=1)
    assert pairs.shape[1] == count + 1  # one to one, background included


def test_the_same_call_gives_the_same_names() -> None:
    values = blobs()

    def names() -> list[str]:
        em = located(values, chunks=(6, 10, 10))
        prob = em.volkit.infer(double, options=InferenceOptions(window=(4, 8, 8), channels=1))
        labels = located(values).volkit.segment()
        points = em.volkit.pick(PickOptions(("a",), 0.5, 3))
        found = em.volkit.connected_components(threshold=0.5)
        return [prob.data.name, labels.data.name, points.key, found.data.name,
                found.volkit.objects().key, found.volkit.relabel_components().data.name,
                found.volkit.rand(found).key, found.volkit.evaluate(found).key]  # fmt: skip

    first = names()
    assert names() == first
    em = located(values, chunks=(6, 10, 10))
    assert em.volkit.connected_components(threshold=0.4).data.name not in first
    # Every task, not only the last ones: a graph that is merged with itself does not grow.
    one, two = (located(values).volkit.segment().data for _ in range(2))
    assert set(dict(one.__dask_graph__())) == set(dict(two.__dask_graph__()))


def test_what_slicing_leaves_uneven_is_evened_out() -> None:
    values = blobs((12, 20, 20))
    em = located(values, chunks=(5, 8, 8))[1:, 3:]
    assert em.chunks[1] == (5, 8, 4)
    assert em.volkit.blocks.chunks == ((4, 4, 3), (6, 6, 5), (8, 8, 4))
    labels = em.volkit.connected_components(threshold=0.5)
    assert labels.chunks == em.volkit.blocks.chunks
    whole = located(values)[1:, 3:].volkit.connected_components(threshold=0.5)
    np.testing.assert_array_equal(labels.values, whole.values)
    turned = em.transpose("x", "z", "y").volkit.connected_components(threshold=0.5)
    np.testing.assert_array_equal(turned.values, labels.values)


def test_scale_follows_the_coordinates_and_their_units() -> None:
    em = located(np.zeros((3, 4, 5)))
    assert em.volkit.voxel_size_nm == SIZE
    assert em.volkit.origin_nm == (80.0, 40.0, 56.0)
    assert em[1:, 2:].volkit.origin_nm == (120.0, 56.0, 56.0)
    assert em[:, ::2].volkit.voxel_size_nm == (40.0, 16.0, 8.0)
    micro = located(np.zeros((3, 4, 5)), unit="um", factor=1000.0)
    assert micro.volkit.scale == em.volkit.scale


def test_a_stored_volume_says_its_size_even_where_one_voxel_is_left(tmp_path) -> None:
    volume = create_volume(
        tmp_path / "em.zarr", shape=(4, 8, 8), dtype="u1", voxel_size_nm=SIZE, start=(3, 0, 0)
    )
    em = volume.to_xarray()[1:2]
    assert em.volkit.voxel_size_nm == SIZE
    assert em.volkit.origin_nm == volume.scale.to_nm((4, 0, 0))
    em.attrs.clear()
    with pytest.raises(GeometryError, match=r"one voxel along z, which does not tell its size"):
        _ = em.volkit.scale


def test_particles_lie_where_the_coordinates_say() -> None:
    heat = np.zeros((1, 6, 10, 10), np.float32)
    heat[0, 2, 3, 4] = 0.9
    found = located(heat, chunks=(1, 3, 5, 5)).volkit.pick(PickOptions(("a",), 0.5, 3))
    table = found.compute(scheduler="sync")
    assert table[["z_nm", "y_nm", "x_nm"]].to_numpy().tolist() == [[160.0, 64.0, 88.0]]


def test_objects_are_measured_in_nanometres() -> None:
    values = np.zeros((4, 6, 6), np.uint64)
    values[1:3, 2:4, 2:5] = 7
    labels = located(values, chunks=(2, 3, 6))
    image = located(np.full((4, 6, 6), 9, np.uint8), chunks=(4, 6, 6))
    table = labels.volkit.objects(image).compute(scheduler="sync")
    assert isinstance(table, pd.DataFrame)
    row = table.iloc[0]
    assert (row["id"], row["voxels"], row["volume_nm3"]) == (7, 12, 12 * 40 * 8 * 8)
    assert (row["z_nm"], row["y_nm"], row["x_nm"]) == (140.0, 60.0, 80.0)
    assert row["intensity_mean"] == 9.0


def test_scores_against_a_truth_of_other_chunks() -> None:
    truth = np.zeros((4, 8, 8), np.uint64)
    truth[:, :4], truth[:, 4:] = 1, 2
    pred = located(truth + 10, chunks=(2, 4, 4))
    scores = pred.volkit.rand(located(truth, chunks=(4, 8, 3)))
    assert scores.compute(scheduler="sync").f_score == 1.0
    assert pred.volkit.voi(truth).compute(scheduler="sync").total == 0.0
    with pytest.raises(GeometryError, match=r"coordinates along z differ: 80 to 200 \(4\) and 0"):
        pred.volkit.rand(located(truth, start=(0, 5, 7)))


def test_inference_names_its_channels_axis_and_keeps_the_rest() -> None:
    values = blobs((8, 16, 16))
    em = located(values, chunks=(4, 8, 8))
    options = InferenceOptions(window=(4, 8, 8), channels=1)
    prob = em.volkit.infer(double, options=options)
    assert prob.dims == ("c", "z", "y", "x")
    assert prob.attrs == em.attrs
    np.testing.assert_allclose(prob.values[0], 2 * values, rtol=1e-6)
    with dask.config.set(scheduler="sync"):
        part = prob.isel(z=slice(0, 2)).sel(x=slice(56, 80))
        assert part.compute().shape == (1, 2, 16, 4)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda em: em.drop_vars("z"), GeometryError, r"no coordinate z, so that nothing says"),
        (lambda em: em.assign_coords(y=np.arange(4.0)), GeometryError, r"y does not say its unit"),
        (lambda em: em[:, [0, 1, 3]], GeometryError, r"coordinate y goes .* in steps of 8 to 16"),
        (lambda em: em[:, ::-1], GeometryError, r"voxels lie in ascending, even steps"),
        (
            lambda em: em.assign_coords(y=("y", np.arange(4.0), {"units": "s"})),
            SourceError,
            r"the coordinate y has lengths in 's'; known units are",
        ),
    ],
)
def test_coordinates_that_tell_no_place_are_refused(change, error, match) -> None:
    with pytest.raises(error, match=match):
        _ = change(located(np.zeros((3, 4, 5)))).volkit.scale


def test_arrays_of_other_axes_and_maps_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"DataArray has dims \('t', 'y', 'x'\); rename them"):
        xr.DataArray(np.zeros((2, 2, 2)), dims=("t", "y", "x")).volkit.segment()
    with pytest.raises(ContractError, match=r"labels are float64; give whole numbers"):
        located(np.zeros((2, 2, 2))).volkit.objects()


def test_to_xarray_of_memory_works_without_a_file() -> None:
    em = open_volume(blobs(), voxel_size_nm=SIZE).to_xarray()
    assert em.volkit.voxel_size_nm == SIZE
    labels = em.volkit.segment()
    assert labels.attrs["voxel_size_nm"] == SIZE
    assert labels.values.max() > 0


def test_importing_volkit_alone_registers_nothing() -> None:
    code = (
        "import volkit, xarray as xr; a = xr.DataArray([1]); print(hasattr(a, 'volkit'))\n"
        "import volkit.xarray; print(hasattr(a, 'volkit'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
