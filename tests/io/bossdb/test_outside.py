"""Channels that the service keeps as Neuroglancer layers, in an object store."""

from collections.abc import Iterator

import numpy as np
import pytest

from volkit.errors import MissingChunkError, SourceError
from volkit.io import OpenOptions, create_volume, open_volume
from volkit.io.axes import Array
from volkit.io.credentials import Secret
from volkit.io.faults import Patience
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.s3 import S3Server

SHAPE = (20, 70, 80)
START = (4, 10, 20)
VALUES: Array = np.random.default_rng(0).integers(0, 250, SHAPE, np.uint8)


@pytest.fixture(scope="module")
def store() -> Iterator[S3Server]:
    """A bucket that anybody may read, with a layer in it."""
    with pytest.MonkeyPatch.context() as patch, S3Server() as running:
        for key, value in running.environment().items():
            patch.setenv(key, value)
        running.bucket("open-data", public=True)
        layer = create_volume(
            f"precomputed://s3://open-data/lab/mouse/em?endpoint={running.endpoint}",
            shape=SHAPE,
            dtype="uint8",
            start=START,
            voxel_size_nm=(40, 8, 8),
            chunk_shape=(8, 32, 32),
        )
        layer.write(layer.domain, VALUES)
        yield running


def channel(server: BossServer, store: S3Server, name: str, cv_path: str) -> str:
    server.add_cloudvol(
        *name.split("/"), dtype="uint8", shape=SHAPE, bucket="open-data", cv_path=cv_path
    )
    return f"bossdb://{name}?host={server.url}&storage={store.endpoint}"


@pytest.mark.parametrize("cv_path", ["/lab/mouse/em", "lab/mouse/em/"])
def test_is_read_where_it_is(
    server: BossServer, store: S3Server, name: str, cv_path: str, patience: Patience
) -> None:
    uri = channel(server, store, name, cv_path)
    server.clear_requests()
    volume = open_volume(uri, patience=patience)
    assert str(volume.domain) == "[4:24, 10:80, 20:100]"
    assert volume.voxel_size_nm == (40, 8, 8)
    np.testing.assert_array_equal(volume.read(), VALUES)
    assert not [r for r in server.requests if "/cutout/" in r.path]


def test_the_token_of_the_service_stays_there(
    server: BossServer, store: S3Server, name: str, patience: Patience
) -> None:
    uri = channel(server, store, name, "/lab/mouse/em")
    store.clear_requests()
    secret = Secret("of-the-service")
    np.testing.assert_array_equal(
        open_volume(uri, credentials=secret, patience=patience).read(), VALUES
    )
    assert store.requests
    assert not [r for r in store.requests if "authorization" in r.headers]
    assert not [r for r in store.requests if secret.value in f"{r.path}{dict(r.headers)}"]


def test_a_missing_chunk_is_an_error(
    server: BossServer, store: S3Server, name: str, patience: Patience
) -> None:
    layer = f"precomputed://s3://open-data/lab/holes/em?endpoint={store.endpoint}"
    create_volume(layer, shape=(8, 8, 8), dtype="uint8", options=OpenOptions(patience=patience))
    uri = channel(server, store, name, "/lab/holes/em")
    with pytest.raises(MissingChunkError, match="is not stored"):
        open_volume(uri, patience=patience).read()
    assert not open_volume(uri, patience=patience, missing="zero").read().any()


def test_a_layer_that_is_not_there(
    server: BossServer, store: S3Server, name: str, patience: Patience
) -> None:
    uri = channel(server, store, name, "/lab/nothing")
    with pytest.raises(SourceError, match="open-data/lab/nothing") as caught:
        open_volume(uri, patience=patience)
    assert caught.value.__notes__ == [f"{uri} is kept there, outside the service"]


def test_without_a_bucket(server: BossServer, name: str) -> None:
    server.add_cloudvol(*name.split("/"), dtype="uint8", shape=SHAPE, bucket="", cv_path="/x")
    with pytest.raises(SourceError, match="does not say in which bucket"):
        open_volume(f"bossdb://{name}?host={server.url}")
