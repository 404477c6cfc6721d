"""Lattices: what is fetched together."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box, Coord
from volkit.io.cache.lattice import chunk_lattice, chunks_met, merged, request_lattice
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


PLACES = st.tuples(st.integers(0, 28), st.integers(0, 48), st.integers(0, 45))
BOXES = st.tuples(PLACES, st.tuples(*[st.integers(1, 9)] * 3))


@given(
    small=st.lists(BOXES, max_size=12),
    held=BOXES,
    chunk_shape=st.tuples(*[st.integers(3, 20)] * 3),
    back=st.tuples(*[st.integers(0, 9)] * 3),
    aligned=st.booleans(),
)
def test_what_boxes_need_is_read_and_each_chunk_once(
    small, held, chunk_shape, back, aligned
) -> None:
    values = np.zeros((30, 50, 47), np.uint8)
    first = tuple(-(b % c) for b, c in zip(back, chunk_shape, strict=True))
    source = ChunkedSource(values, chunk_shape=chunk_shape, chunk_start=first)
    whole, chunks = Box.from_shape(values.shape), chunk_lattice(source)
    boxes = [Box.from_shape(shape, start).intersect(whole) for start, shape in small]
    known = Box.from_shape(held[1], held[0]).intersect(whole)
    known = chunks.span(chunks.cells(known)) if aligned else known
    ends = np.array([[b.start, b.stop] for b in boxes], np.int64).reshape(-1, 2, 3)
    found = chunks_met(chunks, ends[:, 0], ends[:, 1], held=known)
    there, needed = np.zeros((2, *values.shape), np.bool_)
    for box in boxes:
        needed[box.slices] = True
    for box in (known, *found):
        there[box.slices] = True
    assert not (needed & ~there).any()
    met = [index for box in found for index in chunks.indices(box)]
    assert len(met) == len(set(met))
    if aligned:  # of a chunk that is known in part, nobody looks which
        needed[known.slices] = False
    assert all(needed[chunks.box(index).slices].any() for index in met)
    assert not any(known.contains(box) for box in found)
