"""The commands checkpoint list, show and export: what ships, what a model is, and as a package."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from volkit.cli import tables
from volkit.cli.commands import command, say, say_json, wants_json
from volkit.cli.work import terminal
from volkit.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Models: what they are, and as packages.")

Address = Annotated[
    str,
    typer.Argument(
        help="A card, builtin:NAME, or a model package of bioimage.io (rdf.yaml, folder, zip).",
        show_default=False,
        metavar="CHECKPOINT",
    ),
]


@command(app, name="list")
def list_() -> None:
    """List the models that ship with volkit: what they are, and the voxels they saw.

    volkit checkpoint list
    """
    from volkit.models.checkpoint import read_checkpoint
    from volkit.models.location import BUILTIN, builtin_names

    names = [f"{BUILTIN}{name}" for name in builtin_names()]
    cards = {name: read_checkpoint(name) for name in names}
    if wants_json():
        said = ("description", "architecture", "voxel_size_nm", "licence")
        say_json([{"checkpoint": n, **{k: getattr(cards[n], k) for k in said}} for n in names])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("checkpoint", "architecture", "voxel size (z, y, x)"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it is")
    for name, card in cards.items():
        size = " x ".join(f"{n:.4g}" for n in card.voxel_size_nm or ())
        what = " ".join(card.description.split())
        table.add_row(name, card.architecture, size and f"{size} nm", what)
    terminal().print(table)


@command(app)
def show(
    checkpoint: Address,
    html: Annotated[Path | None, typer.Option(help="Write its page there, too.")] = None,
) -> None:
    """Say what a model is: architecture, input, answer, licence.  Its weights are not read.

    volkit checkpoint show builtin:boundaries-fib25

    volkit checkpoint show unet.zip --html unet.html
    """
    from volkit.models.card_facts import card_facts
    from volkit.models.checkpoint import read_checkpoint

    card = read_checkpoint(checkpoint)
    if wants_json():
        say_json({**asdict(card), "identity": card.identity})
    else:
        for name, value in card_facts(card):
            if value:
                typer.echo(f"{name}: {value}")
    if html is not None:
        from volkit.pipelines.card_page import card_page

        html.write_text(card_page(card), encoding="utf-8")
        say(f"written to {tables.brief(html)}")


@command(app)
def export(
    checkpoint: Address,
    target: Annotated[
        Path, typer.Argument(help="A folder, or NAME.zip; not there yet.", show_default=False)
    ],
    onnx: Annotated[bool, typer.Option("--onnx", help="Add the weights as ONNX.")] = False,
    name: Annotated[str | None, typer.Option(help="Of the model, for people.")] = None,
) -> None:
    """Write a model as a package of bioimage.io.

    volkit checkpoint export builtin:boundaries-fib25 boundaries.zip

    volkit checkpoint export net.yaml package --onnx
    """
    from volkit.models.bioimageio.export import export_package
    from volkit.models.checkpoint import read_checkpoint

    if target.suffix in (".yaml", ".yml", ".json"):
        raise ConfigError(f"{target} is no package; give a folder, or a name that ends in .zip")
    path = export_package(read_checkpoint(checkpoint), target, onnx=onnx, name=name)
    if wants_json():
        say_json({"package": path})
    else:
        typer.echo(f"package: {tables.brief(path)}")
