"""Layers behind HTTP and in S3, and what happens when these fail."""

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cloudvolume import CloudVolume

from volkit.errors import ConfigError, MissingChunkError, SourceError
from volkit.geometry import Box
from volkit.io import Volume, create_volume, open_volume
from volkit.io.credentials import Secret
from volkit.io.faults import Patience
from volkit.io.registry import forget_opened
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.s3 import S3Server

SHAPE = (16, 24, 40)
CHUNK = (8, 8, 8)
FAST = Patience(
    attempts=12,
    first_wait_seconds=0.005,
    most_wait_seconds=0.02,
    silence_seconds=2,
    deadline_seconds=20,
)
LAYOUTS = pytest.mark.parametrize("shard", [None, (8, 16, 16)], ids=["chunks", "shards"])


def ramp(dtype: str = "uint16") -> np.ndarray:
    values = np.arange(1, 1 + 16 * 24 * 40, dtype=dtype).reshape(SHAPE)
    values[8:, 8:16, 8:16] = 0
    return values


def stored(uri: str, shard: tuple | None = None, **options: Any) -> Volume:
    volume = create_volume(
        uri, shape=SHAPE, dtype="uint16", chunk_shape=CHUNK, shard_shape=shard, **options
    )
    volume.write(volume.domain, ramp())
    return volume


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileServer]:
    with FileServer(tmp_path) as server:
        yield server


@pytest.fixture
def proxy(files: FileServer) -> Iterator[FaultProxy]:
    with FaultProxy(files.url, seed=5) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        server.bucket("private")
        server.bucket("public", public=True)
        yield server


