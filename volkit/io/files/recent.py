"""Recent: arrays that a process made lately, kept while they fit."""

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable

from volkit.io.axes import Array

_EVERY: "weakref.WeakSet[Recent]" = weakref.WeakSet()


class Recent:
    """Arrays by key, the latest ones that fit into a number of bytes; safe in threads.

    Parameters
    ----------
    most_bytes : int
        Held together at most; what was not asked for longest goes first.

    Examples
    --------
    >>> import numpy as np
    >>> recent = Recent(100)
    >>> recent.get("a", lambda: np.zeros(80, np.uint8)).size
    80
    >>> recent.get("b", lambda: np.zeros(30, np.uint8)).size, recent.held_bytes
    (30, 30)
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._total = 0
        _EVERY.add(self)
        self._held: OrderedDict[Hashable, Array] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    def forget_locks(self) -> None:
        """Take new locks, in a process whose parent may have been forked while it held them."""
        self._lock, self._making = threading.Lock(), {}

    @property
    def held_bytes(self) -> int:
        """What is held now."""
        with self._lock:
            return self._total

    def find(self, key: Hashable) -> Array | None:
        """Give what is held under a key, if it still is."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: Hashable, array: Array) -> None:
        """Hold an array, which nothing may change from here on."""
        array.flags.writeable = False
        with self._lock:
            replaced = self._held.pop(key, None)
            self._held[key] = array
            self._total += array.nbytes - (0 if replaced is None else replaced.nbytes)
            while self._total > self._most:
                self._total -= self._held.popitem(last=False)[1].nbytes

    def get(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """Give what is held under a key, or make it; threads that ask together wait for one.

        Returns
        -------
        ndarray
            Not to be changed.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            found = self.find(key)
            if found is None:
                found = make()
                self.put(key, found)
        with self._lock:
            self._making.pop(key, None)
        return found


def _after_fork() -> None:
    for recent in _EVERY:
        recent.forget_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
