"""Allocator: how the C library of a process that computes keeps memory.

glibc gives threads heaps of their own, eight for each core, and what a thread frees stays in its
heap: a process that reads, evaluates and writes blocks in many threads comes to hold several times
what it needs.  Large arrays, on the other hand, it takes from the system and gives back one by one,
and the system clears every page of them: a network on a CPU spends a third of its time on that.
With two heaps that keep what is freed, a process is faster and holds no more.
"""

import ctypes
import os
import sys
from contextlib import suppress

HEAPS = 2
KEPT_BYTES = 2**30
"""Arrays below this come from a heap; a heap gives back what is free beyond it."""

ENVIRONMENT = {
    "MALLOC_ARENA_MAX": HEAPS,
    "MALLOC_MMAP_THRESHOLD_": KEPT_BYTES,
    "MALLOC_TRIM_THRESHOLD_": KEPT_BYTES,
}
"""What a process is started with to the same effect."""

_OPTIONS = {  # of malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
    "MALLOC_ARENA_MAX": -8,
    "MALLOC_MMAP_THRESHOLD_": -3,
    "MALLOC_TRIM_THRESHOLD_": -1,
}


def keep_memory() -> None:
    """Let this process keep what it frees, in few heaps, where its user has not said otherwise.

    Elsewhere than on glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        for name, value in ENVIRONMENT.items():
            if name not in os.environ:
                libc.mallopt(_OPTIONS[name], value)
