"""History of a run: what went on when, from the ledgers of its stages and nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volkit.engine.stages import Stage

Floats = NDArray[np.float64]

BINS = 240
"""Points of a history at most."""


@dataclass(frozen=True, slots=True)
class StageHistory:
    """When a stage was worked on.

    Parameters
    ----------
    stage : str
        Its name.
    begin, end : float
        Unix times of its first block's beginning and its last block's end, by the client's clock.
    started, finished : ndarray of float64
        Of every block that is finished, in the order of the ledger.
    voxels : int
        Of a block, on average; 0 for tables.
    """

    stage: str
    begin: float
    end: float
    started: Floats
    finished: Floats
    voxels: float


@dataclass(frozen=True, slots=True)
class History:
    """How much was going on, over time.

    Parameters
    ----------
    seconds : ndarray of float64, shape (N,)
        Since the beginning, the middle of each piece of time.
    blocks_per_second, voxels_per_second : ndarray of float64, shape (N,)
        That finished.
    busy : ndarray of float64, shape (N,)
        Blocks that were being worked on, on average.
    """

    seconds: Floats
    blocks_per_second: Floats
    voxels_per_second: Floats
    busy: Floats


def stage_history(stage: Stage) -> StageHistory | None:
    """Read when a stage was worked on; None where nothing is finished.

    Ledgers count whole seconds: a block is taken to have ended in the middle of its second.
    """
    records = stage.ledger.records()
    if not len(records):
        return None
    seconds = records["seconds"].astype(np.float64)
    finished = records["finished"].astype(np.float64) + 0.5
    started = finished - seconds
    voxels = 0.0 if stage.grid is None else stage.grid.domain.size / max(1, stage.ledger.total)
    begin, end = float(started.min()), float(finished.max())
    return StageHistory(stage.name, begin, end, started, finished, voxels)


def history(stages: list[StageHistory], *, bins: int | None = None) -> History | None:
    """Sum up what went on in all stages.

    Parameters
    ----------
    stages : list of StageHistory
        Of a run.
    bins : int, optional
        Pieces of time; None takes up to 240, none shorter than the second that ledgers count in.

    Returns
    -------
    History or None
        None where there was nothing.

    Examples
    --------
    >>> one = StageHistory("a", 0.0, 4.0, np.array([0.0, 0.0]), np.array([4.0, 2.0]), 10.0)
    >>> found = history([one], bins=2)
    >>> found.busy.tolist(), found.blocks_per_second.tolist(), found.voxels_per_second.tolist()
    ([2.0, 1.0], [0.5, 0.5], [5.0, 5.0])
    """
    if not stages:
        return None
    begin, end = min(s.begin for s in stages), max(s.end for s in stages)
    if bins is None:
        bins = max(2, min(BINS, int(end - begin)))
    edges = np.linspace(begin, max(end, begin + 1e-3), bins + 1)
    width = float(edges[1] - edges[0])
    counts, voxels, busy = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    for stage in stages:
        # What ends on an edge belongs to the time before it.
        place = np.searchsorted(edges, stage.finished, side="left") - 1
        found = np.bincount(np.clip(place, 0, bins - 1), minlength=bins)
        counts += found
        voxels += found * stage.voxels
        busy += np.diff(_before(edges, stage.started) - _before(edges, stage.finished))
    middle = edges[:-1] + width / 2 - begin
    return History(middle, counts / width, voxels / width, busy / width)


def _before(edges: Floats, times: Floats) -> Floats:
    """Sum up, for each edge, how long ago all earlier times were."""
    times = np.sort(times)
    sums = np.concatenate([[0.0], np.cumsum(times)])
    count = np.searchsorted(times, edges)
    found: Floats = count * edges - sums[count]
    return found
