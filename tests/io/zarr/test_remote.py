"""Zarr in object stores: signed and anonymous, under faults, and told apart when rewritten."""

import os
import pickle
import threading
import traceback
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from volkit.errors import MissingChunkError, SourceError
from volkit.geometry import Box, Grid
from volkit.io import OpenOptions, Volume, create_volume, open_volume
from volkit.io.axes import Array
from volkit.io.faults import Patience
from volkit.io.objects.protocol import open_objects
from volkit.io.registry import forget_opened
from volkit.io.tables import Column, Schema, read_table, write_table
from volkit.io.zarr.remote import RemoteStore
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.s3 import S3Server
from volkit.testing.source_contract import SourceTests

FAST = Patience(attempts=30, first_wait_seconds=0.001, most_wait_seconds=0.002, silence_seconds=0.3)
QUICK = OpenOptions(patience=FAST)
MIXED = ("500", "503", "429", "reset", "truncate", "short", "corrupt", "absent")
SHAPE = (8, 8, 16)
LAYOUT: dict[str, Any] = {"shape": SHAPE, "dtype": "u2", "chunk_shape": (4, 4, 4)}


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server(strict=True) as server, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in server.environment().items():
            patch.setenv(name, value)
        server.bucket("vol")
        server.bucket("open", public=True)
        yield server


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.endpoint, seed=3, stall_seconds=1) as proxy:
        yield proxy


@pytest.fixture
def values() -> Array:
    return np.random.default_rng(1).integers(0, 2**16, SHAPE).astype("u2")


def created(uri: str, **layout: Any) -> Volume:
    return create_volume(uri, options=QUICK, **(LAYOUT | layout))


@pytest.mark.usefixtures("server")
class TestS3(SourceTests):
    """The contract, in a bucket."""

    read_only = False

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def endpoint(cls, server: S3Server) -> None:
        cls.url = server.endpoint

    @pytest.fixture(scope="class")
    @classmethod
    def volume(cls, endpoint: None, values: Array, tmp_path_factory: Any) -> Volume:
        return cls().store(tmp_path_factory.mktemp("source"), values)

    def store(self, folder: Path, values: Array) -> Volume:
        volume = create_volume(
            f"s3://vol/{folder.name}/em.zarr?endpoint={self.url}",
            shape=self.shape,
            dtype=self.dtype,
            chunk_shape=(4, 8, 8),
            shard_shape=(8, 16, 16),
        )
        volume.write(volume.domain, values)
        return volume


class TestMemory(SourceTests):
    """The contract, in this process."""

    read_only = False
    channels = 2

    def store(self, folder: Path, values: Array) -> Volume:
        volume = create_volume(
            f"memory://{folder.name}/em.zarr", shape=self.shape, dtype=self.dtype, channels=2
        )
        volume.write(volume.domain, values)
        return volume


@pytest.mark.parametrize("shard", [None, (8, 8, 8)])
@pytest.mark.parametrize("missing", ["error", "zero"])
def test_a_fifth_of_all_requests_fail(
    server: S3Server, proxy: FaultProxy, values: Array, shard: tuple | None, missing: Any
) -> None:
    """And not a byte changes, of what is written and of what is read."""
    place = f"s3://vol/{missing}{shard is None}.zarr"
    proxy.inject(MIXED, share=0.2)
    volume = created(f"{place}?endpoint={proxy.url}", shard_shape=shard, overwrite=True)
    for block in Grid(volume.domain, (8, 8, 8)):
        volume.write(block.write, values[block.write.slices])
    forget_opened()
    found = open_volume(volume.uri, patience=FAST, missing=missing)
    for box in (volume.domain, Box((1, 2, 3), (7, 8, 13))):
        np.testing.assert_array_equal(found.read(box), values[box.slices])
    assert sum(proxy.counts[mode] for mode in MIXED) > 2
    proxy.calm()
    kept = open_volume(f"{place}?endpoint={server.endpoint}", missing="error").read()
    np.testing.assert_array_equal(kept, values)


