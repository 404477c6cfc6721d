"""Voxel sizes that a person gives count for volumes that state none, and for no others."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.io.stated_size import open_sized, says_size, sized_by
from volkit.io.volume import Volume
from volkit.ops.mirror import mirror
from volkit.ops.multiscale import pyramid

GIVEN = (40.0, 4.0, 4.0)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    np.save(tmp_path / "bare.npy", np.arange(512, dtype=np.uint8).reshape(8, 8, 8))
    return tmp_path / "bare.npy"


def test_only_what_states_none_takes_the_size_that_is_given(bare: Path, tmp_path: Path) -> None:
    shape, dtype = (8, 8, 8), "uint8"
    sized = create_volume(tmp_path / "a.zarr", shape=shape, dtype=dtype, voxel_size_nm=(8, 8, 8))
    tiny = create_volume(tmp_path / "b.zarr", shape=shape, dtype=dtype, voxel_size_nm=(1, 1, 1))
    unsized = create_volume(tmp_path / "c.zarr", shape=shape, dtype=dtype)
    sizes = [
        open_sized(uri, voxel_size_nm=GIVEN).voxel_size_nm
        for uri in (bare, unsized.uri, sized.uri, tiny.uri)
    ]
    assert sizes == [GIVEN, GIVEN, (8, 8, 8), (1, 1, 1)]
    assert not says_size(open_sized(bare, voxel_size_nm=None))
    assert says_size(open_sized(bare, voxel_size_nm=(1, 1, 1)))  # told to count in voxels
    with pytest.raises(GeometryError, match="must be positive and finite on every axis"):
        open_sized(bare, voxel_size_nm=(40.0, 0.0, 4.0))


def test_the_size_is_that_of_the_finest_level(tmp_path: Path) -> None:
    volume = create_volume(tmp_path / "em.zarr", shape=(8, 8, 8), dtype="uint8")
    volume.write(volume.domain, np.ones((8, 8, 8), np.uint8))
    pyramid(volume, levels=2)
    coarse = open_sized(volume.uri, voxel_size_nm=GIVEN, level=1)
    assert coarse.level == 1
    assert coarse.voxel_size_nm == (80, 8, 8)


def units(volume: Volume) -> set[str | None]:
    """What the metadata say of the axes of space."""
    (image,) = zarr.open_group(volume.uri, mode="r").attrs["ome"]["multiscales"]
    return {axis.get("unit") for axis in image["axes"]}


@pytest.mark.parametrize("target", ["copy.zarr", "precomputed://copy"])
def test_a_copy_does_not_say_more_than_its_source(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    copy = mirror(open_volume(bare), target)
    assert copy.voxel_size_nm == (1, 1, 1)
    assert not says_size(copy)
    assert says_size(mirror(open_volume(bare, voxel_size_nm=GIVEN), f"{target}_2"))


def test_what_is_computed_does_not_say_more_than_what_it_is_made_of(
    bare: Path, tmp_path: Path
) -> None:
    op = Op(lambda block, values: values, dtype=np.uint8)
    engine, coarse = JobEngine(tmp_path / "run"), Grid(Box.from_shape((8, 8, 8)), (8, 8, 8))
    found = engine.map(op, open_volume(bare), grid=coarse, name="bare")
    assert found.attributes["volkit"]["voxel_size_stated"] is False
    assert units(found) == {None}  # other programs take no nanometre for granted either
    pyramid(found, levels=2)
    assert not any(says_size(each) for each in (found, found.at_level(1)))
    assert sized_by(found.at_level(1), GIVEN).voxel_size_nm == (80, 8, 8)
    for given in (GIVEN, (1, 1, 1)):  # the latter told to count in voxels
        source = open_volume(bare, voxel_size_nm=given)
        made = engine.map(op, source, grid=coarse, name=f"sized-{given[0]}")
        assert made.voxel_size_nm == given
        assert says_size(made)
        assert units(made) == {"nanometer"}
        assert sized_by(made, (9, 9, 9)).voxel_size_nm == given


def test_what_is_created_without_a_size_says_none(tmp_path: Path) -> None:
    for name, told in (("a", {}), ("b", {"voxel_size_nm": None}), ("c", {"origin_nm": (0, 5, 0)})):
        made = create_volume(tmp_path / f"{name}.zarr", shape=(2, 2, 2), dtype="uint8", **told)
        assert not says_size(made)
    one = create_volume(
        tmp_path / "one.zarr", shape=(2, 2, 2), dtype="uint8", voxel_size_nm=[1] * 3
    )
    assert says_size(one)


@pytest.mark.parametrize(("unit", "states"), [({"unit": "nanometer"}, True), ({}, False)])
def test_one_in_ome_zarr_is_a_size_where_it_has_a_unit(tmp_path: Path, unit, states) -> None:
    axes = [{"name": name, "type": "space", **unit} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ome = {"version": "0.5", "multiscales": [image]}
    group = zarr.create_group(tmp_path / "other.zarr", attributes={"ome": ome})
    group.create_array("0", shape=(2, 2, 2), dtype="uint8")
    assert says_size(open_volume(tmp_path / "other.zarr")) is states
