"""The cache of decoded chunks: equal to direct reads, each chunk once, never over the budget."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import MissingChunkError, SourceError
from volkit.geometry import Box, Coord, Grid
from volkit.io import Volume, create_volume, open_volume
from volkit.io.cache.source import CachedSource
from volkit.io.sources import CacheOptions, Source
from volkit.testing.chunked_source import ChunkedSource
from volkit.testing.source_contract import SourceTests
from volkit.testing.strategies import boxes

CHUNK = 4 * 8 * 8 * 4  # bytes of a chunk of uint32
ROOMY = CacheOptions(memory_bytes=2**24)
SHAPE = (13, 30, 21)


def ramp(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.arange(prod(shape), dtype=np.uint32).reshape(shape)


def cached(source: Source, options: CacheOptions = ROOMY) -> CachedSource:
    found = CachedSource.around(source, options)
    assert isinstance(found, CachedSource)
    return found


class TestCached(SourceTests):
    start = (3, 0, 5)
    voxel_size_nm = (40.0, 4.0, 4.0)
    read_only = False

    def store(self, folder: Path, values: np.ndarray) -> Volume:
        create_volume(
            folder / "em.zarr",
            shape=self.shape,
            dtype=self.dtype,
            start=self.start,
            voxel_size_nm=self.voxel_size_nm,
            chunk_shape=(4, 8, 8),
        ).write(Box.from_shape(self.shape, self.start), values)
        return open_volume(folder / "em.zarr", cache=CacheOptions(memory_bytes=3000))


@given(
    data=st.data(),
    channels=st.sampled_from([None, 2]),
    start=st.sampled_from([(0, 0, 0), (-1, -3, -7)]),
    request=st.sampled_from([None, (4, 8, 8), (8, 8, 16)]),
    budget=st.sampled_from([1, CHUNK, 5 * CHUNK, 2**24]),
)
def test_any_sequence_of_boxes_equals_direct_reads(
    data: st.DataObject,
    channels: int | None,
    start: Coord,
    request: Coord | None,
    budget: int,
) -> None:
    values = ramp(SHAPE if channels is None else (channels, *SHAPE))
    source = cached(
        ChunkedSource(values, chunk_start=start, request_shape=request),
        CacheOptions(memory_bytes=budget),
    )
    for box in data.draw(st.lists(boxes(Box.from_shape(SHAPE)), max_size=6)):
        found = source.read(box)
        np.testing.assert_array_equal(found, values[(..., *box.slices)])
        assert found.flags.c_contiguous
        assert found.flags.writeable
        assert source.statistics().bytes_held <= budget


@given(parts=st.lists(boxes(Box.from_shape(SHAPE)), min_size=1, max_size=8))
def test_each_chunk_is_fetched_once(parts: list[Box]) -> None:
    values = ramp()
    inner = ChunkedSource(values, chunk_start=(-1, 0, -5))
    source = cached(inner)
    for box in parts:
        source.read(box)
    fetched = np.zeros(SHAPE, int)
    for box in inner.asked:
        fetched[box.slices] += 1
    assert fetched.max() == 1
    assert all(fetched[box.slices].all() for box in parts)
    told = source.statistics()
    assert told.requests == len(inner.asked)
    assert told.reads == len(parts)
    assert told.bytes_fetched == 4 * fetched.sum()


def test_what_is_read_is_the_callers() -> None:
    source = cached(ChunkedSource(ramp((4, 8, 8))))
    whole = Box.from_shape((4, 8, 8))
    source.read(whole)[...] = 0
    np.testing.assert_array_equal(source.read(whole), ramp((4, 8, 8)))


def test_neighbours_are_fetched_together() -> None:
    inner = ChunkedSource(ramp((32, 8, 8)), request_shape=(16, 8, 8))
    source = cached(inner)
    source.read(Box((9, 0, 0), (10, 8, 8)))
    source.read(Box((0, 0, 0), (32, 8, 8)))
    assert sorted(map(str, inner.asked[1:])) == [
        "[0:8, 0:8, 0:8]",
        "[12:16, 0:8, 0:8]",
        "[16:32, 0:8, 0:8]",
    ]
    told = source.statistics()
    assert (told.requests, told.chunks_fetched, told.hits) == (4, 8, 1)


def test_requests_are_made_at_once() -> None:
    together = threading.Barrier(4, timeout=20)
    inner = ChunkedSource(ramp((16, 8, 8)), request_shape=(4, 8, 8), before=lambda _: meet())

    def meet() -> None:
        together.wait()

    np.testing.assert_array_equal(cached(inner).read(Box.from_shape((16, 8, 8))), inner.values)
    assert len(inner.asked) == 4


def test_threads_that_ask_at_the_same_time_share_one_fetch() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hold(box: Box) -> None:
        entered.set()
        assert go_on.wait(20)

    inner = ChunkedSource(ramp((4, 8, 8)), before=hold)
    source = cached(inner)
    box = Box.from_shape((4, 8, 8))
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(source.read, box)
        assert entered.wait(20)
        others = [pool.submit(source.read, box) for _ in range(3)]
        while source.statistics().hits < 3:
            pass
        go_on.set()
        for future in (first, *others):
            np.testing.assert_array_equal(future.result(), inner.values)
    assert len(inner.asked) == 1


def failing(chunk: int, error: Callable[[], Exception]) -> Callable[[Box], None]:
    def before(box: Box) -> None:
        if box.start[0] <= 4 * chunk < box.stop[0]:
            raise error()

    return before


def test_errors_are_not_kept() -> None:
    inner = ChunkedSource(ramp(), before=failing(0, lambda: SourceError("the store is away")))
    source = cached(inner)
    for _ in range(2):
        with pytest.raises(SourceError, match="the store is away"):
            source.read(Box.from_shape((1, 1, 1)))
    inner.before = lambda box: None
    assert source.read(Box.from_shape((1, 1, 1))) == 0
    assert len(inner.asked) == 3


def test_an_error_reaches_all_that_wait_for_its_chunk_and_nobody_else() -> None:
    entered, go_on = threading.Event(), threading.Event()
    missing = failing(1, lambda: MissingChunkError("chunk 1 is not stored"))

    def before(box: Box) -> None:
        entered.set()
        assert go_on.wait(20)
        missing(box)

    inner = ChunkedSource(ramp((16, 8, 8)), before=before)
    source = cached(inner)
    with ThreadPoolExecutor(4) as pool:
        whole = pool.submit(source.read, Box.from_shape((16, 8, 8)))
        assert entered.wait(20)
        other = pool.submit(source.read, Box((8, 0, 0), (12, 8, 8)))
        same = pool.submit(source.read, Box((5, 0, 0), (6, 1, 1)))
        while source.statistics().hits < 2:
            pass
        go_on.set()
        for future in (whole, same):
            with pytest.raises(MissingChunkError, match="chunk 1 is not stored"):
                future.result()
        np.testing.assert_array_equal(other.result(), inner.values[8:12])


def test_a_store_that_is_away_is_asked_once_for_chunks_that_go_together() -> None:
    def away(box: Box) -> None:
        try:
            raise ConnectionResetError
        except ConnectionResetError as error:
            raise SourceError("gave up after 8 attempts") from error

    inner = ChunkedSource(ramp((16, 8, 8)), before=away)
    with pytest.raises(SourceError, match="gave up"):
        cached(inner).read(Box.from_shape((16, 8, 8)))
    assert len(inner.asked) == 1


def test_an_interrupted_fetch_leaves_nobody_waiting() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def before(box: Box) -> None:
        if not entered.is_set():
            entered.set()
            assert go_on.wait(20)
            raise KeyboardInterrupt

    inner = ChunkedSource(ramp((4, 8, 8)), before=before)
    source = cached(inner)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(source.read, Box.from_shape((4, 8, 8)))
        assert entered.wait(20)
        second = pool.submit(source.read, Box.from_shape((4, 8, 8)))
        while not source.statistics().hits:
            pass
        go_on.set()
        np.testing.assert_array_equal(second.result(), inner.values)
        with pytest.raises(KeyboardInterrupt):
            first.result()


def test_sources_with_equal_options_share_the_budget() -> None:
    options = CacheOptions(memory_bytes=3 * CHUNK + 7)
    sources = [cached(ChunkedSource(ramp((16, 8, 8))), options) for _ in range(2)]
    for _ in range(2):
        for source in sources:
            source.read(Box.from_shape((16, 8, 8)))
            assert source.statistics().bytes_held == 3 * CHUNK


def test_the_chunk_that_was_not_used_for_longest_goes_first() -> None:
    inner = ChunkedSource(ramp((12, 8, 8)))
    source = cached(inner, CacheOptions(memory_bytes=2 * CHUNK + 1))
    for z in (0, 4, 0, 8, 0):
        source.read(Box((z, 0, 0), (z + 1, 1, 1)))
    assert [box.start[0] for box in inner.asked] == [0, 4, 8]
    source.read(Box((4, 0, 0), (5, 1, 1)))
    assert len(inner.asked) == 4


def test_a_chunk_larger_than_the_budget_passes_through() -> None:
    inner = ChunkedSource(ramp((4, 8, 8)))
    source = cached(inner, CacheOptions(memory_bytes=CHUNK - 1))
    for _ in range(2):
        np.testing.assert_array_equal(
            source.read(Box((1, 2, 3), (2, 4, 8))), inner.values[1:2, 2:4, 3:8]
        )
    assert len(inner.asked) == 2
    assert source.statistics().bytes_held == 0


def test_no_cache_leaves_the_source_as_it_is() -> None:
    inner = ChunkedSource(ramp())
    assert CachedSource.around(inner, CacheOptions(memory_bytes=0)) is inner
    twice = CachedSource.around(cached(inner), CacheOptions(memory_bytes=5))
    assert isinstance(twice, CachedSource)
    assert twice.inner is inner


def test_what_is_written_is_read() -> None:
    inner = ChunkedSource(ramp())
    source = cached(inner)
    whole, part = Box.from_shape(SHAPE), Box((4, 8, 8), (8, 16, 16))
    source.read(whole)
    asked = len(inner.asked)
    source.write(part, np.zeros(part.shape, np.uint32))
    assert not source.read(part).any()
    np.testing.assert_array_equal(source.read(whole), inner.values)
    assert len(inner.asked) == asked + 1


def test_a_fetch_that_meets_a_write_is_not_kept() -> None:
    entered, go_on = threading.Event(), threading.Event()
    inner = ChunkedSource(ramp((4, 8, 8)))
    old = inner.values.copy()

    class Slow(ChunkedSource):
        def read(self, box: Box) -> Any:
            found = super().read(box)
            entered.set()
            assert go_on.wait(20)
            return found

    slow = Slow(inner.values)
    source, box = cached(slow), Box.from_shape((4, 8, 8))
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(source.read, box)
        assert entered.wait(20)
        source.write(box, np.zeros(box.shape, np.uint32))
        go_on.set()
        np.testing.assert_array_equal(early.result(), old)
    assert not source.read(box).any()


def test_options_that_decide_voxels_do_not_share_chunks(tmp_path: Path) -> None:
    values = ramp((6, 6, 6))
    np.save(tmp_path / "em.npy", values)
    zyx, xyz = (open_volume(tmp_path / "em.npy", axes=a, cache=ROOMY) for a in ("zyx", "xyz"))
    np.testing.assert_array_equal(zyx.read(), values)
    np.testing.assert_array_equal(xyz.read(), values.T)


def test_a_volume_that_is_created_anew_is_read_anew() -> None:
    for value in (1, 2):
        made = create_volume(
            "memory://cache-anew.zarr", shape=(4, 8, 8), dtype=np.uint8, overwrite=value == 2
        )
        made.write(made.domain, np.full((4, 8, 8), value, np.uint8))
        assert (open_volume("memory://cache-anew.zarr", cache=ROOMY).read() == value).all()


FORK = """
import multiprocessing as mp, numpy as np
from volkit.geometry import Box
from volkit.io.sources import CacheOptions
from volkit.io.cache.source import CachedSource
from volkit.testing.chunked_source import ChunkedSource
values = np.arange(32 * 64).reshape(32, 8, 8)
source = CachedSource.around(
    ChunkedSource(values, request_shape=(4, 8, 8)), CacheOptions(memory_bytes=9000)
)
def look():
    raise SystemExit(int((source.read(Box.from_shape((32, 8, 8))) != values).any()))
source.read(Box.from_shape((32, 8, 8)))
child = mp.get_context("fork").Process(target=look)
child.start()
child.join(20)
print(child.exitcode)
"""


def test_a_forked_process_reads() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"


def test_overlapping_windows_fetch_each_cuboid_about_once() -> None:
    """Windows of 128³ at half overlap, cuboids of 512 x 512 x 16, 4 GiB, 2048³: all sixteen times
    smaller, which changes no decision of the cache."""
    inner = ChunkedSource(np.zeros((128, 128, 128), np.uint8), chunk_shape=(1, 32, 32))
    source = cached(inner, CacheOptions(memory_bytes=2**32 // 16**3))
    windows = Grid(Box.from_shape((31, 31, 31)), (1, 1, 1))
    for number in windows.morton():
        z, y, x = (4 * i for i in windows[number].index)
        source.read(Box.from_shape((8, 8, 8), (z, y, x)))
    told = source.statistics()
    assert told.bytes_fetched <= 1.05 * inner.values.nbytes
    assert told.bytes_held <= 2**20
