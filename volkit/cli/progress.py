"""Progress: a live bar per stage on a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from volkit.cli.notebook import NotebookBars

if TYPE_CHECKING:
    from volkit.engine import base

_SECONDS_BETWEEN_LINES = 5.0
_WORTH_SHOWING = 64  # pieces: the upper levels of a tree of tables take no time before that


@contextmanager
def shown(console: Console) -> "Iterator[Callable[[base.Progress], None]]":
    """Show what an engine tells: bars in a terminal and in a notebook, else lines.

    Parameters
    ----------
    console : Console
        Where.

    Yields
    ------
    callable
        To be given to an engine as ``on_progress``.
    """
    if console.is_jupyter:
        yield NotebookBars.begin()
    elif console.is_terminal:
        with _bars(console) as bars:
            yield _Live(bars)
    else:
        yield _Lines(console)


def worth_showing(stage: str, pieces: int) -> bool:
    """Tell whether a stage is one that a person wants to hear of.

    Examples
    --------
    >>> worth_showing("labels", 1), worth_showing("region_graph.parts/1", 1)
    (True, False)
    """
    return "/" not in stage or pieces >= _WORTH_SHOWING


def pace(state: "base.Progress") -> str:
    """Say how fast a stage is, and how long it will take.

    Examples
    --------
    >>> from volkit.engine.base import Progress
    >>> pace(Progress("prob", 5, 10, 40_000_000, 0, 20.0))
    '2.0 Mvoxel/s, 0:20 left'
    >>> pace(Progress("prob", 5, 10, 40_000_000, 5, 0.1))
    'resumed'
    >>> pace(Progress("mirror", 5, 10, 40 * 2**20, 0, 20.0, voxel_bytes=2))
    '4.0 MiB/s, 80.0 MiB so far, 0:20 left'
    """
    if state.done >= state.total:
        return f"done in {clock(state.seconds)}" if state.done > state.resumed else "was done"
    if state.seconds_left is None:
        return "resumed" if state.resumed else "beginning"
    if state.voxel_bytes:
        rate = size(round(state.voxels_per_second * state.voxel_bytes))
        done = size(state.voxels * state.voxel_bytes)
        return f"{rate}/s, {done} so far, {clock(state.seconds_left)} left"
    return f"{speed(state.voxels_per_second)}, {clock(state.seconds_left)} left"


def speed(voxels_per_second: float) -> str:
    """Write a throughput with a unit that fits.

    Examples
    --------
    >>> speed(2.5e6), speed(3e9), speed(1200)
    ('2.5 Mvoxel/s', '3.0 Gvoxel/s', '1.2 kvoxel/s')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M")):
        if voxels_per_second >= unit:
            return f"{voxels_per_second / unit:.1f} {letter}voxel/s"
    return f"{voxels_per_second / 1e3:.1f} kvoxel/s"


def size(count: int) -> str:
    """Write a number of bytes with a unit that fits.

    Examples
    --------
    >>> size(0), size(1536), size(3 * 2**30), size(5 * 2**50)
    ('0 B', '1.5 KiB', '3.0 GiB', '5.0 PiB')
    """
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} PiB"


def clock(seconds: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> clock(7.2), clock(65), clock(3 * 3600 + 62), clock(200_000)
    ('0:07', '1:05', '3:01:02', '2 d 7:33:20')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if hours:
        return (f"{days} d " if days else "") + f"{hour}:{minute:02d}:{second:02d}"
    return f"{minute}:{second:02d}"


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=32),
        TextColumn("{task.completed:>7.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[pace]}"),
        console=console,
    )


class _Live:
    """Keep one bar for every stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, state: "base.Progress") -> None:
        if not worth_showing(state.stage, state.total):
            return
        if state.stage not in self._tasks:
            self._tasks[state.stage] = self._bars.add_task(
                state.stage, total=state.total, pace="beginning"
            )
        self._bars.update(self._tasks[state.stage], completed=state.done, pace=pace(state))


class _Lines:
    """Print the first and the last word of every stage, and a line now and then between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", time.monotonic())

    def __call__(self, state: "base.Progress") -> None:
        stage, when = self._last
        now = time.monotonic()
        ended = state.done >= state.total
        begun = state.stage != stage and state.done > state.resumed
        if not worth_showing(state.stage, state.total):
            return
        if begun or ended or now - when > _SECONDS_BETWEEN_LINES:
            self._last = (state.stage, now)
            self._console.print(
                f"{state.stage:<14} {state.done:>7}/{state.total} blocks, {pace(state)}",
                highlight=False,
                soft_wrap=True,
            )
