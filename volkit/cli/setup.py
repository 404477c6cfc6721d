"""Setting up: a first workflow, a look at the machine, schemas for editors, plug-ins."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from volkit.cli.commands import command, say_json, wants_json
from volkit.cli.completion import checkpoints, pipelines
from volkit.cli.following import next_command
from volkit.cli.tables import brief
from volkit.cli.voxel_size import sized, voxel_size_nm
from volkit.cli.work import FAILED, terminal

app = typer.Typer()

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "red", "hidden": "yellow"}


@command(app)
@sized
def init(
    uris: Annotated[
        list[str],
        typer.Argument(
            help="What there is: an image, and with it labels, if there are any; or labels, a map "
            "of boundaries, affinities, tomograms. KIND=URI says what one is: image, tomogram, "
            "boundaries, affinities, labels, classes.",
            show_default=False,
            metavar="[KIND=]URI...",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="The workflow file.", show_default="NAME.yaml")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            help="What to do.", show_default="what the data fit", autocompletion=pipelines
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Card of a network.",
            show_default="one that ships with volkit",
            autocompletion=checkpoints,
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file.")] = False,
    credentials: Annotated[
        str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
    ] = None,
) -> None:
    """Look at data, and write a workflow for them, with comments; nothing is asked.

    volkit init em.zarr

    volkit init em.zarr truth.zarr --output em.yaml

    volkit init image=em.zarr labels=cells.zarr --pipeline train_boundaries

    volkit init stack.tif --voxel-size 40,4,4
    """
    from volkit.pipelines.proposal.write import Wishes, write_workflow

    wishes = Wishes(
        pipeline=pipeline,
        checkpoint=checkpoint,
        voxel_size_nm=voxel_size_nm(),
        credentials=credentials,
    )
    found = write_workflow(uris, output, wishes=wishes, replace=replace)
    if wants_json():
        say_json(found)
        return
    console = terminal()
    for line in (*found.seen, *found.notes):
        console.print(line, soft_wrap=True, highlight=False)
    typer.echo(f"workflow: {brief(found.file)} ({found.pipeline})")
    typer.echo(f"next: {next_command(f'volkit {found.following}', found.file)}")


@command(app)
def doctor(
    uris: Annotated[
        list[str] | None,
        typer.Argument(help="Volumes to read a little of.", show_default=False, metavar="[URI]..."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Folder or URL to write a small object to, and remove it again."),
    ] = None,
    credentials: Annotated[
        str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
    ] = None,
) -> None:
    """Check Python, packages, GPU, memory, disks, stores and clusters, and say what to do.

    volkit doctor

    volkit doctor s3://bucket/em.zarr --output /scratch
    """
    from volkit.pipelines.doctor.examination import examine

    console = terminal()
    with console.status("looking around"):
        found = examine(uris or (), output=output, credentials=credentials)
    failed = any(check.state == "fail" for check in found)
    if wants_json():
        say_json({"ok": not failed, "checks": found})
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for check in found:
            state = Text(check.state, style=_COLOURS[check.state])
            table.add_row(state, check.name, check.says)
            if check.advice:
                table.add_row("", "", f"→ {check.advice}")
        console.print(table)
    if failed:
        raise typer.Exit(FAILED)


@command(app)
def schema(
    pipeline: Annotated[
        str | None,
        typer.Argument(
            help="Of whose workflow files; of all if not given.",
            show_default=False,
            autocompletion=pipelines,
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of workflow files, by which an editor completes and checks them.

    volkit schema segment_neurons

    volkit schema > workflow.schema.json
    """
    from volkit.pipelines.schema import workflow_schema

    typer.echo(json.dumps(workflow_schema(pipeline), indent=1))


@command(app, "plugins")
def list_plugins(
    everything: Annotated[
        bool, typer.Option("--all", help="What volkit itself brings, too.")
    ] = False,
) -> None:
    """List sources, architectures and pipelines, which package brings each, and what is broken.

    volkit plugins

    volkit plugins --all
    """
    from volkit.pipelines.plugin_list import offered

    found = [item for item in offered() if everything or not item.built_in]
    if wants_json():
        say_json(found)
        return
    if not found:
        typer.echo("no package adds to volkit; --all lists what volkit itself brings")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("kind", "name", "package", "object", "state"):
        table.add_column(name)
    for item in found:
        why = f": {item.why}" if item.why else ""
        state = Text.assemble((item.state, _COLOURS[item.state]), why)
        table.add_row(item.kind, item.name, f"{item.package} {item.version}", item.target, state)
    terminal().print(table)
