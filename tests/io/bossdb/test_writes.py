"""Writes: what was there is replaced, zeros included, cuboid by cuboid."""

import numpy as np
import pytest

from volkit.errors import ContractError, GeometryError, SourceError
from volkit.geometry import Box
from volkit.io import OpenOptions, open_volume
from volkit.io.axes import Array
from volkit.io.bossdb.source import BossSource, open_bossdb
from volkit.io.faults import Patience
from volkit.io.sources import CacheOptions
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.faults import FaultProxy

SHAPE = (20, 520, 530)
START = (100, 300, 400)


def place(server: BossServer, name: str, values: Array, **options: object) -> str:
    collection, experiment, channel = name.split("/")
    server.add(collection, experiment, channel, values, kind="annotation", **options)
    return f"bossdb://{name}?host={server.url}"


def kept(server: BossServer, name: str, level: int = 0) -> Array:
    collection, experiment, channel = name.split("/")
    return server.voxels(collection, experiment, channel, level)


def ids(seed: int = 0) -> Array:
    """Make large ids with background between them, and blocks that hold nothing at all."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, SHAPE).astype(np.uint64) * np.uint64(2**61 + seed)
    values[:16] = 0
    return values


def test_what_was_there_is_replaced(server: BossServer, name: str) -> None:
    before = np.full(SHAPE, 7, np.uint64)
    volume = open_volume(place(server, name, before, origin=START))
    values = ids()
    assert (volume.read() == 7).all()
    volume.write(volume.domain, values)
    np.testing.assert_array_equal(kept(server, name), values)
    np.testing.assert_array_equal(volume.read(), values)


def test_one_cuboid(server: BossServer, name: str) -> None:
    before = np.full(SHAPE, 7, np.uint64)
    volume = open_volume(place(server, name, before, origin=START))
    box = Box((112, 512, 512), (120, 820, 930))
    values = ids()[12:, :308, :418]
    volume.write(box, values)
    expected = before.copy()
    expected[12:, 212:, 112:] = values
    np.testing.assert_array_equal(kept(server, name), expected)


def test_empty_boxes_are_cleared_and_not_sent(server: BossServer, name: str) -> None:
    volume = open_volume(place(server, name, np.full(SHAPE, 7, np.uint64)))
    server.clear_requests()
    box = Box((0, 0, 0), (16, 512, 512))
    volume.write(box, np.zeros(box.shape, np.uint64))
    assert not kept(server, name)[box.slices].any()
    assert {r.method for r in server.requests if "/cutout/" in r.path} == {"PUT"}


def test_boxes_without_zeros_are_not_cleared(server: BossServer, name: str) -> None:
    volume = open_volume(place(server, name, np.full(SHAPE, 7, np.uint64)))
    server.clear_requests()
    box = Box((0, 0, 0), (16, 512, 512))
    volume.write(box, np.full(box.shape, 9, np.uint64))
    assert (kept(server, name)[box.slices] == 9).all()
    assert {r.method for r in server.requests if "/cutout/" in r.path} == {"POST"}


def test_adding_without_clearing(server: BossServer, name: str) -> None:
    uri = place(server, name, np.full(SHAPE, 7, np.uint64))
    source = open_bossdb(uri, 0, OpenOptions(cache=CacheOptions()))
    assert isinstance(source, BossSource)
    values = ids()
    source.write(Box.from_shape(SHAPE), values, overwrite=False)
    np.testing.assert_array_equal(kept(server, name), np.where(values, values, 7))


def test_sums_that_overflow_to_zero_are_written(server: BossServer, name: str) -> None:
    """What intern takes for empty: the sum of these ids is 0 modulo 2**64."""
    volume = open_volume(place(server, name, np.zeros((2, 3, 4), np.uint64)))
    values = np.zeros((2, 3, 4), np.uint64)
    values[0, 0, :2] = 2**63
    volume.write(volume.domain, values)
    np.testing.assert_array_equal(kept(server, name), values)


def test_an_image(server: BossServer, name: str) -> None:
    collection, experiment, channel = name.split("/")
    server.add(collection, experiment, channel, np.full((20, 30, 40), 3, np.uint16))
    volume = open_volume(f"bossdb://{name}?host={server.url}")
    values = np.random.default_rng(0).integers(0, 2**16, volume.shape, np.uint16)
    volume.write(volume.domain, values)
    np.testing.assert_array_equal(kept(server, name), values)


def test_two_writers_cannot_share_a_cuboid(server: BossServer, name: str) -> None:
    volume = open_volume(place(server, name, np.zeros(SHAPE, np.uint64), origin=START))
    box = Box((100, 300, 400), (120, 820, 900))
    with pytest.raises(GeometryError, match=r"cuts stored objects .* counted from \(96, 0, 0\)"):
        volume.write(box, np.zeros(box.shape, np.uint64))


def test_other_types_are_refused(server: BossServer, name: str) -> None:
    volume = open_volume(place(server, name, np.zeros((2, 3, 4), np.uint64)))
    with pytest.raises(ContractError, match="values are int64, .* holds uint64"):
        volume.write(volume.domain, np.zeros((2, 3, 4), np.int64))


def test_uint32_is_read_and_not_written(server: BossServer, name: str) -> None:
    values = np.arange(24, dtype=np.uint32).reshape(2, 3, 4) + np.uint32(2**31)
    volume = open_volume(place(server, name, values))
    np.testing.assert_array_equal(volume.read(), values)
    with pytest.raises(SourceError, match="read-only: it holds uint32, .*channel of uint64"):
        volume.write(volume.domain, values)


def test_faults_while_writing(server: BossServer, name: str, patience: Patience) -> None:
    uri = place(server, name, np.full(SHAPE, 7, np.uint64))
    with FaultProxy(server.url, seed=1) as proxy:
        volume = open_volume(uri.replace(server.url, proxy.url), patience=patience)
        proxy.inject(("503", "429", "reset", "absent"), share=0.4, match="/cutout/")
        values = ids()
        volume.write(volume.domain, values)
        assert sum(proxy.counts.values()) > proxy.counts["ok"]
    np.testing.assert_array_equal(kept(server, name), values)


def test_too_large_to_write_is_halved(server: BossServer, name: str) -> None:
    volume = open_volume(place(server, name, np.full(SHAPE, 7, np.uint64)))
    values = ids()
    server.fail(413, 3)
    volume.write(volume.domain, values)
    np.testing.assert_array_equal(kept(server, name), values)


def test_a_token_that_may_not_write(name: str, patience: Patience) -> None:
    with BossServer() as server:
        volume = open_volume(place(server, name, np.zeros((2, 3, 4), np.uint64)), patience=patience)
        server.fail(403, 1)
        with pytest.raises(SourceError, match="403 .*Check the token .*that it may do this"):
            volume.write(volume.domain, np.ones((2, 3, 4), np.uint64))
