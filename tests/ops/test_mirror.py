"""Mirrors: the same voxels at the same coordinates, checked, resumable, and asked for once."""

import os
import re
import signal
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.base import Progress
from volkit.engine.cluster import local_client
from volkit.errors import SourceError, StaleLedgerError
from volkit.geometry import Box, Coord
from volkit.io import Volume, create_volume, open_volume
from volkit.io.faults import Patience
from volkit.io.registry import forget_opened
from volkit.io.sources import CacheOptions, OpenOptions
from volkit.ops.mirror import MirrorTask, mirror
from volkit.ops.mirror_plan import plan_mirror
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.s3 import S3Server
from volkit.testing.strategies import boxes, shapes

SHAPE, START, SIZE = (20, 45, 50), (3, -4, 7), (40.0, 4.0, 4.5)
QUICK = Patience(first_wait_seconds=0.001, most_wait_seconds=0.01, deadline_seconds=20)


def voxels(shape: tuple[int, ...], dtype: str = "uint16", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2 if dtype == "bool" else 200, shape).astype(dtype)


def store(path: Path, values: np.ndarray, **layout: Any) -> Volume:
    volume = create_volume(
        path,
        shape=values.shape[-3:],
        dtype=values.dtype,
        channels=values.shape[0] if values.ndim == 4 else None,
        voxel_size_nm=SIZE,
        start=START,
        origin_nm=(5.0, 6.0, 7.0),
        **layout,
    )
    volume.write(volume.domain, values)
    return volume


