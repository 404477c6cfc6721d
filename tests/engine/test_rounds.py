"""Rounds: whatever blocks hold, all rows of a key end in one table, and are told to all again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.engine.rounds import Rounds


@given(blocks=st.integers(1, 1200), seed=st.integers(0, 2**32 - 1))
def test_every_row_ends_where_its_key_says(blocks: int, seed: int) -> None:
    rounds = Rounds(blocks)
    keys = np.random.default_rng(seed).integers(0, rounds.keys, (blocks, 3))
    tables = [[(block, key) for key in row] for block, row in enumerate(keys.tolist())]
    for n in range(1, rounds.count + 1):
        made = []
        for number in range(rounds.tables(n)):
            met = [row for table in rounds.below(n, number) for row in tables[table]]
            mine = rounds.mine(n, number, np.array([key for _, key in met], np.int64))
            made.append([row for row, here in zip(met, mine, strict=True) if here])
        tables = made
    assert len(tables) == rounds.keys
    expected: list[list[tuple[int, int]]] = [[] for _ in tables]
    for block, row in enumerate(keys.tolist()):
        for key in row:
            expected[key].append((block, key))
    assert [sorted(table) for table in tables] == expected


@given(blocks=st.integers(1, 1200))
def test_what_is_told_is_what_was_asked(blocks: int) -> None:
    """A table is told by just those tables that were made of it."""
    rounds = Rounds(blocks)
    for n in range(1, rounds.count + 1):
        asked: dict[int, set[int]] = {}
        for number in range(rounds.tables(n)):
            for below in rounds.below(n, number):
                asked.setdefault(below, set()).add(number)
        assert asked.keys() == set(range(rounds.tables(n - 1)))
        assert all(set(rounds.above(n - 1, below)) == made for below, made in asked.items())


@pytest.mark.parametrize(
    ("blocks", "count", "fan"), [(1, 0, 1), (2, 1, 2), (32, 1, 32), (33, 2, 6), (10**7, 5, 26)]
)
def test_no_table_is_made_of_many(blocks: int, count: int, fan: int) -> None:
    rounds = Rounds(blocks)
    assert (rounds.count, rounds.fan) == (count, fan)
    assert blocks <= rounds.keys < 2 * blocks + 5
