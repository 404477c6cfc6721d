"""Classify scans: a manifest and networks in, a table of classes out; scores where they are known.

::

    manifest ─► whom has which network met? ─► probabilities ─► calibrated ─► called ─► tables
                                                                           └► scores, attention
"""

from math import prod

import pandas as pd

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.errors import ModelError
from volkit.geometry import Box, Grid
from volkit.io.scan_manifest import read_manifest
from volkit.io.tables import write_table
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.ops.scan_prediction import ScanWork, predict_scans
from volkit.ops.stall_ensemble import read_folds
from volkit.pipelines.classify_scans_config import ClassifyScans
from volkit.pipelines.classify_scans_tables import called, known, write_calls
from volkit.pipelines.on_cluster import on_cluster
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.plan import Plan, StagePlan
from volkit.pipelines.process_memory import process_bytes
from volkit.pipelines.registry import OnMessage, Pipeline
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.scans_attention import ATTENTION, Attention, look_evenly
from volkit.pipelines.scans_facts import write_facts
from volkit.pipelines.scans_figure import attention_figure
from volkit.pipelines.scans_record import read_record
from volkit.pipelines.train_scans_report import Found, told_scores, write_report

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
    report = config.folder / "report"
    with at_work(engine or JobEngine(config.folder), watch, on_message) as engine:
        work = _work(config)
        ensemble = work.ensemble
        unknown = sum(not folds for folds in work.folds)
        if unknown and on_message is not None:
            on_message(
                f"{unknown} of {len(work.folds)} scans are of subjects that every network has "
                "met: they get no answer"
            )
        table = called(predict_scans(work, engine=engine, group=config.group), config, ensemble)
        facts = write_facts(
            report, "classify_scans", config, work.manifest, networks=ensemble.facts
        )
        files = write_calls(table, config, ensemble, facts)
        attention = _attention(config, work, table, engine)
        judged = known(table, ensemble)
        scores: tuple[tuple[str, str, str], ...] = _counted(table)
        if judged is not None:
            found = Found(judged, (ensemble.negative, ensemble.positive), attention=attention)
            more, frame = write_report(report, found, config.scores, facts)
            files, scores = (*files, *more), (*scores, *told_scores(frame))
        elif attention is not None:
            write_table(report / "attention.csv", attention.table, ATTENTION, facts)
            heading = f"what speaks for {ensemble.positive}"
            attention_figure(report / "attention.png", attention, heading=heading)
            files += (("attention", report / "attention.csv"), ("figure", report / "attention.png"))
    return Outcome(files, ("open", report), scores, watch.times())


def _work(config: ClassifyScans) -> ScanWork:
    """Find out which network may judge which scan."""
    manifest, record = read_manifest(config.input.manifest), read_record(config.networks.checkpoint)
    cards = read_folds(config.networks.checkpoint, folds=config.networks.folds)
    given = {card.identity: card for card in cards}
    if sorted(given) != sorted(record.networks):
        shared = len(set(record.networks) & set(given))
        raise ModelError(
            f"the record beside {config.networks.checkpoint} is of {len(record.networks)} "
            f"networks; {len(cards)} are given, {shared} of them among those: give all networks "
            "of one training, as it wrote them, and no others"
        )
    # Whom the first network has met is said first: in whatever order they are given.
    networks = tuple(given[identity] for identity in record.networks)
    ensemble = ScanEnsemble(networks, record.positive, config.networks.device)
    return ScanWork(manifest, ensemble, tuple(record.unmet(manifest)))


def _attention(
    config: ClassifyScans, work: ScanWork, table: pd.DataFrame, engine: JobEngine
) -> Attention | None:
    """Look at scans, each by the first network that may judge it."""
    first = [folds[0] if folds else -1 for folds in work.folds]  # in the order of the table, too
    return look_evenly(
        table.assign(fold=first)[table["networks"] > 0],
        config.attention,
        work.manifest,
        work.ensemble,
        engine=engine,
        folder=config.folder / "report" / "attention",
    )


def _counted(table: pd.DataFrame) -> tuple[tuple[str, str, str], ...]:
    """Count calls, for printing."""
    counts = table["call"][table["call"] != ""].value_counts().sort_index()
    return tuple(
        (f"scans called {name}", f"{count:,}", f"of {len(table):,}")
        for name, count in counts.items()
    )


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
        memory_bytes=process_bytes() + window * _BYTES_PER_VOXEL,
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


PIPELINE = Pipeline(
    name="classify_scans",
    config=ClassifyScans,
    run=on_cluster(classify),
    plan=plan,
    paths=frozenset({"output", "manifest", "checkpoint", "calibrator", "table"}),
)
