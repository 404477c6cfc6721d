"""Another user of the same machine who finds the ports of a cluster can do nothing with them."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from volkit.engine.cluster import local_client
from volkit.engine.cluster.connect import connected_client
from volkit.engine.cluster.credentials import Credentials, private_folder
from volkit.errors import ConfigError, SourceError

# What a stranger tries: with no credentials, with some of his own, and through the web pages.
ATTEMPT = """
import sys, urllib.request, urllib.error
from distributed import Client
from volkit.engine.cluster.credentials import Credentials
address, dashboard, key = sys.argv[1:]
for security in (None, Credentials.fresh().security()):
    for scheme in ("tls", "tcp"):
        try:
            client = Client(f"{scheme}://{address}", security=security, timeout=2)
            client.submit(print, "in")
            print("SUBMITTED")
        except Exception as error:
            print("refused", type(error).__name__)
for method, page in (
    ("GET", "status"),
    ("GET", "info/main/workers.html"),
    ("GET", "metrics"),
    ("GET", "json/counts.json"),
    ("POST", "api/v1/retire_workers"),
):
    try:
        data = b"{}" if method == "POST" else None
        place = f"http://{dashboard}/{page}"
        request = urllib.request.Request(place, method=method, data=data)
        print("READ", urllib.request.urlopen(request, timeout=5).status)
    except urllib.error.HTTPError as error:
        print("refused", error.code)
try:
    print("READ", open(key).read())
except PermissionError:
    print("refused file")
"""


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with local_client(1, memory_limit="1GB") as client:
        yield client


def stranger() -> list[str]:
    """Find how to run a command as another user, or skip."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can run a process as another user, with setpriv")
    user = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def test_another_user_cannot_submit_read_or_stop_anything(client: Any, tmp_path: Path) -> None:
    become = stranger()
    folder = tmp_path / "tls"
    Credentials.fresh().write(folder)
    address = client.scheduler.address.removeprefix("tls://")
    dashboard = client.dashboard_link.partition("//")[2].partition("/")[0]
    environment = {**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*become, sys.executable, "-c", ATTEMPT, address, dashboard, str(folder / "key.pem")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd="/", timeout=90
    )
    barred = "Permission denied" in done.stderr and not done.stdout
    if barred or done.returncode in (126, 127):  # setpriv and ld.so, before Python begins
        pytest.skip(f"another user may not run this interpreter: {done.stderr.strip()}")
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == 10, done.stderr
    assert all(line.startswith("refused") for line in lines), lines
    pid = client.submit(os.getpid).result()
    killed = subprocess.run([*become, "kill", str(pid)], capture_output=True, check=False)
    assert killed.returncode != 0
    assert client.submit(sum, (1, 2)).result() == 3


def test_no_secret_stands_on_a_command_line(client: Any) -> None:
    token = client.dashboard_link.partition("token=")[2]
    pids = [os.getpid(), client.submit(os.getpid).result()]
    for pid in pids:
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{name}").read_text(errors="replace")
            assert token not in text
            assert "PRIVATE KEY" not in text


def test_everything_listens_on_loopback(client: Any) -> None:
    assert client.scheduler.address.startswith("tls://127.0.0.1:")
    services = client.cluster.scheduler.services
    assert services["dashboard"].address == "127.0.0.1"
    assert all(worker.startswith("tls://127.0.0.1:") for worker in client.nthreads())


def test_workers_keep_their_things_in_a_private_folder(client: Any) -> None:
    def scratch(dask_worker: Any) -> list[str]:
        return [str(dask_worker.local_directory)]

    (folders,) = client.run(scratch).values()
    private = next(p for p in Path(folders[0]).parents if p.name.startswith("volkit-workers-"))
    assert private.stat().st_mode & 0o777 == 0o700


def test_the_dashboard_opens_with_its_token_and_keeps_a_cookie(client: Any) -> None:
    link = client.dashboard_link
    assert urlopen(link, timeout=60).status == 200
    page = link.partition("?")[0]
    for wrong in (page, f"{page}?token=wrong"):
        with pytest.raises(HTTPError, match="403") as caught:
            urlopen(wrong, timeout=60)
        caught.value.close()
    cookie = f"volkit-{page.split(':')[2].partition('/')[0]}={link.partition('token=')[2]}"
    assert urlopen(Request(page, headers={"Cookie": cookie}), timeout=60).status == 200


def test_credentials_travel_as_a_folder_that_others_cannot_read(tmp_path: Path) -> None:
    made = Credentials.fresh()
    made.write(tmp_path / "tls")
    assert Credentials.read(tmp_path / "tls") == made
    assert "PRIVATE" not in repr(made)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()}
    assert modes == dict.fromkeys(("ca.pem", "certificate.pem", "key.pem"), 0o600)
    (tmp_path / "tls" / "key.pem").chmod(0o644)
    with pytest.raises(ConfigError, match="others may read key.pem"):
        Credentials.read(tmp_path / "tls")
    with pytest.raises(ConfigError, match="give the folder with ca.pem"):
        Credentials.read(tmp_path / "absent")
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="must be yours and closed to others"):
        private_folder(tmp_path / "open")


def test_a_second_client_gets_in_with_the_credentials_alone(tmp_path: Path) -> None:
    from distributed import LocalCluster

    made = Credentials.fresh()
    made.write(tmp_path / "right")
    Credentials.fresh().write(tmp_path / "wrong")
    with LocalCluster(
        n_workers=1,
        processes=False,
        threads_per_worker=1,
        protocol="tls://",
        security=made.security(),
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        address = cluster.scheduler_address
        with connected_client(address, tls=tmp_path / "right") as client:
            assert client.submit(sum, (1, 2)).result() == 3
        with (
            pytest.raises(SourceError, match="or the credentials are those of another cluster"),
            connected_client(address, tls=tmp_path / "wrong", timeout=1),
        ):
            pass
        with (
            pytest.raises(
                ConfigError, match=r"asks for credentials; name the folder .*cluster\.tls"
            ),
            connected_client(address, timeout=1),
        ):
            pass
