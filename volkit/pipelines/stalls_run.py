"""Runs that end in a stall table: predicted, called, reviewed, shown, whatever clips are of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.engine.op import Columns
from volkit.errors import BlockFailedError
from volkit.geometry import VoxelScale
from volkit.io.tables import write_table
from volkit.ops.stall_calls import probability_of
from volkit.ops.stall_prediction import ClipSource, predict, predicted
from volkit.ops.stall_scores import SCORES, stall_scores
from volkit.pipelines.on_cluster import on_cluster
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan
from volkit.pipelines.registry import OnMessage, Pipeline
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.stalls_aside import verdict, write_aside
from volkit.pipelines.stalls_config import StallsRun
from volkit.pipelines.stalls_pictures import pictured, write_attention, write_layers, write_sheets
from volkit.pipelines.stalls_table import (
    Files,
    Made,
    finished_table,
    reviewed,
    write_table_files,
)
from volkit.wording import counted


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Segments or clips that are to be judged.

    Parameters
    ----------
    frame : pandas.DataFrame
        What is known of each before; columns of the stall table.
    columns : dict of ndarray
        What the source of clips needs, with ``segment_id``.
    source : ClipSource
        Gives the clips.
    made : Made
        Networks, calibrator, provenance.
    tissue_mm3 : float or None
        Volume that is looked at.
    scale : VoxelScale or None
        Of the volume.
    labels : pandas.DataFrame or None
        ``segment_id``, ``stalled`` and ``group``, where the truth is known.
    answers : dict of ndarray or None
        Of the networks, where they were asked already.
    aside : mapping of str to str
        Why clips that cannot be read are not in the frame, by name.
    """

    frame: pd.DataFrame
    columns: Columns
    source: ClipSource
    made: Made
    tissue_mm3: float | None = None
    scale: VoxelScale | None = None
    labels: pd.DataFrame | None = None
    answers: Columns | None = None
    aside: Mapping[str, str] = field(default_factory=dict)


Finder = Callable[[Any, JobEngine], Rows]


def judge(
    config: StallsRun,
    find: Finder,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Outcome:
    """Judge segments, and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : StallsRun
        The workflow.
    find : callable
        ``find(config, engine)`` gives the rows.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.

    Returns
    -------
    Outcome

    Raises
    ------
    BlockFailedError
        After all others, where clips cannot be read.
    VolkitError
        What ``find`` raises; ModelError where calibrator and networks do not belong together;
        StaleLedgerError where the folder holds another computation.
    """
    watch = Stopwatch(on_progress)
    with at_work(engine or JobEngine(config.folder), watch, on_message) as engine:
        rows = find(config, engine)
        answers = rows.answers or predict(
            rows.columns, rows.source, rows.made.ensemble, engine=engine, options=config.predict
        )
        table = reviewed(finished_table(_joined(rows.frame, answers), rows.made), config)
        files, summary = write_table_files(table, rows.made, tissue_mm3=rows.tissue_mm3)
        scored, found = _scores(table, rows, config)
        files = (*files, *scored, *_pictures(table, rows, config))
        files += write_aside(config.folder / "report", rows.aside)
        if rows.aside:
            if on_message is not None:
                on_message("\n".join("  ".join(row) for row in summary.as_table()))
            raise BlockFailedError(verdict(rows.aside, files[0][1]))
    return Outcome(
        files=files,
        following=("open", config.folder / "report" / "sheet.html"),
        scores=(*summary.as_table(), *found),
        times=watch.times(),
    )


def _joined(frame: pd.DataFrame, answers: Columns) -> pd.DataFrame:
    """Put predictions beside what was known; boxes are those of the clips."""
    said = predicted(answers)
    left = frame.drop(columns=[name for name in said.columns if name in frame and name[1:] in "01"])
    return left.merge(said, on="segment_id", validate="one_to_one")


def _pictures(table: pd.DataFrame, rows: Rows, config: StallsRun) -> Files:
    folder, told = config.folder / "report", config.report
    files: Files = ()
    if told.sheet:
        clips = pictured(table, rows.columns, rows.source, count=told.sheet)
        stalls = int((table["call"] == "stalled").sum())
        heading = (
            f"{config.folder.name}   {counted(len(table), 'segment')}, {stalls:,} called stalled"
        )
        heading += f", {counted(len(rows.aside), 'clip')} set aside" if rows.aside else ""
        files = write_sheets(folder, clips, heading=heading)
        if told.attention:
            files += write_attention(
                folder / "attention", clips[: told.attention], rows.made.ensemble, scale=rows.scale
            )
    if told.annotations and rows.scale is not None:
        files += write_layers(folder, table, rows.scale)
    return files


def _scores(table: pd.DataFrame, rows: Rows, config: StallsRun) -> tuple[Files, tuple[Any, ...]]:
    """Score against labels, where there are any."""
    if rows.labels is None or not len(rows.labels):
        return (), ()
    known = table.merge(rows.labels, on="segment_id", validate="one_to_one")
    truth = known["stalled"].to_numpy(bool)
    frame = stall_scores(
        probability_of(known),
        truth,
        group=known["group"].to_numpy(str),
        threshold=config.decide.threshold,
    )
    path = config.folder / "report" / "scores.csv"
    write_table(path, frame, SCORES, rows.made.columns)
    pooled = frame[frame["part"] == "all"]
    return (("scores", path),), tuple(_told(row) for _, row in pooled.iterrows())


def _told(row: Any) -> tuple[str, str, str]:
    at = "" if np.isnan(row["threshold"]) else f" at {row['threshold']:g} ({row['at']})"
    near = "" if np.isnan(row["low"]) else f", 95 % within {row['low']:.3f} and {row['high']:.3f}"
    return (
        f"{row['score']}{at}",
        f"{row['value']:.4f}",
        f"{row['positives']} stalled of {row['examples']}{near}",
    )


def stalls_pipeline(
    name: str,
    config: type,
    find: Finder,
    plan: Callable[[Any], Plan],
    paths: frozenset[str],
) -> Pipeline:
    """Make a pipeline that judges what ``find`` finds.

    Parameters
    ----------
    name : str
        As workflow files have it.
    config : type
        A StallsRun.
    find : callable
        As for `judge`.
    plan : callable
        ``plan(config)`` gives a Plan.
    paths : frozenset of str
        Keys whose values are paths or URIs, beside those that all have.

    Returns
    -------
    Pipeline
    """
    run = on_cluster(lambda told, *how: judge(told, find, *how))
    shared = {"checkpoint", "calibrator", "reviews", "output"}
    return Pipeline(name, config, run, plan, paths | shared)
