"""What reading took, beside what it gave: counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from volkit.geometry import Box
from volkit.io import create_volume, open_volume
from volkit.io.fetched import read_and_fetched
from volkit.io.sources import CacheOptions, OpenOptions
from volkit.io.volume import Volume

SHAPE = (8, 16, 20)  # in chunks of (4, 8, 8): the last on x has 4 voxels


@pytest.fixture
def stored(tmp_path: Path) -> Volume:
    volume = create_volume(
        tmp_path / "em.zarr", shape=SHAPE, dtype=np.uint16, start=(5, 6, 7), chunk_shape=(4, 8, 8)
    )
    volume.write(volume.domain, np.arange(8 * 16 * 20, dtype=np.uint16).reshape(SHAPE))
    return volume


def test_chunks_that_a_box_meets_are_fetched_whole(stored: Volume) -> None:
    values, fetched = read_and_fetched(stored, Box((8, 6, 7), (10, 14, 9)))
    assert (values.shape, fetched) == ((2, 8, 2), 2 * (4 * 8 * 8) * 2)  # two chunks along z
    assert (values == stored.read(Box((8, 6, 7), (10, 14, 9)))).all()
    assert read_and_fetched(stored, Box((5, 6, 26), (6, 7, 27)))[1] == 4 * 8 * 4 * 2
    assert read_and_fetched(stored, stored.domain)[1] == 8 * 16 * 20 * 2


def test_every_channel_counts(tmp_path: Path) -> None:
    volume = create_volume(
        tmp_path / "p.zarr", shape=(4, 4, 4), dtype=np.float32, channels=3, chunk_shape=(2, 4, 4)
    )
    volume.write(volume.domain, np.ones((3, 4, 4, 4), np.float32))
    assert read_and_fetched(volume, Box((1, 1, 1), (2, 2, 2)))[1] == 3 * 32 * 4


def test_what_a_cache_holds_is_fetched_once(stored: Volume) -> None:
    options = OpenOptions(cache=CacheOptions(memory_bytes=2**20))
    cached = Volume(stored.uri, 0, options)
    chunk = 4 * 8 * 8 * 2
    assert read_and_fetched(cached, Box((5, 6, 7), (9, 14, 15)))[1] == chunk
    assert read_and_fetched(cached, Box((5, 6, 7), (9, 14, 15)))[1] == 0
    assert read_and_fetched(cached, Box((6, 6, 7), (10, 14, 15)))[1] == chunk


def test_an_array_in_memory_costs_what_a_box_holds() -> None:
    volume = open_volume(np.zeros((4, 5, 6), np.uint8))
    assert read_and_fetched(volume, Box((1, 1, 1), (2, 3, 4)))[1] == 6
