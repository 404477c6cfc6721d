"""Rounds: in which order tables of blocks are divided by key, so that equal keys meet.

In every round, groups of tables meet; what each of them holds goes to as many tables as they are,
by key.  After the last round, each table holds all rows of its own keys, from all blocks::

    keys 0-3 ─┬─► 0-1 ─┬─► 0      tables of four blocks; of two groups of two; of all of them
    keys 0-3 ─┴─► 2-3 ─┼─► 1
    keys 0-3 ─┬─► 0-1 ─┼─► 2
    keys 0-3 ─┴─► 2-3 ─┴─► 3
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST = 32  # tables that one is made of: 10^7 blocks take five rounds


@dataclass(frozen=True, slots=True)
class Rounds:
    """Which tables of a round those of the next one are made of.

    Parameters
    ----------
    blocks : int
        How many tables there are before the first round.

    Examples
    --------
    >>> rounds = Rounds(1000)
    >>> rounds.count, rounds.fan, rounds.keys
    (2, 32, 1024)
    >>> list(rounds.below(2, 33))[:3], list(rounds.above(1, 1))[:3]
    ([1, 33, 65], [32, 33, 34])
    """

    blocks: int

    @property
    def count(self) -> int:
        """How many rounds there are; none for a single block."""
        found = 0
        while _MOST**found < self.blocks:
            found += 1
        return found

    @property
    def fan(self) -> int:
        """How many tables meet."""
        found = 1
        while found**self.count < self.blocks:
            found += 1
        return found

    @property
    def keys(self) -> int:
        """Keys are 0 to one less than this; so many tables the last round leaves."""
        return self.fan**self.count

    def tables(self, round_: int) -> int:
        """Count the tables that a round leaves."""
        parts = self.fan**round_
        return -(-self.blocks // parts) * parts

    def below(self, round_: int, number: int) -> range:
        """List the tables, of the round before, that a table is made of."""
        parts = self.fan ** (round_ - 1)
        group, part = divmod(number, self.fan**round_)
        last = min((group + 1) * self.fan, self.tables(round_ - 1) // parts)
        first = part // self.fan
        return range(group * self.fan * parts + first, last * parts + first, parts)

    def above(self, round_: int, number: int) -> range:
        """List the tables, of the next round, among which a table is divided."""
        parts = self.fan**round_
        group, part = divmod(number, parts)
        first = (group // self.fan * parts + part) * self.fan
        return range(first, first + self.fan)

    def mine(self, round_: int, number: int, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the keys that belong to a table."""
        parts = self.fan**round_
        mine: NDArray[np.bool_] = keys // (self.keys // parts) == number % parts
        return mine
