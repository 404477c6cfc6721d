"""The command demo: volkit at work on a specimen, and its workflows to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from volkit.cli.clusters import cluster_settings
from volkit.cli.commands import command, say, say_json, wants_json
from volkit.cli.work import carry_out, say_outcome

app = typer.Typer()


@command(app)
def demo(
    folder: Annotated[Path, typer.Argument(help="Where workflows and results go.")] = Path(
        "volkit-demo"
    ),
    workers: Annotated[
        int | None, typer.Option(help="Processes to start here; all processors if not given.")
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Work in this process alone.")] = False,
    no_run: Annotated[
        bool, typer.Option("--no-run", help="Copy the workflows that ship, and run none.")
    ] = False,
) -> None:
    """Segment and score a synthetic specimen; run it again to see it resume.

    The workflows that ship with volkit are copied to FOLDER/workflows, to be changed for data of
    your own; files that are there already are left as they are.

    volkit demo

    volkit demo my-project --no-run
    """
    from volkit.pipelines import examples
    from volkit.pipelines.registry import read_workflow

    if no_run:
        workflows = examples.write_workflows(folder)
        if wants_json():
            say_json({"workflows": workflows})
        say(f"workflows: {workflows}")
        return
    found = examples.demo(folder)
    say(f"workflow: {found.workflow}")
    if found.remark:
        say(found.remark)
    _, chosen = cluster_settings(workers=workers, local=local)
    say_outcome(
        carry_out(read_workflow(found.workflow, [*found.settings, *chosen]), replace=False),
        workflow=str(found.workflow),
    )
