"""Zarr that others wrote: versions, multiscales, units, orders."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import zarr

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import Volume, open_volume
from volkit.io.faults import Patience

FAST = Patience(first_wait_seconds=0.001, most_wait_seconds=0.002)
AXES = [
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "nanometer"},
]


def steps(scale: list[float], translation: list[float] | None = None) -> list[dict]:
    shift = [{"type": "translation", "translation": translation}] if translation else []
    return [{"type": "scale", "scale": scale}, *shift]


def multiscale(
    path: Path, *, version: str, axes: list, datasets: list[dict], **rest: object
) -> None:
    """Write a multiscale of two levels, by hand."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    image = {"axes": axes, "datasets": datasets, **rest}
    if version == "0.4":
        group.attrs["multiscales"] = [{"version": "0.4", **image}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    for level, dataset in enumerate(datasets):
        shape = tuple(2 if a["name"] == "c" else 8 >> level for a in axes)
        array = group.create_array(
            dataset["path"], shape=shape, chunks=(2,) * len(shape), dtype="u1"
        )
        array[:] = 1 + np.arange(np.prod(shape)).reshape(shape) % 200


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_multiscale(tmp_path: Path, version: str) -> None:
    multiscale(
        tmp_path / "em.zarr",
        version=version,
        axes=AXES,
        datasets=[
            {"path": "s0", "coordinateTransformations": steps([1, 0.04, 0.004, 4], [0, 1, 2, 8])},
            {"path": "s1", "coordinateTransformations": steps([1, 0.08, 0.008, 8])},
        ],
    )
    volume = open_volume(tmp_path / "em.zarr")
    assert (volume.shape, volume.channels, volume.levels) == ((8, 8, 8), 2, 2)
    assert volume.voxel_size_nm == (40, 4, 4)
    assert volume.origin_nm == (1000, 2000, 8)
    coarse = Volume(volume.uri, level=1)
    assert coarse.shape == (4, 4, 4)
    assert coarse.voxel_size_nm == (80, 8, 8)
    assert coarse.identity != volume.identity
    assert open_volume(tmp_path / "em.zarr" / "s1").voxel_size_nm == (80, 8, 8)
    with pytest.raises(SourceError, match="has no level 2; it has 0 to 1"):
        open_volume(tmp_path / "em.zarr", level=2)
    with pytest.raises(SourceError, match="says that its axes are c, z, y, x"):
        open_volume(tmp_path / "em.zarr", axes="cxyz")


def test_outer_transformations_come_after_those_of_a_level(tmp_path: Path) -> None:
    multiscale(
        tmp_path / "em.zarr",
        version="0.5",
        axes=AXES[1:],
        datasets=[{"path": "0", "coordinateTransformations": steps([1, 2, 3], [1, 1, 1])}],
        coordinateTransformations=steps([10, 10, 10], [5, 5, 5]),
    )
    volume = open_volume(tmp_path / "em.zarr")
    assert volume.voxel_size_nm == (10_000, 20_000, 30)
    assert volume.origin_nm == (15_000, 15_000, 15)


def test_five_axes_in_another_order(tmp_path: Path) -> None:
    axes = [{"name": n, "type": "space", "unit": "nanometer"} for n in "xyz"]
    one = {"coordinateTransformations": steps([4, 5, 6])}
    multiscale(tmp_path / "em.zarr", version="0.5", axes=axes, datasets=[{"path": "0", **one}])
    volume = open_volume(tmp_path / "em.zarr")
    assert volume.voxel_size_nm == (6, 5, 4)
    stored = zarr.open_array(tmp_path / "em.zarr/0", mode="r")[:]
    np.testing.assert_array_equal(volume.read(Box((1, 2, 3), (2, 3, 5)))[0, 0], stored[3:5, 2, 1])


@pytest.mark.parametrize(
    ("axes", "transforms", "message"),
    [
        ([{"name": "a"}, {"name": "b"}, {"name": "x"}], steps([1, 1, 1]), "has axes a, b, x"),
        (AXES[1:], steps([1, 1]), "transformation .* of an array with 3 axes"),
        (AXES[1:], [{"type": "affine"}], "understood are identity, scale and translation"),
        ([{"name": n, "unit": "furlong"} for n in "zyx"], steps([1, 1, 1]), "lengths in 'furlong'"),
        ([{"nom": n} for n in "zyx"], steps([1, 1, 1]), "metadata is not understood"),
    ],
)
def test_multiscales_that_are_not_understood(
    tmp_path: Path, axes: list, transforms: list, message: str
) -> None:
    group = zarr.open_group(tmp_path / "em.zarr", mode="w")
    group.create_array("0", shape=(4, 4, 4), dtype="u1")
    dataset = {"path": "0", "coordinateTransformations": transforms}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}
    with pytest.raises(SourceError, match=message):
        open_volume(tmp_path / "em.zarr")


