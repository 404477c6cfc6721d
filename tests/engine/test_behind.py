"""What blocks leave behind: done beside the next ones, before anything is marked, or they fail."""

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from distributed import Client

from volkit.engine.behind import behind
from volkit.engine.dispatch import dispatch
from volkit.engine.queue import Retries
from volkit.engine.task_batch import Outcome, run_batch
from volkit.errors import BlockFailedError

PATIENT = 60.0  # seconds, of a machine that is busy with other things


def test_it_is_done_beside_the_next_block_and_before_the_batch_ends() -> None:
    begun, done = threading.Event(), []

    def task(number: int) -> None:
        if number == 1:
            begun.set()
        else:
            behind(lambda: done.append((number, begun.wait(PATIENT))))

    outcome = run_batch(task, [0, 1, 2])
    assert done == [(0, True), (2, True)]
    assert (outcome.numbers, outcome.failures) == ([0, 1, 2], [])


def test_few_wait_for_the_disk_at_a_time() -> None:
    waiting: list[int] = []
    most: list[int] = []

    def left(number: int) -> None:
        time.sleep(0.002)
        waiting.remove(number)

    def task(number: int) -> None:
        waiting.append(number)
        most.append(len(waiting))
        behind(partial(left, number))

    run_batch(task, range(20))
    assert max(most) <= 3  # two that wait, and the one that is computed
    assert waiting == []


def test_where_there_is_no_batch_it_is_done_at_once() -> None:
    done: list[int] = []
    behind(lambda: done.append(1))
    assert done == [1]


def test_a_block_fails_by_what_it_left_and_is_tried_again() -> None:
    tried: list[int] = []

    def full(number: int) -> None:
        tried.append(number)
        if number == 3 or (number == 5 and tried.count(5) < 2):
            raise OSError("no space left on device")

    def task(number: int) -> int:
        behind(partial(full, number))
        return 10 * number

    finished: dict[int, int] = {}
    aside: list[int] = []

    def receive(outcome: Outcome) -> None:
        assert not set(outcome.numbers) - set(tried)  # what is marked was stored
        assert len(outcome.numbers) == len(outcome.seconds) == len(outcome.checks)
        finished.update(zip(outcome.numbers, outcome.checks, strict=True))
        aside.extend(failure.number for failure in outcome.failures)

    with pytest.raises(BlockFailedError, match="OSError: no space left on device"):
        dispatch(task, iter(range(8)), client=None, receive=receive, retries=Retries(3))
    assert finished == {n: 10 * n for n in range(8) if n != 3}
    assert (aside, tried.count(3), tried.count(5)) == ([3], 3, 2)


def stored(place: str, number: int) -> None:
    """Be done when the next block has begun; its own mark tells whether it was so."""
    deadline = time.monotonic() + PATIENT
    while not Path(place, f"begun-{number + 1}").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    name = f"beside-{number}" if time.monotonic() < deadline else f"late-{number}"
    Path(place, name).touch()


def begin(place: str, last: int, number: int) -> None:
    Path(place, f"begun-{number}").touch()
    if number != last:
        behind(partial(stored, place, number))


def test_a_worker_begins_its_next_task_meanwhile(tmp_path: Path) -> None:
    """One worker of one thread, tasks of one block: each waits for the next one to begin."""
    place, task = str(tmp_path), partial(begin, str(tmp_path), 3)
    finished: list[int] = []
    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as client:
        futures = client.map(partial(run_batch, task), [[n] for n in range(4)], pure=False)
        finished = [n for outcome in client.gather(futures) for n in outcome.numbers]
    assert finished == [0, 1, 2, 3]
    names = {path.name for path in Path(place).iterdir()}
    assert {name for name in names if not name.startswith("begun")} == {
        f"beside-{n}" for n in range(3)
    }
