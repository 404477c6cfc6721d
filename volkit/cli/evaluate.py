"""The command evaluate: a prediction scored against the truth."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from volkit.cli import tables
from volkit.cli.boxes import parse_box
from volkit.cli.commands import command, say_json, wants_json
from volkit.cli.following import next_command
from volkit.cli.progress import shown
from volkit.cli.result_folders import result_folder
from volkit.cli.work import interruptible, terminal

if TYPE_CHECKING:
    from volkit.pipelines.evaluate import Scored

app = typer.Typer()


@command(app)
def evaluate(
    pred: Annotated[
        str,
        typer.Argument(
            help="Labels, a map of boundary probability, or points.", show_default=False
        ),
    ],
    truth: Annotated[str, typer.Argument(help="True labels, or points.", show_default=False)],
    output: Annotated[
        str | None, typer.Option(help="Folder of the scores.", show_default="evaluation-PRED-…")
    ] = None,
    box: Annotated[
        str | None, typer.Option(help="z0:z1,y0:y1,x0:x1, voxels of PRED; all if not given.")
    ] = None,
    convention: Annotated[
        str, typer.Option(help="What counts: volkit, skimage, cremi, snemi3d, isbi2012.")
    ] = "volkit",
    replace: Annotated[
        bool, typer.Option("--replace", help="Do anew what another evaluation left there.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value of an evaluate workflow, such as image=em.zarr, kind=boundary, "
            "thresholds=[0.3,0.5], truth_boundary=edges, voxel_size_nm=[40,4,4], "
            "cluster.workers=4; may be repeated.",
        ),
    ] = None,
) -> None:
    """Score labels, a boundary map or points against the truth; with a figure, and resumable.

    volkit evaluate labels.zarr truth.zarr

    volkit evaluate prob.zarr truth.zarr --set kind=boundary --convention snemi3d --json

    volkit evaluate picks.csv truth.csv
    """
    from volkit.pipelines.config import override, validate
    from volkit.pipelines.evaluate import carried_out
    from volkit.pipelines.evaluate_config import Evaluate

    tree: dict[str, Any] = {"pred": pred, "truth": truth, "cluster": {"workers": 0}}
    tree |= {"convention": convention}
    tree |= {} if box is None else {"box": parse_box(box)}
    tree = override(tree, settings or [])
    tree["output"] = (
        output
        or tree.get("output")
        or result_folder("evaluation", tree, ["pred", "truth"], named=1)
    )
    config = validate(tree, Evaluate, where="volkit evaluate")
    console = terminal()
    with interruptible(), shown(console) as on_progress:
        found = carried_out(
            config,
            on_progress=on_progress,
            on_message=lambda text: console.print(text, soft_wrap=True, highlight=False),
            replace_stale=replace,
        )
    if wants_json():
        text = next(Path(place) for name, place in found.outcome.files if name == "scores")
        say_json(json.loads(text.read_text(encoding="utf-8")))
        return
    _show(console, found)


def _show(console: Console, found: "Scored") -> None:
    console.print()
    console.print(tables.score_table(found.outcome.scores))
    console.print()
    for name, place in found.outcome.files:
        console.print(f"{name}: {tables.brief(place)}", soft_wrap=True, highlight=False)
    following = next_command(*found.outcome.following)
    console.print(f"next: {following}", soft_wrap=True, highlight=False)
