"""Stage status: how far a stage is, how fast, and what it cost, from its ledger and beside it."""

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from volkit.engine.fingerprint import Facts
from volkit.engine.ledger import Ledger, read_header
from volkit.engine.stages import Stage
from volkit.engine.usage import Usage
from volkit.engine.usage_note import read_usage
from volkit.errors import GeometryError
from volkit.geometry import Grid, Windows
from volkit.geometry.over_blocks import network_passes
from volkit.pipelines.stage_usage import StageUsage, stage_usage

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
        Voxels that are read for each voxel decided, because of the halo; as counted, or by
        arithmetic where nobody counted.
    passes_done, passes : int
        Windows that went through the network, as counted where workers counted them, and all that
        are to; 0 without one.
    passes_skipped : int
        Windows that were left out, since nothing was to be seen there.
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
    usage : StageUsage
        Where the time of the workers went.
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
    passes_skipped: int
    blocks_per_second: float
    voxels_per_second: float
    seconds_left: float | None
    worker_seconds: float
    median_seconds: float
    p99_seconds: float
    slowest: tuple[tuple[int, float], ...]
    last_finished: int
    usage: StageUsage


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
    usage, passes = _usage_and_passes(stage, grid, done)
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
        read_per_written=_read_per_written(grid, usage),
        passes_done=passes.done,
        passes=passes.total,
        passes_skipped=usage.counts.get("skipped_windows", 0),
        blocks_per_second=rate,
        voxels_per_second=rate * voxels / max(1, total),
        seconds_left=(total - done) / rate if rate else None,
        worker_seconds=float(seconds.sum()),
        median_seconds=float(np.median(seconds)) if done else 0.0,
        p99_seconds=float(np.percentile(seconds, 99)) if done else 0.0,
        slowest=tuple(slowest),
        last_finished=int(finished[-1]) if done else 0,
        usage=stage_usage(usage),
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


def _read_per_written(grid: Grid | None, usage: Usage) -> float:
    """Compare what blocks read with what they decide: as counted, or by arithmetic."""
    if grid is None:
        return 0.0
    if least := usage.counts.get("bytes_least"):
        return usage.counts.get("bytes_read", 0) / least
    factors = []
    axes = zip(grid.domain.shape, grid.block_shape, grid.halo, grid.shape, strict=True)
    for length, block, halo, count in axes:
        start = np.arange(count, dtype=np.int64) * block
        stop = np.minimum(start + block, length)
        read = np.minimum(stop + halo, length) - np.maximum(start - halo, 0)
        factors.append(float(read.sum()) / length)
    return prod(factors)


class _Passes(NamedTuple):
    done: int = 0
    total: int = 0


def _usage_and_passes(stage: Stage, grid: Grid | None, done: int) -> tuple[Usage, _Passes]:
    """Say what a stage has cost, and how many windows were evaluated and are to be."""
    usage = read_usage(stage.ledger.root)
    windows = _windows(stage.facts, grid)
    if windows is None or grid is None:
        return usage, _Passes()
    total, of = network_passes(windows, grid), stage.ledger.total
    name = stage.name.rpartition("/")[2]
    place = stage.ledger.root.above.inside(f"{name}.exchange/windows.ledger")
    header = read_header(place)
    if header is not None:  # each window is evaluated once, and noted there
        total, of = len(windows), int(header["total"])
        done = Ledger(place, of, "").count()
        usage += read_usage(place)
    counted = usage.counts.get("windows")
    return usage, _Passes(total * done // max(1, of) if counted is None else counted, total)


def _windows(facts: Facts, grid: Grid | None) -> Windows | None:
    """Lay the windows of a stage; None where it has no network."""
    network: Any = facts.get("shared", {}).get("0")
    stride = facts.get("params", {}).get("stride")
    if grid is None or stride is None or not isinstance(network, dict):
        return None
    try:
        window, margin = tuple(network["window"]), tuple(network["margin"])
        return Windows(grid.domain, window, tuple(stride), margin)
    except (KeyError, TypeError, GeometryError):
        return None
