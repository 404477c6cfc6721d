"""Stage status: how far a stage is, how fast, and what it cost, from its ledger alone."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.fingerprint import Facts
from volkit.engine.stages import Stage
from volkit.errors import GeometryError
from volkit.geometry import Grid, Windows
from volkit.geometry.over_blocks import network_passes

_RECENT_SECONDS = 300  # over which the rate is taken
_RECENT_BLOCKS = 20  # or so many blocks, where they take long
_SLOWEST = 5


@dataclass(frozen=True, slots=True)
class StageStatus:
    """How far one stage is.

    Parameters
    ----------
    stage : str
        Its name.
    done, total : int
        Blocks.
    set_aside : int
        Blocks that the last attempt gave up.
    voxels_done, voxels : int
        Voxels that are decided; 0 of 0 for levels of tables.
    bytes_done : int
        Of these voxels, without compression; 0 for tables.
    read_per_written : float
        Voxels that are read for each voxel decided, because of the halo.
    passes_done, passes : int
        Windows that went through the network, and will altogether; 0 without one.
    blocks_per_second, voxels_per_second : float
        Over the last minutes in which blocks finished; 0 where that cannot be told.
    seconds_left : float or None
        At that rate; None where it cannot be told.
    worker_seconds : float
        That workers spent in finished blocks.
    median_seconds, p99_seconds : float
        That a block takes.
    slowest : tuple of (int, float)
        The slowest blocks: number and seconds.
    last_finished : int
        Unix time, by the client's clock; 0 before the first block.
    """

    stage: str
    done: int
    total: int
    set_aside: int
    voxels_done: int
    voxels: int
    bytes_done: int
    read_per_written: float
    passes_done: int
    passes: int
    blocks_per_second: float
    voxels_per_second: float
    seconds_left: float | None
    worker_seconds: float
    median_seconds: float
    p99_seconds: float
    slowest: tuple[tuple[int, float], ...]
    last_finished: int


def stage_status(stage: Stage, *, since: float = 0.0) -> StageStatus:
    """Sum up the ledger of a stage.

    Parameters
    ----------
    stage : Stage
        Which.
    since : float
        Unix time at which the last attempt began: what is older says nothing of the rate.

    Returns
    -------
    StageStatus
    """
    ledger = stage.ledger
    records = _last_records(ledger.records(), ledger.total)
    done, total = len(records), ledger.total
    grid = stage.grid
    voxels = 0 if grid is None else grid.domain.size
    finished = np.sort(records["finished"]).astype(np.int64)
    rate = _rate(finished, since)
    passes = _passes(stage.facts, grid)
    seconds = records["seconds"].astype(np.float64)
    few = min(_SLOWEST, done)
    slow: list[int] = np.argpartition(seconds, -few)[-few:].tolist() if few else []
    slowest = sorted(((int(records["number"][i]), float(seconds[i])) for i in slow), key=_by_time)
    return StageStatus(
        stage=stage.name,
        done=done,
        total=total,
        set_aside=len(ledger.failures()) if done < total else 0,
        voxels_done=voxels * done // max(1, total),
        voxels=voxels,
        bytes_done=voxels * done // max(1, total) * _voxel_bytes(stage.facts),
        read_per_written=_read_per_written(grid),
        passes_done=passes * done // max(1, total),
        passes=passes,
        blocks_per_second=rate,
        voxels_per_second=rate * voxels / max(1, total),
        seconds_left=(total - done) / rate if rate else None,
        worker_seconds=float(seconds.sum()),
        median_seconds=float(np.median(seconds)) if done else 0.0,
        p99_seconds=float(np.percentile(seconds, 99)) if done else 0.0,
        slowest=tuple(slowest),
        last_finished=int(finished[-1]) if done else 0,
    )


def _last_records(records: NDArray[np.void], total: int) -> NDArray[np.void]:
    """Keep the last record of each block."""
    records = records[records["number"] < total]
    last = np.full(total, -1, np.int64)
    last[records["number"]] = np.arange(len(records))
    return records[last[last >= 0]]


def _by_time(block: tuple[int, float]) -> float:
    return -block[1]


def _rate(finished: NDArray[np.int64], since: float) -> float:
    """Count blocks per second over the last minutes, by the times of the records alone."""
    finished = finished[finished >= int(since)]
    if len(finished) < 2:
        return 0.0
    begin = min(int(finished[-1]) - _RECENT_SECONDS, int(finished[-_RECENT_BLOCKS:][0]))
    recent = finished[finished >= begin]
    # Times are whole seconds; blocks of one second took about one.
    return (len(recent) - 1) / max(1, int(recent[-1] - recent[0]))


def _voxel_bytes(facts: Facts) -> int:
    if "dtype" not in facts:
        return 0
    return int(np.dtype(facts["dtype"]).itemsize * (facts.get("channels") or 1))


def _read_per_written(grid: Grid | None) -> float:
    """Compare what blocks read with what they decide, by arithmetic for each axis."""
    if grid is None:
        return 0.0
    factors = []
    axes = zip(grid.domain.shape, grid.block_shape, grid.halo, grid.shape, strict=True)
    for length, block, halo, count in axes:
        start = np.arange(count, dtype=np.int64) * block
        stop = np.minimum(start + block, length)
        read = np.minimum(stop + halo, length) - np.maximum(start - halo, 0)
        factors.append(float(read.sum()) / length)
    return prod(factors)


def _passes(facts: Facts, grid: Grid | None) -> int:
    """Count the windows of all blocks; 0 where the stage has no network."""
    network: Any = facts.get("shared", {}).get("0")
    stride = facts.get("params", {}).get("stride")
    if grid is None or stride is None or not isinstance(network, dict):
        return 0
    try:
        window, margin = tuple(network["window"]), tuple(network["margin"])
        return network_passes(Windows(grid.domain, window, tuple(stride), margin), grid)
    except (KeyError, TypeError, GeometryError):
        return 0
