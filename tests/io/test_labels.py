"""Labels are uint64, 0 and above."""

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io import open_volume
from volkit.io.labels import read_labels


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "u4", "i8", "u8"])
def test_integers_become_uint64(dtype: str) -> None:
    values = np.array([[[0, 1]]], dtype)
    found = read_labels(open_volume(values))
    assert found.dtype == np.uint64
    assert found.tolist() == [[[0, 1]]]


def test_negative_ids_are_refused() -> None:
    values = np.zeros((2, 3, 4), np.int32)
    values[1, 2, 3] = -5
    volume = open_volume(values)
    assert not read_labels(volume, Box((0, 0, 0), (1, 3, 4))).any()
    with pytest.raises(SourceError, match=r"negative id -5 at voxel \(1, 2, 3\)"):
        read_labels(volume)
    with pytest.raises(SourceError, match=r"negative id -5 at voxel \(1, 2, 3\)"):
        read_labels(volume, Box((1, 1, 1), (2, 3, 4)))


@pytest.mark.parametrize("values", [np.zeros((2, 2, 2)), np.zeros((2, 2, 2, 2), int)])
def test_what_cannot_be_labels(values: np.ndarray) -> None:
    with pytest.raises(SourceError, match="labels are integers without channels"):
        read_labels(open_volume(values))
