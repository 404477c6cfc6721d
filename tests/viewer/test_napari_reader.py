"""The napari plugin: its manifest is sound, and its layers are lazy and in the right place."""

import tomllib
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import yaml

import volkit
from volkit.io.open import create_volume, open_volume
from volkit.ops.multiscale import pyramid
from volkit.viewer.napari_reader import napari_get_reader, read_layers

MANIFEST = Path(volkit.__file__).parent / "napari.yaml"


def test_layers_are_lazy_and_in_the_right_place(tmp_path) -> None:
    values = np.random.default_rng(0).integers(0, 200, (8, 300, 40)).astype(np.uint8)
    volume = create_volume(
        tmp_path / "em.zarr", shape=values.shape, dtype="uint8", voxel_size_nm=(40, 4, 4),
        start=(1, 2, 3), origin_nm=(1000, 0, 0),
    )  # fmt: skip
    volume.write(volume.domain, values)
    pyramid(volume, levels=2)
    path = str(tmp_path / "em.zarr")
    ((arrays, how, kind),) = napari_get_reader(path)(path)
    assert kind == "image"
    assert all(isinstance(array, da.Array) for array in arrays)
    assert [array.shape for array in arrays] == [(8, 300, 40), (8, 150, 21)]
    assert np.array_equal(arrays[0].compute(), values)
    assert np.array_equal(arrays[1].compute(), open_volume(path, level=1).read())
    assert how["scale"] == (40, 4, 4)
    assert how["translate"] == (1040, 8, 12)  # the centre of its first voxel
    assert how["contrast_limits"] == (0, 255)


def test_labels_channels_and_what_is_nothing_of_ours(tmp_path) -> None:
    uris = ["specimen://em?shape=8,16,16&part=truth", "specimen://em?shape=8,16,16"]
    found = read_layers(uris)
    assert [kind for _, _, kind in found] == ["labels", "image"]
    assert "contrast_limits" not in found[0][1]
    np.save(tmp_path / "c.npy", np.zeros((3, 2, 4, 4), np.float32))
    ((_, how, _),) = read_layers(f"{tmp_path / 'c.npy'}")
    assert how["channel_axis"] == 0
    assert napari_get_reader(str(tmp_path / "nothing.zarr")) is None
    assert napari_get_reader([]) is None


def test_the_manifest_names_what_is_there() -> None:
    said = yaml.safe_load(MANIFEST.read_text())
    (command,) = said["contributions"]["commands"]
    (reader,) = said["contributions"]["readers"]
    assert reader["command"] == command["id"]
    assert command["python_name"] == f"{napari_get_reader.__module__}:napari_get_reader"
    project = tomllib.loads((MANIFEST.parents[1] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["napari.manifest"] == {"volkit": "volkit:napari.yaml"}


def test_npe2_takes_the_manifest() -> None:
    npe2 = pytest.importorskip("npe2", reason="npe2 is not installed")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    assert manifest.contributions.readers[0].accepts_directories
    manifest.validate_imports()