@pytest.fixture
def signed(s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3Server:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    forget_opened()
    return s3


# --- HTTP -----------------------------------------------------------------------------------


@LAYOUTS
@pytest.mark.parametrize("mode", ["500", "503", "429", "reset", "truncate", "short", "absent"])
def test_faults_are_survived(
    tmp_path: Path, proxy: FaultProxy, mode: str, shard: tuple | None
) -> None:
    stored(f"precomputed://{tmp_path}/em", shard)
    volume = open_volume(f"precomputed://{proxy.url}/em", patience=FAST)
    # What is damaged three times running is believed, which a large share makes likely.
    proxy.inject(mode, share=0.05 if mode == "short" else 0.2, match="1_1_1")
    for _ in range(3):
        np.testing.assert_array_equal(volume.read(), ramp())
    assert proxy.counts[mode] > 0


@LAYOUTS
def test_all_faults_at_once(tmp_path: Path, proxy: FaultProxy, shard: tuple | None) -> None:
    stored(f"precomputed://{tmp_path}/em", shard)
    proxy.inject(("503", "reset", "truncate", "429", "500"), share=0.2)
    for _ in range(3):
        forget_opened()
        volume = open_volume(f"precomputed://{proxy.url}/em", patience=FAST)
        np.testing.assert_array_equal(volume.read(), ramp())


@LAYOUTS
def test_false_absence_is_no_zero(tmp_path: Path, proxy: FaultProxy, shard: tuple | None) -> None:
    """One 404 for a chunk that is there: also where missing chunks count as zero."""
    stored(f"precomputed://{tmp_path}/em", shard)
    volume = open_volume(f"precomputed://{proxy.url}/em", patience=FAST, missing="zero")
    for _ in range(5):
        proxy.inject("absent", match="1_1_1", times=1)
        np.testing.assert_array_equal(volume.read(), ramp())
    assert proxy.counts["absent"] == 5


@LAYOUTS
def test_what_is_really_absent(tmp_path: Path, files: FileServer, shard: tuple | None) -> None:
    stored(f"precomputed://{tmp_path}/em", shard)
    name = "0-8_0-8_8-16" if shard is None else "1.shard"
    (tmp_path / "em/1_1_1" / name).unlink()
    volume = open_volume(f"precomputed://{files.url}/em", patience=FAST)
    with pytest.raises(MissingChunkError, match=r"chunk \((1|0), 0, (0|2)\).*missing='zero'"):
        volume.read()
    zero = open_volume(volume.uri, patience=FAST, missing="zero").read()
    absent = zero != ramp()
    assert absent.any()
    assert not zero[absent].any()


def test_dead_server_is_given_up(tmp_path: Path, proxy: FaultProxy) -> None:
    stored(f"precomputed://{tmp_path}/em")
    hasty = Patience(attempts=3, first_wait_seconds=0.01, most_wait_seconds=0.01)
    volume = open_volume(f"precomputed://{proxy.url}/em", patience=hasty)
    proxy.inject("503")
    with pytest.raises(SourceError, match=r"reading voxels \[0:16, .*gave up after 3 attempts"):
        volume.read()


def test_no_server() -> None:
    hasty = Patience(attempts=2, first_wait_seconds=0.01)
    with pytest.raises(SourceError, match="gave up after 2 attempts"):
        open_volume("precomputed://http://127.0.0.1:9/em", patience=hasty)


def test_silence_ends(tmp_path: Path, proxy: FaultProxy) -> None:
    """A request that nobody answers is left behind, and made again on another connection."""
    stored(f"precomputed://{tmp_path}/em")
    hasty = Patience(first_wait_seconds=0.01, silence_seconds=0.3, deadline_seconds=10)
    volume = open_volume(f"precomputed://{proxy.url}/em", patience=hasty)
    proxy.inject("stall", match="1_1_1", times=2)
    begun = time.monotonic()
    np.testing.assert_array_equal(volume.read(), ramp())
    assert time.monotonic() - begun < 5
    assert proxy.counts["stall"] == 2
    proxy.inject("stall", match="1_1_1")
    brief = Patience(first_wait_seconds=0.01, silence_seconds=0.3, deadline_seconds=1)
    with pytest.raises(SourceError, match="gave up after .* attempts in"):
        open_volume(volume.uri, patience=brief).read()


def test_one_silence_in_five_is_survived(tmp_path: Path, proxy: FaultProxy) -> None:
    """What arrived beside a request that fell silent is kept, so that a box gets done."""
    values = np.arange(1, 1 + 32 * 40 * 40, dtype="uint32").reshape(32, 40, 40)
    volume = create_volume(
        f"precomputed://{tmp_path}/em", shape=values.shape, dtype="uint32", chunk_shape=(8, 8, 8)
    )
    volume.write(volume.domain, values)
    hasty = Patience(first_wait_seconds=0.01, silence_seconds=0.3, deadline_seconds=20)
    remote = open_volume(f"precomputed://{proxy.url}/em", patience=hasty)
    proxy.inject("stall", share=0.2)  # so the info, which a new connection reads again, as well
    np.testing.assert_array_equal(remote.read(), values)
    assert proxy.counts["stall"] > 8


def test_damage_that_stays(tmp_path: Path, files: FileServer) -> None:
    stored(f"precomputed://{tmp_path}/em")
    (tmp_path / "em/1_1_1/0-8_0-8_8-16").write_bytes(b"cut")
    volume = open_volume(f"precomputed://{files.url}/em", patience=FAST)
    with pytest.raises(SourceError, match=r"chunk \(1, 0, 0\).*is damaged"):
        volume.read()


def test_a_box_takes_few_requests(tmp_path: Path, files: FileServer) -> None:
    stored(f"precomputed://{tmp_path}/em")
    volume = open_volume(f"precomputed://{files.url}/em", patience=FAST)
    volume.read(Box((0, 0, 0), (1, 1, 1)))
    files.clear_requests()
    volume.read(Box((0, 0, 0), (8, 8, 16)))
    assert len(files.requests) == 2


def test_http_is_read_only(tmp_path: Path, files: FileServer) -> None:
    stored(f"precomputed://{tmp_path}/em")
    volume = open_volume(f"precomputed://{files.url}/em")
    with pytest.raises(SourceError, match="is read-only: it is reached over http"):
        volume.write(volume.domain, ramp())
    with pytest.raises(SourceError, match="cannot be written; create layers locally"):
        stored(f"precomputed://{files.url}/new")


def test_packed_files_are_served(tmp_path: Path, files: FileServer) -> None:
    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="image",
        data_type="uint16",
        encoding="raw",
        resolution=(1, 1, 1),
        voxel_offset=(0, 0, 0),
        chunk_size=CHUNK,
        volume_size=SHAPE[::-1],
    )
    layer = CloudVolume(f"file://{tmp_path}/em", info=info, progress=False)
    layer.commit_info()
    layer[:] = ramp().T
    volume = open_volume(f"precomputed://{files.url}/em")
    np.testing.assert_array_equal(volume.read(), ramp())


def test_no_token_is_shown(tmp_path: Path, proxy: FaultProxy) -> None:
    stored(f"precomputed://{tmp_path}/em")
    hasty = Patience(attempts=2, first_wait_seconds=0.01)
    volume = open_volume(
        f"precomputed://{proxy.url}/em", credentials=Secret("abc-token"), patience=hasty
    )
    (tmp_path / "em/1_1_1/0-8_0-8_8-16").unlink()
    shown = [repr(volume), repr(volume._source), volume.identity, str(volume.attributes)]
    for mode in ("503", "absent", None):
        proxy.calm()
        if mode is not None:
            proxy.inject(mode)
        forget_opened()
        with pytest.raises(SourceError, match="em") as failed:
            volume.read()
        error: BaseException | None = failed.value
        while error is not None:
            shown.append(f"{error!r} {getattr(error, '__notes__', '')}")
            error = error.__cause__ or error.__context__
    assert not [text for text in shown if "abc-token" in text]


# --- S3 -------------------------------------------------------------------------------------


