"""Addresses name a channel, and nothing that must not be shown."""

import pytest

from volkit.errors import SourceError
from volkit.io.bossdb.address import parse_address, plain_host


def test_names_and_settings() -> None:
    address = parse_address("bossdb://lee/ppc_2016/em-1?host=127.0.0.1:80&storage=http://h:1")
    assert (address.collection, address.experiment, address.channel) == ("lee", "ppc_2016", "em-1")
    assert (address.level, address.host, address.storage) == (None, "127.0.0.1:80", "http://h:1")


def test_level_behind_the_channel() -> None:
    assert parse_address("bossdb://a/b/c/3/").level == 3


@pytest.mark.parametrize(
    "uri",
    [
        "bossdb://a/b",
        "bossdb://a/b/c/d",
        "bossdb://a/b/c/12",
        "bossdb://a//c",
        "bossdb://a/b/c d",
        "bossdb://https://api.bossdb.io/a/b/c",
    ],
)
def test_no_channel(uri: str) -> None:
    with pytest.raises(SourceError, match="names no channel; expected bossdb://collection"):
        parse_address(uri)


def test_settings_that_nothing_knows() -> None:
    with pytest.raises(SourceError, match="hots behind the question mark is not known; .* host"):
        parse_address("bossdb://a/b/c?hots=http://x")


@pytest.mark.parametrize("key", ["token", "api_key"])
def test_no_token_in_an_address(key: str) -> None:
    with pytest.raises(SourceError, match="must not be part of an address") as caught:
        parse_address(f"bossdb://a/b/c?{key}=hush")
    assert "hush" not in str(caught.value)


def test_no_user_in_a_host() -> None:
    with pytest.raises(SourceError, match="a password must not be part of an address") as caught:
        parse_address("bossdb://a/b/c?host=https://me:hush@api.bossdb.io")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("HTTPS://API.bossdb.io/", "https://api.bossdb.io"),
        ("https://api.bossdb.io:443", "https://api.bossdb.io"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:80", "http://[::1]"),
        ("api.bossdb.io", "api.bossdb.io"),
    ],
)
def test_one_form_of_a_host(given: str, plain: str) -> None:
    assert plain_host(given, uri="") == plain


@pytest.mark.parametrize("host", ["", "https://", "https://h/v1", "ftp://h", "https://h:port"])
def test_no_host(host: str) -> None:
    with pytest.raises(SourceError, match="is not understood; give https://name"):
        plain_host(host, uri="bossdb://a/b/c")
