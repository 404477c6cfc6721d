"""Access: the four places of a token, and who gets it."""

from pathlib import Path

import pytest

from volkit.errors import ConfigError
from volkit.io.bossdb.access import find_access
from volkit.io.bossdb.address import parse_address
from volkit.io.credentials import Credentials, Secret

PUBLIC = ("https://api.bossdb.io", "public")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no variables."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("INTERN_PROTOCOL", "INTERN_HOST", "INTERN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".intern").mkdir()
    return tmp_path


@pytest.fixture
def variables(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERN_PROTOCOL", "https")
    monkeypatch.setenv("INTERN_HOST", "env.org")
    monkeypatch.setenv("INTERN_TOKEN", "of-env")


def configure(home: Path, token: str = "of-file", section: str = "Default") -> None:
    text = f"[{section}]\nprotocol = https\nhost = file.org/\ntoken = {token}\n"
    (home / ".intern" / "intern.cfg").write_text(text)


def found(query: str = "", credentials: Credentials | None = None) -> tuple[str, str]:
    access = find_access(parse_address(f"bossdb://a/b/c{query}"), credentials)
    assert access.token.value == "public" or access.token.value not in repr(access)
    return access.host, access.token.value


@pytest.mark.usefixtures("home")
def test_public_where_nothing_is_configured() -> None:
    assert found() == PUBLIC


@pytest.mark.usefixtures("variables")
def test_variables() -> None:
    assert found() == ("https://env.org", "of-env")


@pytest.mark.usefixtures("home")
def test_all_three_variables_count_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERN_TOKEN", "alone")
    assert found() == PUBLIC


@pytest.mark.usefixtures("variables")
def test_the_file_beats_the_variables(home: Path) -> None:
    configure(home)
    assert found() == ("https://file.org", "of-file")


@pytest.mark.usefixtures("variables")
def test_what_is_given_beats_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home)
    monkeypatch.setenv("MINE", "given")
    (home / "token").write_text("written\nmore\n")
    assert found(credentials="env:MINE") == ("https://file.org", "given")
    assert found(credentials=f"file:{home / 'token'}") == ("https://file.org", "written")
    assert found(credentials=Secret("whole")) == ("https://file.org", "whole")
    assert found(credentials="anonymous") == ("https://file.org", "public")
    assert found(credentials="profile:aws") == ("https://file.org", "of-file")


def test_the_section_of_the_service_counts_first(home: Path) -> None:
    configure(home, section="Volume Service")
    assert found() == ("https://file.org", "of-file")


def test_a_configured_token_stays_with_its_host(home: Path) -> None:
    configure(home)
    assert found("?host=https://other.org") == ("https://other.org", "public")
    assert found("?host=http://file.org") == ("http://file.org", "public")  # not in the clear
    assert found("?host=https://file.org:444") == ("https://file.org:444", "public")
    assert found("?host=https://FILE.org:443/") == ("https://file.org", "of-file")
    assert found("?host=file.org") == ("https://file.org", "of-file")
    assert found("?host=https://other.org", Secret("given")) == ("https://other.org", "given")


@pytest.mark.parametrize("written", ["50%off", "50%%off", "%(token)s"])
def test_percent_signs(home: Path, written: str) -> None:
    configure(home, written)
    assert found()[1] == written.replace("%%", "%")


@pytest.mark.parametrize(
    "text", ["token = hush\n", "[Default]\nhush\n", "[Default]\ntoken = hush\n", "[x]\n"]
)
def test_a_broken_file_is_not_quoted(home: Path, text: str) -> None:
    (home / ".intern" / "intern.cfg").write_text(text)
    with pytest.raises(ConfigError, match=r"intern.cfg cannot be read .* mend it") as caught:
        found()
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_token_that_is_none_is_not_quoted(home: Path) -> None:
    configure(home, "hush\u2026")
    with pytest.raises(ConfigError, match=r"the token of ~/.intern/intern.cfg .* again") as caught:
        found()
    assert "hush" not in str(caught.value)


@pytest.mark.usefixtures("home")
def test_a_variable_that_is_not_set() -> None:
    with pytest.raises(ConfigError, match="env:NOT_SET: the variable is not set"):
        found(credentials="env:NOT_SET")
