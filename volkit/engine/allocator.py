"""Allocator: how the C library of a process that computes keeps memory.

glibc gives threads heaps of their own, eight for each core, and what a thread frees stays in its
heap: a process that reads, evaluates and writes blocks in many threads comes to hold several times
what it needs.  Large arrays, on the other hand, it takes from the system and gives back one by one,
and the system clears every page of them: a network on a CPU spends a third of its time on that.
Only the first heap can keep them: all others are made of pieces of 64 MiB, which go back when they
are empty.  With one heap that keeps what is freed, a process is faster and holds less.
"""

import ctypes
import gc
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

HEAPS = 1
_KEPT_BYTES = 2**30
_ALWAYS_TAKEN = 2**25
_WORTHWHILE = 2**26
_TAKES_MORE = (2, 36)  # the first that was tried; up to 2.34 there is a limit in the source

_OPTIONS = {  # of malloc.h: M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
    "MALLOC_ARENA_MAX": -8,
    "MALLOC_MMAP_THRESHOLD_": -3,
    "MALLOC_TRIM_THRESHOLD_": -1,
}


def kept_bytes(library: str) -> int:
    """Say how large arrays may be that come from a heap, and what a heap keeps.

    Older ones refuse more than 32 MiB.  Had they been told it nevertheless, they would take arrays
    of 128 KiB from the system, since one number that is told ends the growth of all others.

    Parameters
    ----------
    library : str
        Name and version of the C library, as the system tells them.

    Examples
    --------
    >>> kept_bytes("glibc 2.34"), kept_bytes("glibc 2.39")
    (33554432, 1073741824)
    """
    found = re.fullmatch(r"glibc (\d+)\.(\d+)", library)
    new = found is not None and (int(found[1]), int(found[2])) >= _TAKES_MORE
    return _KEPT_BYTES if new else _ALWAYS_TAKEN


def _library() -> str:
    known = "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", ())
    return (os.confstr("CS_GNU_LIBC_VERSION") or "") if known else ""


ENVIRONMENT = {
    "MALLOC_ARENA_MAX": HEAPS,
    "MALLOC_MMAP_THRESHOLD_": kept_bytes(_library()),
    "MALLOC_TRIM_THRESHOLD_": kept_bytes(_library()),
}
"""What a process is started with to the same effect."""


def give_back_memory() -> None:
    """Give back to the system what this process has freed and keeps, where that is much.

    Between volumes, whose arrays differ: those of the next would often not fit between what is left
    of the last, and a process that goes through many would come to hold more and more.

    Elsewhere than on glibc it does nothing.
    """
    if sys.platform != "linux" or _resident() < _Kept.resident + _WORTHWHILE:
        return
    gc.collect()  # parts of figures refer to each other, and wait for this
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    _Kept.resident = _resident()


class _Kept:
    """What was left when memory was last given back, in bytes."""

    resident = 0


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def keep_memory() -> None:
    """Let this process keep what it frees, in one heap, where its user has not said otherwise.

    Elsewhere than on glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        for name, value in ENVIRONMENT.items():
            if name not in os.environ:
                libc.mallopt(_OPTIONS[name], value)
