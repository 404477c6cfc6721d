"""Faults of the service and of the way to it: no voxel changes, and nothing hangs."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.geometry import Box, Coord
from volkit.io import Volume, open_volume
from volkit.io.faults import CorruptPayloadError, Patience
from volkit.io.sources import CacheOptions
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.faults import FaultProxy

SHAPE: Coord = (40, 530, 520)
# Like labels: what is between the edges repeats, so that damage shows when it is unpacked.
VALUES = (sum(np.ogrid[:40, :530, :520]) // 50 + 1).astype(np.uint8)
UNCACHED = CacheOptions(memory_bytes=0)


@pytest.fixture(scope="module")
def channel(server: BossServer) -> str:
    server.add("faults", "exp", "seg", VALUES, kind="annotation")
    return "bossdb://faults/exp/seg"


@pytest.fixture
def proxy(server: BossServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.url, seed=3, stall_seconds=5) as running:
        yield running


def opened(channel: str, proxy: Any, patience: Patience) -> Volume:
    return open_volume(f"{channel}?host={proxy.url}", patience=patience, cache=UNCACHED)


@pytest.mark.parametrize("mode", ["500", "503", "429", "reset", "truncate", "short", "absent"])
def test_bursts(channel: str, proxy: FaultProxy, patience: Patience, mode: str) -> None:
    """Everything fails for a while: opening, and reading."""
    proxy.inject(mode, times=2)
    volume = opened(channel, proxy, patience)
    assert proxy.counts[mode] == 2
    proxy.inject(mode, match="/cutout/", times=2)
    np.testing.assert_array_equal(volume.read(), VALUES)
    assert proxy.counts[mode] == 4


def test_a_share_of_requests_fails_in_every_way(
    channel: str, proxy: FaultProxy, patience: Patience
) -> None:
    proxy.inject(("500", "503", "429", "reset", "truncate", "short", "slow", "absent"), share=0.2)
    volume = opened(channel, proxy, replace(patience, attempts=20))
    for box in (volume.domain, Box((3, 5, 7), (37, 525, 519)), Box((0, 0, 0), (33, 530, 13))):
        np.testing.assert_array_equal(volume.read(box), VALUES[box.slices])
    assert sum(proxy.counts.values()) > proxy.counts["ok"]


def test_damage_is_asked_for_again(channel: str, proxy: FaultProxy, patience: Patience) -> None:
    volume = opened(channel, proxy, patience)
    proxy.inject("corrupt", match="/cutout/", times=2)
    np.testing.assert_array_equal(
        volume.read(Box((0, 0, 0), (16, 512, 512))), VALUES[:16, :512, :512]
    )
    assert proxy.counts["corrupt"] == 2


def test_damage_that_stays_names_itself(
    channel: str, proxy: FaultProxy, patience: Patience
) -> None:
    volume = opened(channel, proxy, patience)
    proxy.inject("short", match="/cutout/")
    with pytest.raises(
        CorruptPayloadError, match=r"level 0, voxels \[16:32, 0:9, 8:16\]: .* bytes"
    ):
        volume.read(Box((16, 0, 8), (32, 9, 16)))
    assert proxy.counts["short"] == 3


def test_a_service_that_stalls(channel: str, proxy: FaultProxy, patience: Patience) -> None:
    impatient = replace(patience, silence_seconds=0.1)
    volume = opened(channel, proxy, impatient)
    proxy.inject("stall", match="/cutout/", times=1)
    begun = time.monotonic()
    assert volume.read(Box((0, 0, 0), (1, 1, 1))) == VALUES[0, 0, 0]
    assert time.monotonic() - begun < 3


def test_a_service_that_stalls_for_good(
    channel: str, proxy: FaultProxy, patience: Patience
) -> None:
    impatient = replace(patience, silence_seconds=0.05, attempts=3)
    volume = opened(channel, proxy, impatient)
    proxy.inject("stall", match="/cutout/")
    with pytest.raises(SourceError, match="kept failing; gave up after 3 attempts in 0"):
        volume.read(Box((0, 0, 0), (1, 1, 1)))


def test_an_answer_that_trickles_ends_with_the_deadline(
    server: BossServer, proxy: FaultProxy, patience: Patience
) -> None:
    """Every byte of it comes in time; all of them together do not."""
    noise = np.random.default_rng(0).integers(0, 255, (16, 512, 512), np.uint8)
    server.add("faults", "exp2", "em", noise)
    volume = opened("bossdb://faults/exp2/em", proxy, replace(patience, deadline_seconds=0.4))
    proxy.inject("slow", match="/cutout/")
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"gave up after 1 attempts in 0\.[45] s.*bytes came unt"):
        volume.read()
    assert time.monotonic() - begun < 1


def test_too_large_is_halved_where_cuboids_meet(
    server: BossServer, channel: str, patience: Patience
) -> None:
    volume = opened(channel, server, patience)
    box = Box((0, 0, 0), (32, 512, 512))
    server.clear_requests()
    server.fail(413, 1)
    np.testing.assert_array_equal(volume.read(box), VALUES[box.slices])
    asked = [
        (r.status, r.path.partition("?")[0].rstrip("/").split("/")[-1]) for r in server.requests
    ]
    assert asked == [(413, "0:32"), (200, "0:16"), (200, "16:32")]


def test_too_large_is_halved_until_it_fits(patience: Patience) -> None:
    """A service that gives out an eighth of a cuboid at once."""
    with BossServer(cutout_bytes=2**19) as small:
        small.add("faults", "small", "em", VALUES)
        volume = opened("bossdb://faults/small/em", small, patience)
        box = Box((3, 5, 7), (37, 525, 519))
        np.testing.assert_array_equal(volume.read(box), VALUES[box.slices])
        assert {r.status for r in small.requests} == {200, 413}


def test_too_large_even_for_one_voxel(server: BossServer, channel: str, patience: Patience) -> None:
    volume = opened(channel, server, patience)
    server.fail(413, 1)
    with pytest.raises(SourceError, match=r"voxels \[5:6, 5:6, 5:6\]: .* answers 413"):
        volume.read(Box((5, 5, 5), (6, 6, 6)))


def test_an_unreachable_host_is_given_up(patience: Patience) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(
        SourceError, match=r"gave up after 4 attempts in 0\.\d s.*Check the address"
    ):
        open_volume(
            f"bossdb://a/b/c?host=http://127.0.0.1:{port}", patience=replace(patience, attempts=4)
        )
    assert time.monotonic() - begun < 2


def test_redirects_without_end(channel: str, proxy: FaultProxy, patience: Patience) -> None:
    proxy.redirect_to = proxy.url
    proxy.inject("redirect")
    with pytest.raises(SourceError, match=f"{proxy.url} cannot be asked: TooManyRedirects"):
        opened(channel, proxy, patience)


def test_a_host_that_is_no_boss(channel: str, proxy: FaultProxy, patience: Patience) -> None:
    proxy.inject("short")
    with pytest.raises(SourceError, match="no JSON object; check that a Boss service is there"):
        opened(channel, proxy, patience)


def test_a_service_without_the_question_for_levels(
    channel: str, proxy: FaultProxy, patience: Patience
) -> None:
    proxy.inject("absent", match="/downsample/")
    volume = opened(channel, proxy, patience)
    np.testing.assert_array_equal(volume.read(Box((0, 0, 0), (1, 9, 9))), VALUES[:1, :9, :9])
