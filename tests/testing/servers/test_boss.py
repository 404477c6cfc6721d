"""The Boss server, driven by the genuine intern."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from volkit.testing.servers.boss import BossServer

intern = pytest.importorskip("intern", reason="needs volkit[bossdb]")
from intern.convenience.array import _BossDBVolumeProvider  # noqa: E402
from intern.remote.boss import BossRemote  # noqa: E402
from intern.resource.boss.resource import ChannelResource  # noqa: E402

VOXELS = np.random.default_rng(1).integers(1, 2**16, (21, 60, 71)).astype(np.uint16)


@pytest.fixture
def server() -> Iterator[BossServer]:
    with BossServer() as server:
        server.add("col", "exp", "em", VOXELS, voxel_size_nm=(40, 4, 4), levels=3)
        yield server


@pytest.fixture
def remote(server: BossServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("HOME", str(tmp_path))
    remote = BossRemote({"protocol": "http", "host": server.host, "token": "public"})
    yield remote
    for service in (remote._volume, remote._project, remote._metadata):
        service.session.close()


def array(remote: Any, uri: str, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that CloudVolume is not installed, even if it is
        return intern.array(uri, volume_provider=_BossDBVolumeProvider(remote), **options)


def test_intern_reads(remote: Any) -> None:
    found = array(remote, "bossdb://col/exp/em")
    assert found.shape == VOXELS.shape
    assert found.dtype == "uint16"
    np.testing.assert_array_equal(found[3:20, 10:50, 30:70], VOXELS[3:20, 10:50, 30:70])


def test_intern_creates_and_writes_what_is_not_zero(server: BossServer, remote: Any) -> None:
    labels = np.zeros((8, 16, 32), np.uint64)
    labels[2:4, 3:9, 5:11] = 2**60
    made = array(
        remote,
        "bossdb://mine/one/labels",
        create_new=True,
        dtype="uint64",
        extents=labels.shape,
        voxel_size=(40, 4, 4),
        voxel_unit="nanometers",
    )
    made[0:8, 0:16, 0:32] = labels
    np.testing.assert_array_equal(server.voxels("mine", "one", "labels"), labels)
    other = np.zeros_like(labels)
    other[0, 0, 0] = 7
    made[0:8, 0:16, 0:32] = other
    assert server.voxels("mine", "one", "labels")[2, 3, 5] == 2**60, "zeros never overwrite"
    channel = remote.get_project(ChannelResource("labels", "mine", "one"))
    ids = remote.get_ids_in_region(channel, 0, [0, 32], [0, 16], [0, 8])
    assert sorted(ids) == [7, 2**60]


def test_bounds_are_those_of_the_native_level(server: BossServer) -> None:
    def status(level: int, x: str) -> int:
        place = f"{server.url}/v1/cutout/col/exp/em/{level}/{x}/0:1/0:1/"
        return requests.get(place, headers={"Accept": "application/blosc"}).status_code

    assert status(0, "70:72") == 400
    assert status(1, "40:71") == 200, "zeros beyond the level's own edge"
    assert status(3, "0:1") == 400


def test_errors_say_what_the_service_says(server: BossServer) -> None:
    server.token = "let-me-in"
    answer = requests.get(f"{server.url}/v1/collection/col/experiment/exp/channel/em/")
    assert (answer.status_code, answer.json()["code"]) == (403, 3004)
    headers = {"Authorization": "Token let-me-in"}
    answer = requests.get(f"{server.url}/v1/collection/none/", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, 4000)
    server.boss.cutout_bytes = 100
    place = f"{server.url}/v1/cutout/col/exp/em/0/0:20/0:10/0:1/"
    answer = requests.get(place, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, 2000)
    assert server.requests[-1].status == 413
    server.fail(503, 2)
    assert [requests.get(place, headers=headers).status_code for _ in range(3)] == [503, 503, 413]


def test_levels_count_from_absolute_zero() -> None:
    with BossServer() as server:
        values = np.arange(1, 5, dtype=np.uint8).reshape(1, 1, 4)
        server.add("c", "e", "odd", values, levels=2, origin=(0, 0, 7), hierarchy="isotropic")
        assert server.voxels("c", "e", "odd", 1).tolist() == [[[1, 2, 4]]], "of 7, 8 9 and 10"
        levels = requests.get(f"{server.url}/v1/downsample/c/e/odd/").json()
        assert levels["extent"]["1"] == [6, 1, 1]
