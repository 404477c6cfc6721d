"""What ``pick_particles`` writes: picks in the formats asked for, scores, figures, and a record."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.io.objects.protocol import open_objects
from volkit.io.points.copick import open_copick
from volkit.io.points.files import write_points
from volkit.io.points.options import PointOptions
from volkit.io.points.portal import beside
from volkit.io.points.table import points_frame
from volkit.io.tables import Column, Schema, write_table
from volkit.ops.particle_results import PointEvaluation
from volkit.ops.particle_scoring import evaluate_points
from volkit.pipelines.pick_particles_chain import OpenTomogram, PickJob
from volkit.pipelines.pick_particles_figure import picks_figure
from volkit.pipelines.pick_particles_inputs import open_options
from volkit.pipelines.pick_particles_record import (
    Attempt,
    forget_others,
    record_of_run,
    record_of_tables,
)

Files = tuple[tuple[str, Path | str], ...]
Row = tuple[str, str, str]


def write_tomogram(folder: Path, tomogram: OpenTomogram, picks: pd.DataFrame, job: PickJob) -> None:
    """Write the picks of one tomogram in the formats that have a file for each, and its figure.

    Parameters
    ----------
    folder : Path
        Of the run.
    tomogram : OpenTomogram
        Which.
    picks : pandas.DataFrame
        With a column ``tomogram``.
    job : PickJob
        What is asked for.

    Raises
    ------
    SourceError
        If a format has no room for the picks, or a file cannot be written.
    """
    told = job.config.write
    options = PointOptions(
        voxel_size_nm=tomogram.scale.voxel_size_nm,
        origin_nm=tomogram.scale.origin_nm,
        tomogram=tomogram.name,
        user=told.user,
        session=told.session,
    )
    (folder / "picks").mkdir(parents=True, exist_ok=True)
    _write_files(folder / "picks", picks, job, options)
    if "copick" in told.formats:
        _write_copick(tomogram.name, picks, job)
    scored = job.config.truth is not None or tomogram.truth is not None
    picks_figure(
        folder / "report" / "figures" / f"{tomogram.name}.png",
        tomogram,
        picks,
        job.options.classes,
        job.scoring.convention("czii") if scored else None,
    )


def _write_copick(run: str, picks: pd.DataFrame, job: PickJob) -> None:
    """Write picks to a project; those of classes that are no longer found go."""
    told, where = job.config.write, open_options(job.config.input)
    project = open_copick(str(told.copick or job.config.input.copick), where)
    project.write_picks(run, picks, user=told.user, session=told.session)
    overlay = open_objects(project.roots.overlay, where)
    for name in set(job.options.classes) - set(picks["class"]):
        overlay.delete(f"ExperimentRuns/{run}/Picks/{told.user}_{told.session}_{name}.json")


def _write_files(folder: Path, picks: pd.DataFrame, job: PickJob, options: PointOptions) -> None:
    name, formats, classes = options.tomogram, job.config.write.formats, job.options.classes
    if "star" in formats:
        write_points(folder / f"{name}.star", picks, options)
    plain = picks.drop(columns="tomogram")
    if "annotations" in formats:
        write_points(folder / f"{name}.annotations", plain, options)
    if "portal" in formats:  # which keeps one class in a file
        for kind in classes:
            path = folder / f"{name}-{kind}.ndjson"
            rows = plain[plain["class"] == kind].reset_index(drop=True)
            if len(rows):
                write_points(path, rows, options)
            else:  # of an earlier run
                path.unlink(missing_ok=True)
                path.with_name(beside(path.name)).unlink(missing_ok=True)


def write_results(
    folder: Path, attempts: list[Attempt], job: PickJob
) -> tuple[Files, tuple[Row, ...]]:
    """Write the table of all picks, the scores, and a record of what became of each tomogram.

    Parameters
    ----------
    folder : Path
        Of the run.
    attempts : list of Attempt
        In the order of the workflow.
    job : PickJob
        What is asked for.

    Returns
    -------
    files : tuple of (str, Path)
        What was written, by name.
    scores : tuple of (str, str, str)
        Rows for printing; empty without true points.
    """
    report = folder / "report"
    report.mkdir(parents=True, exist_ok=True)
    forget_others(folder, attempts, job)
    _write_json(report / "run.json", record_of_run(attempts, job))
    record = record_of_tables(attempts, job)
    tables = [each.picks for each in attempts if each.picks is not None]
    picks = pd.concat([points_frame([], [], tomograms=[]), *tables], ignore_index=True)
    write_points(folder / "picks.parquet", picks, provenance=record)
    files: Files = (("picks", folder / "picks.parquet"),)
    for kind, name in (("csv", "picks.csv"), ("czii", "submission.csv")):
        if kind in job.config.write.formats:
            how = PointOptions("czii" if kind == "czii" else "table")
            write_points(folder / name, picks, how, provenance=None if kind == "czii" else record)
            files += ((name, folder / name),)
    if job.config.write.formats:
        files += (("picks of each tomogram", folder / "picks"),)
    scores = _score(report, picks, attempts, job, record)
    return (*files, ("figures", report / "figures"), ("report", report)), scores


def _score(
    folder: Path, picks: pd.DataFrame, attempts: list[Attempt], job: PickJob, record: dict[str, Any]
) -> tuple[Row, ...]:
    """Score the tomograms that were picked and have true points, in both ways of counting."""
    known = [
        (each.name, each.opened.truth)
        for each in attempts
        if each.picks is not None and each.opened is not None and each.opened.truth is not None
    ]
    if not known:
        return ()
    truth = pd.concat([points for _, points in known], ignore_index=True)
    names = [name for name, _ in known]
    czii, one = (
        evaluate_points(picks, truth, convention=convention, tomograms=names)
        for convention in (job.scoring.convention("czii"), job.scoring.convention("one_to_one"))
    )
    values = {"czii": _plain(czii), "one_to_one": _plain(one), "tomograms": names, "made": record}
    _write_json(folder / "scores.json", values)
    _write_table(folder / "tomograms.csv", czii.tomograms, record)
    _write_table(folder / "curve.csv", czii.curve, record)
    beta = f"{job.scoring.beta:g}"
    return (
        *czii.as_table(),
        ("score, one to one", f"{one.score:.6f}", f"weighted F{beta} of one-to-one matches"),
    )


def _plain(found: PointEvaluation) -> dict[str, Any]:
    return {
        "convention": asdict(found.convention),
        "score": found.score,
        "classes": [asdict(each) for each in found.classes],
        "best": {"score": found.best_score, "threshold": found.best_threshold},
        "warnings": list(found.warnings),
    }


_MEANINGS = {
    "tomogram": "in which",
    "class": "of which particles",
    "threshold": "points count that score above",
    "hits": "true positives",
    "false": "false positives; negative where one point finds two",
    "missed": "false negatives",
    "precision": "1 best",
    "recall": "1 best",
    "f": "F-beta, 1 best",
}


def _write_table(path: Path, frame: pd.DataFrame, record: dict[str, Any]) -> None:
    texts = dict.fromkeys(("tomogram", "class"), "str")
    frame = frame.astype({name: "str" for name in texts if name in frame.columns})
    columns = tuple(
        Column(name, texts.get(name, str(frame[name].dtype)), "", _MEANINGS[name])
        for name in frame.columns
    )
    write_table(path, frame, Schema(columns), record)


def _write_json(path: Path, value: Any) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    scratch.replace(path)
