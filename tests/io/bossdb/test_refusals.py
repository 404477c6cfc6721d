"""What is said when a channel cannot be opened, and what is needed to open it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io import open_volume
from volkit.testing.servers.boss import BossServer


def add(server: BossServer, name: str, **options: Any) -> str:
    collection, experiment, channel = name.split("/")
    server.add(collection, experiment, channel, np.ones((4, 40, 40), np.uint8), **options)
    return f"bossdb://{name}?host={server.url}"


@pytest.mark.parametrize(
    ("other", "kind"),
    [("{c}/exp/no", "channel 'no'"), ("{c}/no/em", "experiment 'no'"), ("no/exp/em", "collection")],
)
def test_names_that_are_not_there(server: BossServer, name: str, other: str, kind: str) -> None:
    uri = add(server, name)
    wrong = uri.replace(name, other.format(c=name.split("/")[0]))
    with pytest.raises(SourceError, match=rf"there is no {kind}.* check the spelling"):
        open_volume(wrong)


def test_axes_are_known(server: BossServer, name: str) -> None:
    uri = add(server, name)
    with pytest.raises(SourceError, match="knows its axes"):
        open_volume(uri, axes="xyz")


def test_no_such_level(server: BossServer, name: str) -> None:
    uri = add(server, name, levels=2)
    with pytest.raises(SourceError, match="has no level 2; it has 0 to 1, 0 the finest"):
        open_volume(uri, level=2)


def test_the_level_as_intern_writes_it(server: BossServer, name: str) -> None:
    uri = add(server, name, levels=2)
    place, _, query = uri.partition("?")
    assert open_volume(f"{place}/1?{query}") == open_volume(uri, level=1)
    assert open_volume(f"{place}/1?{query}&level=1") == open_volume(uri, level=1)
    with pytest.raises(SourceError, match="states level"):
        open_volume(f"{place}/1?{query}", level=0)
    with pytest.raises(SourceError, match="states level 1, asked for 0; say it once"):
        open_volume(f"{place}/1?{query}&level=0")


@pytest.fixture
def guarded() -> Iterator[BossServer]:
    """A server that takes one token only."""
    with BossServer(token="right") as running:
        yield running


def test_a_wrong_token(guarded: BossServer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = add(guarded, name)
    with pytest.raises(SourceError, match="403 .*Check the token .*no token is configured.*, and"):
        open_volume(uri)
    monkeypatch.setenv("BOSS_TOKEN", "wrong")
    with pytest.raises(SourceError, match=r"403 .*Check the token \(credentials: env:BOSS_TOKEN"):
        open_volume(uri, credentials="env:BOSS_TOKEN")
    monkeypatch.setenv("BOSS_TOKEN", "right")
    assert open_volume(uri, credentials="env:BOSS_TOKEN", voxel_size_nm=(1, 1, 1)).read().any()


def test_a_configured_token_is_used(
    guarded: BossServer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(guarded, name)
    for key, value in guarded.environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    assert open_volume(f"bossdb://{name}").read().any()