def test_a_table_under_faults(proxy: FaultProxy) -> None:
    import pandas as pd

    frame = pd.DataFrame({"score": np.random.default_rng(0).random(2000)})
    schema = Schema((Column("score", "float64"),))
    proxy.inject(MIXED, share=0.2)
    for suffix in ("parquet", "csv"):
        uri = f"s3://vol/points.{suffix}?endpoint={proxy.url}"
        for _ in range(5):
            write_table(uri, frame, schema, {"from": "em"}, options=QUICK)
            found, _, provenance = read_table(uri, options=QUICK)
            pd.testing.assert_frame_equal(found, frame)
            assert provenance == {"from": "em"}
    assert sum(proxy.counts[mode] for mode in MIXED) > 2


@pytest.mark.parametrize("mode", [*MIXED, "stall", "slow"])
def test_each_fault_passes(proxy: FaultProxy, values: Array, mode: str) -> None:
    volume = created(f"s3://vol/{mode}.zarr?endpoint={proxy.url}", shard_shape=(8, 8, 8))
    proxy.inject(mode, times=2, methods=("PUT",))
    volume.write(volume.domain, values)
    for missing in ("error", "zero"):
        found = open_volume(volume.uri, patience=FAST, missing=missing)
        proxy.inject(mode, times=2, match="/c/", methods=("GET",))
        np.testing.assert_array_equal(found.read(), values)
    forget_opened()
    proxy.inject(mode, times=2)
    np.testing.assert_array_equal(open_volume(volume.uri, patience=FAST).read(), values)


def test_not_found_is_not_zero(proxy: FaultProxy, values: Array) -> None:
    """However often a store denies a chunk that it lists, or a part of a shard."""
    sharded = created(f"s3://open/shards.zarr?endpoint={proxy.url}", shard_shape=(8, 8, 8))
    sharded.write(sharded.domain, values)
    box = Box((0, 0, 0), (1, 1, 16))
    for uri, share in ((sharded.uri, 0.6), (f"{proxy.url}/open/shards.zarr", 0.1)):
        found = open_volume(uri, missing="zero", patience=FAST)
        assert found.shape == SHAPE
        proxy.inject("absent", match="/c/", share=share)
        np.testing.assert_array_equal(found.read(box), values[box.slices])
        proxy.calm()
    volume = created(f"s3://vol/denied.zarr?endpoint={proxy.url}")
    volume.write(volume.domain, values)
    proxy.inject("absent", match="/c/0/0/1", methods=("GET",), times=20)
    np.testing.assert_array_equal(
        open_volume(volume.uri, missing="zero", patience=FAST).read(), values
    )
    proxy.inject("absent", match="/c/0/0/1", methods=("GET",))
    with pytest.raises(SourceError, match="c/0/0/1 of s3://.*is listed, but was not found"):
        open_volume(volume.uri, missing="zero", patience=FAST).read()


def test_a_store_that_lists_nothing_denies_one_in_five(proxy: FaultProxy, values: Array) -> None:
    """A chunk that must be there is asked for to the end: three answers of 404 are likely."""
    volume = created(f"s3://open/denies.zarr?endpoint={proxy.url}")
    volume.write(volume.domain, values)
    found = open_volume(f"{proxy.url}/open/denies.zarr", patience=FAST)
    proxy.inject("absent", match="/c/0/0/1", times=5)
    np.testing.assert_array_equal(found.read(), values)
    assert proxy.counts["absent"] == 5


def test_what_is_not_there_is_missing(server: S3Server, values: Array) -> None:
    volume = created(f"s3://vol/missing.zarr?endpoint={server.endpoint}")
    volume.write(volume.domain, values)
    objects = open_objects(volume.uri, QUICK)
    objects.delete("0/c/0/0/1")
    with pytest.raises(MissingChunkError, match=r"chunk \(0, 0, 1\).*run its job again"):
        volume.read()
    blank = open_volume(volume.uri, missing="zero").read()
    assert not blank[:4, :4, 4:8].any()
    np.testing.assert_array_equal(blank[4:], values[4:])


