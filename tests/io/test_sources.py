"""The registry: what opens a URI, and what is said where nothing does."""

import sys
from pathlib import Path
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest

from volkit.errors import ConfigError, MissingExtraError, SourceError
from volkit.io import OpenOptions, create_volume, open_volume, registry
from volkit.io.memory import open_array
from volkit.plugins import Plugin


def open_ones(uri: str, level: int) -> object:
    """Open a source of a third party."""
    return open_array(uri, np.ones((2, 3, 4 + level)), OpenOptions())


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "third_party_ones", SimpleNamespace(open_ones=open_ones))
    target = "third_party_ones:open_ones"
    points = {n: (Plugin(registry.ENTRY_POINTS, n, target, "x", "1"),) for n in ("ones", ".one")}
    monkeypatch.setattr(registry, "_plugins", lambda: points)


@pytest.mark.usefixtures("third_party")
def test_third_parties(tmp_path: Path) -> None:
    (tmp_path / "em.one").touch()
    assert open_volume("ones://anything?seed=1", level=2).shape == (2, 3, 6)
    assert open_volume(tmp_path / "em.one").read().sum() == 24
    with pytest.raises(SourceError, match="knows its axes"):
        open_volume("ones://anything", axes="xyz")
    with pytest.raises(SourceError, match="known are file, .*ones, .*s3, gs, az and those of"):
        open_volume("twos://anything")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("/nowhere/em.zarr", "/nowhere/em.zarr does not exist; check the path"),
        ("/nowhere/em.h5::raw", "/nowhere/em.h5 does not exist"),
        ("tape://em.zarr", "scheme 'tape' is not known; known are file, .*specimen"),
        ("http://127.0.0.1:9/em.h5", r"\.h5 is read from local paths only"),
        ("array://123", "open the array itself"),
        ("memory://nothing-here.zarr", "holds no zarr array or group"),
        ("", "'' names no file or folder; give a path"),
        ("http://127.0.0.1:9/em.zarr?level=0&x=1", "x behind .* not known; nothing can stand"),
    ],
)
def test_uris_that_name_nothing(uri: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_volume(uri)


def test_what_is_no_place_is_refused() -> None:
    with pytest.raises(SourceError, match="dask.array.core.Array'>, expected a path"):
        open_volume(da.zeros((2, 3, 4)))


@pytest.mark.parametrize(
    "uri",
    [
        "s3://NAME:hidden@lab/em.zarr",
        "precomputed://https://name:hidden@host/layer",
        "s3://lab/em.zarr?endpoint=http://name:hidden@127.0.0.1:9",
    ],
)
def test_passwords_are_no_part_of_an_address(uri: str) -> None:
    for call in (open_volume, lambda uri: create_volume(uri, shape=(1, 2, 3), dtype="uint8")):
        with pytest.raises(SourceError, match="a password must not be part") as caught:
            call(uri)
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", ["em.tif", "em.h5", "em.nii.gz", "em.n5"])
def test_formats_that_are_read_only_are_not_created(tmp_path: Path, name: str) -> None:
    suffix = "nii" if "nii" in name else name[3:]
    with pytest.raises(SourceError, match=rf"\.{suffix} is read only; .*name it \.zarr"):
        create_volume(tmp_path / name, shape=(1, 2, 3), dtype="uint8")
    assert not any(tmp_path.iterdir())


def test_options_of_another_kind() -> None:
    with pytest.raises(ConfigError, match=r"cache=4; give CacheOptions"):
        open_volume("em.zarr", cache=4)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"patience=3; give Patience"):
        open_volume("em.zarr", patience=3)  # type: ignore[arg-type]


def test_suffix_that_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        SourceError, match=r"suffix '.txt' is not known; known are .*\.h5, .*\.zarr, and folders"
    ):
        open_volume(tmp_path / "notes.txt")
    with pytest.raises(SourceError, match="no .tif, .tiff or .png"):
        open_volume(tmp_path)


def test_empty_zarr_folder(tmp_path: Path) -> None:
    (tmp_path / "em.zarr").mkdir()
    with pytest.raises(SourceError, match="holds no zarr array or group"):
        open_volume(tmp_path / "em.zarr")


def test_scheme_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise ImportError("no pyarrow")

    monkeypatch.setattr("fsspec.get_filesystem_class", refuse)
    with pytest.raises(MissingExtraError, match="hdfs needs another package: no pyarrow"):
        open_volume("hdfs://host/em.zarr")


def test_options_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="missing='maybe'; choose 'error' or 'zero'"):
        open_volume(np.zeros((2, 2, 2)), missing="maybe")  # type: ignore[arg-type]


def test_options_that_nothing_knows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="voxel_size is no option here; known are axes, cache"):
        open_volume(np.zeros((2, 2, 2)), voxel_size=(1, 1, 1))  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="level='a'; give a whole number"):
        open_volume("em.zarr", level="a")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="chunks is no option here; known are .*chunk_shape"):
        create_volume(tmp_path / "em.zarr", shape=(2, 2, 2), dtype="uint8", chunks=1)  # type: ignore[call-arg]
    with pytest.raises(SourceError, match="dtype foo cannot be stored"):
        create_volume(tmp_path / "em.zarr", shape=(2, 2, 2), dtype="foo")
