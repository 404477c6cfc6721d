"""The allocator: one heap, which keeps what is freed."""

import os
import subprocess
import sys

import pytest

from volkit.engine.allocator import ENVIRONMENT, kept_bytes
from volkit.engine.cluster import local_client
from volkit.engine.cluster.settings import worker_environment

# Threads that live at the same time, each with what it allocated: arenas are told by malloc itself.
MANY_THREADS = """
import ctypes, re, threading
from pathlib import Path
from volkit.engine.allocator import keep_memory
libc = ctypes.CDLL("libc.so.6")
{first}
meet = threading.Barrier(9)
def hold():
    kept = ctypes.c_void_p(libc.malloc(4096))
    meet.wait()
    meet.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
[t.start() for t in threads]
meet.wait()
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"{path}", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
meet.wait()
print(len(re.findall("<heap nr", Path("{path}").read_text())))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="heaps of threads are glibc's")
def test_threads_share_a_heap(tmp_path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}

    def heaps(first: str) -> int:
        script = MANY_THREADS.format(first=first, path=tmp_path / "info.xml")
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, check=True, env=environment, text=True)
        return int(done.stdout)

    assert heaps("") > 2
    assert heaps("keep_memory()") == 1


# A page that a process has not had before costs it a fault.
PAGES = """
import resource
import threading
import numpy as np
from volkit.engine.allocator import keep_memory
{first}
array = lambda: np.ones(12_000_000)
def work():
    array(), array()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        array()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
work()
thread = threading.Thread(target=work)  # as workers do what they are asked
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what glibc does")
def test_large_arrays_are_not_asked_of_the_system_again_and_again() -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}

    def faults(first: str) -> list[int]:
        command = [sys.executable, "-c", PAGES.format(first=first)]
        done = subprocess.run(command, capture_output=True, check=True, env=environment, text=True)
        return [int(line) for line in done.stdout.splitlines()]

    assert min(faults("")) > 100
    assert max(faults("keep_memory()")) < 10


# One that is refused leaves the others in force, which by themselves make matters worse.
TAKEN = """
import ctypes
from volkit.engine import allocator
libc = ctypes.CDLL("libc.so.6")
print([libc.mallopt(allocator._OPTIONS[n], v) for n, v in allocator.ENVIRONMENT.items()])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what glibc does")
def test_the_library_of_this_machine_takes_all_that_it_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", TAKEN], capture_output=True, check=True, text=True)
    assert done.stdout == "[1, 1, 1]\n"


@pytest.mark.parametrize(
    ("library", "mebibytes"),
    [("glibc 2.17", 32), ("glibc 2.34", 32), ("glibc 2.36", 1024), ("glibc 3.0", 1024), ("", 32)],
)
def test_older_libraries_are_told_what_they_take(library: str, mebibytes: int) -> None:
    """Up to glibc 2.34, ``do_set_mmap_threshold`` refuses more than HEAP_MAX_SIZE / 2."""
    assert kept_bytes(library) == mebibytes * 2**20


def test_workers_start_with_it() -> None:
    for name, value in ENVIRONMENT.items():
        assert worker_environment()[name] == str(value)
    with local_client(workers=1) as client:
        found = {name: client.submit(os.environ.get, name, pure=False) for name in ENVIRONMENT}
        assert {k: f.result() for k, f in found.items()} == {
            name: str(value) for name, value in ENVIRONMENT.items()
        }
