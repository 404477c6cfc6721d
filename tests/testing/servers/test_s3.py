"""The S3 server, used by every client that volkit or its users have."""

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("moto", reason="needs volkit[dev]")
pytest.importorskip("flask", reason="needs volkit[dev]")
import boto3
import obstore
import tensorstore
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError
from obstore.store import S3Store

from volkit.testing.servers.s3 import S3Server

DATA = bytes(range(256)) * 20
# Characters that are quoted, or not, differently by the clients.
NAMES = ["plain", "a folder/c/0/1", "x=1,y+2:3@4~5_6.7-8", "é/%41"]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server(strict=True) as server:
        server.bucket("vol")
        server.bucket("open-data", public=True)
        yield server


@pytest.fixture
def boto(server: S3Server) -> Iterator[Any]:
    client = boto_client(server)
    yield client
    client.close()


def boto_client(server: S3Server, **options: Any) -> Any:
    keys = {"aws_access_key_id": server.key, "aws_secret_access_key": server.secret}
    return boto3.client(
        "s3", endpoint_url=server.endpoint, region_name=server.region, **keys | options
    )


def obstore_of(server: S3Server, bucket: str = "vol", **options: Any) -> S3Store:
    keys = {"access_key_id": server.key, "secret_access_key": server.secret}
    return S3Store(
        bucket,
        endpoint=server.endpoint,
        region=server.region,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        **(options or keys),
    )


@pytest.mark.parametrize("name", NAMES)
def test_obstore_and_boto3(server: S3Server, boto: Any, name: str) -> None:
    store = obstore_of(server)
    obstore.put(store, f"obstore/{name}", DATA)
    boto.put_object(Bucket="vol", Key=f"boto/{name}", Body=DATA)
    assert bytes(obstore.get(store, f"obstore/{name}").bytes()) == DATA
    assert bytes(obstore.get_range(store, f"boto/{name}", start=3, end=9)) == DATA[3:9]
    assert obstore.head(store, f"boto/{name}")["size"] == len(DATA)
    found = boto.get_object(Bucket="vol", Key=f"boto/{name}")["Body"]
    assert found.read() == DATA
    found.close()
    listed = [entry["path"] for entry in obstore.list(store, "boto").collect()]
    assert f"boto/{name}" in listed
    obstore.delete(store, f"boto/{name}")
    with pytest.raises(FileNotFoundError, match="boto"):
        obstore.get(store, f"boto/{name}")


def test_many_parts_and_only_once(server: S3Server, boto: Any) -> None:
    store = obstore_of(server)
    data = DATA * 3000  # 15 MB: more than one part
    obstore.put(store, "large", data)
    assert bytes(obstore.get(store, "large").bytes()) == data
    obstore.put(store, "once", b"1", mode="create")
    with pytest.raises(AlreadyExistsError, match="once"):
        obstore.put(store, "once", b"2", mode="create")
    assert boto.head_object(Bucket="vol", Key="once")["ContentLength"] == 1


