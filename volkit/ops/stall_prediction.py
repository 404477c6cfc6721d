"""Predictions of segments and clips: small groups through all folds, each group a resumable piece.

::

    rows ─► groups ─► cuboids or films ─► folds x views ─► columns ─┐
                                             └► heads with dropout ─┴─► rows of the stall table
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.errors import ConfigError
from volkit.geometry import Block, Box, Grid
from volkit.kernels.clips import Clip
from volkit.kernels.dropout_spread import dropout_spread
from volkit.ops.stall_ensemble import StallEnsemble
from volkit.ops.stall_sources import Shown, Unreadable

_SIGNALS = ("mean_intensity", "snr", "motion_score", "n_voxels")
_FLAGS = ("no_contour", "border", "roi_too_small")
_MC = ("mc_mean", "mc_std", "mc_range", "entropy", "mutual_info")
UNREADABLE = "unreadable"
Signal = Mapping[str, float]


class ClipSource(Protocol):
    """Where clips come from, by row."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decides the clips, as JSON."""

    def clips(self, table: Columns, rows: Sequence[int]) -> Shown:
        """Give the clips of rows of a table in any order: row, clip, and what was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionOptions:
    """How segments are worked off.

    Parameters
    ----------
    group : int
        Segments of a piece of work, which is done or not; results do not depend on it.

    Raises
    ------
    ConfigError
        If it is less than 1.
    """

    group: int = 16

    def __post_init__(self) -> None:
        if self.group < 1:
            raise ConfigError(f"group is {self.group}; give 1 segment or more")


def predict(
    table: Columns,
    source: ClipSource,
    ensemble: StallEnsemble,
    *,
    engine: Engine,
    options: PredictionOptions | None = None,
    name: str = "predictions",
) -> Any:
    """Ask all folds about every row of a table.

    Parameters
    ----------
    table : dict of ndarray, shape (N,)
        ``segment_id`` (uint64, unique) and what the source needs; rows that are near each other in
        the volume should be near each other here.
    source : ClipSource
        Gives the clips.
    ensemble : StallEnsemble
        The networks.
    engine : Engine
        Where; a job takes up where it was, group by group.
    options : PredictionOptions, optional
        How many at once.
    name : str
        Of the stage.

    Returns
    -------
    dict of ndarray, shape (N,)
        Sorted by ``segment_id``: ``p_fold_0`` …, ``p_tta_std``, ``p_stalled``, ``logit_mean``,
        ``fold_std``, ``mc_n`` and, with passes, ``mc_mean``, ``mc_std``, ``mc_range``,
        ``entropy``, ``mutual_info``; ``mean_intensity``, ``snr``, ``motion_score``, ``n_voxels``,
        and ``z0`` … ``x1`` and bits ``no_contour``, ``border``, ``roi_too_small`` of the clips;
        ``unreadable``, why a clip could not be read: empty where it could, else nothing is known.
        The same bits whatever the groups, workers, or kills in between.  (LazyEngine: a Delayed.)

    Raises
    ------
    ConfigError
        If an id is there twice, or there is no row.
    """
    ids = np.asarray(table["segment_id"])
    if not len(ids) or len(np.unique(ids)) < len(ids):
        raise ConfigError(
            f"{len(ids)} segments of {len(np.unique(ids))} ids are to be predicted; give one or "
            "more, each with an id of its own"
        )
    group = (options or PredictionOptions()).group
    grid = Grid(Box.from_shape((1, 1, len(ids))), (1, 1, min(group, len(ids))))
    work = Reduction(_group_block, gathered, finalize=by_segment)
    return engine.reduce(work, grid=grid, name=name, shared=(dict(table), source, ensemble))


def predicted(columns: Columns) -> pd.DataFrame:
    """Make columns of a stall table of predictions; what is not known is missing."""
    frame = pd.DataFrame({n: c for n, c in columns.items() if n not in (*_FLAGS, UNREADABLE)})
    voxels = frame["n_voxels"]
    return frame.assign(n_voxels=voxels.astype("Int64") if voxels.notna().all() else None)


def summarised(logits: NDArray[np.float32], dropped: NDArray[np.float32]) -> Columns:
    """Turn answers into columns.

    Parameters
    ----------
    logits : ndarray of float32, shape (K, V, N)
        Of folds and views.
    dropped : ndarray of float32, shape (P, K, N)
        Probabilities of passes with dropout.

    Returns
    -------
    dict of ndarray, shape (N,)
    """
    given = logits.astype(np.float64)
    by_view = expit(given)
    by_fold = by_view.mean(1)
    found: Columns = {f"p_fold_{k}": row for k, row in enumerate(by_fold)}
    found |= {
        "p_tta_std": by_view.mean(0).std(0),
        "p_stalled": by_fold.mean(0),
        "logit_mean": given.mean((0, 1)),
        "fold_std": by_fold.std(0),
        "mc_n": np.full(given.shape[2], len(dropped), np.int64),
    }
    if not len(dropped):
        return found | {name: np.full(given.shape[2], np.nan) for name in _MC}
    spread = dropout_spread(np.clip(dropped.astype(np.float64), 0, 1))
    found |= {f"mc_{name}": spread[name] for name in ("mean", "std", "range")}
    return found | {name: spread[name] for name in ("entropy", "mutual_info")}


def _group_block(
    block: Block, table: Columns, source: ClipSource, ensemble: StallEnsemble
) -> Columns:
    rows = list(range(block.write.start[2], block.write.stop[2]))
    # As many clips at once as fill a pass of the network.
    full = max(1, ensemble.rows // len(ensemble.views))
    ids = table["segment_id"]
    broken: dict[int, str] = {}
    parts: list[Columns] = []
    given = _readable(source.clips(table, rows), broken)
    while part := list(islice(given, full)):
        keys = [int(ids[row]) for row, _, _ in part]
        found = summarised(**ensemble.logits([clip for _, clip, _ in part], keys))
        found["segment_id"] = np.array(keys, np.uint64)
        parts.append(found | _described(part))
    if broken:
        parts.append(_unanswered(ensemble, broken) | {"segment_id": ids[[*broken]]})
    return gathered(parts)


def _readable(shown: Shown, broken: dict[int, str]) -> Iterator[tuple[int, Clip, Signal]]:
    """Give what can be read; note what cannot, and why."""
    for row, clip, signal in shown:
        if isinstance(clip, Unreadable):
            broken[row] = clip.reason
        else:
            yield row, clip, signal


def _unanswered(ensemble: StallEnsemble, broken: Mapping[int, str]) -> Columns:
    """Make rows of clips that no network was asked about."""
    folds, count = len(ensemble.checkpoints), len(broken)
    unasked = np.full((folds, len(ensemble.views), count), np.nan, np.float32)
    found = summarised(unasked, np.zeros((0, folds, count), np.float32))
    found |= {name: np.full(count, np.nan) for name in _SIGNALS}
    found |= {f"{a}{n}": np.zeros(count, np.int64) for a in "zyx" for n in (0, 1)}
    found |= {flag: np.zeros(count, bool) for flag in _FLAGS}
    return found | {UNREADABLE: np.array([*broken.values()], np.str_)}


def _described(part: Sequence[tuple[int, Clip, Signal]]) -> Columns:
    """List what was measured of clips, where they lie, and what is wrong with them."""
    clips = [clip for _, clip, _ in part]
    made: Columns = {
        name: np.array([signal.get(name, np.nan) for _, _, signal in part]) for name in _SIGNALS
    }
    for axis, a in enumerate("zyx"):
        made[f"{a}0"] = np.array([clip.region.start[axis] for clip in clips])
        made[f"{a}1"] = np.array([clip.region.stop[axis] for clip in clips])
    made |= {flag: np.array([flag in clip.flags for clip in clips]) for flag in _FLAGS}
    return made | {UNREADABLE: np.full(len(clips), "", np.str_)}


def gathered(tables: Sequence[Columns]) -> Columns:
    """Put rows of predictions together."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def by_segment(table: Columns) -> Columns:
    """Sort rows of predictions by ``segment_id``."""
    order = np.argsort(table["segment_id"], kind="stable")
    return {name: column[order] for name, column in table.items()}
