"""Outcome: what a pipeline hands back, and how long its stages took."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from volkit.engine.base import OnProgress, Progress


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long a stage took in this run.

    Parameters
    ----------
    stage : str
        Its name.
    blocks, resumed : int
        All its blocks, and those that an earlier run had finished.
    seconds : float
        Of this run.
    voxels_per_second : float
        Of this run; 0 where nothing was left to do.
    """

    stage: str
    blocks: int
    resumed: int
    seconds: float
    voxels_per_second: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pipeline came to.

    Parameters
    ----------
    files : tuple of (str, Path or str)
        What it wrote, by name: paths and URLs.
    following : tuple of (str, Path or str, ...)
        A command to go on with, and its arguments, which are yet to be quoted for a shell.
    scores : tuple of (str, str, str)
        Name, value and meaning; empty without a truth.
    times : tuple of StageTime
        In the order of the stages.
    """

    files: tuple[tuple[str, Path | str], ...]
    following: tuple[str, *tuple[Path | str, ...]]
    scores: tuple[tuple[str, str, str], ...] = ()
    times: tuple[StageTime, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Listen to an engine, remember the times, and pass everything on.

    Parameters
    ----------
    on_progress : callable or None
        Who else listens.
    """

    on_progress: OnProgress | None = None
    _last: dict[str, Progress] = field(default_factory=dict)

    def __call__(self, state: Progress) -> None:
        """Hear how far a stage is."""
        self._last.pop(state.stage, None)  # so that the last one stays last
        self._last[state.stage] = state
        if self.on_progress is not None:
            self.on_progress(state)

    def stage(self) -> str:
        """Name the stage heard of last."""
        return next(reversed(self._last), "")

    def times(self) -> tuple[StageTime, ...]:
        """List the stages heard of."""
        return tuple(
            StageTime(s.stage, s.total, s.resumed, s.seconds, s.voxels_per_second)
            for s in self._last.values()
        )


def added_times(times: Iterable[StageTime]) -> tuple[StageTime, ...]:
    """Add up stages of one name, as where the same is done for several volumes.

    Parameters
    ----------
    times : iterable of StageTime
        One after the other.

    Returns
    -------
    tuple of StageTime
        In the order in which their names came first; each is as fast as all of it was.

    Examples
    --------
    >>> twice = StageTime("tissue", 8, 0, 1.0, 600.0), StageTime("tissue", 4, 4, 2.0, 0.0)
    >>> added_times(twice)
    (StageTime(stage='tissue', blocks=12, resumed=4, seconds=3.0, voxels_per_second=200.0),)
    """
    found: dict[str, StageTime] = {}
    for one in times:
        had = found.get(one.stage, StageTime(one.stage, 0, 0, 0.0, 0.0))
        seconds = had.seconds + one.seconds
        voxels = sum(part.seconds * part.voxels_per_second for part in (had, one))
        found[one.stage] = StageTime(
            one.stage,
            had.blocks + one.blocks,
            had.resumed + one.resumed,
            seconds,
            voxels / seconds if seconds else 0.0,
        )
    return tuple(found.values())
