"""Numbers of chunks and shapes of shards, compared with cloud-volume and tensorstore."""

from itertools import product

import numpy as np
import pytest
from cloudvolume.datasource.precomputed.common import compressed_morton_code
from cloudvolume.datasource.precomputed.sharding import (
    ShardingSpecification,
    image_shard_shape_from_spec,
)
from cloudvolume.lib import Vec
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.io.precomputed.shards import Sharding, chunk_number, pack_shard, sharding_of

GRIDS = st.tuples(*[st.integers(1, 20)] * 3)


@given(grid=GRIDS)
def test_numbers_are_those_of_cloud_volume(grid: tuple[int, int, int]) -> None:
    index = tuple(n // 2 for n in grid)
    expected = compressed_morton_code(index[::-1], Vec(*grid[::-1]))
    assert chunk_number(index, grid) == int(expected)


@given(grid=GRIDS)
def test_each_chunk_has_a_number_of_its_own(grid: tuple[int, int, int]) -> None:
    numbers = {chunk_number(index, grid) for index in product(*map(range, grid))}
    assert len(numbers) == np.prod(grid)


@given(grid=GRIDS, bits=st.integers(0, 12))
def test_shards_are_boxes_of_chunks(grid: tuple[int, int, int], bits: int) -> None:
    """Chunks share a shard exactly if they share a box; its shape is that of cloud-volume."""
    total = sum((n - 1).bit_length() for n in grid)
    within = min(bits, total)
    sharding = Sharding(within // 2, within - within // 2, total - within)
    box = sharding.chunks(grid)
    assert box is not None
    files: dict[str, set] = {}
    for index in product(*map(range, grid)):
        place = tuple(i // n for i, n in zip(index, box, strict=True))
        files.setdefault(sharding.file(chunk_number(index, grid)), set()).add(place)
    assert all(len(places) == 1 for places in files.values())
    assert len(set().union(*files.values())) == len(files)
    spec = sharding.to_json()
    theirs = image_shard_shape_from_spec(spec, Vec(*grid[::-1]), Vec(1, 1, 1))
    if total - within:
        assert tuple(int(n) for n in theirs)[::-1] == box


def test_shards_without_boxes() -> None:
    assert Sharding(1, 1, 1).chunks((4, 4, 4)) is None  # numbers wrap around
    assert Sharding(2, 1, 3, "murmurhash3_x86_128").chunks((4, 4, 4)) is None
    assert Sharding(2, 1, 0, "murmurhash3_x86_128").chunks((4, 4, 4)) == (4, 4, 4)  # one shard
    assert Sharding(2, 1, 3).chunks((4, 4, 4)) == (2, 2, 2)
    assert Sharding(2, 1, 2).chunks((1, 8, 4)) == (1, 2, 4)


@pytest.mark.parametrize(
    ("shard", "bits"), [((1, 1, 2), 1), ((1, 2, 2), 2), ((2, 2, 2), 3), ((2, 2, 4), 4)]
)
def test_sharding_of_a_shape(shard: tuple[int, int, int], bits: int) -> None:
    sharding = sharding_of(shard, (1, 1, 1), (8, 8, 8), compress=True)
    assert (sharding.preshift_bits, sharding.minishard_bits, sharding.shard_bits) == (
        bits,
        0,
        9 - bits,
    )
    assert sharding.chunks((8, 8, 8)) == shard


def test_a_shard_may_reach_over_the_volume() -> None:
    assert sharding_of((4, 8, 8), (2, 2, 2), (2, 9, 16), compress=False).chunks((1, 5, 8)) == (
        1,
        4,
        4,
    )


@pytest.mark.parametrize("shard", [(4, 1, 1), (1, 2, 1), (3, 3, 3), (2, 2, 1)])
def test_shapes_that_no_shard_has(shard: tuple[int, int, int]) -> None:
    with pytest.raises(GeometryError, match=r"choose a shard_shape among \(1, 1, 2\), \(1, 2, 2\)"):
        sharding_of(shard, (1, 1, 1), (8, 8, 8), compress=True)


@pytest.mark.parametrize("index", ["raw", "gzip"])
@pytest.mark.parametrize("data", ["raw", "gzip"])
@pytest.mark.parametrize("bits", [(0, 0, 0), (2, 3, 1), (0, 4, 0)])
def test_packed_shards_are_read_by_tensorstore(
    tmp_path, bits: tuple[int, int, int], data: str, index: str
) -> None:
    import tensorstore as ts

    sharding = Sharding(*bits, "identity", index, data)
    rng = np.random.default_rng(1)
    count = 1 << sum(bits[:2])
    numbers = sorted(rng.choice(count, max(1, count - 3), replace=False).tolist())
    chunks = {n: rng.bytes(int(rng.integers(1, 50))) for n in numbers}
    (tmp_path / "0.shard").write_bytes(pack_shard(chunks, sharding))
    spec = {
        "driver": "neuroglancer_uint64_sharded",
        "metadata": sharding.to_json(),
        "base": f"file://{tmp_path}/",
    }
    store = ts.KvStore.open(spec).result()
    for number in range(count):
        found = store.read(number.to_bytes(8, "big")).result()
        assert (found.value if found.state == "value" else None) == chunks.get(number)
    ShardingSpecification.from_dict(sharding.to_json()).validate()
