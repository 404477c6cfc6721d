"""The Boss server, driven by the genuine intern."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

intern = pytest.importorskip("intern", reason="needs volkit[bossdb]")
from intern.convenience.array import _BossDBVolumeProvider  # noqa: E402
from intern.remote.boss import BossRemote  # noqa: E402
from intern.resource.boss.resource import (  # noqa: E402
    ChannelResource,
    CollectionResource,
    CoordinateFrameResource,
    ExperimentResource,
)
from requests import HTTPError  # noqa: E402

from volkit.errors import ConfigError  # noqa: E402
from volkit.testing.servers.boss import BossServer  # noqa: E402

VOXELS = np.random.default_rng(1).integers(1, 2**16, (21, 60, 71)).astype(np.uint16)
EM = ChannelResource("em", "col", "exp", type="image", datatype="uint16")


@pytest.fixture
def server() -> Iterator[BossServer]:
    with BossServer() as server:
        server.add("col", "exp", "em", VOXELS, voxel_size_nm=(40, 4, 4), levels=3, downsampled=True)
        yield server


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make remotes of intern, which read no configuration and are closed at the end."""
    monkeypatch.setenv("HOME", str(tmp_path))
    made: list[Any] = []

    def connect(server: BossServer, token: str = "public") -> Any:
        made.append(BossRemote({"protocol": "http", "host": server.host, "token": token}))
        return made[-1]

    yield connect
    for remote in made:
        for service in (remote._volume, remote._project, remote._metadata):
            service.session.close()


@pytest.fixture
def remote(server: BossServer, connect: Any) -> Any:
    return connect(server)


