"""The meter of what a worker process spends."""

import pickle
import threading
from collections.abc import Iterator
from dataclasses import FrozenInstanceError

import pytest

from volkit.engine.usage import Usage, count, metered, taken, working


@pytest.fixture(autouse=True)
def nothing_before() -> Iterator[None]:
    taken()
    yield
    taken()


class Clock:
    """A clock that is set by hand: what is slow or loaded makes no difference."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("volkit.engine.usage.perf_counter", clock)
    return clock


def test_inner_kinds_are_not_counted_in_outer_ones(clock: Clock) -> None:
    with working():
        with metered("network"):
            clock.now += 2
            with metered("wait"):
                clock.now += 4
                with metered("read"):
                    clock.now += 1
            clock.now += 16
        with metered("read"):
            clock.now += 32
        clock.now += 64
    expected = Usage(119.0, {"read": 33.0, "wait": 4.0, "network": 18.0})
    assert taken() == expected


def test_what_is_taken_is_gone() -> None:
    assert not taken()
    count("windows", 3)
    count("windows")
    count("bytes_read", 10**12)
    assert taken() == Usage(counts={"windows": 4, "bytes_read": 10**12})
    assert taken() == Usage()


def test_a_failure_is_metered_too() -> None:
    with pytest.raises(ValueError, match="no"), working(), metered("read"):
        raise ValueError("no")
    usage = taken()
    assert set(usage.seconds) == {"read"}
    assert usage.worker_seconds >= usage.seconds["read"] > 0
    with metered("read"):
        pass
    assert set(taken().beside) == {"read"}  # the task has ended


def test_threads_beside_a_task_are_told_apart() -> None:
    begin = threading.Barrier(3)

    def ahead() -> None:
        begin.wait()
        for _ in range(1000):
            with metered("read"):
                count("bytes_read", 2)

    threads = [threading.Thread(target=ahead) for _ in range(2)]
    for thread in threads:
        thread.start()
    begin.wait()
    with working(), metered("wait"):
        for thread in threads:
            thread.join()
    usage = taken()
    assert usage.counts == {"bytes_read": 4000}
    assert (set(usage.seconds), set(usage.beside)) == ({"wait"}, {"read"})
    assert usage.of("read") == usage.beside["read"]
    assert usage.of("wait") == usage.seconds["wait"]


def test_a_task_within_a_task_lasts_no_longer(clock: Clock) -> None:
    with working():
        clock.now += 1
        with working():
            clock.now += 2
    assert taken() == Usage(3.0)


def test_usages_add_up_and_travel() -> None:
    some = Usage(2.0, {"read": 0.5, "network": 1.0}, {"read": 0.25}, {"windows": 3})
    more = Usage(1.0, {"read": 0.25, "write": 0.5}, {}, {"windows": 4, "bytes_read": 8})
    both = Usage(
        3.0,
        {"read": 0.75, "network": 1.0, "write": 0.5},
        {"read": 0.25},
        {"windows": 7, "bytes_read": 8},
    )
    assert some + more == both == more + some
    assert some + Usage() == some == Usage() + some
    assert Usage.from_json(pickle.loads(pickle.dumps(both)).as_json()) == both
    with pytest.raises(FrozenInstanceError, match="worker_seconds"):
        some.worker_seconds = 1.0  # type: ignore[misc]
    with pytest.raises(KeyError, match="beside"):
        Usage.from_json({"worker_seconds": 1, "seconds": {}})
