"""The lock of a run: one holder, refused others, taken over when left behind, clocks apart."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from volkit.engine.lock import LockOptions, run_lock
from volkit.engine.lock_record import read_lock
from volkit.engine.owner import Owner
from volkit.errors import ConfigError, RunLockedError
from volkit.io.place import Place
from volkit.testing.servers.s3 import S3Server

HERE = Owner.here()
QUICK = LockOptions(beat_seconds=0.05, stale_seconds=0.4)


def elsewhere(name: str, *, skew: float = 0.0) -> LockOptions:
    """Options of a client on another machine, whose clock is wrong."""
    owner = replace(HERE, host=name, machine=name)
    return replace(QUICK, owner=owner, clock=lambda: time.time() + skew)


@pytest.fixture(params=["folder", "memory", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    if request.param == "s3":
        with S3Server() as server:
            for key, value in server.environment().items():
                monkeypatch.setenv(key, value)
            server.bucket("runs")
            yield Place(f"s3://runs/{tmp_path.name}?endpoint={server.endpoint}")
    else:
        yield Place(str(tmp_path) if request.param == "folder" else f"memory://{tmp_path.name}")


def test_a_second_client_is_refused_with_who_and_since_when(place: Place) -> None:
    with run_lock(place, QUICK) as lock:
        since = lock.held.since_text.replace("+", r"\+")
        with (
            pytest.raises(RunLockedError, match=rf"process {os.getpid()}\) since {since}"),
            run_lock(place, QUICK),
        ):
            pass
        lock.check()
    with run_lock(place, QUICK) as lock:
        assert lock.held.epoch == 2
    assert len(list(place.objects.keys("lock/"))) == 1


@pytest.mark.parametrize("skew", [-86400.0, 0.0, 86400.0])
def test_a_living_holder_is_seen_from_another_machine_whatever_the_clocks(
    tmp_path: Path, skew: float
) -> None:
    said: list[str] = []
    with (
        run_lock(tmp_path, elsewhere("far", skew=skew)),
        pytest.raises(RunLockedError, match="on far"),
        run_lock(tmp_path, elsewhere("near", skew=-skew), on_message=said.append),
    ):
        pass
    assert len(said) == 1
    assert "waiting up to 0 s for a sign of life" in said[0]


@pytest.mark.parametrize("skew", [-86400.0, 86400.0])
def test_a_lock_that_does_not_change_is_taken_over_and_its_holder_stops(
    place: Place, skew: float
) -> None:
    sleepy = replace(elsewhere("far", skew=skew), beat_seconds=0.1, stale_seconds=0.2)
    with run_lock(place, sleepy) as old:
        old._ended.set()  # as if its process were stopped
        old._thread.join()
        said: list[str] = []
        begun = time.monotonic()
        with run_lock(place, elsewhere("near"), on_message=said.append) as new:
            assert time.monotonic() - begun > QUICK.stale_seconds
            assert "taking over" in said[-1]
            with pytest.raises(RunLockedError, match="taken over by .* on near"):
                old.check()
            with pytest.raises(RunLockedError, match="taken over"):
                old.beat()
            new.check()
    found = read_lock(place)
    assert found is not None
    assert (found.released, found.owner.host) == (True, "near")


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom volkit.engine.lock import run_lock\n"
        "with run_lock(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(RunLockedError, match=str(process.pid)), run_lock(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    said: list[str] = []
    deadline = time.monotonic() + 60
    while read_state(process.pid) not in ("Z", ""):  # until it is dead, though not waited for
        assert time.monotonic() < deadline
    with run_lock(tmp_path, on_message=said.append) as lock:
        assert lock.held.epoch == 2
    assert "has ended: taking over" in said[0]
    process.wait()


def read_state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_an_id_that_was_given_again_is_another_process() -> None:
    assert HERE.alive(HERE) is True
    assert replace(HERE, started="1").alive(HERE) is False
    assert replace(HERE, machine="other").alive(HERE) is None


def test_of_many_takers_one_gets_it(place: Place) -> None:
    with run_lock(place, elsewhere("dead")) as dead:
        dead._ended.set()
        dead._thread.join()
        taken, refused = [], []
        done = threading.Event()

        def take(number: int) -> None:
            try:
                with run_lock(place, elsewhere(f"taker{number}")) as lock:
                    taken.append(lock)
                    done.wait(10)
                    lock.beat()
            except RunLockedError as error:
                refused.append(error)
                if len(refused) == 3:
                    done.set()

        threads = [threading.Thread(target=take, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert (len(taken), len(refused)) == (1, 3)


def test_a_holder_that_was_stopped_for_long_asks_before_it_goes_on(tmp_path: Path) -> None:
    options = replace(QUICK, beat_seconds=10, stale_seconds=20)
    with run_lock(tmp_path, options) as lock:
        lock._confirmed -= 11
        lock.check()  # nobody came meanwhile
        assert lock.held.counter == 1
        Place.at(tmp_path).objects.delete_all("lock/")
        lock.check()  # confirmed just now
        lock._confirmed -= 11
        with pytest.raises(RunLockedError, match="was removed"):
            lock.check()


def test_half_a_record_is_held_by_a_stranger_until_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").mkdir()
    (tmp_path / "lock" / "000007.json").write_text(json.dumps({"id": "x"})[:-3])
    found = read_lock(Place.at(tmp_path))
    assert found is not None
    assert (found.epoch, found.released, found.owner.alive(HERE)) == (7, False, None)
    monkeypatch.setattr("volkit.engine.lock_record.UNKNOWN_STALE_SECONDS", 0.4)
    with run_lock(tmp_path, QUICK) as lock:
        assert lock.held.epoch == 8


def test_a_period_in_which_no_beat_fits_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"beat_seconds 40\.0 and stale_seconds 60"):
        LockOptions(beat_seconds=40.0)
