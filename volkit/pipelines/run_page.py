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
from volkit.markup import Html, element, facts, together
from volkit.pipelines.html.charts import duration
from volkit.pipelines.html.document import Live, document
from volkit.pipelines.html.elements import section
from volkit.pipelines.html.looking import look_at
from volkit.pipelines.html.tables import table
from volkit.pipelines.run_history import StageHistory, stage_history
from volkit.pipelines.run_page_networks import networks
from volkit.pipelines.run_page_results import pictures, read_told, score_rows, tables
from volkit.pipelines.run_page_stages import failures, shares, slowest, stage_rows
from volkit.pipelines.run_page_times import times
from volkit.pipelines.status import RunStatus, read_status
from volkit.pipelines.worst_objects import worst_objects

PAGE = "index.html"
"""Name of the page, in the folder ``report`` of a run."""

_REFRESH = 5  # seconds, while the run goes on
_NOTHING = Html("")
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
    text = run_page(place, refresh=live)
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


def run_page(
    place: Place,
    *,
    refresh: bool = False,
    live: Live | None = None,
    beside: Html = _NOTHING,
    viewer: bool = False,
) -> str:
    """Make the page of a run.

    Parameters
    ----------
    place : Place
        Its folder.
    refresh : bool
        A browser loads the page again and again while the run goes on.
    live : Live, optional
        What keeps the page up to date instead.
    beside : Html
        Said after what is known of the run.
    viewer : bool
        Whether links of the page open the viewer.

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
    how_far = section("Stages", stage_rows(status), shares(status))
    parts = (
        how_far if running else _NOTHING,
        section("Scores", score_rows(scores)),
        section("Pictures", list(pictures(folder))),
        section("When", times(histories)),
        _NOTHING if running else how_far,
        section("Failures", failures(place, status)),
        section("Worst objects", list(worst_objects(folder, place.uri, viewer=viewer))),
        section("Slowest blocks", slowest(place, status, stages, viewer=viewer)),
        section("Tables", list(tables(folder))),
        section("Networks", list(networks(told))),
        section("Made from", _made_from(told, stages)),
    )
    return document(
        f"Run {place.name}",
        parts,
        lead=together(_lead(place, status, histories, told, viewer=viewer), beside),
        refresh=_REFRESH if refresh and running else None,
        live=live,
    )


def _lead(
    place: Place,
    status: RunStatus,
    histories: list[StageHistory],
    told: Mapping[str, Any],
    *,
    viewer: bool,
) -> Html:
    look = "bad" if status.failure else "good" if status.state == "finished" else "some"
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
    seen = element("p", "To look at it: ", look_at(place.uri, viewer=viewer))
    return together(element("p", status.state, class_=look, role="status"), facts(rows), seen)


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
