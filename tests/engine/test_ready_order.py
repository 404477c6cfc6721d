"""Ready order: every block once, after its givers wherever these are finished in time."""

from collections import Counter, deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine import ready_order
from volkit.engine.ready_order import ReadyOrder


def chain(number):
    return [number - 1] if number else []


def test_one_worker_never_waits() -> None:
    """Blocks that come in an order in which givers are behind are put off until these are done."""
    order, seen = ReadyOrder([3, 2, 1, 0], chain, np.zeros(4, bool)), []
    for number in order:
        seen.append(number)
        order.finished([number])
    assert seen == [0, 1, 2, 3]


def test_what_is_done_already_is_not_waited_for() -> None:
    order = ReadyOrder([2], chain, np.array([False, True, False]))
    assert next(order) == 2


def test_rather_a_block_whose_givers_are_at_work_than_nothing() -> None:
    order = ReadyOrder([0, 1, 2], chain, np.zeros(3, bool))
    assert [next(order), next(order), next(order)] == [0, 1, 2]
    assert next(order, None) is None
    order.finished([0, 1, 2])
    assert next(order, None) is None


def test_no_more_is_looked_at_than_a_bound(monkeypatch) -> None:
    monkeypatch.setattr(ready_order, "_MOST_WAITING", 10)
    looked = []

    def never(number):
        looked.append(number)
        return [0]

    order = ReadyOrder(iter(range(1, 10**9)), never, np.zeros(1, bool))
    assert next(order) == 1
    assert len(looked) == 10


def test_givers_are_asked_for_once_however_many_blocks_there_are() -> None:
    for blocks in (64, 4096):
        looked, flying = Counter[int](), deque[int]()

        def watched(number, looked=looked):
            looked[number] += 1
            return chain(number)

        order = ReadyOrder(range(blocks), watched, np.zeros(blocks, bool))
        while (number := next(order, None)) is not None or flying:
            if number is not None:
                flying.append(number)
            if number is None or len(flying) == 7:
                order.finished([flying.popleft()])
        assert looked == Counter(range(blocks))


@given(
    givers=st.lists(st.sets(st.integers(0, 19), max_size=4), min_size=20, max_size=20),
    order_of=st.permutations(range(20)),
    workers=st.integers(1, 6),
    data=st.data(),
)
@settings(max_examples=40)
def test_every_block_comes_once_whoever_finishes_first(givers, order_of, workers, data) -> None:
    order = ReadyOrder(order_of, lambda n: givers[n] - {n}, np.zeros(20, bool))
    flying, seen = [], []
    while True:
        while len(flying) < workers and (number := next(order, None)) is not None:
            seen.append(number)
            flying.append(number)
        if not flying:
            break
        order.finished([flying.pop(data.draw(st.integers(0, len(flying) - 1)))])
    assert sorted(seen) == list(range(20))
