"""Secrets are hidden wherever somebody may have put them; what is none stays readable."""

import pytest

from volkit.io.redaction import command_line, redacted, without_secrets

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"https://me:{SECRET}@host/em.zarr",
        f"s3://me:{SECRET}/with/slash@bucket/em.zarr".replace("/with/slash", ""),
        f"https://host/em.zarr?X-Amz-Signature={SECRET}&level=1",
        f"--set=boss.token={SECRET}",
        f"input={{image: em.zarr, token: {SECRET}}}",
        f'{{"password": "{SECRET}"}}',
        f"password='{SECRET} with a space'",
        f"input.credentials={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"a token {SECRET} in a sentence",
    ],
)
def test_a_secret_is_hidden(text: str) -> None:
    assert SECRET not in without_secrets(text)


@pytest.mark.parametrize(
    "token",
    ["AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1" * 18, "hf_" + "Ab" * 15, "eyJhbGciOiJI.eyJzdWIi.sig"],
)
def test_tokens_are_known_by_their_shape(token: str) -> None:
    assert token not in without_secrets(f"run --with {token}")


def test_values_of_secret_variables_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOSS_TOKEN", SECRET)
    assert without_secrets(f"x{SECRET}y") == "x***y"


def test_the_value_after_an_option_is_hidden() -> None:
    assert command_line(["volkit", "run", "--api-token", SECRET]) == "volkit run --api-token ***"


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/em.zarr?endpoint=http://127.0.0.1:9000",
        "bossdb://c/e/ch",
        "input.credentials=env:BOSS_TOKEN",
        "input.credentials=file:keys/boss.txt",
        "credentials: anonymous",
        "em@2.zarr",
        "segment.threshold=0.7",
        "workflows/keyboard.yaml",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_folders_of_the_shell_are_no_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shell sets PWD, and paths below it are what a run is recorded and found by."""
    monkeypatch.setenv("PWD", "/data/lab/project")
    monkeypatch.setenv("OLDPWD", "/data/lab/before")
    monkeypatch.setenv("DB_PWD", "/data/lab/secret")
    told = {"image": "/data/lab/project/em.zarr", "mask": "/data/lab/before/mask.zarr"}
    assert redacted(told) == told
    assert without_secrets("at /data/lab/secret") == "at ***"
