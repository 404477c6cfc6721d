"""Plans of mirrors: arithmetic that is compared with counting."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box, Coord, Grid
from volkit.io import Volume, open_volume
from volkit.io.cache.lattice import Lattice
from volkit.ops.mirror_plan import MirrorPlan, chosen_block, plan_mirror
from volkit.testing.strategies import boxes, shapes


def planned(domain: Box, block: Coord, *, chunk: Coord, start: Coord, offset: Coord) -> MirrorPlan:
    shape = tuple(b - o for b, o in zip(domain.stop, offset, strict=True))
    chunks = Lattice(start, chunk, shape)  # type: ignore[arg-type]
    twice: Coord = (2 * chunk[0], chunk[1], chunk[2])
    requests = Lattice(start, twice, shape)  # type: ignore[arg-type]
    return MirrorPlan(Grid(domain, block), chunks, requests, offset, block, None, 1)


@given(
    domain=boxes(Box.from_shape((20, 20, 20), (3, -5, 8))),
    block=shapes(largest=12),
    chunk=shapes(smallest=2, largest=7),
    start=shapes(smallest=-1, largest=0),
)
def test_pieces_cover_every_block_once_and_are_counted(
    domain: Box, block: Coord, chunk: Coord, start: Coord
) -> None:
    plan = planned(domain, block, chunk=chunk, start=start, offset=(3, -5, 8))
    covered = np.zeros(domain.shape, int)
    pieces = [piece for block in plan.grid for piece in plan.pieces(block.write)]
    for piece in pieces:
        covered[piece.relative_to(domain).slices] += 1
        assert plan.requests.cells(piece.shift((-3, 5, -8))).size == 1
    assert (covered == 1).all()
    assert plan.request_count() == len(pieces)


@given(
    domain=boxes(Box.from_shape((20, 20, 20))),
    block=shapes(largest=12),
    chunk=shapes(smallest=2, largest=7),
)
def test_a_piece_is_cut_where_another_block_needs_its_chunks(
    domain: Box, block: Coord, chunk: Coord
) -> None:
    plan = planned(domain, block, chunk=chunk, start=(0, 0, 0), offset=(0, 0, 0))
    needed: dict[Coord, set[int]] = {}
    for b in plan.grid:
        for index in plan.chunks.indices(b.write):
            needed.setdefault(index, set()).add(b.number)
    for b in plan.grid:
        for piece in plan.pieces(b.write):
            shared = any(len(needed[i]) > 1 for i in plan.chunks.indices(piece))
            assert plan.is_cut(piece) == shared
    assert plan.chunks_per_chunk() == pytest.approx(sum(map(len, needed.values())) / len(needed))


def specimen(shape: Coord) -> Volume:
    """A volume of any size, whose voxels are made when they are read."""
    return open_volume(f"specimen://em?shape={','.join(map(str, shape))}")


CUBOIDS = Lattice((0, 0, 0), (64, 512, 512), (2000, 9000, 9000))


@pytest.mark.parametrize(
    ("start", "shape", "block"),
    [
        ((0, 0, 0), (2000, 9000, 9000), (64, 1024, 1024)),
        ((110, 900, 4600), (361, 256, 256), (361, 256, 256)),  # MTNeuro: no block cuts a cuboid
        ((64, 512, 512), (64, 512, 512), (64, 512, 512)),
        ((64, 512, 512), (640, 512, 512), (256, 512, 512)),
        ((0, 0, 100), (640, 512, 5000), (64, 512, 2048)),  # longest where cuboids are cut
    ],
)
def test_chosen_blocks(start: Coord, shape: Coord, block: Coord) -> None:
    assert chosen_block(Box.from_shape(shape, start), CUBOIDS, 1) == block


@given(shape=shapes(largest=700), block=shapes(largest=700), precomputed=st.booleans())
def test_a_block_is_whole_stored_objects(shape: Coord, block: Coord, precomputed: bool) -> None:
    volume = specimen(shape)
    target = "precomputed:///nowhere" if precomputed else "copy.zarr"
    plan = plan_mirror(volume, target, block_shape=block)
    shard = plan.shard_shape or plan.chunk_shape
    for b, n, c, s in zip(block, shape, plan.chunk_shape, shard, strict=True):
        assert s % c == 0
        assert b % s == 0 or b >= n
        assert c <= max(64, min(b, n))
    assert prod(plan.chunk_shape) > 0
    assert not (precomputed and plan.shard_shape)


def test_a_petavoxel_is_planned_at_once() -> None:
    plan = plan_mirror(specimen((2**16, 2**17, 2**17)), "copy.zarr")
    assert plan.bytes == 2**50
    assert len(plan.grid) * plan.block_bytes == 2**50
    assert plan.chunks_per_chunk() == 1
    assert plan.request_count() >= len(plan.grid)