def test_group_without_multiscales(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "em.zarr", mode="w")
    group.create_array("raw", shape=(4, 4, 4), dtype="u1")
    with pytest.raises(SourceError, match=r"group without multiscales; name .*em.zarr/raw"):
        open_volume(tmp_path / "em.zarr")
    assert open_volume(tmp_path / "em.zarr/raw").shape == (4, 4, 4)
    with pytest.raises(SourceError, match=r"has a slash before it; open .*em.zarr/raw$"):
        open_volume(f"{tmp_path}/em.zarr::raw")
    with pytest.raises(SourceError, match=r"does not exist, but .*em.zarr does"):
        open_volume(tmp_path / "em.zarr/row")


def test_attributes_of_an_array(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path / "em.zarr", shape=(2, 3, 4), dtype="f4", zarr_format=2, chunks=(2, 3, 4)
    )
    array.attrs.update(_ARRAY_DIMENSIONS=["x", "y", "z"], resolution=[4, 5, 6])
    volume = open_volume(tmp_path / "em.zarr")
    assert (volume.shape, volume.voxel_size_nm) == ((4, 3, 2), (6, 5, 4))
    bigger = open_volume(tmp_path / "em.zarr", voxel_size_nm=(60, 5, 4))
    assert bigger.voxel_size_nm == (60, 5, 4)
    assert bigger.identity != volume.identity


def test_axes_option(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "em.zarr", shape=(2, 3, 4), dtype="f4")
    assert open_volume(tmp_path / "em.zarr", axes="xyz").shape == (4, 3, 2)
    with pytest.raises(SourceError, match="axes q, y, x"):
        open_volume(tmp_path / "em.zarr", axes="qyx")


def test_types_that_are_no_voxels(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "em.zarr", shape=(2, 3, 4), dtype="c8")
    with pytest.raises(SourceError, match="holds complex64"):
        open_volume(tmp_path / "em.zarr")


def test_identity_of_others_tells_places_apart(tmp_path: Path) -> None:
    for name in "ab":
        zarr.create_array(tmp_path / f"{name}.zarr", shape=(2, 3, 4), dtype="u1")
    a, b = (open_volume(tmp_path / f"{name}.zarr") for name in "ab")
    assert a.identity != b.identity
    assert a.identity == open_volume(f"file://{tmp_path}/a.zarr").identity


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep silent."""


def test_http(tmp_path: Path) -> None:
    one = {"path": "0", "coordinateTransformations": steps([1, 2, 3])}
    multiscale(tmp_path / "em.zarr", version="0.5", axes=AXES[1:], datasets=[one])
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        volume = open_volume(f"{url}/em.zarr", patience=FAST)
        np.testing.assert_array_equal(volume.read(), open_volume(tmp_path / "em.zarr").read())
        with pytest.raises(SourceError, match="is read-only"):
            volume.write(volume.domain, volume.read())
        with pytest.raises(SourceError, match="holds no zarr"):
            open_volume(f"{url}/nothing.zarr", patience=FAST)
        server.shutdown()