@pytest.fixture(scope="module")
def em(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    path = tmp_path_factory.mktemp("em") / "em.zarr"
    return store(path, voxels(SHAPE), chunk_shape=(4, 8, 8), shard_shape=(8, 16, 16))


@settings(max_examples=20)
@given(data=st.data())
def test_any_part_in_any_blocks(
    data: st.DataObject, em: Volume, tmp_path_factory: pytest.TempPathFactory
) -> None:
    part = em.cutout(data.draw(boxes(em.domain)))
    block = data.draw(st.none() | shapes(smallest=3, largest=30))
    copy = mirror(part, str(tmp_path_factory.mktemp("copy") / "c.zarr"), block_shape=block)
    np.testing.assert_array_equal(copy.read(), part.read())
    assert copy.domain == part.domain
    assert copy.scale == part.scale


@pytest.mark.parametrize(
    ("shape", "dtype", "target"),
    [
        (SHAPE, "uint8", "copy.zarr"),
        (SHAPE, "bool", "copy.zarr"),
        ((2, *SHAPE), "float32", "copy.zarr"),
        ((1, *SHAPE), "uint8", "copy.zarr"),
        ((1, 45, 50), "uint64", "copy.zarr"),
        (SHAPE, "uint64", "precomputed"),
        ((3, *SHAPE), "uint8", "precomputed"),
    ],
)
def test_kinds_of_volumes(tmp_path: Path, shape: tuple[int, ...], dtype: str, target: str) -> None:
    source = store(tmp_path / "em.zarr", voxels(shape, dtype))
    place = f"precomputed://{tmp_path}/layer" if target == "precomputed" else str(tmp_path / target)
    copy = mirror(source, place, block_shape=(16, 16, 32))
    np.testing.assert_array_equal(copy.read(), voxels(shape, dtype))
    assert (copy.dtype, copy.channels, copy.domain) == (
        source.dtype,
        source.channels,
        source.domain,
    )
    assert copy.scale == source.scale


def test_what_a_copy_says_of_its_source(em: Volume, tmp_path: Path) -> None:
    part = em.cutout(Box((4, 0, 10), (9, 9, 20)))
    copy = mirror(part, str(tmp_path / "copy.zarr"))
    own = copy.attributes["volkit"]
    assert own["source"] == {
        "uri": em.uri,
        "level": 0,
        "identity": em.identity,
        "box": [[4, 0, 10], [9, 9, 20]],
    }
    assert own["stage"] == "mirror"
    assert own["version"]
    again = mirror(part, str(tmp_path / "again.zarr"))
    assert again.identity == copy.identity  # wherever it lies


def test_progress_tells_bytes(em: Volume, tmp_path: Path) -> None:
    told: list[Progress] = []
    mirror(em, str(tmp_path / "copy.zarr"), block_shape=(8, 16, 16), on_progress=told.append)
    assert (told[0].done, told[-1].done, told[-1].total) == (0, 36, 36)
    assert told[-1].voxels * told[-1].voxel_bytes == 2 * np.prod(SHAPE)


def test_what_lies_there_is_not_overwritten(em: Volume, tmp_path: Path) -> None:
    path = tmp_path / "copy.zarr"
    store(path, voxels(SHAPE, seed=1))
    for replace in (False, True):
        with pytest.raises(StaleLedgerError, match="that no job made, so it is never replaced"):
            mirror(em, str(path), replace_stale=replace)
    np.testing.assert_array_equal(open_volume(path).read(), voxels(SHAPE, seed=1))
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("dear")
    with pytest.raises(SourceError, match="letters exists and is not zarr"):
        mirror(em, str(tmp_path / "letters"))


def test_a_stale_copy_is_refused_or_replaced(em: Volume, tmp_path: Path) -> None:
    target = str(tmp_path / "copy.zarr")
    mirror(em, target)
    part = em.cutout(Box((4, 0, 10), (9, 9, 20)))
    with pytest.raises(StaleLedgerError, match=r"records computation .*domain: .* became"):
        mirror(part, target)
    assert open_volume(target).shape == SHAPE
    np.testing.assert_array_equal(mirror(part, target, replace_stale=True).read(), part.read())
    with pytest.raises(StaleLedgerError, match="block_shape: .* became"):
        mirror(part, target, block_shape=(4, 4, 4))


def test_a_copy_whose_ledger_was_lost_is_made_again(em: Volume, tmp_path: Path) -> None:
    target = tmp_path / "copy.zarr"
    mirror(em, str(target))
    for path in sorted((tmp_path / "copy.zarr.mirror").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    told: list[Progress] = []
    mirror(em, str(target), on_progress=told.append)
    assert told[0].done == 0
    np.testing.assert_array_equal(open_volume(target).read(), em.read())


@pytest.mark.parametrize("target", ["bossdb://c/e/ch", "https://host/em.zarr"])
def test_places_that_hold_no_mirrors(em: Volume, target: str) -> None:
    with pytest.raises(SourceError, match="a mirror cannot be stored at .*choose a path"):
        mirror(em, target)


def test_what_was_written_is_compared(em: Volume, tmp_path: Path) -> None:
    """A layer of JPEG does not hold what was written."""
    image = store(tmp_path / "em.zarr", voxels(SHAPE, "uint8"))
    lossy = create_volume(
        f"precomputed://{tmp_path}/jpeg",
        shape=SHAPE,
        dtype="uint8",
        start=START,
        chunk_shape=(16, 16, 16),
        encoding="jpeg",
    )
    plan = plan_mirror(image, lossy.uri, block_shape=(16, 32, 32))
    with pytest.raises(
        SourceError,
        match=r"voxels \[3:19, -4:28, 7:39\] are not what was written there \(voxels differ\)",
    ) as raised:
        MirrorTask(image, lossy, plan, verify=True)(0)
    assert "volkit: in mirror on block (0, 0, 0)" in raised.value.__notes__[-1]
    MirrorTask(image, lossy, plan, verify=False)(0)


def test_workers_share_the_work(em: Volume, tmp_path: Path) -> None:
    with local_client(2) as client:
        copy = mirror(em, str(tmp_path / "copy.zarr"), block_shape=(8, 16, 16), client=client)
    np.testing.assert_array_equal(copy.read(), em.read())


# ---- from the service: what it is asked for ------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def _no_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield
    forget_opened()


ORIGIN = (5, 300, 700)
BOSS = voxels((40, 400, 900), "uint8", seed=3)


@pytest.fixture(scope="module")
def server() -> Iterator[BossServer]:
    with BossServer() as running:
        running.add("lab", "mouse", "em", BOSS, origin=ORIGIN, voxel_size_nm=SIZE)
        yield running


def asked(server: BossServer) -> list[Box]:
    """What the server was asked for, without repetitions of the client's own."""
    found = []
    for request in server.requests:
        spans = re.search(r"/cutout/.*/0/(\d+):(\d+)/(\d+):(\d+)/(\d+):(\d+)", request.path)
        if request.method == "GET" and spans:
            x0, x1, y0, y1, z0, z1 = map(int, spans.groups())
            found.append(Box((z0, y0, x0), (z1, y1, x1)))
    return found


def boss(server: BossServer, **options: Any) -> Volume:
    return open_volume(f"bossdb://lab/mouse/em?host={server.url}", patience=QUICK, **options)


def test_each_cuboid_is_asked_for_once(server: BossServer, tmp_path: Path) -> None:
    part = boss(server).cutout(Box((6, 310, 710), (44, 690, 1500)))
    server.clear_requests()
    copy = mirror(part, str(tmp_path / "copy.zarr"))
    np.testing.assert_array_equal(copy.read(), BOSS[1:39, 10:390, 10:800])
    unit = plan_mirror(part, "copy.zarr").requests.cell
    assert (unit[0] % 16, *unit[1:]) == (0, 512, 512)
    fetched = np.zeros(part.shape, int)
    cells = set()
    for box in asked(server):
        fetched[box.relative_to(part.domain).slices] += 1
        first = [a // n for a, n in zip(box.start, unit, strict=True)]
        last = [(b - 1) // n for b, n in zip(box.stop, unit, strict=True)]
        assert first == last
        cells.add(tuple(first))
    assert (fetched == 1).all()  # and nothing beyond the part
    assert len(asked(server)) == len(cells) == plan_mirror(part, "copy.zarr").request_count()


def test_blocks_that_cut_cuboids_fetch_them_once(server: BossServer, tmp_path: Path) -> None:
    part = boss(server).cutout(Box((6, 310, 710), (44, 690, 1500)))
    plan = plan_mirror(part, "copy.zarr", block_shape=(19, 200, 400))
    assert len(plan.grid) == 8
    assert plan.chunks_per_chunk() == 3
    server.clear_requests()
    copy = mirror(part, str(tmp_path / "copy.zarr"), block_shape=(19, 200, 400))
    np.testing.assert_array_equal(copy.read(), BOSS[1:39, 10:390, 10:800])
    cuboids: dict[Coord, int] = {}
    for box in asked(server):
        for index in np.ndindex(4, 4, 4):
            z, y, x = index
            cuboid = Box.from_shape((16, 512, 512), (16 * z, 512 * y, 512 * x))
            if box.intersect(cuboid).size:
                cuboids[z, y, x] = cuboids.get((z, y, x), 0) + 1
    assert set(cuboids.values()) == {1}


@pytest.mark.parametrize("verify", [True, "twice"])
def test_faults_change_no_voxel(server: BossServer, tmp_path: Path, verify: Any) -> None:
    modes = ["503", "429", "reset", "truncate", "short"]
    with FaultProxy(server.url, seed=4, stall_seconds=1) as proxy:
        source = open_volume(f"bossdb://lab/mouse/em?host={proxy.url}", patience=QUICK)
        proxy.inject([*modes, "corrupt"] if verify == "twice" else modes, share=0.2)
        copy = mirror(
            source.cutout(Box((6, 310, 710), (44, 690, 1500))),
            str(tmp_path / "copy.zarr"),
            block_shape=(16, 380, 256),
            verify=verify,
        )
        assert sum(proxy.counts.values()) > proxy.counts["ok"]
    np.testing.assert_array_equal(copy.read(), BOSS[1:39, 10:390, 10:800])


KILLED = """
import sys
from volkit.io import open_volume
from volkit.ops.mirror import mirror
def look(state):
    print(state.done, flush=True)
mirror(open_volume(sys.argv[1]), sys.argv[2], block_shape=(16, 100, 512), on_progress=look)
"""


def test_killed_and_resumed(server: BossServer, tmp_path: Path, warm_python) -> None:
    values, target = voxels((80, 100, 1500), "uint8", seed=5), tmp_path / "copy.zarr"
    server.add("lab", "fish", "em", values, origin=(16, 512, 1024))
    source = open_volume(f"bossdb://lab/fish/em?host={server.url}", patience=QUICK)
    server.latency = 0.01
    with warm_python.begin("-c", KILLED, source.uri, target) as process:
        process.wait_for(lambda: max(map(int, process.out.read_text().split()), default=0) >= 4)
        os.kill(process.pid, signal.SIGKILL)
    assert process.wait().returncode == -signal.SIGKILL
    server.latency = 0
    server.clear_requests()
    told: list[Progress] = []
    grid = plan_mirror(source, str(target), block_shape=(16, 100, 512)).grid
    mirror(source, str(target), block_shape=(16, 100, 512), on_progress=told.append)
    resumed = told[0].done
    assert 4 <= resumed < len(grid) == 15
    missing = [grid[number].write for number in list(grid.morton())[resumed:]]
    assert sorted(asked(server)) == sorted(missing)
    np.testing.assert_array_equal(open_volume(target).read(), values)
    whole = mirror(source, str(tmp_path / "whole" / "copy.zarr"), block_shape=(16, 100, 512))
    assert contents(Path(whole.uri)) == contents(target)


def contents(folder: Path) -> dict[Path, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_a_user_who_wants_a_cache_gets_it(server: BossServer, tmp_path: Path) -> None:
    cache = CacheOptions(memory_bytes=0, folder=str(tmp_path / "chunks"))
    part = boss(server, cache=cache).cutout(Box((6, 310, 710), (44, 690, 1500)))
    mirror(part, str(tmp_path / "copy.zarr"))
    server.clear_requests()
    mirror(part, str(tmp_path / "again.zarr"))
    assert asked(server) == []


def test_into_an_object_store_and_on_from_there(
    em: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with S3Server() as s3:
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
        s3.bucket("mirrors")
        target = f"s3://mirrors/em.zarr?endpoint={s3.endpoint}"
        copy = mirror(em, target, block_shape=(8, 16, 32), options=OpenOptions(patience=QUICK))
        np.testing.assert_array_equal(copy.read(), em.read())
        told: list[Progress] = []
        s3.requests.clear()
        mirror(em, target, block_shape=(8, 16, 32), on_progress=told.append)
        assert told[0].done == told[0].total
        assert not [r for r in s3.requests if r.method == "PUT" and "/lock/" not in r.path]
        with pytest.raises(StaleLedgerError, match="block_shape"):
            mirror(em, target, block_shape=(8, 16, 16))
        forget_opened()


def test_memory_does_not_depend_on_the_volume(tmp_path: Path) -> None:
    block = (64, 128, 128)

    def peak(shape: Coord) -> int:
        name = "-".join(map(str, shape))
        source = store(tmp_path / f"{name}.zarr", voxels(shape, "uint8"), chunk_shape=(32, 64, 64))
        tracemalloc.start()
        try:
            mirror(source, str(tmp_path / f"{name}-copy.zarr"), block_shape=block)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(block)  # modules and caches of the first time
    small, large = peak((64, 256, 256)), peak((128, 512, 512))
    assert large < 1.1 * small
    assert small > np.prod(block)
