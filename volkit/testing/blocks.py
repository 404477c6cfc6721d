"""Small kernels whose results can be checked by hand; workers can import them from here."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.engine.op import Columns, Op, Reduction
from volkit.geometry import Block

Array = NDArray[Any]


def neighbour_sum(block: Block, values: Array) -> NDArray[np.int64]:
    """Add up the 27 neighbours of every voxel; beyond the domain there is nothing."""
    return ndimage.correlate(values.astype(np.int64), np.ones((3, 3, 3), np.int64), mode="constant")


def count_values(block: Block, values: Array) -> Columns:
    """Count the voxels of every value."""
    value, count = np.unique(values, return_counts=True)
    return {"value": value.astype(np.int64), "count": count.astype(np.int64)}


def add_counts(parts: Sequence[Columns]) -> Columns:
    """Add tables of counts."""
    value, place = np.unique(np.concatenate([p["value"] for p in parts]), return_inverse=True)
    count = np.zeros(len(value), np.int64)
    np.add.at(count, place, np.concatenate([p["count"] for p in parts]))
    return {"value": value, "count": count}


def fail_at(block: Block, values: Array, *, number: int) -> Array:
    """Refuse one block."""
    if block.number == number:
        raise RuntimeError("this block is poisoned")
    return values


def log_block(block: Block, values: Array, *, log: str) -> NDArray[np.int64]:
    """Append the block's number to a file, then add up neighbours: counts computations."""
    with Path(log).open("a") as file:
        file.write(f"{block.number}\n")
    return neighbour_sum(block, values)


def kill_at(block: Block, values: Array, *, number: int, flag: str) -> NDArray[np.int64]:
    """End this process with SIGKILL at one block, the first time that it comes by."""
    if block.number == number and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return neighbour_sum(block, values)


def traced_sum(block: Block, values: Array, *, log: str, seconds: float) -> NDArray[np.int64]:
    """Add up neighbours, slowly, and note in a file who did it: block, process, GPUs it sees."""
    time.sleep(seconds)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
    with Path(log).open("a") as file:
        file.write(f"{block.number}|{os.getpid()}|{seen}\n")
    return neighbour_sum(block, values)


def nothing(block: Block) -> NDArray[np.uint8]:
    """Return zeros: what remains is the engine's own cost."""
    return np.zeros(block.write.shape, np.uint8)


NEIGHBOUR_SUM = Op(neighbour_sum, dtype=np.int64, halo=(1, 1, 1))
COUNTS = Reduction(count_values, add_counts)