@pytest.mark.parametrize("shard", [None, (8, 8, 8)])
def test_damage_is_named(server: S3Server, values: Array, shard: tuple | None) -> None:
    volume = created(
        f"s3://vol/d{shard is None}.zarr?endpoint={server.endpoint}", shard_shape=shard
    )
    volume.write(volume.domain, values)
    objects = open_objects(volume.uri, QUICK)
    key = "0/c/1/0/1" if shard is None else "0/c/0/0/1"
    whole = objects.get(key)
    assert whole is not None
    name = r"chunk \(1, 0, 1\)" if shard is None else r"chunk \(0, 0, 2\)"
    for damaged in (whole[:20] + bytes([whole[20] ^ 1]) + whole[21:], whole[:-1], whole[:9], b""):
        objects.put(key, damaged)
        with pytest.raises(SourceError, match=f"{name}.*cannot be read: .*restore it"):
            volume.read()
    objects.put(key, whole)
    np.testing.assert_array_equal(volume.read(), values)


def test_a_store_that_stays_away(proxy: FaultProxy) -> None:
    patience = Patience(attempts=3, first_wait_seconds=0.01, silence_seconds=0.1)
    volume = created(f"s3://vol/away.zarr?endpoint={proxy.url}", shape=(4, 4, 8))
    volume.write(volume.domain, np.ones(volume.shape, "u2"))
    short = open_volume(volume.uri, patience=patience)
    for mode in ("503", "reset", "stall"):
        proxy.inject(mode, match="/c/")
        with pytest.raises(SourceError, match=r"reading 0/c/.* gave up after 3 attempts in [01]\."):
            short.read()
        with pytest.raises(SourceError, match=r"writing 0/c/.* gave up after 3 attempts in [01]\."):
            short.write(short.domain, np.ones(volume.shape, "u2"))


def test_the_deadline_is_that_of_the_box(proxy: FaultProxy) -> None:
    volume = created(f"s3://vol/late.zarr?endpoint={proxy.url}", shape=(4, 4, 64))
    volume.write(volume.domain, np.ones(volume.shape, "u2"))
    patience = Patience(attempts=99, first_wait_seconds=0.05, deadline_seconds=0.4)
    short = open_volume(volume.uri, patience=patience)
    proxy.inject("503", match="/c/")
    with pytest.raises(SourceError, match=r"gave up after \d+ attempts in 0\.[1-4]"):
        short.read()


def test_rewritten_volumes_are_told_apart(server: S3Server) -> None:
    volume = created(f"s3://vol/again.zarr?endpoint={server.endpoint}")
    before = volume.identity
    assert volume.identity == before
    objects = open_objects(volume.uri, QUICK)
    objects.put("0/zarr.json", (objects.get("0/zarr.json") or b"") + b"\n")  # means the same
    assert volume.identity != before
    forget_opened()
    memory = created("memory://again/em.zarr")
    before = memory.identity
    assert created(memory.uri, overwrite=True).identity != before


