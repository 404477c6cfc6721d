"""What reading took, beside what it gave: counted by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box
from volkit.io import create_volume, open_volume
from volkit.io.fetched import _whole_chunks, read_and_fetched
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


@given(st.data(), st.integers(1, 20), st.integers(1, 7), st.integers(-30, 30))
def test_whole_chunks_are_those_of_the_voxels(data, length: int, chunk: int, offset: int) -> None:
    """Voxel by voxel: each belongs to a chunk, and comes if another one of it is wanted."""
    first = -data.draw(st.integers(0, chunk - 1))
    start = data.draw(st.integers(0, length - 1))
    stop = data.draw(st.integers(start + 1, length))
    wanted = {(voxel - first) // chunk for voxel in range(start, stop)}
    come = sum((voxel - first) // chunk in wanted for voxel in range(length))
    source = SimpleNamespace(
        shape=(length, 5, length),
        voxel_offset=(offset, 0, offset),
        chunk_shape=(chunk, 2, chunk),
        chunk_start=(first, 0, first),
    )
    box = Box((offset + start, 4, offset + start), (offset + stop, 5, offset + stop))
    assert _whole_chunks(source, box) == come * 1 * come
