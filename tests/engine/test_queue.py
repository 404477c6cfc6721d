"""The queue: what is tried again, what is set aside, and when nothing new is begun."""

from contextlib import suppress

import pytest

from volkit.engine.dispatch import dispatch
from volkit.engine.queue import Failure, Queue, Retries
from volkit.engine.task_batch import Outcome, Task
from volkit.errors import BlockFailedError, ConfigError, GeometryError


def run(task: Task, count: int, retries: Retries) -> tuple[list[int], list[Failure]]:
    done: list[int] = []
    aside: list[Failure] = []

    def receive(outcome: Outcome) -> None:
        done.extend(outcome.numbers)
        aside.extend(outcome.failures)

    with suppress(BlockFailedError):
        dispatch(task, iter(range(count)), client=None, receive=receive, retries=retries)
    return done, aside


def test_what_passes_is_done_at_the_next_attempt() -> None:
    tried: list[int] = []

    def stumble(number: int) -> None:
        tried.append(number)
        if number in (3, 4) and tried.count(number) < 3:
            raise OSError("the store stutters")

    done, aside = run(stumble, 8, Retries(attempts=3))
    assert sorted(done) == list(range(8))
    assert aside == []
    assert [tried.count(n) for n in range(8)] == [1, 1, 1, 3, 3, 1, 1, 1]


def test_nothing_new_is_begun_when_too_many_fail() -> None:
    tried: list[int] = []

    def fail(number: int) -> None:
        tried.append(number)
        raise OSError("no space left on device")

    done, aside = run(fail, 10_000, Retries(attempts=2, set_aside=4))
    assert done == []
    assert len(aside) >= 4
    assert len(set(tried)) < 400
    with pytest.raises(BlockFailedError, match=r"nothing new was begun.*mend the cause"):
        dispatch(fail, iter(range(99)), client=None, receive=lambda _: None)


def test_what_meets_every_block_is_raised_at_once() -> None:
    tried: list[int] = []

    def refuse(number: int) -> None:
        tried.append(number)
        raise GeometryError("the halo is too thick")

    with pytest.raises(GeometryError, match="too thick"):
        dispatch(refuse, iter(range(1000)), client=None, receive=lambda _: None)
    assert tried == [0]


def test_another_worker_tries_again() -> None:
    queue = Queue(iter([7]), Retries(attempts=3))
    assert queue.take(5).numbers == [7]
    assert queue.fail(Failure(7, OSError("a"), "tcp://a")) is None
    again = queue.take(5)
    assert (again.numbers, again.avoid) == ([7], {"tcp://a"})
    assert queue.fail(Failure(7, OSError("b"), "tcp://b")) is None
    assert queue.take(5).avoid == {"tcp://a", "tcp://b"}
    aside = queue.fail(Failure(7, OSError("c"), "tcp://c"))
    assert (aside.number, aside.attempts, str(aside.error)) == (7, 3, "c")
    assert queue.take(5) is None


def test_a_batch_whose_worker_died_is_taken_apart() -> None:
    queue = Queue(iter(range(3)), Retries())
    batch = queue.take(3)
    assert queue.divide(batch)
    assert [queue.take(9).numbers for _ in range(3)] == [[0], [1], [2]]
    assert not queue.divide(type(batch)([1]))


def test_retries_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="attempts 0"):
        Retries(attempts=0)
