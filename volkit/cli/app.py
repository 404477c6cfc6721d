"""Commands: what volkit can be asked to do."""

import atexit
import gc
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

import volkit
from volkit.cli import (
    batch,
    checkpoint,
    compare,
    data,
    demo,
    evaluate,
    live,
    provenance,
    report,
    runs,
    setup,
    tables,
    versions,
    view,
)
from volkit.cli.clusters import ClusterFile, cluster_settings
from volkit.cli.commands import command, say, say_json, wants_json
from volkit.cli.completion import workflow_files
from volkit.cli.reproducible import refuse_differences, show_reproducible, with_blocks
from volkit.cli.work import (
    BROKEN,
    FAILED,
    carry_out,
    check_plan,
    say_error,
    say_outcome,
    terminal,
)
from volkit.engine.allocator import keep_memory
from volkit.errors import ConfigError, VolkitError

if TYPE_CHECKING:
    from volkit.bench.harness import Row
    from volkit.pipelines.registry import Workflow

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Peta-scale brain volumes into segmentations, particles and tables.\n\n"
    "Add --json to a command to have what it prints as JSON, --debug to see the traceback of an "
    "error.\n\n"
    "volkit doctor\n\n"
    "volkit init em.zarr\n\n"
    "volkit run em.yaml",
)
app.add_typer(setup.app)
app.add_typer(demo.app)
app.add_typer(data.app)
app.add_typer(compare.app)
app.add_typer(evaluate.app)
app.add_typer(batch.app)
app.add_typer(runs.app)
app.add_typer(provenance.app)
app.add_typer(versions.app)
app.add_typer(report.app)
app.add_typer(view.app)
app.add_typer(live.app)
app.add_typer(checkpoint.app, name="checkpoint")

WorkflowFile = Annotated[
    Path,
    typer.Argument(help="Workflow file (YAML).", show_default=False, autocompletion=workflow_files),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="key.path=value, stronger than the file, paths from here; may be repeated.",
    ),
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    An error that volkit explains ends in one message and an exit code; the traceback comes with
    ``--debug``.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.
    """
    given = with_blocks(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    keep_memory()
    if arguments is None:  # the process ends with this: nothing needs to look through what it holds
        atexit.register(gc.freeze)
    # What tifffile finds wrong, volkit says itself, in one message.
    logging.getLogger("tifffile").setLevel(logging.DEBUG if debug else logging.CRITICAL)
    try:
        app([argument for argument in given if argument != "--debug"], prog_name="volkit")
    except Exception as error:
        if debug:
            raise
        notes = [n for n in getattr(error, "__notes__", ()) if n.startswith("volkit: ")]
        if notes or isinstance(error, VolkitError | OSError):
            say_error("\n".join([str(error) or type(error).__name__, *notes]))
            raise SystemExit(FAILED) from None
        _say_broken(error)
        raise SystemExit(BROKEN) from None


def _say_broken(error: Exception) -> None:
    """Tell of a mistake of volkit's own, whose traceback whoever mends it will want."""
    with NamedTemporaryFile(
        "w", prefix="volkit-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    say_error(
        f"volkit itself failed: {type(error).__name__}: {error} ({where}); please report it with "
        f"{file.name}, or see it here with --debug"
    )


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(volkit.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say which it is.", is_eager=True, callback=_say_version),
    ] = False,
) -> None:
    """Take what belongs to no command."""


@command(app)
def run(
    workflow: WorkflowFile,
    settings: Settings = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler that is running.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes to start here; all processors if not given.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Work in this process alone.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Compute anew what an earlier workflow left there.")
    ] = False,
    check_reproducible: Annotated[
        int | None,
        typer.Option(
            help="Then compute N blocks of each stage again, and compare.", metavar="[N]", min=1
        ),
    ] = None,
    cluster: ClusterFile = None,
) -> None:
    """Carry out a workflow; taken up where it was when it is run again.

    volkit run workflows/segment_neurons.yaml

    volkit run em.yaml --set segment.threshold=0.5 --workers 4

    volkit run em.yaml --cluster workflows/hpc/slurm.yaml
    """
    before, after = cluster_settings(cluster, scheduler=scheduler, workers=workers, local=local)
    found = _read(workflow, [*before, *(settings or []), *after])
    outcome = carry_out(found, replace=replace)
    if check_reproducible is None:
        say_outcome(outcome)
        return
    rows = show_reproducible(found, blocks=check_reproducible)
    say_outcome(outcome, reproduced=rows)
    refuse_differences(found, rows)


@command(app)
def train(workflow: WorkflowFile, settings: Settings = None) -> None:
    """Train a network as a workflow says; taken up where it was when it is run again.

    volkit train workflows/train_boundaries.yaml

    volkit train train.yaml --set optimisation.steps=20000
    """
    found = _read(workflow, settings or [], default="train_boundaries")
    if found.pipeline.plan is not None:
        raise ConfigError(
            f"{workflow} is a {found.pipeline.name} workflow, which is carried out piece by piece "
            f"as a run; use volkit run {quote(str(workflow))}"
        )
    say_outcome(carry_out(found, replace=False))


@command(app)
def plan(workflow: WorkflowFile, settings: Settings = None, cluster: ClusterFile = None) -> None:
    """Say what a workflow will read, compute, write and need, without beginning it.

    volkit plan workflows/segment_neurons.yaml

    volkit plan em.yaml --set block_shape=[128,512,512] --json
    """
    before, _ = cluster_settings(cluster)
    found = _read(workflow, [*before, *(settings or [])])
    if found.pipeline.plan is None:
        say(f"{found.pipeline.name} has no blocks to plan")
        if wants_json():
            say_json({"stages": [], "problems": []})
        return
    check_plan(found, show=True)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="Such as kernels or engine.", show_default=False)],
    quick: Annotated[bool, typer.Option("--quick", help="Smaller and fewer.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows there, too.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write them there as a page, too.")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Of scale: take the times of its blocks.")
    ] = None,
) -> None:
    """Measure volkit against its peers, or simulate a run on many workers (scale).

    volkit bench kernels --quick

    volkit bench inference --json rows.json --html rows.html
    """
    from volkit.bench.harness import run_bench

    with terminal().status(f"measuring {name}"):
        report = run_bench(name, quick=quick, run=run, on_row=_tell_row)
    terminal().print(tables.bench_table(report.header, report.as_table()))
    if json_file is not None:
        json_file.write_text(report.to_json() + "\n", encoding="utf-8")
        typer.echo(f"written to {tables.brief(json_file)}")
    if html_file is not None:
        from volkit.bench.page import bench_page

        html_file.write_text(bench_page(report), encoding="utf-8")
        typer.echo(f"written to {tables.brief(html_file)}")


def _tell_row(row: "Row") -> None:
    value = "skipped" if row.value is None else f"{row.value:.3g} {row.unit}"
    terminal().print(f"{row.name}: {value}", highlight=False)


def _read(path: Path, settings: Sequence[str], default: str | None = None) -> "Workflow":
    from volkit.pipelines.registry import read_workflow

    return read_workflow(path, settings, default=default)
