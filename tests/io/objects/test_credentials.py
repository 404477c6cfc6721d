"""Credentials: who is asked for keys, in which order, and what is said where they are refused."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from volkit.errors import ConfigError, SourceError
from volkit.io.credentials import Secret
from volkit.io.faults import Patience
from volkit.io.objects.protocol import open_objects
from volkit.io.sources import OpenOptions
from volkit.testing.servers.s3 import S3Server

FAST = Patience(attempts=12, first_wait_seconds=0.001, most_wait_seconds=0.002)
QUICK = OpenOptions(patience=FAST)


class Refusing:
    """A server that refuses everything, and repeats keys in its answer."""

    def __init__(self, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(403)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Keep silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_anonymous_reads_what_is_public(signed: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"s3://open/run?endpoint={signed.endpoint}"
    open_objects(uri, QUICK).put("a", b"1")
    for name in signed.environment():
        monkeypatch.delenv(name)
    signed.clear_requests()
    for credentials in (None, "anonymous"):
        objects = open_objects(uri, OpenOptions(credentials=credentials, patience=FAST))
        assert objects.get("a") == b"1"
        assert objects.modified("a") is not None
    assert not any("authorization" in r.headers for r in signed.requests)


def test_refusal_names_the_place_of_the_keys(server: S3Server) -> None:
    uri = f"s3://vol/run?endpoint={server.endpoint}"
    keys = OpenOptions(credentials=Secret("key:secret"), patience=FAST)
    open_objects(uri, keys).put("a", b"1")
    with pytest.raises(SourceError, match=r"access is denied.*anonymous"):
        open_objects(uri, OpenOptions(credentials="anonymous", patience=FAST)).get("a")
    with pytest.raises(SourceError, match=r"asked with no credentials, which suffices"):
        open_objects(uri, QUICK).get("a")


@pytest.mark.parametrize(
    "credentials",
    ["env:S3_KEYS", "file:~/keys", "profile:lab", Secret("AKIA1:c2VjcmV0:dG9rZW4")],
)
def test_keys_are_named(
    server: S3Server,
    credentials: str | Secret,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("S3_KEYS", "AKIA1:c2VjcmV0:dG9rZW4")
    (tmp_path / "home/.aws").mkdir(parents=True)
    (tmp_path / "home/keys").write_text("AKIA1:c2VjcmV0:dG9rZW4\n")
    (tmp_path / "home/.aws/credentials").write_text(
        "[lab]\naws_access_key_id = AKIA1\naws_secret_access_key = c2VjcmV0\n"
        "aws_session_token = dG9rZW4\n"
    )
    (tmp_path / "home/.aws/config").write_text(
        f"[profile lab]\nendpoint_url = {server.endpoint}\nregion = eu-central-1\n"
    )
    endpoint = "" if credentials == "profile:lab" else f"?endpoint={server.endpoint}"
    how = OpenOptions(credentials=credentials, patience=FAST)
    objects = open_objects(f"s3://vol/named{endpoint}", how)
    server.clear_requests()
    objects.put("a", b"1")
    sent = server.requests[0].headers
    assert "Credential=AKIA1/" in sent["authorization"]
    assert sent["x-amz-security-token"] == "dG9rZW4"
    assert ("eu-central-1" in sent["authorization"]) is (credentials == "profile:lab")
    assert "c2VjcmV0" not in repr(objects)


def test_default_profile(server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "home/.aws").mkdir(parents=True)
    (tmp_path / "home/.aws/credentials").write_text(
        "[default]\naws_access_key_id = AKIA2\naws_secret_access_key = c2VjcmV0\n"
    )
    server.clear_requests()
    open_objects(f"s3://vol/named?endpoint={server.endpoint}", QUICK).put("a", b"1")
    assert "Credential=AKIA2/" in server.requests[0].headers["authorization"]


def test_a_profile_whose_keys_are_fetched(server: S3Server, tmp_path: Path) -> None:
    fetch = tmp_path / "fetch.py"
    fetch.write_text('print(\'{"Version": 1, "AccessKeyId": "AKIA3", "SecretAccessKey": "x"}\')')
    (tmp_path / "home/.aws").mkdir(parents=True)
    (tmp_path / "home/.aws/config").write_text(
        f"[profile lab]\ncredential_process = {sys.executable} {fetch}\n"
    )
    server.clear_requests()
    how = OpenOptions(credentials="profile:lab", patience=FAST)
    open_objects(f"s3://vol/named?endpoint={server.endpoint}", how).put("a", b"1")
    assert "Credential=AKIA3/" in server.requests[0].headers["authorization"]


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ("profile:nobody", "have no such profile; check its name"),
        ("env:NOWHERE", "the variable is not set"),
        ("file:/nowhere", "no token can be read there"),
        (Secret("token"), r"Secret\(...\): expected KEY:SECRET"),
    ],
)
def test_keys_that_are_not_there(credentials: str | Secret, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_objects("s3://vol/run", OpenOptions(credentials=credentials))


def test_refused_keys_are_not_shown(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_KEYS", "AKIAWRONG:wJalrXUtnFEMI")
    how = OpenOptions(credentials="env:S3_KEYS", patience=FAST)
    body = (
        b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>"
        b"<AWSAccessKeyId>AKIAWRONG</AWSAccessKeyId><StringToSign>AWS4</StringToSign></Error>"
    )
    with Refusing(body) as url:
        objects = open_objects(f"s3://vol/run?endpoint={url}", how)
        for call in (
            objects.get,
            objects.delete,
            objects.modified,
            lambda k: objects.put(k, b""),
        ):
            with pytest.raises(
                SourceError, match=r"denied \(SignatureDoesNotMatch\); .*env:S3_KEYS"
            ) as caught:
                call("a")
            shown = f"{caught.value!r} {caught.value.__cause__!r}"
            assert "AKIAWRONG" not in shown
            assert "wJalr" not in shown
            assert caught.value.__suppress_context__