def test_tensorstore(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    kvstore = {
        "driver": "s3",
        "bucket": "vol",
        "path": "a.zarr/",
        "endpoint": server.endpoint,
        "aws_region": server.region,
    }
    values = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    spec = {"driver": "zarr3", "kvstore": kvstore}
    tensorstore.open(spec, create=True, dtype="uint16", shape=(3, 4, 5)).result().write(
        values
    ).result()
    np.testing.assert_array_equal(tensorstore.open(spec).result().read().result(), values)


_S3FS = """
import s3fs
fs = s3fs.S3FileSystem(client_kwargs={"endpoint_url": ENDPOINT, "region_name": "us-east-1"})
fs.pipe("vol/by/s3fs", DATA)
assert fs.cat("vol/by/s3fs") == DATA
assert fs.ls("vol/by") == ["vol/by/s3fs"]
"""
_CLOUDVOLUME = """
import warnings
warnings.simplefilter("ignore")
import numpy as np
import cloudfiles.paths
from cloudvolume import CloudVolume
cloudfiles.paths.add_alias("loopback", f"s3://{ENDPOINT}/")
values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
CloudVolume.from_numpy(
    values, "precomputed://loopback://vol/layer", resolution=(4, 4, 40), progress=False
)
layer = CloudVolume("precomputed://loopback://vol/layer", progress=False)
np.testing.assert_array_equal(np.asarray(layer[:, :, :])[..., 0], values)
"""


@pytest.mark.parametrize(("package", "code"), [("s3fs", _S3FS), ("cloudvolume", _CLOUDVOLUME)])
def test_clients_that_keep_threads(
    server: S3Server, tmp_path: Path, package: str, code: str
) -> None:
    """In a process of their own, which their threads and files do not outlive."""
    pytest.importorskip(package, reason=f"needs {package}")
    environment = {**os.environ, **server.environment(), "HOME": str(tmp_path)}
    prelude = f"ENDPOINT, DATA = {server.endpoint!r}, bytes(range(256)) * 20\n"
    subprocess.run([sys.executable, "-c", prelude + code], env=environment, check=True, timeout=60)


def test_what_is_public(server: S3Server, boto: Any) -> None:
    boto.put_object(Bucket="open-data", Key="a/b", Body=DATA)
    boto.put_object(Bucket="vol", Key="a/b", Body=DATA)
    anybody = obstore_of(server, "open-data", skip_signature=True)
    assert bytes(obstore.get(anybody, "a/b").bytes()) == DATA
    assert obstore.head(anybody, "a/b")["size"] == len(DATA)
    assert [entry["path"] for entry in obstore.list(anybody).collect()] == ["a/b"]
    with urllib.request.urlopen(f"{server.endpoint}/open-data/a/b") as answer:
        assert answer.read() == DATA
    with pytest.raises(PermissionDeniedError, match="403"):
        obstore.put(anybody, "c", DATA)
    hidden = obstore_of(server, "vol", skip_signature=True)
    for ask in (obstore.get, obstore.head):
        with pytest.raises(PermissionDeniedError, match="a/b"):
            ask(hidden, "a/b")
    unsigned = boto_client(server, config=Config(signature_version=UNSIGNED))
    with pytest.raises(ClientError, match="403"):
        unsigned.get_object(Bucket="vol", Key="a/b")
    with pytest.raises(ClientError, match="AccessDenied"):
        unsigned.list_objects_v2(Bucket="vol")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        unsigned.get_object(Bucket="nowhere", Key="a/b")
    unsigned.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"aws_access_key_id": "other"}, "InvalidAccessKeyId"),
        ({"aws_secret_access_key": "other"}, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_keys(server: S3Server, wrong: dict[str, str], said: str) -> None:
    client = boto_client(server, **wrong)
    with pytest.raises(ClientError, match=said):
        client.list_objects_v2(Bucket="open-data")
    client.close()


def test_other_keys_will_do_unless_it_is_strict() -> None:
    with S3Server() as server:
        client = boto_client(server, aws_access_key_id="other")
        client.create_bucket(Bucket="theirs")
        client.close()


def test_the_log(server: S3Server, boto: Any) -> None:
    server.clear_requests()
    boto.put_object(Bucket="vol", Key="x y", Body=DATA)
    boto.head_object(Bucket="vol", Key="x y")
    put, head = server.requests
    assert (put.method, put.path, put.status) == ("PUT", "/vol/x%20y", 200)
    assert (head.method, head.status, head.bytes) == ("HEAD", 200, len(DATA))
    assert put.headers["authorization"].startswith("AWS4-HMAC-SHA256")


def test_the_last_one_takes_the_buckets_along() -> None:
    """In a process of its own, since the servers of one share their buckets."""
    code = """
from urllib.request import urlopen
from volkit.testing.servers.s3 import S3Server
def names(server):
    client = server.bucket("probe", public=True)
    return urlopen(f"{server.endpoint}/probe").status
with S3Server() as first:
    with S3Server() as second:
        second.bucket("shared", public=True)
    assert urlopen(f"{first.endpoint}/shared").status == 200
with S3Server() as third:
    third.bucket("shared")  # it is not there any more
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_no_thread_is_left(server: S3Server) -> None:
    before = threading.active_count()
    with S3Server() as other:
        other.bucket("another")
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            urllib.request.urlopen(f"{other.endpoint}/another")
        refused.value.close()
    assert threading.active_count() <= before
