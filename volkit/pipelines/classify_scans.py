"""Classify scans: a manifest and networks in, a table of classes out; scores where they are known.

::

    manifest ─► whom has which network met? ─► probabilities ─► calibrated ─► called ─► tables
                                                                           └► scores, attention
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from math import prod
from typing import Any

import pandas as pd

from volkit.engine.attendance import attended
from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.errors import ModelError
from volkit.geometry import Box, Grid
from volkit.io.redaction import redacted
from volkit.io.scan_manifest import read_manifest
from volkit.io.tables import write_table
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.ops.scan_prediction import ScanWork, predict_scans
from volkit.ops.stall_ensemble import read_folds
from volkit.pipelines.classify_scans_config import ClassifyScans
from volkit.pipelines.classify_scans_tables import called, known, write_calls
from volkit.pipelines.cluster import workers
from volkit.pipelines.failure import recorded
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.scans_attention import (
    ATTENTION,
    Attention,
    AttentionWork,
    evenly,
    look,
    region_files,
)
from volkit.pipelines.scans_figure import attention_figure
from volkit.pipelines.scans_record import read_record
from volkit.pipelines.segment_plan import PROCESS_BYTES
from volkit.pipelines.train_scans_report import Files, Found, told_scores, write_report

# Layers of an r3d_18 that are alive together when it is only asked.
_BYTES_PER_VOXEL = 256


def classify(
    config: ClassifyScans,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Outcome:
    """Classify scans, and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : ClassifyScans
        The workflow.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every batch of groups.
    on_message : callable, optional
        Told what a person may want to know.

    Returns
    -------
    Outcome

    Raises
    ------
    ConfigError
        If scans were preprocessed otherwise than those of the training, or it is another manifest
        with subjects of the training's.
    ModelError
        If networks, record and calibrator do not belong together.
    VolkitError
        If a scan cannot be read; StaleLedgerError where the folder holds another computation.
    """
    watch = Stopwatch(on_progress)
    engine = replace(engine or JobEngine(config.folder), on_progress=watch)
    with (
        attended(engine.place, on_message=on_message) as attendance,
        recorded(engine.place, watch.stage),
    ):
        engine = replace(engine, attendance=attendance)
        work = _work(config)
        unknown = sum(not folds for folds in work.folds)
        if unknown and on_message is not None:
            on_message(
                f"{unknown} of {len(work.folds)} scans are of subjects that every network has "
                "met: they get no answer"
            )
        table = predict_scans(work, engine=engine, group=config.group)
        table = called(table, config, work.ensemble)
        facts = _facts(config, work)
        files = write_calls(table, config, work.ensemble, facts)
        judged = known(table, work.ensemble)
        attention = _attention(config, work, table, engine)
        scores: tuple[tuple[str, str, str], ...] = _counted(table)
        if judged is not None:
            (negative,) = (n for n in work.ensemble.classes if n != work.ensemble.positive)
            found = Found(judged, (negative, work.ensemble.positive), attention=attention)
            more, frame = write_report(config.folder / "report", found, config.scores, facts)
            files, scores = (*files, *more), (*scores, *told_scores(frame))
        elif attention is not None:
            files += _alone(attention, config, work.ensemble, facts)
    return Outcome(files, ("open", config.folder / "report"), scores, watch.times())


def _work(config: ClassifyScans) -> ScanWork:
    """Find out which network may judge which scan."""
    manifest, record = read_manifest(config.input.manifest), read_record(config.networks.checkpoint)
    cards = read_folds(config.networks.checkpoint, folds=config.networks.folds)
    ensemble = ScanEnsemble(cards, record.positive, config.networks.device)
    if ensemble.fingerprint != record.model:
        raise ModelError(
            f"the record beside {config.networks.checkpoint} is of the networks "
            f"{record.model[:12]}…, these are {ensemble.fingerprint[:12]}…; give all networks of "
            "one training, as it wrote them"
        )
    return ScanWork(manifest, ensemble, tuple(record.unmet(manifest)))


def _attention(
    config: ClassifyScans, work: ScanWork, table: pd.DataFrame, engine: JobEngine
) -> Attention | None:
    """Look at scans, each by the first network that may judge it."""
    asked = table[table["networks"] > 0]
    if not config.attention.scans or not len(asked):
        return None
    names = evenly(asked, config.attention)["scan"].tolist()
    place = {row.scan: n for n, row in enumerate(work.manifest.rows)}
    rows = tuple(place[name] for name in names)
    looking = AttentionWork(
        work.manifest,
        work.ensemble,
        rows,
        tuple(work.folds[n][0] for n in rows),
        str(config.folder / "report" / "attention"),
        region_files(config.attention.region, names),
    )
    return look(looking, engine=engine)


def _alone(
    attention: Attention, config: ClassifyScans, ensemble: ScanEnsemble, facts: Mapping[str, Any]
) -> Files:
    """Write attention where nothing is scored."""
    folder = config.folder / "report"
    write_table(folder / "attention.csv", attention.table, ATTENTION, facts)
    heading = f"what speaks for {ensemble.positive}"
    attention_figure(folder / "attention.png", attention, heading=heading)
    return (("attention", folder / "attention.csv"), ("figure", folder / "attention.png"))


def _counted(table: pd.DataFrame) -> tuple[tuple[str, str, str], ...]:
    """Count calls, for printing."""
    counts = table["call"][table["call"] != ""].value_counts().sort_index()
    return tuple(
        (f"scans called {name}", f"{count:,}", f"of {len(table):,}")
        for name, count in counts.items()
    )


def _facts(config: ClassifyScans, work: ScanWork) -> Mapping[str, Any]:
    """Write down what the run is, for its page; give it for the tables."""
    told = json.loads(json.dumps(redacted(asdict(config)), default=dict))
    subjects = len({row.subject for row in work.manifest.rows})
    facts = {
        "parameters": {"pipeline": "classify_scans", **told},
        "domain": f"{len(work.manifest.rows)} scans of {subjects} subjects",
        "manifest": work.manifest.digest,
        "networks": work.ensemble.facts,
    }
    folder = config.folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def plan(config: ClassifyScans) -> Plan:
    """Say what a classification will read and need.

    Parameters
    ----------
    config : ClassifyScans
        The workflow.

    Returns
    -------
    Plan
        Its domain are the scans.

    Raises
    ------
    VolkitError
        What `classify` raises of manifest, record and cards; scans are not read.
    """
    work = _work(config)
    count, window = len(work.folds), prod(work.ensemble.window)
    passes = sum(map(len, work.folds))
    stage = StagePlan(
        name="predictions",
        blocks=-(-count // config.group),
        voxels=count * window,
        voxels_read=count * window,
        bytes_read=4 * count * window,
        bytes_written=0,
        memory_bytes=PROCESS_BYTES + window * _BYTES_PER_VOXEL,
        passes=passes,
        least_passes=passes,
    )
    return Plan(
        grid=Grid(Box.from_shape((1, 1, count)), (1, 1, min(config.group, count))),
        stages=(stage,),
        workers=config.cluster.processes,
        memory_bytes=config.cluster.memory_bytes,
        advice=(f"{count} scans, each judged by the networks that have not met its subject",),
    )


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Carry out a workflow file; see :func:`classify`."""
    config: ClassifyScans = workflow.config
    with workers(config.cluster, on_message) as client:
        engine = JobEngine(config.folder, client, replace_stale=replace_stale)
        return classify(config, engine, on_progress, on_message)


PIPELINE = Pipeline(
    name="classify_scans",
    config=ClassifyScans,
    run=carry_out,
    plan=plan,
    paths=frozenset({"output", "manifest", "checkpoint", "calibrator", "table"}),
)
