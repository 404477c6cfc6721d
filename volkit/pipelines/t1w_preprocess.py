"""Preprocess T1-weighted heads: a table of scans in, one array for each out, with a manifest.

::

    scans.csv ─► scan by scan through the chain ─► tables, contact sheet ─► split ─► manifest.csv
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.engine.attendance import attended
from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.errors import SourceError, StaleLedgerError
from volkit.io.place import Place
from volkit.io.redaction import redacted
from volkit.io.scan_manifest import ScanManifest, ScanRow
from volkit.io.scan_table import ListedScan, read_scan_table
from volkit.io.seals import digest
from volkit.ops.scan_batch import ScanJob, prepare_scans, scan_columns
from volkit.ops.skull_strip import check_program
from volkit.pipelines.cluster import workers
from volkit.pipelines.failure import recorded
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.t1w_config import T1wPreprocess
from volkit.pipelines.t1w_plan import plan
from volkit.pipelines.t1w_sheet import contact_sheet
from volkit.pipelines.t1w_tables import (
    dealt,
    quality_table,
    write_quality,
    write_split,
    write_tissue,
)
from volkit.training.scan_leakage import check_leakage
from volkit.training.scan_split import balance
from volkit.version import __version__

_CHAIN = "chain.json"


def preprocess(
    config: T1wPreprocess,
    engine: JobEngine | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Outcome:
    """Prepare all scans, and split them; taken up where it was when it is run again.

    A scan that cannot be used is set aside with the reason, and the others go on.  Where the table
    has changed, scans that are finished and unchanged are kept.

    Parameters
    ----------
    config : T1wPreprocess
        The workflow.
    engine : JobEngine, optional
        Folder and workers; None works in this process, into ``config.output``.
    on_progress : callable, optional
        Told after every batch of scans.
    on_message : callable, optional
        Told what a person may want to know.

    Returns
    -------
    Outcome

    Raises
    ------
    SourceError
        If the table cannot be read, or names a subject in two classes.
    ContractError
        At the end: if no scan is left, too few subjects are, or the split leaks.
    StaleLedgerError
        If the folder holds scans of another chain.
    VolkitError
        What `prepare_scans` raises.
    """
    say = on_message or (lambda text: None)
    watch = Stopwatch(on_progress)
    folder = Path(config.output)
    engine = replace(engine or JobEngine(folder), on_progress=watch)
    scans = read_checked(config)
    job = ScanJob(config.chain, Place.at(folder), config.input.options)
    with (
        attended(engine.place, on_message=on_message) as attendance,
        recorded(engine.place, watch.stage),
    ):
        _claim(engine, job)
        # Records tell scans that are still good from others: the stage itself may always go on.
        engine = replace(engine, attendance=attendance, replace_stale=True)
        found = prepare_scans(scan_columns(scans, job.options), job, engine=engine)
        frame = quality_table(scans, found, job.preprocessing)
        _refuse_lost(folder, frame)
        for row in frame[frame["state"] != "ok"].itertuples():
            say(f"{row.scan} is set aside: {row.reason}")
        files = _reported(config, folder, frame, _provenance(config, job))
        manifest = write_split(folder, frame, config.split)
        if config.split.check:
            check_leakage(manifest)
    return Outcome(
        files=(*files, ("manifest", folder / "manifest.csv")),
        following=("open", folder / "report" / "sheet.png"),
        scores=_scores(frame, manifest),
        times=watch.times(),
    )


def read_checked(config: T1wPreprocess) -> tuple[ListedScan, ...]:
    """Read the table of scans, and refuse at once what could only fail at the end.

    Raises
    ------
    SourceError
        If the table cannot be read, or names a subject in two classes.
    ContractError
        If a class has fewer subjects than there are parts.
    ConfigError
        If the program that strips is not there.
    """
    told = config.input
    scans = read_scan_table(told.scans, masks=config.masks, options=told.options)
    if config.chain.strip.method == "synthstrip":
        check_program(config.chain.strip)
    dealt(_as_rows(scans), config.split)
    return scans


def _as_rows(scans: Sequence[ListedScan]) -> list[ScanRow]:
    return [ScanRow(s.scan, s.subject, s.session, s.label, s.uri, "", "", "") for s in scans]


def _claim(engine: JobEngine, job: ScanJob) -> None:
    """Refuse a folder with scans of another chain, unless they are to be replaced."""
    objects = engine.place.objects
    told = json.dumps(dict(job.facts), sort_keys=True, indent=1).encode()
    held = objects.get(_CHAIN)
    if held is not None and held != told and not engine.replace_stale:
        raise StaleLedgerError(
            f"{engine.place} holds scans of another chain ({digest(held)[:8]}, this one is "
            f"{digest(told)[:8]}, see {_CHAIN}); write to a new output, or replace what is stale "
            "(volkit run --replace)"
        )
    objects.put(_CHAIN, told)


def _refuse_lost(folder: Path, frame: pd.DataFrame) -> None:
    paths = [path for path in frame["path"].astype(str) if path]
    lost = [path for path in paths if not (folder / path).is_file()]
    if lost:
        raise SourceError(
            f"{len(lost)} prepared scans are finished and not there any more, as {lost[0]}; remove "
            f"{folder / 'scans.ledger'} and run again: those that are there are kept"
        )


def _reported(
    config: T1wPreprocess, folder: Path, frame: pd.DataFrame, made: dict[str, Any]
) -> tuple[tuple[str, Path | str], ...]:
    files: list[tuple[str, Path | str]] = [("scans", write_quality(folder, frame, made))]
    tissue = write_tissue(folder, frame, made)
    if tissue is not None:
        files.append(("tissue volumes", tissue))
    if config.sheet and (frame["state"] == "ok").any():
        sheet = folder / "report" / "sheet.png"
        contact_sheet(sheet, folder, frame, count=config.sheet)
        files.append(("contact sheet", sheet))
    return tuple(files)


def _provenance(config: T1wPreprocess, job: ScanJob) -> dict[str, Any]:
    told = {k: v for k, v in asdict(config).items() if k not in ("cluster", "output")}
    return {
        "volkit": __version__,
        "parameters": json.loads(json.dumps(redacted(told), default=str)),
        "computed": dict(job.facts),
    }


def _scores(frame: pd.DataFrame, manifest: ScanManifest) -> tuple[tuple[str, str, str], ...]:
    good = frame["state"] == "ok"
    rows = [("scans prepared", f"{int(good.sum())}", f"of {len(frame)}")]
    rows += [
        (
            f"{row.place} {row.label}",
            f"{row.scans}",
            f"scans of {row.subjects} subjects, {row.scans_per_subject:.2f} of each",
        )
        for row in balance(manifest.rows).itertuples()
    ]
    return (*rows, ("manifest", manifest.digest[:12], "digest that a training records"))


def carry_out(
    workflow: Workflow,
    *,
    on_progress: OnProgress | None,
    on_message: OnMessage,
    replace_stale: bool,
) -> Outcome:
    """Carry out a workflow file on the cluster that it names.

    Parameters
    ----------
    workflow : Workflow
        Whose ``config`` is a T1wPreprocess.
    on_progress : callable or None
        Told after every batch of scans.
    on_message : callable
        Told what a person may want to know.
    replace_stale : bool
        Make anew what another chain left in the folder.

    Returns
    -------
    Outcome
    """
    config: T1wPreprocess = workflow.config
    with workers(config.cluster, on_message) as client:
        if client is not None:
            on_message(f"dashboard: {client.dashboard_link}")
        engine = JobEngine(Path(config.output), client, replace_stale=replace_stale)
        return preprocess(config, engine, on_progress, on_message)


PIPELINE = Pipeline(
    name="t1w_preprocess",
    config=T1wPreprocess,
    run=carry_out,
    plan=plan,
    paths=frozenset({"scans", "checkpoint", "weights", "output"}),
)
