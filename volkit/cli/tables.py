"""Tables: plans, scores and states as a terminal shows them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from volkit.cli.progress import clock, size, worth_showing

if TYPE_CHECKING:
    from volkit.pipelines.outcome import StageTime
    from volkit.pipelines.plan import Plan, StagePlan


def plan_table(plan: "Plan") -> Table:
    """Lay out the stages of a plan."""
    asked = any(stage.requests for stage in plan.stages)
    work = ("requests",) if asked else ("windows", "passes / least")
    table = _table("stage", "blocks", *work, "read / written", "in", "out", "memory")
    for stage in plan.stages:
        table.add_row(*_stage_row(stage, asked=asked))
    read = sum(stage.bytes_read for stage in plan.stages)
    written = sum(stage.bytes_written for stage in plan.stages)
    table.add_section()
    table.add_row(
        *("together", "", *("" for _ in work), ""),
        *(size(read), size(written), size(plan.worst.memory_bytes)),
    )
    return table


def _stage_row(stage: "StagePlan", *, asked: bool) -> tuple[str, ...]:
    over = stage.passes_over_least
    passes = (
        _windows(stage),
        "" if over is None else f"{over:.2f}",
    )
    return (
        stage.name,
        f"{stage.blocks:,}" if stage.blocks else "?",
        *((f"{stage.requests:,}",) if asked else passes),
        f"{stage.read_per_written:.2f}",
        size(stage.bytes_read),
        size(stage.bytes_written),
        size(stage.memory_bytes),
    )


def _windows(stage: "StagePlan") -> str:
    skipped = f" ({stage.skipped:,} skipped)" if stage.skipped else ""
    return f"{stage.least_passes:,}{skipped}" if stage.least_passes else ""


def score_table(rows: Iterable[tuple[str, str, str]]) -> Table:
    """Lay out scores: name, value, meaning."""
    table = Table(box=None, pad_edge=False)
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("", style="dim")
    for row in rows:
        table.add_row(*row)
    return table


def time_table(times: Sequence["StageTime"]) -> Table:
    """Lay out how long the stages took."""
    table = _table("stage", "blocks", "resumed", "time", "speed")
    for item in times:
        if not worth_showing(item.stage, item.blocks):
            continue
        rate = item.voxels_per_second / 1e6
        table.add_row(
            item.stage,
            str(item.blocks),
            str(item.resumed),
            clock(item.seconds),
            f"{rate:.2f} Mvoxel/s" if rate else "",
        )
    return table


def bench_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Lay out what was measured."""
    table = _table(*header)
    for row in rows:
        table.add_row(*row)
    return table


def brief(path: str | Path) -> str:
    """Write a path from the current folder where it is inside it; leave URLs as they are."""
    if "://" in str(path):
        return str(path)
    path = Path(path)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table
