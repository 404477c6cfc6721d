"""Preprocess T1-weighted heads: a table of scans in, one array for each out, with a manifest.

::

    scans.csv ─► scan by scan through the chain ─► tables, contact sheet ─► split ─► manifest.csv
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.errors import SourceError, StaleLedgerError
from volkit.io.place import Place
from volkit.io.scan_manifest import ScanManifest, ScanRow
from volkit.io.scan_table import ListedScan, read_scan_table
from volkit.io.seals import digest
from volkit.ops.scan_batch import ScanJob, prepare_scans, scan_columns
from volkit.ops.skull_strip import check_program
from volkit.pipelines.config import parse_yaml
from volkit.pipelines.on_cluster import on_cluster
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.run_parameters import run_parameters
from volkit.pipelines.t1w_config import T1wPreprocess
from volkit.pipelines.t1w_plan import plan
from volkit.pipelines.t1w_sheet import contact_sheet
from volkit.pipelines.t1w_tables import (
    dealt,
    quality_table,
    write_quality,
    write_sites,
    write_split,
    write_tissue,
)
from volkit.training.scan_leakage import check_leakage
from volkit.training.scan_sites import site_warnings
from volkit.training.scan_split import balance
from volkit.version import __version__

_CHAIN = "chain.json"
_POSITIVE = "AD"  # what the workflow of training looks for


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
    watch, folder = Stopwatch(on_progress), config.folder
    scans = read_checked(config)
    job = ScanJob(config.chain, Place.at(folder), config.input.options)
    with at_work(engine or JobEngine(folder), watch, on_message) as engine:
        _claim(engine, job)
        # Records tell scans that are still good from others: the stage itself may always go on.
        engine = replace(engine, replace_stale=True)
        found = prepare_scans(scan_columns(scans, job.options), job, engine=engine)
        frame = quality_table(scans, found, job.preprocessing)
        _refuse_lost(folder, frame)
        for row in frame[frame["state"] != "ok"].itertuples():
            say(f"{row.scan} is set aside: {row.reason}")
        made = {
            "volkit": __version__,
            "parameters": run_parameters(config),
            "computed": dict(job.facts),
        }
        files = _reported(config, frame, made)
        manifest = write_split(folder, frame, config.split)
        sites = write_sites(folder, manifest, made)
        for text in _warnings(manifest.rows):
            say(f"warning: {text}")
        if config.split.check:
            check_leakage(manifest)
    return Outcome(
        files=(
            *files,
            *(() if sites is None else (("sites", sites),)),
            ("manifest", folder / "manifest.csv"),
        ),
        following=_following(folder / "manifest.csv", manifest.rows),
        scores=_scores(frame, manifest),
        times=watch.times(),
    )


def _following(manifest: Path, rows: Sequence[ScanRow]) -> tuple[str, *tuple[Path | str, ...]]:
    """Name the training; where it does not look for a class of these, for the rarer one of two."""
    command = "volkit run workflows/t1w/train.yaml --set input.manifest="
    counts = Counter(row.label for row in rows)
    if len(counts) != 2 or _POSITIVE in counts:
        return command, manifest
    rarer = min(sorted(counts), key=counts.__getitem__)
    text = rarer if parse_yaml(rarer, where=rarer) == rarer else json.dumps(rarer)
    return command, manifest, "--set", f"input.positive={text}"


def _warnings(rows: Sequence[ScanRow]) -> tuple[str, ...]:
    labels = {row.label for row in rows}
    alone = f"all scans are of one class, {min(labels)}: they can be classified, not trained on"
    return (*([alone] if len(labels) == 1 else []), *site_warnings(rows))


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
    config: T1wPreprocess, frame: pd.DataFrame, made: dict[str, Any]
) -> list[tuple[str, Path]]:
    folder = config.folder
    files = [("scans", write_quality(folder, frame, made))]
    tissue = write_tissue(folder, frame, made)
    if tissue is not None:
        files.append(("tissue volumes", tissue))
    if config.sheet and (frame["state"] == "ok").any():
        sheet = folder / "report" / "sheet.png"
        contact_sheet(sheet, folder, frame, count=config.sheet)
        files.append(("contact sheet", sheet))
    return files


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


PIPELINE = Pipeline(
    name="t1w_preprocess",
    config=T1wPreprocess,
    run=on_cluster(preprocess),
    plan=plan,
    paths=frozenset({"scans", "checkpoint", "weights", "output"}),
)
