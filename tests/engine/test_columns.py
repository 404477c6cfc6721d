"""Columns on disk: what comes back is what was written, to the bit, or an error that says where."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes

from volkit.engine.columns import read_columns, write_columns
from volkit.errors import SourceError
from volkit.io.place import Place


def round_trip(folder: Path, **columns: np.ndarray) -> dict[str, np.ndarray]:
    place = Place.at(folder / "table.npz")
    write_columns(place, columns, lasting=False)
    return read_columns(place)


@given(array=arrays(scalar_dtypes(), array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_any_column_comes_back(tmp_path_factory: pytest.TempPathFactory, array) -> None:
    """Little and big ends, times too; empty ones and single numbers."""
    found = round_trip(tmp_path_factory.getbasetemp(), a=array, plain=np.arange(3))
    assert list(found) == ["a", "plain"]
    assert (found["a"].dtype, found["a"].shape) == (array.dtype, array.shape)
    assert found["a"].tobytes() == array.tobytes()
    found["plain"][:] = 7  # whoever reads a table may write to it
    assert found["a"].flags.writeable
    assert found["a"].flags.aligned


def test_columns_of_any_order_and_size_come_back(tmp_path: Path) -> None:
    large = np.arange(2**17 + 1, dtype=np.uint64)  # 8 bytes more than a mebibyte
    columns = {"large": large, "turned": np.arange(6).reshape(2, 3).T, "text": np.array(["é", "b"])}
    found = round_trip(tmp_path, **columns)
    for name, column in columns.items():
        np.testing.assert_array_equal(found[name], column, strict=True)
    assert found["large"].flags.writeable


@pytest.mark.parametrize("rows", [3, 2**18])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damage_shows(rows: int, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    write_columns(Place.at(path), {"a": np.arange(rows)}, lasting=False)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[-8 * rows // 2 - 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="cannot read the table .*table.npz .*delete it"):
        read_columns(Place.at(path))


def test_what_numpy_would_unpickle_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "table.npz", a=np.array([print], object))
    with pytest.raises(SourceError, match="allow_pickle=False"):
        read_columns(Place.at(tmp_path / "table.npz"))
