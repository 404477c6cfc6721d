"""The classifier against the exceptions of real clients, and how long patience lasts."""

import asyncio
import errno
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import blosc
import numcodecs
import numpy as np
import obstore
import pytest
import requests
import s3fs
import tensorstore
import zarr
from hypothesis import given
from hypothesis import strategies as st
from intern.remote.boss import BossRemote
from intern.resource.boss.resource import ChannelResource
from obstore.store import S3Store
from zarr.storage import ObjectStore

from volkit.errors import ConfigError, MissingChunkError, SourceError
from volkit.io.axes import Array
from volkit.io.faults import (
    CorruptPayloadError,
    Fault,
    Patience,
    brief,
    classify,
    http_status,
    patiently,
    patiently_async,
)
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.faults import FaultProxy
from volkit.testing.servers.s3 import S3Server

T, C, A, P = Fault.TRANSIENT, Fault.CORRUPT, Fault.ABSENT, Fault.PERMANENT
KEY = "em.zarr/c/0/0/0"
FAST = Patience(first_wait_seconds=0.001, most_wait_seconds=0.002)


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultProxy]:
    with S3Server() as server, FaultProxy(server.endpoint, stall_seconds=2) as proxy:
        server.bucket("vol", public=True)
        store = s3(server.endpoint)
        array = zarr.create_array(
            ObjectStore(store),
            name="em.zarr",
            shape=(16, 16, 16),
            chunks=(16, 16, 16),
            dtype="u1",
            compressors=zarr.codecs.ZstdCodec(level=1, checksum=True),
        )
        array[:] = np.random.default_rng(0).integers(0, 255, (16, 16, 16))
        yield proxy


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def s3(endpoint: str) -> S3Store:
    return S3Store(
        "vol",
        endpoint=endpoint,
        region="us-east-1",
        access_key_id="key",
        secret_access_key="secret",
        client_options={"allow_http": True, "read_timeout": timedelta(seconds=0.2)},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
    )


def by_obstore(url: str) -> None:
    obstore.get(s3(url), KEY).bytes()


def by_obstore_put(url: str) -> None:
    obstore.put(s3(url), "other", b"1")


def by_obstore_list(url: str) -> None:
    obstore.list(s3(url)).collect()


def by_zarr(url: str) -> None:
    zarr.open_array(ObjectStore(s3(url)), path="em.zarr", mode="r", zarr_format=3)[:]


def by_requests(url: str) -> None:
    requests.get(f"{url}/vol/{KEY}", timeout=(1, 0.2)).raise_for_status()


def by_s3fs(url: str) -> None:
    files = s3fs.S3FileSystem(
        key="key",
        secret="secret",
        max_concurrency=1,
        client_kwargs={"endpoint_url": url, "region_name": "us-east-1"},
        config_kwargs={"read_timeout": 0.2, "retries": {"max_attempts": 0}},
        skip_instance_cache=True,
    )
    files.retries = 1
    files.cat_file(f"vol/{KEY}")


def by_tensorstore(url: str, kvstore: dict[str, Any]) -> None:
    few = {"max_retries": 1, "initial_delay": "1ms", "max_delay": "2ms"}
    spec = {
        "driver": "zarr3",
        "kvstore": kvstore,
        "fill_missing_data_reads": False,
        "context": {"s3_request_retries": few, "http_request_retries": few},
    }
    tensorstore.open(spec, open=True).result().read().result()


def by_tensorstore_s3(url: str) -> None:
    kvstore = {"driver": "s3", "bucket": "vol", "path": "em.zarr/", "endpoint": url}
    keys = {"aws_region": "us-east-1", "aws_credentials": {"type": "environment"}}
    by_tensorstore(url, kvstore | keys)


def by_tensorstore_http(url: str) -> None:
    by_tensorstore(url, {"driver": "http", "base_url": url, "path": "/vol/em.zarr/"})


def raised(call: Callable[[Any], object], given: Any) -> Exception:
    """What a call raises, whatever it is."""
    try:
        call(given)
    except Exception as error:
        return error
    return AssertionError("nothing was raised")


