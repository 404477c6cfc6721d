"""Results that wait to be written: few bytes of them in a process, however slow the disk is."""

import threading
from typing import Any

import numpy as np

from volkit.engine.map_task import MapTask
from volkit.engine.op import Op
from volkit.engine.task_batch import run_batch
from volkit.geometry import Box, Grid

PATIENT = 60.0  # seconds, of a machine that is busy with other things


class Disk:
    """A target that is done with the first block only when the third is computed."""

    def __init__(self) -> None:
        self.third = threading.Event()
        self.threads: list[tuple[int, str, bool]] = []

    def write(self, box: Box, values: np.ndarray) -> None:
        number = box.start[0]
        in_time = number > 0 or self.third.wait(PATIENT)
        self.threads.append((number, threading.current_thread().name.split("_")[0], in_time))


def fill(disk: Disk, block: Any, side: int) -> np.ndarray:
    if block.number == 2:
        disk.third.set()
    return np.zeros((1, side, side), np.uint64)


def written_by(side: int) -> dict[int, str]:
    """Which thread writes each of three blocks."""
    disk = Disk()
    op = Op(lambda block: fill(disk, block, side), dtype=np.uint64)
    grid = Grid(Box.from_shape((3, side, side)), (1, side, side))
    target: Any = disk
    outcome = run_batch(MapTask(op, grid, (), (), target), [0, 1, 2])
    assert (outcome.numbers, outcome.failures) == ([0, 1, 2], [])
    assert all(in_time for _, _, in_time in disk.threads)
    return {number: thread for number, thread, _ in disk.threads}


def test_a_large_result_waits_alone_and_the_next_block_writes_by_itself() -> None:
    side = 1200  # 11.5 MB: two are more than may wait
    by = written_by(side)
    assert by[0] == "volkit-behind"
    assert by[1] != "volkit-behind"


def test_small_results_wait_together() -> None:
    assert set(written_by(100).values()) == {"volkit-behind"}
