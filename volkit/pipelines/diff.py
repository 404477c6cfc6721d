"""Diff: two volumes, tables, runs or versions of a run compared, block by block and in all.

::

    old ─┐
         ├─► overlap ─► best match ─► change of every block ─► heat map ─► verdicts ─► report
    new ─┘
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from volkit.engine.base import OnProgress
from volkit.engine.job import JobEngine
from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.io.redaction import redacted
from volkit.io.tables import Column, Schema, read_table, write_table
from volkit.io.volume import Volume
from volkit.ops.difference import label_difference, value_difference
from volkit.ops.table_difference import TableDifference, table_difference
from volkit.pipelines.cluster import workers
from volkit.pipelines.diff_config import Diff
from volkit.pipelines.diff_figure import heat_map, projections
from volkit.pipelines.diff_inputs import Pair, Pairs, common_box, find_pairs
from volkit.pipelines.diff_report import write_blocks, write_objects, write_page, write_summary
from volkit.pipelines.diff_verdict import (
    Verdict,
    absent,
    judge_labels,
    judge_table,
    judge_values,
    unread,
    worst,
)
from volkit.pipelines.outcome import Outcome, Stopwatch
from volkit.pipelines.registry import OnMessage, Pipeline, Workflow
from volkit.pipelines.run_folder import at_work
from volkit.pipelines.run_parameters import run_parameters
from volkit.version import __version__

Judged = tuple[Verdict, dict[str, NDArray[Any]], NDArray[Any], str]


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison came to.

    Parameters
    ----------
    verdicts : tuple of Verdict
        One for each volume and table.
    outcome : Outcome
        What was written, and how long it took.
    """

    verdicts: tuple[Verdict, ...]
    outcome: Outcome

    @property
    def verdict(self) -> str:
        """The verdict on all."""
        return worst(self.verdicts)


def compare(
    config: Diff,
    *,
    client: Any = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    replace_stale: bool = False,
) -> Compared:
    """Compare, and report; taken up where it was when it is run again.

    Parameters
    ----------
    config : Diff
        What to compare.
    client : distributed.Client, optional
        Where blocks run; None is this process.
    on_progress : callable, optional
        Told after every batch of blocks.
    on_message : callable, optional
        Told what a person may want to know.
    replace_stale : bool
        Do anew what the folder has of another comparison.

    Returns
    -------
    Compared

    Raises
    ------
    ConfigError
        If the sides do not fit together.
    SourceError
        If one cannot be read.
    StaleLedgerError
        If the folder holds another comparison.
    """
    pairs = find_pairs(
        config.old, config.new, kind=config.kind, only=config.only, level=config.level
    )
    boxes = {pair.name: _box(pair, config) for pair in pairs.both}
    watch = Stopwatch(on_progress)
    folder = Path(config.output)
    engine = JobEngine(folder, client, replace_stale=replace_stale)
    with at_work(engine, watch, on_message) as engine:
        verdicts = tuple(_judged(pair, boxes[pair.name], config, engine) for pair in pairs.both)
        verdicts += tuple(absent(name, "old") for name in pairs.only_old)
        verdicts += tuple(absent(name, "new") for name in pairs.only_new)
        _report(folder, pairs, verdicts, config)
    files = (("report", folder / "report.html"), ("verdicts", folder / "verdicts.csv"))
    return Compared(verdicts, Outcome(files=files, following=("", ""), times=watch.times()))


def _box(pair: Pair, config: Diff) -> Box | None:
    """Find what to compare of two volumes, so that what does not fit is refused first."""
    if isinstance(pair.old, Volume) and isinstance(pair.new, Volume):
        if pair.old.channels != pair.new.channels:
            raise ConfigError(
                f"{pair.old.uri} has {pair.old.channels or 'no'} channels and {pair.new.uri} has "
                f"{pair.new.channels or 'none'}; compare volumes with the same channels"
            )
        return common_box(pair.old, pair.new, config.box)
    return None