@LAYOUTS
@pytest.mark.parametrize("dtype", ["uint16", "uint64"])
def test_s3(signed: S3Server, tmp_path: Path, shard: tuple | None, dtype: str) -> None:
    uri = f"precomputed://s3://private/{tmp_path.name}?endpoint={signed.endpoint}&region=us-east-1"
    volume = create_volume(
        uri, shape=SHAPE, dtype=dtype, chunk_shape=CHUNK, shard_shape=shard, start=(4, -8, 0)
    )
    volume.write(volume.domain, ramp(dtype))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(volume)).read(), ramp(dtype))


def test_s3_credentials(
    s3: S3Server, signed: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"private/{tmp_path.name}?endpoint={s3.endpoint}"
    stored(f"precomputed://s3://{place}")
    for name in s3.environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("KEYS", f"{s3.key}:{s3.secret}")
    (tmp_path / "keys").write_text(f"{s3.key}:{s3.secret}\n")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[lab]\naws_access_key_id = {s3.key}\naws_secret_access_key = {s3.secret}\n"
    )
    for credentials in (
        "env:KEYS",
        f"file:{tmp_path}/keys",
        "profile:lab",
        Secret(f"{s3.key}:{s3.secret}"),
    ):
        forget_opened()
        volume = open_volume(f"precomputed://s3://{place}", credentials=credentials)
        np.testing.assert_array_equal(volume.read(), ramp())
    for credentials in (None, "anonymous"):
        forget_opened()
        with pytest.raises(SourceError, match="access is denied"):
            open_volume(f"precomputed://s3://{place}", credentials=credentials)


def test_public_bucket(signed: S3Server, tmp_path: Path) -> None:
    uri = f"precomputed://s3://public/{tmp_path.name}?endpoint={signed.endpoint}"
    stored(uri)
    forget_opened()
    volume = open_volume(uri, credentials="anonymous")
    np.testing.assert_array_equal(volume.read(), ramp())


@LAYOUTS
def test_s3_faults(signed: S3Server, tmp_path: Path, shard: tuple | None) -> None:
    with FaultProxy(signed.endpoint, seed=2) as proxy:
        uri = f"precomputed://s3://private/{tmp_path.name}?endpoint={proxy.url}"
        volume = create_volume(
            uri, shape=SHAPE, dtype="uint16", chunk_shape=CHUNK, shard_shape=shard
        )
        volume = open_volume(uri, patience=FAST)
        proxy.inject(("503", "500", "reset"), share=0.2)
        volume.write(volume.domain, ramp())
        proxy.inject(("503", "500", "reset", "truncate"), share=0.2, methods=("GET",))
        for _ in range(3):
            np.testing.assert_array_equal(volume.read(), ramp())
        assert proxy.counts.total() > proxy.counts["ok"]


def test_layer_of_cloud_volume_in_s3(signed: S3Server, tmp_path: Path) -> None:
    """Gzipped chunks carry a Content-Encoding there, and are read."""
    import gzip

    import boto3

    stored(f"precomputed://{tmp_path}/em")
    client = boto3.client(
        "s3",
        endpoint_url=signed.endpoint,
        region_name="us-east-1",
        aws_access_key_id=signed.key,
        aws_secret_access_key=signed.secret,
    )
    for file in (tmp_path / "em").rglob("*"):
        if file.is_file():
            client.put_object(
                Bucket="private",
                Key=f"{tmp_path.name}/{file.relative_to(tmp_path / 'em')}",
                Body=gzip.compress(file.read_bytes()),
                ContentEncoding="gzip",
            )
    uri = f"precomputed://s3://private/{tmp_path.name}?endpoint={signed.endpoint}"
    np.testing.assert_array_equal(open_volume(uri).read(), ramp())


# --- addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("precomputed://az://account/em", "'az' cannot hold this format"),
        ("precomputed://memory://em", "'memory' cannot hold this format"),
        ("precomputed://s3://", "names no bucket"),
        ("precomputed://", "names no layer"),
        ("precomputed://s3://bucket/em?speed=9", "speed behind the question mark"),
        ("precomputed://https://host/em?x=1", "x behind the question mark"),
        ("precomputed://nowhere/em", "nowhere/em holds no info of a precomputed layer"),
    ],
)
def test_addresses_that_are_wrong(uri: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_volume(uri, credentials="anonymous")


def test_keys_for_http(tmp_path: Path, files: FileServer) -> None:
    stored(f"precomputed://{tmp_path}/em")
    with pytest.raises(ConfigError, match="are for S3"):
        open_volume(f"precomputed://{files.url}/em", credentials="profile:lab")


@pytest.mark.parametrize("before", ["", "precomputed://", "precomputed://file://", "file://"])
def test_local_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    stored(f"precomputed://{tmp_path}/em")
    np.testing.assert_array_equal(open_volume(f"{before}{tmp_path}/em/").read(), ramp())
    if not before.endswith("file://"):
        monkeypatch.chdir(tmp_path)
        np.testing.assert_array_equal(open_volume(f"{before}em").read(), ramp())
