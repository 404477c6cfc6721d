"""Strips: what is left for a block comes back as it was, or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

from volkit.engine.strips import Strips
from volkit.io.place import Place

SUMS = np.arange(-30, 30, dtype=np.int32).reshape(2, 2, 3, 5)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_sums_come_back_with_their_type(tmp_path: Path, dtype) -> None:
    strips = Strips(Place.at(tmp_path))
    big = SUMS.astype(dtype)
    turned = np.asfortranarray(big)[:, ::-1]  # as a part of a larger array is
    assert strips.put(7, 3, turned) == 4 + 128 + big.nbytes
    found = strips.get(7, 3)
    np.testing.assert_array_equal(found, turned)
    assert found.dtype == dtype
    assert strips.get(3, 7) is None


def test_what_holds_nothing_is_a_shape(tmp_path: Path) -> None:
    strips = Strips(Place.at(tmp_path))
    assert strips.put(0, 1, np.zeros((3, 40, 50, 60), np.int64)) == 4 + 128 + 4 * 8
    found = strips.get(0, 1)
    assert (found.shape, found.dtype, found.any()) == ((3, 40, 50, 60), np.int64, False)
    found += 1  # it may be added to


def test_a_damaged_strip_is_none(tmp_path: Path) -> None:
    strips = Strips(Place.at(tmp_path))
    strips.put(0, 1, SUMS)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    for damaged in (b"", whole[:2], whole[:-1], whole[:-1] + b"x", whole[4:]):
        file.write_bytes(damaged)
        assert strips.get(0, 1) is None
    file.write_bytes(whole)
    np.testing.assert_array_equal(strips.get(0, 1), SUMS)


def test_each_is_written_whole_and_goes_with_the_rest(tmp_path: Path) -> None:
    strips = Strips(Place.at(tmp_path))
    for target, source in ((0, 1), (0, 2), (5000, 1)):
        strips.put(target, source, SUMS + source)
    strips.put(0, 1, SUMS)  # a task that runs again
    assert len(files(tmp_path)) == 3
    np.testing.assert_array_equal(strips.get(0, 1), SUMS)
    np.testing.assert_array_equal(strips.get(5000, 1), SUMS + 1)
    strips.clear()
    assert files(tmp_path) == []


def test_nobody_waits_until_a_strip_is_on_the_disk(tmp_path: Path, monkeypatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr(os, "fsync", waits.append)
    strips = Strips(Place.at(tmp_path))
    strips.put(0, 1, SUMS)
    assert waits == []
    Place.at(tmp_path).objects.put("mark", b"that is waited for")
    assert len(waits) == 1


def test_what_a_block_has_used_goes_and_nothing_else(tmp_path: Path) -> None:
    strips = Strips(Place.at(tmp_path))
    for target, source in ((2, 0), (2, 1), (12, 1), (2, 12)):
        strips.put(target, source, SUMS)
    strips.drop(2, [0, 1, 7])  # 7 left nothing
    assert sorted(path.name for path in files(tmp_path)) == ["12-1", "2-12"]