def _judged(pair: Pair, box: Box | None, config: Diff, engine: JobEngine) -> Verdict:
    folder = Path(config.output)
    if box is None or not isinstance(pair.old, Volume) or not isinstance(pair.new, Volume):
        return _judged_tables(pair, config)
    same_place = (pair.old.uri, pair.old.level) == (pair.new.uri, pair.new.level)
    if pair.name != "volume" and not config.read_all and (same_place or pair.same_computation):
        return unread(pair.name, pair.kind)
    grid = Grid(box, config.block_shape)
    made = {"old": _about(pair.old), "new": _about(pair.new), "volkit": __version__}
    judged = _judged_labels if pair.kind == "labels" else _judged_values
    verdict, rows, amount, label = judged(pair, grid, config, engine, made)
    write_blocks(folder / f"{pair.name}.blocks.parquet", grid, rows, made)
    heat_map(
        folder / f"{pair.name}.png",
        projections(grid, rows["block"], amount),
        grid=grid,
        voxel_size_nm=pair.new.voxel_size_nm,
        heading=f"{pair.name}: {verdict.verdict}",
        label=label,
    )
    return verdict


def _judged_labels(
    pair: Pair, grid: Grid, config: Diff, engine: JobEngine, made: dict[str, Any]
) -> Judged:
    found = label_difference(pair.old, pair.new, grid=grid, engine=engine, name=pair.name)
    path = Path(config.output) / f"{pair.name}.objects.parquet"
    write_objects(path, found.objects, made)
    verdict = judge_labels(pair.name, found, small=config.small)
    return verdict, found.blocks, found.blocks["changed"], "share of voxels that changed"


def _judged_values(
    pair: Pair, grid: Grid, config: Diff, engine: JobEngine, made: dict[str, Any]
) -> Judged:
    found = value_difference(
        pair.old,
        pair.new,
        threshold=config.threshold,
        grid=grid,
        engine=engine,
        name=pair.name,
    )
    rows, channels = found.blocks, made["old"]["channels"] or 1
    rows = {**rows, "mean": rows["sum"] / rows["finite"].clip(min=1)}
    verdict = judge_values(pair.name, found, small=config.small)
    return verdict, rows, rows["sum"] / channels, "mean absolute difference"


def _judged_tables(pair: Pair, config: Diff) -> Verdict:
    frames = [read_table(side.uri)[0] for side in (pair.old, pair.new)]
    found = table_difference(frames[0], frames[1], key=config.key)
    made = {"old": redacted(pair.old.uri), "new": redacted(pair.new.uri), "volkit": __version__}
    _write_rows(Path(config.output) / f"{pair.name}.rows.csv", found, made)
    return judge_table(pair.name, found, small=config.small)


def _write_rows(path: Path, found: TableDifference, made: dict[str, Any]) -> None:
    frame = found.rows.astype("str")  # of any type in either table; the change is what counts
    schema = Schema(tuple(Column(str(name), "str") for name in frame.columns))
    write_table(path, frame, schema, made)


def _report(folder: Path, pairs: Pairs, verdicts: tuple[Verdict, ...], config: Diff) -> None:
    provenance = {
        "old": redacted(config.old),
        "new": redacted(config.new),
        "volkit": __version__,
        "parameters": run_parameters(config),
    }
    write_summary(folder, verdicts, provenance)
    drawn = {pair.name: folder / f"{pair.name}.png" for pair in pairs.both}
    figures = {name: path for name, path in drawn.items() if path.exists()}
    write_page(folder / "report.html", verdicts, figures, provenance)


def _about(volume: Volume) -> dict[str, Any]:
    return {
        "uri": redacted(volume.uri),
        "level": volume.level,
        "identity": volume.identity,
        "channels": volume.channels,
    }


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
        Whose ``config`` is a Diff.
    on_progress : callable or None
        Told after every batch of blocks.
    on_message : callable
        Told what a person may want to know.
    replace_stale : bool
        Do anew what the folder has of another comparison.

    Returns
    -------
    Outcome
    """
    found = carried_out(
        workflow.config, on_progress=on_progress, on_message=on_message, replace_stale=replace_stale
    )
    rows = tuple((item.name, item.verdict, item.says) for item in found.verdicts)
    return replace(found.outcome, scores=rows, following=("open", found.outcome.files[0][1]))


def carried_out(
    config: Diff,
    *,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    replace_stale: bool = False,
) -> Compared:
    """Compare on the cluster that the options name; as :func:`compare` otherwise."""
    with workers(config.cluster, on_message) as client:
        return compare(
            config,
            client=client,
            on_progress=on_progress,
            on_message=on_message,
            replace_stale=replace_stale,
        )


PIPELINE = Pipeline(
    name="diff",
    config=Diff,
    run=carry_out,
    plan=None,
    paths=frozenset({"old", "new", "output"}),
)