def test_anybody_reads_what_is_public(
    server: S3Server, values: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"s3://open/em.zarr?endpoint={server.endpoint}"
    volume = created(uri)
    volume.write(volume.domain, values)
    for name in server.environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nowhere")
    server.clear_requests()
    for credentials in (None, "anonymous"):
        found = open_volume(uri, credentials=credentials, missing="zero")
        np.testing.assert_array_equal(found.read(), values)
    assert server.requests
    assert not any("authorization" in request.headers for request in server.requests)
    found = open_volume(server.endpoint + "/open/em.zarr", patience=FAST)
    np.testing.assert_array_equal(found.read(), values)


def test_private_volumes_say_who_was_refused(server: S3Server) -> None:
    uri = f"s3://vol/private.zarr?endpoint={server.endpoint}"
    created(uri)
    with pytest.raises(SourceError, match="access is denied; asked with credentials='anonymous'"):
        open_volume(uri, credentials="anonymous")


def test_wrong_keys(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"s3://vol/keys.zarr?endpoint={server.endpoint}"
    created(uri)
    for name, keys in (("S3_OTHER", "AKIAOTHER:c2VjcmV0"), ("S3_TYPO", f"{server.key}:c2VjcmV0")):
        monkeypatch.setenv(name, keys)
        with pytest.raises(SourceError, match=rf"access is denied.*env:{name}") as caught:
            open_volume(uri, credentials=f"env:{name}")
        shown = "".join(traceback.format_exception(caught.value))
        assert not any(secret in shown for secret in ("AKIAOTHER", "c2VjcmV0", server.key))
    monkeypatch.setenv("S3_GOOD", f"{server.key}:{server.secret}")
    assert open_volume(uri, credentials="env:S3_GOOD").shape == SHAPE


def test_nothing_else_is_overwritten(server: S3Server) -> None:
    uri = f"s3://vol/thesis?endpoint={server.endpoint}"
    objects = open_objects(uri, QUICK)
    objects.put("chapter1.txt", b"years of work")
    for overwrite in (False, True):
        with pytest.raises(SourceError, match="exists and is not zarr"):
            created(uri, overwrite=overwrite)
    assert objects.get("chapter1.txt") == b"years of work"
    created(f"s3://vol/one.zarr?endpoint={server.endpoint}")
    with pytest.raises(SourceError, match="exists with dtype uint16; asked for dtype uint8"):
        created(f"s3://vol/one.zarr?endpoint={server.endpoint}", dtype="u1")


def test_a_creation_that_was_killed_is_done_again(server: S3Server) -> None:
    uri = f"s3://vol/killed.zarr?endpoint={server.endpoint}"
    created(uri)
    open_objects(uri, QUICK).delete("zarr.json")  # written last
    forget_opened()
    with pytest.raises(SourceError, match="holds no zarr array or group"):
        open_volume(uri)
    assert created(uri).shape == LAYOUT["shape"]


def test_arrays_inside_are_named_in_the_address(server: S3Server, values: Array) -> None:
    uri = f"s3://vol/deep/em.zarr/0?endpoint={server.endpoint}"
    volume = created(uri.replace("/0?", "?"))
    volume.write(volume.domain, values)
    np.testing.assert_array_equal(open_volume(uri).read(), values)


def test_a_store_travels_without_keys(server: S3Server) -> None:
    uri = f"s3://vol/em.zarr?endpoint={server.endpoint}"
    store = RemoteStore(uri, QUICK)
    sent = pickle.dumps(store)
    assert server.secret.encode() not in sent
    assert server.secret not in repr(store)
    assert pickle.loads(sent) == store


def test_versions_of_others(server: S3Server, values: Array) -> None:
    """Version 2, read over S3 and over HTTP under faults."""
    uri = f"s3://open/old.zarr?endpoint={server.endpoint}"
    array = zarr.create_array(
        RemoteStore(uri, QUICK), shape=SHAPE, chunks=(4, 4, 4), dtype="u2", zarr_format=2
    )
    array[:] = values
    with FaultProxy(server.endpoint, seed=5) as proxy:
        proxy.inject(("500", "reset", "truncate", "absent", "short"), share=0.1)
        for address in (uri, f"s3://open/old.zarr?endpoint={proxy.url}"):
            np.testing.assert_array_equal(open_volume(address, patience=FAST).read(), values)
        proxy.inject(("500", "reset", "truncate"), share=0.2)
        url = f"{proxy.url}/open/old.zarr"
        np.testing.assert_array_equal(open_volume(url, patience=FAST).read(), values)


def test_servers_that_know_no_parts(tmp_path: Path, values: Array) -> None:
    """As ``python -m http.server``: the whole shard is fetched instead."""
    volume = create_volume(tmp_path / "em.zarr", shard_shape=(8, 8, 8), **LAYOUT)
    volume.write(volume.domain, values)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Plain, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/em.zarr"
        found = open_volume(url, patience=FAST).read(Box((1, 1, 1), (2, 2, 9)))
        np.testing.assert_array_equal(found, values[1:2, 1:2, 1:9])
        server.shutdown()


class Plain(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep silent."""


def test_http_says_not_found_often_before_it_is_zero(tmp_path: Path, values: Array) -> None:
    volume = create_volume(tmp_path / "em.zarr", **LAYOUT)
    volume.write(volume.domain, values)
    (tmp_path / "em.zarr/0/c/1/1/3").unlink()
    with FileServer(tmp_path) as files, FaultProxy(files.url) as proxy:
        found = open_volume(f"{proxy.url}/em.zarr", missing="zero", patience=FAST)
        proxy.inject("absent", match="/c/0/1/2", times=2)
        np.testing.assert_array_equal(found.read()[:4], values[:4])
        assert [r.path for r in files.requests].count("/em.zarr/0/c/1/1/3") == 6