def array(remote: Any, uri: str, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that CloudVolume is not installed, even if it is
        return intern.array(uri, volume_provider=_BossDBVolumeProvider(remote), **options)


def labels(remote: Any, shape: tuple[int, int, int] = (8, 16, 32), **options: Any) -> Any:
    made = {"create_new": True, "dtype": "uint64", "extents": shape, "voxel_size": (40, 4, 4)}
    return array(remote, "bossdb://mine/one/labels", **made, voxel_unit="nanometers", **options)


def refused(call: Any, *arguments: Any, **options: Any) -> tuple[int, int]:
    """Give the status of what intern raises, and the service's code."""
    with pytest.raises(HTTPError, match="got HTTP response") as caught:
        call(*arguments, **options)
    answer = caught.value.response
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


# Reading


def test_intern_reads(remote: Any) -> None:
    found = array(remote, "bossdb://col/exp/em")
    assert found.shape == VOXELS.shape
    assert found.dtype == "uint16"
    np.testing.assert_array_equal(found[3:20, 10:50, 30:70], VOXELS[3:20, 10:50, 30:70])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint64"])
def test_types(server: BossServer, remote: Any, dtype: str) -> None:
    values = VOXELS.astype(dtype)
    server.add("typed", dtype, "em", values)
    np.testing.assert_array_equal(array(remote, f"typed/{dtype}/em")[0:21, 0:60, 0:71], values)


def test_intern_finds_it_by_variables(
    server: BossServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = intern.array("bossdb://col/exp/em")
        np.testing.assert_array_equal(found[0:2, 0:3, 0:4], VOXELS[:2, :3, :4])


@pytest.mark.parametrize("hierarchy", ["anisotropic", "isotropic"])
def test_levels_count_from_absolute_zero(server: BossServer, hierarchy: str) -> None:
    values = np.arange(1, 5, dtype=np.uint8).reshape(1, 1, 4)
    server.add("c", "e", "odd", values, levels=2, origin=(0, 0, 7), hierarchy=hierarchy)
    assert server.voxels("c", "e", "odd", 1).tolist() == [[[1, 2, 4]]], "of 7, 8 9 and 10"


@pytest.mark.parametrize(
    ("hierarchy", "query", "extent", "size"),
    [
        ("anisotropic", "", [36, 33, 23], [8, 8, 40]),
        ("anisotropic", "?iso=true", [36, 33, 23], [8, 8, 40]),  # not before they are cubes
        ("isotropic", "", [36, 33, 12], [8, 8, 80]),
    ],
)
def test_what_it_says_of_levels(
    server: BossServer, remote: Any, hierarchy: str, query: str, extent: list[int], size: list[int]
) -> None:
    options = {"levels": 5, "downsampled": True, "origin": (2, 6, 1), "hierarchy": hierarchy}
    server.add("c", "e", "em", VOXELS, voxel_size_nm=(40, 4, 4), **options)
    session = remote._volume.session
    found = session.get(f"{server.url}/v1/downsample/c/e/em/{query}").json()
    assert found["extent"]["0"] == [72, 66, 23], "from the stop alone"
    assert (found["extent"]["1"], found["voxel_size"]["1"]) == (extent, size)
    assert found["voxel_size"]["4"][2] == (
        40 if not query and hierarchy[0] == "a" else 80 if query else 640
    )
    assert found["cuboid_size"]["1"] == [512, 512, 16]
    assert (found["num_hierarchy_levels"], found["status"]) == (5, "DOWNSAMPLED")


def test_bounds_are_those_of_the_native_level(server: BossServer, remote: Any) -> None:
    def cut(level: int, x: list[int]) -> Any:
        return remote.get_cutout(EM, level, x, [0, 1], [0, 1])

    np.testing.assert_array_equal(cut(1, [30, 71])[0, 0, :6], VOXELS[0, 0, 60::2])
    assert not cut(1, [30, 71])[0, 0, 6:].any(), "zeros beyond the level's own edge"
    assert refused(cut, 0, [70, 72]) == (400, 1001)
    assert refused(cut, 0, [5, 5]) == (400, 1001)
    assert refused(cut, 3, [0, 1]) == (400, 1002)
    server.add("c", "e", "far", VOXELS, origin=(100, 200, 300), levels=2)
    far = ChannelResource("far", "c", "e", type="image", datatype="uint16")
    box = ([300, 371], [200, 260], [100, 121])
    np.testing.assert_array_equal(remote.get_cutout(far, 0, *box), VOXELS)
    assert refused(remote.get_cutout, far, 1, [150, 151], [100, 101], [100, 101]) == (400, 1001)


def test_large_cutouts(connect: Any) -> None:
    with BossServer(cutout_bytes=100) as server:
        remote = connect(server)
        for dtype, most in (("uint8", 100), ("uint16", 50), ("uint64", 50)):
            server.add("col", dtype, "em", np.ones((1, 1, 101), dtype))
            channel = ChannelResource("em", "col", dtype, type="image", datatype=dtype)
            assert remote.get_cutout(channel, 0, [0, most], [0, 1], [0, 1]).all()
            wide = [0, most + 1]
            assert refused(remote.get_cutout, channel, 0, wide, [0, 1], [0, 1]) == (413, 2000)


def test_time_filter_and_mode(server: BossServer, remote: Any) -> None:
    box = ([0, 9], [0, 8], [0, 7])
    whole = VOXELS[:7, :8, :9]
    timed = remote.get_cutout(EM, 0, *box, time_range=[0, 1])
    np.testing.assert_array_equal(timed, whole[np.newaxis])
    wanted = [int(whole[0, 0, 0]), int(whole[6, 7, 8])]
    found = remote.get_cutout(EM, 0, *box, id_list=wanted)
    np.testing.assert_array_equal(found, np.where(np.isin(whole, wanted), whole, 0))
    assert refused(remote.get_cutout, EM, 0, *box, time_range=[0, 2]) == (400, 1001)
    place = f"{server.url}/v1/cutout/col/exp/em/0/0:1/0:1"
    answers = [f"{place}/0:1/?access-mode=fast", f"{place}/0:1:2/", f"{place}/zero:1"]
    assert [remote._volume.session.get(url).json()["code"] for url in answers] == [1005, 1001, 1002]


# Writing


def test_only_what_is_not_zero_is_written(server: BossServer, remote: Any) -> None:
    first = np.zeros((8, 16, 32), np.uint64)
    first[2:4, 3:9, 5:11] = 2**60
    made = labels(remote, first.shape)
    made[0:8, 0:16, 0:32] = first
    np.testing.assert_array_equal(server.voxels("mine", "one", "labels"), first)
    second = np.zeros_like(first)
    second[0, 0, 0] = 7
    made[0:8, 0:16, 0:32] = second
    assert server.voxels("mine", "one", "labels")[2, 3, 5] == 2**60, "zeros never overwrite"
    channel = remote.get_project(ChannelResource("labels", "mine", "one"))
    remote.create_cutout_to_black(channel, 0, [0, 32], [0, 16], [0, 3])
    assert sorted(np.unique(server.voxels("mine", "one", "labels"))) == [0, 2**60]
    assert not server.voxels("mine", "one", "labels")[:3].any()


def test_a_payload_of_another_type(remote: Any) -> None:
    labels(remote, (1, 2, 4))
    channel = remote.get_project(ChannelResource("labels", "mine", "one"))
    box = ([0, 4], [0, 2], [0, 1])
    wrong = np.ones((1, 2, 4), np.uint8)
    assert refused(remote.create_cutout, channel, 0, *box, wrong) == (400, 2002)


def test_writing_past_the_edge_of_a_level(server: BossServer, remote: Any) -> None:
    box = ([34, 40], [0, 1], [0, 1])
    remote.create_cutout(EM, 1, *box, np.full((1, 1, 6), 9, np.uint16))
    assert server.voxels("col", "exp", "em", 1)[0, 0, 33:].tolist() == [VOXELS[0, 0, 66], 9, 9]
    assert remote.get_project(EM).downsample_status == "NOT_DOWNSAMPLED"
    url = f"{server.url}/v1/downsample/col/exp/em/"
    assert remote._volume.session.post(url).status_code == 201
    assert server.voxels("col", "exp", "em", 1)[0, 0, 34] == VOXELS[0, 0, 68]
    assert remote.get_project(EM).downsample_status == "DOWNSAMPLED"


def test_ids(remote: Any) -> None:
    values = np.zeros((20, 20, 600), np.uint64)
    values[3:18, 4, 500:520] = 11
    values[0, 0, 0] = 2**63
    made = labels(remote, values.shape)
    made[0:20, 0:20, 0:600] = values
    channel = remote.get_project(ChannelResource("labels", "mine", "one"))
    assert sorted(remote.get_ids_in_region(channel, 0, [0, 600], [0, 20], [0, 20])) == [11, 2**63]
    tight = {"x_range": [500, 520], "y_range": [4, 5], "z_range": [3, 18], "t_range": [0, 1]}
    assert remote.get_bounding_box(channel, 0, 11, "tight") == tight
    loose = {"x_range": [0, 1024], "y_range": [0, 512], "z_range": [0, 32], "t_range": [0, 1]}
    assert remote.get_bounding_box(channel, 0, 11, "loose") == loose
    assert refused(remote.get_bounding_box, channel, 0, 12, "tight") == (404, 4004)
    first = remote.reserve_ids(channel, 10)
    assert remote.reserve_ids(channel, 1) == first + 10


# Resources


def test_intern_makes_changes_and_removes(server: BossServer, remote: Any) -> None:
    labels(remote, downsample_levels=4)
    assert set(remote.list_collections()) == {"col", "mine"}
    assert remote.list_experiments("mine") == ["one"]
    assert remote.list_channels("mine", "one") == ["labels"]
    assert "CF_mine_one" in remote.list_coordinate_frames()
    experiment = remote.get_project(ExperimentResource("one", "mine"))
    assert (experiment.num_hierarchy_levels, experiment.hierarchy_method) == (4, "anisotropic")
    assert server.voxels("mine", "one", "labels", 3).shape == (8, 2, 4)
    experiment.name, experiment.description = "two", "renamed"
    remote.update_project("one", experiment)
    assert remote.get_project(ExperimentResource("two", "mine")).description == "renamed"
    channel = remote.get_project(ChannelResource("labels", "mine", "two"))
    frame = remote.get_project(CoordinateFrameResource("CF_mine_one"))
    assert (frame.x_stop, frame.x_voxel_size) == (32, 4.0)
    assert refused(remote.delete_project, experiment) == (404, 4003)
    assert refused(remote.delete_project, frame) == (404, 4003)
    for resource in (channel, experiment, frame, CollectionResource("mine")):
        remote.delete_project(resource)
        assert refused(remote.get_project, resource) == (404, 4000)
    assert server.requests[-1].status == 404


def test_what_cannot_be_made(remote: Any) -> None:
    assert refused(remote.create_project, CollectionResource("col")) == (404, 6002)
    lost = ExperimentResource("e", "none", coord_frame="CF_col_exp")
    assert refused(remote.create_project, lost) == (404, 4000)
    lost = ExperimentResource("e", "col", coord_frame="none")
    assert refused(remote.create_project, lost) == (400, 1003)
    odd = ChannelResource("a b", "col", "exp", type="image", datatype="uint8")
    assert refused(remote.create_project, odd)[0] == 404
    odd = ChannelResource("f", "col", "exp", type="image", datatype="uint8")
    odd._datatype = "float32"
    assert refused(remote.create_project, odd) == (400, 1003)


def test_metadata(server: BossServer, remote: Any) -> None:
    remote.create_metadata(EM, {"made by": "volkit", "seed": "7"})
    assert sorted(remote.list_metadata(EM)) == ["made by", "seed"]
    assert remote.get_metadata(EM, ["made by"]) == {"made by": "volkit"}
    remote.update_metadata(EM, {"seed": "8"})
    assert remote.get_metadata(EM, ["seed"]) == {"seed": "8"}
    remote.delete_metadata(EM, ["seed"])
    assert remote.list_metadata(EM) == ["made by"]
    url = f"{server.url}/v1/meta/col/exp/em/?key="
    session = remote._volume.session
    assert session.get(f"{url}seed").json()["code"] == 4000
    assert session.put(f"{url}seed&value=1").json()["code"] == 4000
    assert session.post(f"{url}made by&value=1").json()["code"] == 6002
    assert session.get(f"{server.url}/v1/meta/none/").json()["code"] == 4000


def test_a_layer_in_a_bucket(server: BossServer, remote: Any) -> None:
    place = {"bucket": "open-data", "cv_path": "/minnie/em"}
    server.add_cloudvol("m", "n", "em", dtype="uint8", shape=(4, 5, 6), origin=(1, 2, 3), **place)
    raw = remote.get_project(ChannelResource("em", "m", "n")).raw
    assert raw | place | {"storage_type": "cloudvol"} == raw
    channel = ChannelResource("em", "m", "n", type="image", datatype="uint8")
    box = ([3, 9], [2, 7], [1, 5])
    assert remote.get_cutout(channel, 0, *box).shape == (4, 5, 6)
    full = np.ones((4, 5, 6), np.uint8)
    assert refused(remote.create_cutout, channel, 0, *box, full) == (400, 9001)


# Who may, and failures


def test_tokens(connect: Any) -> None:
    with BossServer(token="let-me-in") as server:
        server.add("open", "exp", "em", VOXELS, public=True)
        server.add("col", "exp", "em", VOXELS)
        owner, anybody, nobody = (connect(server, t) for t in ("let-me-in", "public", "wrong"))
        shown = ChannelResource("em", "open", "exp", type="image", datatype="uint16")
        box = ([0, 2], [0, 2], [0, 2])
        for remote, channel in ((owner, EM), (owner, shown), (anybody, shown)):
            assert remote.get_cutout(channel, 0, *box).any()
        assert refused(nobody.get_cutout, shown, 0, *box) == (403, 3004)
        assert refused(anybody.get_cutout, EM, 0, *box) == (403, 3001)
        assert refused(anybody.create_project, CollectionResource("new")) == (403, 3000)
        assert refused(anybody.delete_project, shown) == (403, 3001)
        assert server.requests[0].headers["authorization"] == "Token let-me-in"
        owner._project.set_public_visibility(CollectionResource("open"), False)
        assert refused(anybody.get_cutout, shown, 0, *box) == (403, 3001)


def test_injected_failures(server: BossServer, remote: Any) -> None:
    server.fail(503, 2)
    server.fail(429)
    place = f"{server.url}/v1/cutout/col/exp/em/0/0:1/0:1/0:1/"
    session = remote._volume.session
    assert session.get(f"{server.url}/v1/collection/col/").status_code == 200
    assert [session.get(place).status_code for _ in range(4)] == [503, 503, 429, 200]
    server.fail(500, match="")
    answer = session.get(f"{server.url}/v1/collection/col/")
    assert (answer.status_code, answer.json()["code"]) == (500, 9002)


def test_what_is_no_route(server: BossServer, remote: Any) -> None:
    session = remote._volume.session
    assert session.get(f"{server.url}/v1/tile/col/exp/em").status_code == 404
    assert session.delete(f"{server.url}/v1/cutout/col/exp/em/0/0:1/0:1/0:1").status_code == 405
    assert session.post(f"{server.url}/v1/coord/new", data=b"no JSON").json()["code"] == 1003
    assert session.post(f"{server.url}/v1/coord/new", data=b"[1]").json()["code"] == 1003
    frame = dict.fromkeys([f"{a}_{k}" for a in "xyz" for k in ("start", "stop", "voxel_size")], "?")
    assert session.post(f"{server.url}/v1/coord/new", json=frame).json()["code"] == 9002


def test_adding_what_is_there(server: BossServer) -> None:
    with pytest.raises(ConfigError, match="col/exp/em is there already; choose another name"):
        server.add("col", "exp", "em", VOXELS, voxel_size_nm=(40, 4, 4), levels=3)
    with pytest.raises(ConfigError, match="col/exp is there already, and lies elsewhere"):
        server.add("col", "exp", "other", VOXELS)
    with pytest.raises(ConfigError, match="float64 voxels; a Boss holds"):
        server.add("col", "new", "other", np.zeros((1, 1, 1)))
