"""Train networks that tell scans of two classes apart: a manifest in, networks and scores out.

::

    manifest ─► leaks refused ─► folds ─► networks ─┬─► what they say of scans they never met
                                                    │     ├─► scores, intervals, calibrator
                                                    │     └─► attention, averaged over classes
                 the same, divided at random ───────┴─► how much too good that looks
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.ops.scan_leakage import leakage_table, leakage_told
from volkit.ops.stall_ensemble import read_folds
from volkit.pipelines.on_cluster import on_cluster
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.scans_attention import look_evenly
from volkit.pipelines.scans_facts import write_facts
from volkit.pipelines.scans_record import record_of, write_record
from volkit.pipelines.scans_regions import region_files
from volkit.pipelines.train_scans_calibrated import calibrated
from volkit.pipelines.train_scans_config import TrainScans
from volkit.pipelines.train_scans_plan import check_trainable, meant, plan
from volkit.pipelines.train_scans_report import Found, read_history, told_scores, write_report
from volkit.training.scan_leakage import check_leakage
from volkit.training.scan_roles import known_share, trainings
from volkit.training.scan_set import ScanSet
from volkit.training.scan_sites import site_balance, site_warnings
from volkit.training.scan_split import fold_scans


def train(
    config: TrainScans,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Outcome:
    """Train, judge and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : TrainScans
        The workflow.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every fold.
    on_message : callable, optional
        Told every epoch, where folds are trained in this process, and what a person may want to
        know.

    Returns
    -------
    Outcome

    Raises
    ------
    ConfigError
        If it is another manifest than the one that is meant, or scans are of one class only.
    ContractError
        If the manifest leaks.
    VolkitError
        What training raises; StaleLedgerError where the folder holds another training.
    """
    from volkit.pipelines.train_scans_folds import FoldWork, train_all

    tell = on_message or (lambda text: None)
    watch = Stopwatch(on_progress)
    with at_work(engine or JobEngine(config.folder), watch, on_message) as engine:
        scans = _checked(config, tell)
        manifest = scans.manifest
        listen = None if engine.client is not None else _listener(tell)
        work = FoldWork(config, scans, "subject", listen, engine.replace_stale)
        table = train_all(work, engine=engine, name="folds")
        ensemble = _ensemble(config, trainings(manifest))
        judged, methods, calibrator = calibrated(table, config, ensemble)
        report = config.folder / "report"
        found = Found(
            judged,
            (ensemble.negative, ensemble.positive),
            methods,
            leakage=_leakage(work, table, engine, tell) if config.measure_leakage else None,
            attention=look_evenly(
                judged,
                config.attention,
                manifest,
                ensemble,
                engine=engine,
                folder=report / "attention",
            ),
            history=read_history(ensemble.checkpoints),
            sites=site_balance(manifest.rows),
        )
        record = write_record(
            Path(config.networks).parent,
            record_of(scans, config.training, networks=ensemble.checkpoints),
        )
        facts = write_facts(report, "train_scans", config, manifest)
        files, scores = write_report(report, found, config.scores, facts)
    cards = tuple(("checkpoint", Path(card.uri)) for card in ensemble.checkpoints)
    made = (*cards, *calibrator, ("record", record), *files)
    return Outcome(made, _following(config), told_scores(scores), watch.times())


def _following(config: TrainScans) -> tuple[str, *tuple[Path | str, ...]]:
    command = "volkit run workflows/t1w/classify.yaml --set networks.checkpoint="
    manifest = f"input.manifest={config.input.manifest}"
    return command, Path(config.networks), "--set", manifest


def _checked(config: TrainScans, tell: OnMessage) -> ScanSet:
    """Read the manifest; what could only fail at the end is refused before anything is trained."""
    manifest = meant(config)
    scans = ScanSet(manifest, config.input.positive, config.training.window, config.memory_mib)
    check_leakage(manifest, voxels=config.input.compare_voxels)
    check_trainable(config, manifest)
    region_files(config.attention.region, ())
    for text in site_warnings(manifest.rows):
        tell(f"warning: {text}")
    return scans


def _listener(tell: OnMessage) -> Any:
    def listen(epoch: Any) -> None:
        mixed = ", scans divided at random" if epoch.by == "scan" else ""
        tell(f"fold {epoch.number}{mixed}, epoch {epoch.done} of {epoch.total}: "
             f"{epoch.scores.told()}")  # fmt: skip

    return listen


def _ensemble(config: TrainScans, count: int) -> ScanEnsemble:
    """Read the networks of this training; one before it may have left more of them."""
    cards = read_folds([config.fold(number, "subject").checkpoint for number in range(count)])
    return ScanEnsemble(cards, config.input.positive, config.device)


def _leakage(work: Any, table: pd.DataFrame, engine: JobEngine, tell: OnMessage) -> pd.DataFrame:
    """Train the same networks on scans divided at random, and compare."""
    from volkit.pipelines.train_scans_folds import train_all

    config, manifest = work.config, work.scans.manifest
    seed, keys = config.training.seed, config.scores
    rows = fold_scans(manifest.rows, manifest.folds, seed=seed, by="scan")
    mixed = train_all(
        replace(work, scans=work.scans.divided(rows), by="scan"), engine=engine, name="mixed_folds"
    )
    aside = config.training.optimisation.aside
    known = known_share(rows, trainings(manifest), aside=aside, seed=seed)
    honest, leaking = (t[t["role"] == "judged"] for t in (table, mixed))
    found = leakage_table(
        honest, leaking, known_subjects=known, threshold=keys.threshold, draws=keys.draws
    )
    tell(f"leakage: {leakage_told(found)}")
    return found


PIPELINE = Pipeline(
    name="train_scans",
    config=TrainScans,
    run=on_cluster(train),
    plan=plan,
    paths=frozenset({"output", "manifest", "weights", "table"}),
)
