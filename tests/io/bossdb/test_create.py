"""Creating channels: what is there must agree, what is not there is made."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io import OpenOptions, create_volume
from volkit.io.credentials import Secret
from volkit.io.faults import Patience
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.faults import FaultProxy

LAYOUT: dict[str, Any] = {
    "shape": (40, 60, 70),
    "dtype": "uint64",
    "start": (5, 6, 7),
    "voxel_size_nm": (40.0, 4.0, 4.0),
}


@pytest.fixture(scope="module")
def server() -> Iterator[BossServer]:
    """A server that takes one token."""
    with BossServer(token="maker") as running:
        yield running


@pytest.fixture
def options(patience: Patience) -> OpenOptions:
    return OpenOptions(credentials=Secret("maker"), patience=patience)


def test_all_that_is_needed(server: BossServer, name: str, options: OpenOptions) -> None:
    uri = f"bossdb://{name}?host={server.url}"
    volume = create_volume(uri, options=options, attributes={"fingerprint": "f1"}, **LAYOUT)
    assert str(volume.domain) == "[5:45, 6:66, 7:77]"
    assert (volume.dtype, volume.voxel_size_nm) == (np.uint64, (40, 4, 4))
    assert (volume.levels, volume.attributes["type"]) == (1, "annotation")
    assert volume.attributes["volkit"]["fingerprint"] == "f1"
    values = np.random.default_rng(0).integers(0, 9, volume.shape).astype(np.uint64)
    volume.write(volume.domain, values)
    np.testing.assert_array_equal(volume.read(), values)


def test_an_equal_one_is_opened(server: BossServer, name: str, options: OpenOptions) -> None:
    uri = f"bossdb://{name}?host={server.url}"
    first = create_volume(uri, options=options, attributes={"fingerprint": "f1"}, **LAYOUT)
    server.clear_requests()
    again = create_volume(uri, options=options, attributes={"fingerprint": "f1"}, **LAYOUT)
    assert first == again
    assert {r.method for r in server.requests} == {"GET"}
    with pytest.raises(SourceError, match="exists with fingerprint f1; asked for fingerprint f2"):
        create_volume(uri, options=options, attributes={"fingerprint": "f2"}, **LAYOUT)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": (40, 60, 71)}, r"extent \[5:45, 6:66, 7:77\]; asked for extent .* 7:78\]"),
        ({"start": (5, 6, 8)}, "extent"),
        ({"dtype": "uint8"}, "dtype uint64; asked for dtype uint8"),
        ({"voxel_size_nm": (40.0, 4.0, 5.0)}, "voxel_size_nm"),
    ],
)
def test_what_differs_is_named(
    server: BossServer, name: str, options: OpenOptions, change: dict[str, Any], said: str
) -> None:
    uri = f"bossdb://{name}?host={server.url}"
    create_volume(uri, options=options, **LAYOUT)
    with pytest.raises(SourceError, match=f"exists with {said}.*: choose another name"):
        create_volume(uri, options=options, **{**LAYOUT, **change})


def test_another_channel_of_an_experiment(
    server: BossServer, name: str, options: OpenOptions
) -> None:
    uri = f"bossdb://{name}?host={server.url}"
    create_volume(uri, options=options, **LAYOUT)
    second = f"bossdb://{name}_raw?host={server.url}"
    volume = create_volume(second, options=options, **{**LAYOUT, "dtype": "uint8"})
    assert volume.attributes["type"] == "image"
    third = f"bossdb://{name}_other?host={server.url}"
    with pytest.raises(SourceError, match="experiment or channel that exists with extent"):
        create_volume(third, options=options, **{**LAYOUT, "shape": (1, 1, 1)})


def test_kinds(server: BossServer, name: str, options: OpenOptions) -> None:
    uri = f"bossdb://{name}?host={server.url}"
    layout = {**LAYOUT, "dtype": "uint16", "kind": "labels"}
    assert create_volume(uri, options=options, **layout).attributes["type"] == "annotation"


def test_the_public_token_may_not_create(server: BossServer, name: str, patience: Patience) -> None:
    with pytest.raises(SourceError, match="403 .*Check the token .*no token is configured"):
        create_volume(
            f"bossdb://{name}?host={server.url}", options=OpenOptions(patience=patience), **LAYOUT
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dtype": "uint32"}, "with uint32; a channel is written as one of uint8, uint16, uint64"),
        ({"dtype": "float32"}, "with float32"),
        ({"channels": 3}, "with 3 channels; create one for each"),
        ({"start": (0, 0, -1)}, "BossDB has no negative voxels"),
        ({"origin_nm": (1.0, 0.0, 0.0)}, "cannot keep origin_nm"),
        ({"encoding": "jpeg"}, "the service chooses how"),
    ],
)
def test_what_the_service_cannot_hold(
    server: BossServer, name: str, options: OpenOptions, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        create_volume(f"bossdb://{name}?host={server.url}", options=options, **{**LAYOUT, **change})


def test_levels_are_not_created(server: BossServer, name: str, options: OpenOptions) -> None:
    with pytest.raises(SourceError, match="names a level; create the channel"):
        create_volume(f"bossdb://{name}/1?host={server.url}", options=options, **LAYOUT)


def test_nothing_is_removed(server: BossServer, name: str, options: OpenOptions) -> None:
    uri = f"bossdb://{name}?host={server.url}"
    create_volume(uri, options=options, **LAYOUT)
    with pytest.raises(SourceError, match="volkit removes no channels"):
        create_volume(uri, options=options, overwrite=True, **LAYOUT)


def test_only_404_means_that_it_is_not_there(
    server: BossServer, name: str, options: OpenOptions
) -> None:
    uri = f"bossdb://{name}?host={server.url}"
    with FaultProxy(server.url) as proxy:
        proxy.inject("500", match="/channel/")
        impatient = replace(options, patience=replace(options.patience, attempts=2))
        with pytest.raises(SourceError, match="kept failing; gave up after 2 attempts"):
            create_volume(uri.replace(server.url, proxy.url), options=impatient, **LAYOUT)
    assert "POST" not in {r.method for r in server.requests if name.split("/")[0] in r.path}


def test_faults_while_creating(server: BossServer, name: str, options: OpenOptions) -> None:
    """An answer that was lost is followed by "exists already", which is no failure."""
    with FaultProxy(server.url, seed=2) as proxy:
        proxy.inject(("503", "truncate", "429", "reset"), share=0.4)
        patient = replace(options, patience=replace(options.patience, attempts=30))
        volume = create_volume(f"bossdb://{name}?host={proxy.url}", options=patient, **LAYOUT)
        assert volume.shape == (40, 60, 70)
