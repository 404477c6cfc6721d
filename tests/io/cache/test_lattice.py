"""Lattices: what is fetched together."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box, Coord
from volkit.io.cache.lattice import chunk_lattice, merged, request_lattice
from volkit.testing.chunked_source import ChunkedSource

INDICES = st.sets(st.tuples(*[st.integers(0, 5)] * 3), max_size=40)


@given(wanted=INDICES, request=st.tuples(*[st.integers(1, 4)] * 3))
def test_every_wanted_chunk_is_in_one_request_and_no_other_is(
    wanted: set[Coord], request: Coord
) -> None:
    values = np.zeros((30, 50, 50), np.uint8)
    source = ChunkedSource(values, chunk_start=(-1, -3, 0), voxel_offset=(5, 11, 16))
    source.request_shape = tuple(  # type: ignore[assignment]
        a * b for a, b in zip(request, source.chunk_shape, strict=True)
    )
    chunks, requests = chunk_lattice(source), request_lattice(source)
    found = merged(wanted, chunks, requests)
    inside = [
        (z, y, x)
        for box in found
        for z in range(box.start[0], box.stop[0])
        for y in range(box.start[1], box.stop[1])
        for x in range(box.start[2], box.stop[2])
    ]
    assert sorted(inside) == sorted(wanted)
    for box in found:
        assert all(a <= b for a, b in zip(box.shape, request, strict=True))


def test_requests_lie_on_absolute_multiples_where_chunks_do() -> None:
    values = np.zeros((30, 8, 8), np.uint8)
    source = ChunkedSource(values, chunk_start=(-2, 0, 0), voxel_offset=(6, 0, 0))
    source.request_shape = (16, 8, 8)
    lattice = request_lattice(source)
    assert [str(lattice.box(i)) for i in lattice.indices(Box.from_shape((30, 8, 8)))] == [
        "[0:10, 0:8, 0:8]",  # voxels 6 to 16 of the volume
        "[10:26, 0:8, 0:8]",
        "[26:30, 0:8, 0:8]",
    ]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", (64, 512, 512)), ("uint16", (32, 512, 512)), ("uint64", (16, 512, 512))],
)
def test_a_request_of_cuboids_is_about_16_mib(dtype: str, expected: Coord) -> None:
    values = np.broadcast_to(np.zeros((), dtype), (4096, 4096, 4096))
    assert request_lattice(ChunkedSource(values, chunk_shape=(16, 512, 512))).cell == expected


def test_requests_do_not_grow_beyond_the_volume_or_into_memory() -> None:
    flat = np.broadcast_to(np.zeros((), "uint8"), (1, 9000, 9000))
    assert request_lattice(ChunkedSource(flat, chunk_shape=(1, 64, 64))).cell == (1, 4096, 4096)
    deep = ChunkedSource(np.broadcast_to(np.zeros((), "uint64"), (99, 512, 512)), (16, 512, 512))
    deep.request_shape = (64, 512, 512)
    cell = request_lattice(deep).cell
    assert cell == (32, 512, 512)
    assert prod(cell) * 8 <= 64 * 2**20
