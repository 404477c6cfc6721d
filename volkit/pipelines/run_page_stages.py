"""Stages on the page of a run: how far they are, what they cost, what failed, what was slow."""

from volkit.engine.stages import Stage
from volkit.io.place import Place
from volkit.markup import Html, element, together
from volkit.pipelines.html.charts import duration
from volkit.pipelines.html.looking import look_at
from volkit.pipelines.html.tables import table
from volkit.pipelines.logs import read_logs
from volkit.pipelines.stage_status import StageStatus
from volkit.pipelines.status import RunStatus

_SLOW = 3  # blocks of each stage
_MOST_SLOW = 24  # of all stages


def stage_rows(status: RunStatus) -> Html:
    """Say how far each stage is, with a bar that a live page moves."""
    header = ("stage", "", "done", "total", "failed", "median", "99 %", "worker time", "voxels")
    rows = [
        (
            stage.stage,
            element(
                "progress",
                f"{stage.done} of {stage.total}",
                max=max(1, stage.total),
                value=stage.done,
                data_stage=stage.stage,
                aria_label=f"{stage.stage} done",
            ),
            f"{stage.done:,}",
            f"{stage.total:,}",
            f"{stage.set_aside:,}",
            duration(stage.median_seconds),
            duration(stage.p99_seconds),
            duration(stage.worker_seconds),
            f"{stage.voxels_done:,}" if stage.voxels else "",
        )
        for stage in status.stages
    ]
    return table(header, rows, caption="How far each stage is, and what its blocks cost")


def shares(status: RunStatus) -> Html:
    """Say where the time of the workers went."""
    rows = [
        (stage.stage, kind, f"{100 * share:.0f} %")
        for stage in status.stages
        for kind, share in stage.usage.shares.items()
        if share >= 0.01
    ]
    caption = "Where the workers' time went"
    return table(("stage", "kind", "share"), rows, caption=caption) if rows else Html("")


def failures(place: Place, status: RunStatus) -> Html:
    """Say what ended the last attempt, and which blocks were set aside."""
    said = []
    if status.failure:
        where = status.failed_stage or "its beginning"
        said.append(element("p", f"The last attempt ended in {where}:", class_="bad"))
        said.append(element("pre", status.failure))
    rows = [
        (log.stage, f"{log.number:,}", log.box, str(log.attempts), log.error.splitlines()[0])
        for log in read_logs(place)
        if log.error
    ]
    if rows:
        header = ("stage", "block", "voxels", "attempts", "error")
        said.append(table(header, rows, caption="Blocks that were set aside"))
    return together(said)


def slowest(place: Place, status: RunStatus, stages: list[Stage], *, viewer: bool) -> Html:
    """Name the blocks that took longest, to be looked at."""
    grids = {stage.name: stage.grid for stage in stages}
    rows = []
    for stage in status.stages:
        grid = grids.get(stage.stage)
        if grid is None or stage.done < 2:
            continue
        for number, seconds in stage.slowest[:_SLOW]:
            box = grid[number].write
            middle = [(a + b) // 2 for a, b in zip(box.start, box.stop, strict=True)]
            rows.append((stage.stage, f"{number:,}", duration(seconds), _over(stage, seconds),
                         str(box), look_at(place.uri, middle, viewer=viewer)))  # fmt: skip
    header = ("stage", "block", "time", "over the median", "voxels", "to look at it")
    return table(header, rows[:_MOST_SLOW]) if rows else Html("")


def _over(stage: StageStatus, seconds: float) -> str:
    return f"{seconds / stage.median_seconds:.1f}" if stage.median_seconds else ""
