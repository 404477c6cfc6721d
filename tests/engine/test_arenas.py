"""Arenas: a process with many threads keeps few heaps."""

import os
import subprocess
import sys

import pytest

from volkit.engine.arenas import VARIABLE
from volkit.engine.cluster import local_client
from volkit.engine.cluster.settings import worker_environment

# Threads that live at the same time, each with what it allocated: arenas are told by malloc itself.
MANY_THREADS = """
import ctypes, re, threading
from pathlib import Path
from volkit.engine.arenas import keep_few_arenas
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
def test_threads_share_few_heaps(tmp_path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}

    def heaps(first: str) -> int:
        script = MANY_THREADS.format(first=first, path=tmp_path / "info.xml")
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, check=True, env=environment, text=True)
        return int(done.stdout)

    assert heaps("") > 2
    assert heaps("keep_few_arenas()") == 2


def test_workers_start_with_few_heaps() -> None:
    assert worker_environment()[VARIABLE] == "2"
    with local_client(workers=1) as client:
        assert client.submit(os.environ.get, VARIABLE, pure=False).result() == "2"
