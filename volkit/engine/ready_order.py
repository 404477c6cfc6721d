"""Ready order: blocks whose givers are finished come first, so that little has to wait in scratch.

A block that is evaluated before all that contribute to it must store its own sums until they are
there.  Along the Morton curve givers come first; with many workers they are often still at work.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

_MOST_WAITING = 4096  # blocks that are looked ahead to


class ReadyOrder:
    """An order of blocks that follows what is finished meanwhile.

    Parameters
    ----------
    numbers : iterable of int
        Blocks to do, givers first.
    givers : callable
        Numbers of the blocks that contribute to one.
    done : ndarray of bool
        Blocks that are finished already; changed by :meth:`finished`.

    Examples
    --------
    >>> givers = {0: [], 1: [0], 2: [], 3: [1, 2]}
    >>> order = ReadyOrder(range(4), givers.__getitem__, np.zeros(4, bool))
    >>> [next(order), next(order)]
    [0, 2]
    >>> order.finished([0])
    >>> list(order)
    [1, 3]
    """

    def __init__(
        self,
        numbers: Iterable[int],
        givers: Callable[[int], Iterable[int]],
        done: NDArray[np.bool_],
    ) -> None:
        self._numbers = iter(numbers)
        self._givers = givers
        self._done = done
        self._ready: deque[int] = deque()
        self._lacks: dict[int, int] = {}
        self._waits_for: dict[int, list[int]] = {}

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        while not self._ready and len(self._lacks) < _MOST_WAITING:
            number = next(self._numbers, None)
            if number is None:
                break
            self._look_at(number)
        if self._ready:
            return self._ready.popleft()
        if not self._lacks:
            raise StopIteration
        number = next(iter(self._lacks))  # the one that has waited longest, rather than nothing
        del self._lacks[number]
        return number

    def finished(self, numbers: Iterable[int]) -> None:
        """Hear that blocks are finished."""
        for number in numbers:
            self._done[number] = True
            for waiting in self._waits_for.pop(number, ()):
                if waiting in self._lacks:
                    self._lacks[waiting] -= 1
                    if not self._lacks[waiting]:
                        del self._lacks[waiting]
                        self._ready.append(waiting)

    def _look_at(self, number: int) -> None:
        lacking = [giver for giver in self._givers(number) if not self._done[giver]]
        if not lacking:
            self._ready.append(number)
            return
        self._lacks[number] = len(lacking)
        for giver in lacking:
            self._waits_for.setdefault(giver, []).append(number)
