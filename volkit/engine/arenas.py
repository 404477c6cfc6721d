"""Arenas: how many heaps the allocator of a process keeps for its threads.

glibc gives threads heaps of their own, eight for each core, and what a thread frees stays in its
heap: a process that reads, evaluates and writes blocks in many threads comes to hold several times
what it needs, the more the longer it runs.  With two heaps it stays as it is, and is no slower.
"""

import ctypes
import os
import sys
from contextlib import suppress

MOST = 2
VARIABLE = "MALLOC_ARENA_MAX"  # read when a process starts

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def keep_few_arenas() -> None:
    """Limit the heaps of this process, unless its user has; elsewhere than on glibc do nothing."""
    if sys.platform != "linux" or VARIABLE in os.environ:
        return
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").mallopt(_ARENA_MAX, MOST)