FAILING = {"500": T, "503": T, "429": T, "reset": T, "stall": T, "truncate": T, "absent": A}
QUIET = {"short": None, "corrupt": None}  # not noticed by who knows nothing of the content
CODED = {"short": C, "corrupt": C}
UNBOUNDED = {"stall": None}  # tensorstore waits for ever


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (by_obstore, FAILING | QUIET | {"redirect": P}),
        (by_obstore_list, FAILING | {"short": T, "corrupt": T, "redirect": P}),
        (by_obstore_put, FAILING | {"truncate": None, "redirect": P}),
        (by_zarr, FAILING | CODED | {"absent": None}),  # zarr takes it for zeros
        (by_requests, FAILING | QUIET | {"redirect": P}),
        (by_s3fs, {"503": T, "reset": T, "truncate": T, "absent": A}),  # it waits within
        (by_tensorstore_s3, FAILING | CODED | UNBOUNDED),
        (by_tensorstore_http, FAILING | CODED | UNBOUNDED),
    ],
)
def test_real_exceptions(
    proxy: FaultProxy, client: Callable[[str], None], expected: dict[str, Fault | None]
) -> None:
    for mode, fault in expected.items():
        if fault is None:
            continue
        part = "" if client in (by_obstore_put, by_obstore_list) else "c/0/0/0"
        proxy.inject(mode, match=part)
        error = raised(client, proxy.url)
        assert classify(error) is fault, f"{mode}: {error!r}"
        proxy.calm()
    client(proxy.url)


CODECS = [numcodecs.GZip(), numcodecs.BZ2(), numcodecs.LZMA(), numcodecs.LZ4(), numcodecs.Blosc()]


@pytest.mark.parametrize("codec", [*CODECS, numcodecs.Zstd(checksum=True), numcodecs.CRC32C()])
def test_codecs(codec: Any) -> None:
    whole = bytes(codec.encode(np.arange(1000, dtype="u1")))
    assert classify(raised(codec.decode, whole[: len(whole) // 2])) is C


def test_intern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with BossServer() as boss, FaultProxy(boss.url, stall_seconds=0.2) as proxy:
        for name, value in boss.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        voxels = np.random.default_rng(0).integers(0, 255, (4, 8, 8)).astype("u1")
        boss.add("c", "e", "ch", voxels)
        remote = BossRemote({"protocol": "http", "host": proxy.host, "token": "public"})
        channel = ChannelResource("ch", "c", "e", "image", datatype="uint8")

        def cut(levels: int) -> Array:
            return remote.get_cutout(channel, levels, [0, 8], [0, 8], [0, 4])

        for mode, fault in (FAILING | {"short": C}).items():
            proxy.inject(mode, match="cutout")
            error = raised(cut, 0)
            assert classify(error) is fault, f"{mode}: {error!r}"
            proxy.calm()
        np.testing.assert_array_equal(cut(0), voxels)


def test_blosc_of_the_boss() -> None:
    for data in (b"x" * 40, blosc.compress(b"abc" * 1000, typesize=1)[:20]):
        with pytest.raises(blosc.blosc_extension.error, match="not a Blosc buffer") as caught:
            blosc.decompress(data)
        assert classify(caught.value) is C


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ConnectionResetError(), T),
        (TimeoutError(), T),
        (OSError(errno.ESTALE, "stale"), T),
        (OSError(errno.ENOSPC, "full"), P),
        (PermissionError(errno.EACCES, "no"), Fault.DENIED),
        (FileNotFoundError(), A),
        (MissingChunkError(), A),
        (CorruptPayloadError(), C),
        (SourceError("no"), P),
        (asyncio.IncompleteReadError(b"", 4), T),
        (EOFError(), C),
        (ValueError("cannot reshape array of size 3"), C),
        (ValueError("level 9 is not there"), P),
        (KeyError("a"), P),
        (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), P),
        (ValueError("PERMISSION_DENIED: Error reading"), Fault.DENIED),
        (ValueError("RESOURCE_EXHAUSTED: quota"), T),
    ],
)
def test_other_exceptions(error: Exception, fault: Fault) -> None:
    assert classify(error) is fault


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        *((400, P), (401, Fault.DENIED), (403, Fault.DENIED), (404, A), (408, T), (410, A)),
        *((413, Fault.TOO_LARGE), (416, C), (425, T), (429, T), (500, T), (501, P), (504, T)),
    ],
)
def test_statuses(status: int, fault: Fault) -> None:
    response = requests.Response()
    response.status_code = status
    assert classify(requests.HTTPError(response=response)) is fault
    if status >= 500:
        assert http_status(requests.HTTPError(response=response)) == status


