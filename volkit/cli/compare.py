"""The command diff: two volumes, tables or runs compared."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from volkit.cli import tables
from volkit.cli.boxes import parse_box
from volkit.cli.commands import command, say_json, wants_json
from volkit.cli.progress import shown
from volkit.cli.result_folders import result_folder
from volkit.cli.work import interruptible, terminal

if TYPE_CHECKING:
    from volkit.pipelines.diff import Compared

app = typer.Typer()
DIFFERENT = 3
_COLOURS = {"identical": "green", "equal": "green", "small": "yellow"}
_SIDE = "A volume, a table, the folder of a run, or RUN@v2."


@command(app)
def diff(
    old: Annotated[str, typer.Argument(help=_SIDE, show_default=False)],
    new: Annotated[str, typer.Argument(help=_SIDE, show_default=False)],
    output: Annotated[
        str | None, typer.Option(help="Folder of the comparison.", show_default="diff-OLD-NEW-…")
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="z0:z1,y0:y1,x0:x1, voxels; all if not given.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes to start; 0 is this one.")] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Do anew what another comparison left there.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"End with {DIFFERENT} where something changed.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value of a diff workflow, such as kind=labels, only=[labels], key=[id], "
            "threshold=0.1, small=0.001; may be repeated.",
        ),
    ] = None,
) -> None:
    """Compare two volumes, tables, runs or versions of a run; resumable.

    volkit diff old.zarr new.zarr

    volkit diff RUN@v1 RUN@v2 --exit-code
    """
    from volkit.pipelines.config import override, validate
    from volkit.pipelines.diff import carried_out
    from volkit.pipelines.diff_config import Diff

    tree: dict[str, Any] = {"old": old, "new": new, "cluster": {"workers": workers}}
    if box is not None:
        tree["box"] = parse_box(box)
    tree = override(tree, settings or [])
    tree["output"] = (
        output or tree.get("output") or result_folder("diff", tree, ["old", "new"], named=2)
    )
    config = validate(tree, Diff, where="volkit diff")
    console = terminal()
    with interruptible(), shown(console) as on_progress:
        found = carried_out(
            config,
            on_progress=on_progress,
            on_message=lambda text: console.print(text, soft_wrap=True, highlight=False),
            replace_stale=replace,
        )
    if wants_json():
        files = dict(found.outcome.files)
        say_json({"verdict": found.verdict, "compared": found.verdicts, "files": files})
    else:
        _show(console, found)
    if exit_code and not all(item.same for item in found.verdicts):
        raise typer.Exit(DIFFERENT)


def _show(console: Console, found: "Compared") -> None:
    console.print()
    console.print(_verdicts(found))
    console.print(f"\nverdict: {found.verdict}", highlight=False)
    for name, place in found.outcome.files:
        console.print(f"{name}: {tables.brief(place)}", soft_wrap=True, highlight=False)


def _verdicts(found: "Compared") -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("compared", "verdict", "share", "numbers"):
        table.add_column(name, justify="right" if name == "share" else "left")
    for item in found.verdicts:
        verdict = Text(item.verdict, style=_COLOURS.get(item.verdict.split()[0], "red"))
        table.add_row(item.name, verdict, f"{item.share:.3%}", item.says)
    return table
