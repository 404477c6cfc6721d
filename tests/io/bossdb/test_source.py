"""Channels as volumes: types, levels, coordinates, and what is said when they cannot be read."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError, SourceError
from volkit.geometry import Box, Coord
from volkit.io import OpenOptions, Volume, open_volume
from volkit.io.axes import Array
from volkit.io.bossdb.source import open_bossdb
from volkit.io.sources import CacheOptions
from volkit.testing.servers.boss import BossServer
from volkit.testing.source_contract import SourceTests
from volkit.testing.strategies import boxes

_NUMBERS = count()


class BossTests(SourceTests):
    """What a source must keep, over a channel whose frame begins at zero."""

    shape = (19, 30, 41)
    voxel_size_nm = (40.0, 4.0, 4.0)
    read_only = False
    server: BossServer

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _running(cls, server: BossServer) -> None:
        cls.server = server

    def store(self, folder: Path, values: Array) -> Volume:
        del folder
        collection = f"{self.dtype}_{next(_NUMBERS)}"
        self.server.add(
            collection,
            "exp",
            "em",
            values,
            voxel_size_nm=self.voxel_size_nm,
            origin=self.start,
            kind="annotation" if self.dtype == "uint64" else "image",
        )
        return open_volume(f"bossdb://{collection}/exp/em?host={self.server.url}")


class TestUint8(BossTests):
    dtype = "uint8"


class TestUint16(BossTests):
    dtype = "uint16"
    start = (100, 500, 1000)


class TestUint64(BossTests):
    dtype = "uint64"


class TestUint32(BossTests):
    """Known to the service, not to intern, which refuses to open it."""

    dtype = "uint32"
    read_only = True


def noise(shape: Coord, dtype: str = "uint8", seed: int = 0) -> Array:
    """Make voxels without two that are alike in a row."""
    return np.random.default_rng(seed).integers(1, 250, shape).astype(dtype)


def add(server: BossServer, name: str, values: Array, **options: Any) -> str:
    collection, experiment, channel = name.split("/")
    server.add(collection, experiment, channel, values, **options)
    return f"bossdb://{name}?host={server.url}"


def kept(server: BossServer, name: str, level: int = 0) -> Array:
    collection, experiment, channel = name.split("/")
    return server.voxels(collection, experiment, channel, level)


@pytest.mark.parametrize("hierarchy", ["anisotropic", "isotropic"])
def test_any_box_at_any_level(server: BossServer, name: str, hierarchy: str) -> None:
    """Odd extents: what the service has at a level is what is read there, voxel by voxel."""
    uri = add(
        server,
        name,
        noise((21, 61, 43)),
        levels=3,
        hierarchy=hierarchy,
        voxel_size_nm=(40, 4, 4),
    )
    volumes = [open_volume(uri, level=level) for level in range(3)]
    deep = hierarchy == "isotropic"
    assert [v.shape for v in volumes] == [
        (21, 61, 43),
        (11 if deep else 21, 31, 22),
        (6 if deep else 21, 16, 11),
    ]
    assert [v.voxel_size_nm for v in volumes] == [
        (40, 4, 4),
        (80 if deep else 40, 8, 8),
        (160 if deep else 40, 16, 16),
    ]
    assert volumes[0].levels == 3

    @given(st.integers(0, 2), st.data())
    def equals_the_servers_array(level: int, data: st.DataObject) -> None:
        box = data.draw(boxes(volumes[level].domain))
        np.testing.assert_array_equal(
            volumes[level].read(box), kept(server, name, level)[box.slices]
        )

    equals_the_servers_array()


def test_coordinates_are_absolute(server: BossServer, name: str) -> None:
    values = noise((40, 61, 73))
    volume = open_volume(
        add(server, name, values, origin=(100, 200, 300), voxel_size_nm=(40, 4, 4))
    )
    assert str(volume.domain) == "[100:140, 200:261, 300:373]"
    box = Box((103, 250, 301), (105, 261, 302))
    np.testing.assert_array_equal(volume.read(box), values[3:5, 50:61, 1:2])
    assert volume.scale.to_nm((100, 200, 300)) == (4000, 800, 1200)
    with pytest.raises(GeometryError, match=r"\[99:101, .* which covers \[100:140, 200:261, 300"):
        volume.read(Box((99, 200, 300), (101, 201, 301)))


def test_chunks_are_cuboids_on_absolute_multiples(server: BossServer, name: str) -> None:
    values = noise((40, 30, 600))
    volume = open_volume(add(server, name, values, origin=(100, 510, 520)))
    server.clear_requests()
    np.testing.assert_array_equal(volume.read(), values)
    paths = [r.path.partition("?")[0] for r in server.requests if "/cutout/" in r.path]
    assert paths
    for path in paths:
        x, y, z = (tuple(map(int, span.split(":"))) for span in path.rstrip("/").split("/")[-3:])
        for (start, stop), n, (first, end) in (
            (x, 512, (520, 1120)),
            (y, 512, (510, 540)),
            (z, 16, (100, 140)),
        ):
            assert start % n == 0 or start == first
            assert stop % n == 0 or stop == end


def test_overlapping_reads_ask_for_each_cuboid_once(server: BossServer, name: str) -> None:
    values = noise((32, 600, 600))
    volume = open_volume(add(server, name, values))
    server.clear_requests()
    for start in range(0, 500, 100):
        box = Box((8, start, start), (24, start + 100, start + 100))
        np.testing.assert_array_equal(volume.read(box), values[box.slices])
    paths = [r.path for r in server.requests if "/cutout/" in r.path]
    assert 0 < len(paths) == len(set(paths)) <= 8


def test_centres_at_each_level(server: BossServer, name: str) -> None:
    """The same place in nanometres is the same tissue: that of the first voxel taken."""
    uri = add(
        server, name, noise((8, 32, 32)), levels=3, hierarchy="isotropic", voxel_size_nm=(8, 4, 4)
    )
    for level in range(3):
        volume = open_volume(uri, level=level)
        size = 2**level
        first = volume.scale.to_nm((0, 0, 0))
        assert first == (8 * (size - 1) / 2, 4 * (size - 1) / 2, 4 * (size - 1) / 2)


def test_levels_of_a_frame_that_does_not_begin_at_zero(server: BossServer, name: str) -> None:
    """What the service gives out at a level is read there; what it does not is not promised."""
    uri = add(server, name, noise((30, 100, 200)), levels=2, origin=(3, 5, 7))
    volume = open_volume(uri, level=1)
    assert volume.domain.stop == (33, 53, 104)
    whole = kept(server, name, 1)
    first = (3, 2, 3)
    inside = Box(volume.domain.start, volume.domain.stop).relative_to(
        Box.from_shape(whole.shape, first)
    )
    np.testing.assert_array_equal(volume.read(), whole[inside.slices])


def test_a_level_that_lies_out_of_reach(server: BossServer, name: str) -> None:
    uri = add(server, name, noise((8, 20, 20)), levels=3, origin=(100, 300, 300))
    with pytest.raises(SourceError, match="which the service refuses, since its level 0 begins"):
        open_volume(uri, level=2)


def test_single_planes_and_voxels(server: BossServer, name: str) -> None:
    values = noise((1, 513, 1))
    volume = open_volume(add(server, name, values))
    assert volume.read().shape == (1, 513, 1)
    found = volume.read(Box((0, 512, 0), (1, 513, 1)))
    assert found.shape == (1, 1, 1)
    assert found[0, 0, 0] == values[0, 512, 0]


def test_units_of_the_frame(server: BossServer, name: str) -> None:
    uri = add(server, name, noise((2, 3, 4)), voxel_size_nm=(2, 0.5, 0.5), unit="micrometers")
    volume = open_volume(uri)
    assert volume.voxel_size_nm == (2000, 500, 500)
    assert volume.attributes["voxel_unit"] == "micrometers"


def test_a_voxel_size_that_the_caller_knows(server: BossServer, name: str) -> None:
    uri = add(server, name, noise((2, 30, 40)), origin=(10, 20, 30), levels=1)
    volume = open_volume(uri, voxel_size_nm=(50, 5, 5))
    assert volume.scale.to_nm((10, 20, 30)) == (500, 100, 150)


def test_says_what_the_service_says(server: BossServer, name: str) -> None:
    volume = open_volume(add(server, name, noise((2, 3, 4), "uint64"), kind="annotation"))
    collection, experiment, channel = name.split("/")
    said = {"collection": collection, "experiment": experiment, "channel": channel}
    assert said.items() <= volume.attributes.items()
    assert volume.attributes["type"] == "annotation"


def test_results_are_the_callers(server: BossServer, name: str) -> None:
    uri = add(server, name, noise((40, 30, 600)))
    for cache in (None, CacheOptions(memory_bytes=0)):
        for box in (None, Box((0, 0, 0), (1, 1, 1))):
            found = open_volume(uri, cache=cache).read(box)
            assert found.flags.writeable
            assert found.flags.c_contiguous


def test_sixteen_threads_on_one_handle(server: BossServer, name: str) -> None:
    values = noise((64, 600, 600))
    volume = open_volume(add(server, name, values), cache=CacheOptions(memory_bytes=0))
    parts = [Box((z, y, 0), (z + 8, y + 300, 600)) for z in range(0, 64, 8) for y in (0, 300)]
    with ThreadPoolExecutor(16) as pool:
        for box, found in zip(parts, pool.map(volume.read, parts), strict=True):
            np.testing.assert_array_equal(found, values[box.slices])


def test_levels_that_were_not_computed_are_mentioned(
    server: BossServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    uri = add(server, name, noise((4, 40, 40)), levels=2)
    for most in (2**20, 2**21):  # opened twice, said once
        open_volume(uri, level=1, cache=CacheOptions(most))
    assert caplog.text.count("levels that were not computed read as zeros") == 1


def test_identities_tell_channels_and_levels_apart(server: BossServer, name: str) -> None:
    uri = add(server, name, noise((4, 40, 40)), levels=2)
    options = OpenOptions(cache=CacheOptions())
    levels = [open_bossdb(uri, level, options).identity() for level in (0, 1)]
    assert len(set(levels)) == 2
    other = add(server, f"{name}2", noise((4, 40, 40)), levels=2)
    assert open_bossdb(other, 0, options).identity() not in levels
    assert open_bossdb(uri, 0, options).identity() == levels[0]