@pytest.mark.parametrize(
    ("code", "fault"),
    [("RequestTimeout", T), ("NoSuchBucket", P), ("ExpiredToken", Fault.DENIED), ("Strange", P)],
)
def test_codes_that_say_more_than_their_status(code: str, fault: Fault) -> None:
    error = obstore.exceptions.GenericError(
        f"Server returned non-2xx status code: 400 Bad Request: <Error><Code>{code}</Code>"
    )
    assert classify(error) is fault


def test_one_line_says_what_obstore_hides() -> None:
    store = S3Store(
        "vol",
        endpoint="http://127.0.0.1:9",
        skip_signature=True,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    with pytest.raises(obstore.exceptions.GenericError, match="sending request") as caught:
        obstore.get(store, "a")
    assert "Connection refused" in brief(caught.value)
    assert "\n" not in brief(caught.value)


class Failing:
    """Fails so often, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.left: list[float] = []

    def __call__(self, left: float) -> str:
        self.left.append(left)
        if self.errors:
            raise self.errors.pop(0)
        return "voxels"


def test_asks_again_until_it_comes() -> None:
    call = Failing(*[TimeoutError()] * 7)
    assert patiently(call, patience=FAST, what="a chunk") == "voxels"
    assert len(call.left) == 8
    assert call.left == sorted(call.left, reverse=True)


def test_gives_up_with_the_last_failure() -> None:
    call = Failing(*[TimeoutError(n) for n in range(9)])
    with pytest.raises(SourceError, match=r"a chunk: .*after 8 attempts in .*TimeoutError: 7\. "):
        patiently(call, patience=FAST, what="a chunk")


@pytest.mark.parametrize("error", [FileNotFoundError("a"), CorruptPayloadError("a")])
def test_makes_sure_three_times(error: Exception) -> None:
    call = Failing(*[error] * 9)
    with pytest.raises(type(error), match="a"):
        patiently(call, patience=FAST, what="a chunk")
    assert len(call.left) == 3


@pytest.mark.parametrize("error", [KeyError("a"), PermissionError("a"), SourceError("a")])
def test_what_is_for_good_is_raised_at_once(error: Exception) -> None:
    call = Failing(error)
    with pytest.raises(type(error), match="a"):
        patiently(call, patience=FAST, what="a chunk")
    assert len(call.left) == 1


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_never_swallowed(interrupt: type[BaseException]) -> None:
    calls = []

    def interrupted(_: float) -> None:
        calls.append(1)
        raise interrupt("now")

    with pytest.raises(interrupt, match="now"):
        patiently(interrupted, patience=FAST, what="a chunk")
    assert len(calls) == 1


def test_gives_up_in_the_stated_time() -> None:
    patience = Patience(attempts=10**6, first_wait_seconds=0.01, deadline_seconds=0.2)
    failing = Failing(*[TimeoutError()] * 999)
    with pytest.raises(SourceError, match=r"gave up after \d+ attempts in \d+\.\d"):
        patiently(failing, patience=patience, what="a chunk")
    # No attempt begins after it, and each is told what is left.
    assert failing.left == sorted(failing.left, reverse=True)
    assert 0 < failing.left[-1] <= failing.left[0] <= 0.2


def test_a_coroutine_is_cut_off_at_the_deadline() -> None:
    patience = Patience(deadline_seconds=0.1)
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"gave up after 1 attempts in \d+\.\d"):
        asyncio.run(patiently_async(lambda: asyncio.sleep(600), patience=patience, what="a chunk"))
    assert time.monotonic() - begun < 300


def test_a_part_shares_the_deadline_of_the_whole() -> None:
    async def fail() -> None:
        raise TimeoutError

    begun = time.monotonic() - 599.99
    with pytest.raises(SourceError, match="gave up after 1 attempts in 600"):
        asyncio.run(patiently_async(fail, patience=Patience(), what="a chunk", begun=begun))


@given(first=st.floats(0.01, 10), most=st.floats(0.01, 10), attempts=st.integers(1, 20))
def test_waits_grow_and_differ(first: float, most: float, attempts: int) -> None:
    patience = Patience(attempts=attempts, first_wait_seconds=first, most_wait_seconds=most)
    waits = list(patience.waits())
    assert len(waits) == attempts - 1
    for n, wait in enumerate(waits):
        whole = first if n == 0 else min(first * 2**n, most)
        assert whole / 2 <= wait <= whole
    if waits:
        assert list(patience.waits()) != waits


def test_patience_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="silence_seconds=0; give more than 0"):
        Patience(silence_seconds=0)


def test_what_a_full_disk_and_a_folder_are(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="directory") as caught:
        tmp_path.read_bytes()
    assert classify(caught.value) is P
