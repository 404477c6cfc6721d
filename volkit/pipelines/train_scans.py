"""Train networks that tell scans of two classes apart: a manifest in, networks and scores out.

::

    manifest ─► leaks refused ─► folds ─► networks ─┬─► what they say of scans they never met
                                                    │     ├─► scores, intervals, calibrator
                                                    │     └─► attention, averaged over classes
                 the same, divided at random ───────┴─► how much too good that looks
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.engine.attendance import attended
from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.io.redaction import redacted
from volkit.io.scan_manifest import ScanManifest
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.ops.scan_leakage import leakage_table, leakage_told
from volkit.ops.stall_ensemble import read_folds
from volkit.pipelines.cluster import workers
from volkit.pipelines.failure import recorded
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.scans_attention import (
    Attention,
    AttentionWork,
    evenly,
    look,
    region_files,
)
from volkit.pipelines.scans_record import record_of, write_record
from volkit.pipelines.train_scans_calibrated import calibrated
from volkit.pipelines.train_scans_config import TrainScans
from volkit.pipelines.train_scans_plan import meant, plan
from volkit.pipelines.train_scans_report import Found, read_history, told_scores, write_report


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
    from volkit.training.scan_leakage import check_leakage
    from volkit.training.scan_set import ScanSet

    tell = on_message or (lambda text: None)
    watch = Stopwatch(on_progress)
    engine = replace(engine or JobEngine(config.folder), on_progress=watch)
    with (
        attended(engine.place, on_message=on_message) as attendance,
        recorded(engine.place, watch.stage),
    ):
        engine = replace(engine, attendance=attendance)
        manifest = meant(config)
        scans = ScanSet(manifest, config.input.positive, config.training.window, config.memory_mib)
        check_leakage(manifest, voxels=config.input.compare_voxels)
        listen = None if engine.client is not None else _listener(tell)
        work = FoldWork(config, scans, "subject", listen, engine.replace_stale)
        table = train_all(work, engine=engine, name="folds")
        ensemble = _ensemble(config)
        judged, methods, calibrator = calibrated(table, config, ensemble)
        found = Found(judged, _classes(scans.classes, config.input.positive), methods)
        found = replace(
            found,
            leakage=_leakage(work, table, engine, tell) if config.measure_leakage else None,
            attention=_attention(config, manifest, ensemble, judged, engine),
            history=read_history(_cards(ensemble)),
        )
        record = write_record(
            Path(config.networks).parent,
            record_of(scans, config.training, model=ensemble.fingerprint),
        )
        files, scores = write_report(
            config.folder / "report", found, config.scores, _facts(config, manifest)
        )
    cards = tuple(("checkpoint", Path(card.uri)) for card in ensemble.checkpoints)
    made = (*cards, *calibrator, ("record", record), *files)
    command = "volkit run workflows/t1w/classify.yaml --set networks.checkpoint="
    return Outcome(made, (command, Path(config.networks)), told_scores(scores), watch.times())


def _listener(tell: OnMessage) -> Any:
    def listen(epoch: Any) -> None:
        mixed = ", scans divided at random" if epoch.by == "scan" else ""
        tell(f"fold {epoch.number}{mixed}, epoch {epoch.done} of {epoch.total}: "
             f"{epoch.scores.told()}")  # fmt: skip

    return listen


def _ensemble(config: TrainScans) -> ScanEnsemble:
    return ScanEnsemble(read_folds(config.networks), config.input.positive, config.device)


def _cards(ensemble: ScanEnsemble) -> dict[int, Path]:
    return {n: Path(card.uri) for n, card in enumerate(ensemble.checkpoints)}


def _classes(classes: tuple[str, ...], positive: str) -> tuple[str, str]:
    """Give the negative and the positive class."""
    (negative,) = (name for name in classes if name != positive)
    return negative, positive


def _leakage(work: Any, table: pd.DataFrame, engine: JobEngine, tell: OnMessage) -> pd.DataFrame:
    """Train the same networks on scans divided at random, and compare."""
    from volkit.pipelines.train_scans_folds import train_all
    from volkit.training.scan_roles import known_share, mixed_subjects, trainings

    config, manifest = work.config, work.scans.manifest
    training, keys = config.training, config.scores
    rows = mixed_subjects(manifest, seed=training.seed)
    mixed = train_all(
        replace(work, scans=work.scans.divided(rows), by="scan"), engine=engine, name="mixed_folds"
    )
    known = known_share(
        rows, trainings(manifest), aside=training.optimisation.aside, seed=training.seed
    )
    honest, leaking = (t[t["role"] == "judged"] for t in (table, mixed))
    found = leakage_table(
        honest, leaking, known_subjects=known, threshold=keys.threshold, draws=keys.draws
    )
    tell(f"leakage: {leakage_told(found)}")
    return found


def _attention(
    config: TrainScans,
    manifest: ScanManifest,
    ensemble: ScanEnsemble,
    judged: pd.DataFrame,
    engine: JobEngine,
) -> Attention | None:
    if not config.attention.scans:
        return None
    chosen = evenly(judged, config.attention)
    place = {row.scan: n for n, row in enumerate(manifest.rows)}
    names = chosen["scan"].tolist()
    work = AttentionWork(
        manifest,
        ensemble,
        tuple(place[name] for name in names),
        tuple(int(fold) for fold in chosen["fold"]),
        str(config.folder / "report" / "attention"),
        region_files(config.attention.region, names),
    )
    return look(work, engine=engine)


def _facts(config: TrainScans, manifest: ScanManifest) -> Mapping[str, Any]:
    """Write down what the run is, for its page; give it for the tables."""
    told = json.loads(json.dumps(redacted(asdict(config)), default=dict))
    subjects = len({row.subject for row in manifest.rows})
    facts = {
        "parameters": {"pipeline": "train_scans", **told},
        "domain": f"{len(manifest.rows)} scans of {subjects} subjects",
        "manifest": manifest.digest,
        "preprocessing": manifest.rows[0].preprocessing,
    }
    folder = config.folder / "report"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Carry out a workflow file; see :func:`train`."""
    config: TrainScans = workflow.config
    with workers(config.cluster, on_message) as client:
        engine = JobEngine(config.folder, client, replace_stale=replace_stale)
        return train(config, engine, on_progress, on_message)


PIPELINE = Pipeline(
    name="train_scans",
    config=TrainScans,
    run=carry_out,
    plan=plan,
    paths=frozenset({"output", "manifest", "weights", "table"}),
)
