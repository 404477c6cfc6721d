"""The page of a run: what ran, what it cost, what came out, what failed, in one file of HTML.

It is made from the folder of the run alone, whether that is finished, going on or ended half way.
"""

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from volkit.engine.origin import Session, read_origin
from volkit.engine.stages import Stage, find_stages
from volkit.errors import SourceError, VolkitError
from volkit.io.place import Place
from volkit.pipelines.html.charts import Span, duration, line_chart, timeline
from volkit.pipelines.html.document import document
from volkit.pipelines.html.elements import Html, element, facts, section, together
from volkit.pipelines.html.tables import table
from volkit.pipelines.logs import read_logs
from volkit.pipelines.run_history import StageHistory, history, stage_history
from volkit.pipelines.run_page_results import pictures, read_told, score_rows, tables
from volkit.pipelines.stage_status import StageStatus
from volkit.pipelines.status import RunStatus, read_status

PAGE = "index.html"
"""Name of the page, in the folder ``report`` of a run."""

_MOST_STAGES = 24  # rows of the timeline: the longest
_REFRESH = 5  # seconds, while the run goes on
_logger = logging.getLogger(__name__)


def write_run_page(run: Place | Path | str, *, live: bool = False) -> Path:
    """Write ``report/index.html`` into the folder of a run.

    Parameters
    ----------
    run : Place, Path or str
        The folder, of this machine.
    live : bool
        A browser loads the page again and again while the run goes on.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    SourceError
        If there is no run, or it lies in an object store.
    """
    place = Place.at(run)
    folder = place.local
    if folder is None:
        raise SourceError(
            f"{place} is no folder of this machine, where a page could be written; copy its "
            "ledgers and report, or use volkit status"
        )
    text = run_page(place, live=live)
    path = folder / "report" / PAGE
    path.parent.mkdir(exist_ok=True)
    scratch = path.with_suffix(".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
    return path


def leave_page(run: Place | Path | str) -> None:
    """Leave the page of a run that has just ended, however it did; of no run, nothing.

    A page that cannot be written is logged: no result depends on it.

    Parameters
    ----------
    run : Place, Path or str
        The folder that the run was to work in.
    """
    place = Place.at(run)
    try:
        if place.local is not None and find_stages(place):
            write_run_page(place)
    except (OSError, VolkitError) as error:
        _logger.warning("could not write the page of %s: %s", place, error)


def run_page(place: Place, *, live: bool = False) -> str:
    """Make the page of a run.

    Parameters
    ----------
    place : Place
        Its folder.
    live : bool
        As for :func:`write_run_page`.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    SourceError
        If there is no run.
    """
    status, stages = read_status(place), find_stages(place)
    folder = (place.local or Path(place.uri)) / "report"
    told, scores = read_told(folder / "run.json"), read_told(folder / "scores.json")
    histories = [found for stage in stages if (found := stage_history(stage)) is not None]
    running = status.client is not None and status.client.running is not False
    parts = (
        section("Scores", score_rows(scores)),
        section("Pictures", list(pictures(folder))),
        section("When", _when(histories)),
        section("Stages", _stages(status), _shares(status)),
        section("Failures", _failures(place, status)),
        section("Slowest blocks", _slowest(place, status, stages)),
        section("Tables", list(tables(folder))),
        section("Made from", _made_from(told, stages)),
    )
    return document(
        f"Run {place.name}",
        parts,
        lead=_lead(place, status, histories, told),
        refresh=_REFRESH if live and running else None,
    )


def _lead(
    place: Place, status: RunStatus, histories: list[StageHistory], told: Mapping[str, Any]
) -> Html:
    done = all(stage.done == stage.total for stage in status.stages)
    word, look = ("finished", "good") if done else ("not finished", "some")
    if status.failure:
        word, look = f"failed in {status.failed_stage or 'its beginning'}", "bad"
    elif status.client is not None and status.client.running and not done:
        word = "going on"
    begin = min((h.begin for h in histories), default=0.0)
    end = max((h.end for h in histories), default=0.0)
    rows = [
        ("pipeline", str(told.get("parameters", {}).get("pipeline", ""))),
        ("domain", str(told.get("domain", ""))),
        ("began", _clock(begin) if begin else ""),
        ("last block", f"{_clock(end)}, after {duration(end - begin)}" if end else ""),
        ("cost", f"{status.worker_hours:.3g} worker hours in finished blocks"),
        ("page made", _clock(time.time())),
    ]
    look_at = element("p", "To look at it: ", element("code", f"volkit view {place.uri}"))
    return together(element("p", word, class_=look, role="status"), facts(rows), look_at)


def _when(histories: list[StageHistory]) -> Html:
    longest = sorted(histories, key=lambda h: h.begin - h.end)[:_MOST_STAGES]
    spans = [
        Span(h.stage, h.begin, h.end, f"{len(h.finished):,} blocks")
        for h in sorted(longest, key=lambda h: h.begin)
    ]
    found = history(histories)
    charts = [timeline(spans, title="Stages over time")]
    if found is not None:
        unit, length = _unit(float(found.seconds[-1]))
        about = {"across": f"{unit} since the beginning"}
        since = found.seconds / length
        speeds = {"blocks per second": found.blocks_per_second}
        charts += [
            line_chart(since, speeds, title="Throughput", up="blocks per second", **about),
            line_chart(
                since,
                {"Mvoxel per second": found.voxels_per_second / 1e6},
                title="Voxels decided",
                up="Mvoxel per second",
                **about,
            ),
            line_chart(
                since,
                {"blocks at work": found.busy},
                title="Utilisation: blocks that were worked on at the same time",
                up="blocks",
                **about,
            ),
        ]
    return together(charts)


def _unit(seconds: float) -> tuple[str, float]:
    """Choose what to count a time in."""
    return (
        ("hours", 3600.0)
        if seconds > 7200
        else ("minutes", 60.0)
        if seconds > 120
        else ("seconds", 1.0)
    )


def _stages(status: RunStatus) -> Html:
    header = ("stage", "done", "total", "failed", "median", "99 %", "worker time", "voxels")
    rows = [
        (
            stage.stage,
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


def _shares(status: RunStatus) -> Html:
    """Say where the time of the workers went."""
    rows = [
        (stage.stage, kind, f"{100 * share:.0f} %")
        for stage in status.stages
        for kind, share in stage.usage.shares.items()
        if share >= 0.01
    ]
    caption = "Where the workers' time went"
    return table(("stage", "kind", "share"), rows, caption=caption) if rows else Html("")


def _failures(place: Place, status: RunStatus) -> Html:
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


def _slowest(place: Place, status: RunStatus, stages: list[Stage]) -> Html:
    grids = {stage.name: stage.grid for stage in stages}
    rows = []
    for stage in status.stages:
        grid = grids.get(stage.stage)
        if grid is None or stage.done < 2:
            continue
        for number, seconds in stage.slowest[:3]:
            box = grid[number].write
            middle = ",".join(str((a + b) // 2) for a, b in zip(box.start, box.stop, strict=True))
            command = f"volkit view {place.uri} --at {middle}"
            rows.append((stage.stage, f"{number:,}", duration(seconds), _over(stage, seconds),
                         str(box), command))  # fmt: skip
    header = ("stage", "block", "time", "over the median", "voxels", "to look at it")
    return table(header, rows) if rows else Html("")


def _over(stage: StageStatus, seconds: float) -> str:
    return f"{seconds / stage.median_seconds:.1f}" if stage.median_seconds else ""


def _made_from(told: Mapping[str, Any], stages: list[Stage]) -> Html:
    parts = []
    seen: dict[tuple[str, str], Session] = {}
    for stage in stages:
        origin = read_origin(stage.ledger.root)
        for session in () if origin is None else origin.sessions:
            seen.setdefault((session.command, session.started[:16]), session)
    rows = [(s.started, s.user, s.host, str(s.versions.get("volkit", "")), s.command)
            for s in seen.values()]  # fmt: skip
    if rows:
        header = ("began", "who", "on", "volkit", "command")
        parts.append(table(header, rows, caption="Who ran it, when and where"))
    if told:
        text = json.dumps(told, indent=1, default=str)
        parts.append(element("details", element("summary", "All of it"), element("pre", text)))
    return together(parts)


def _clock(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
