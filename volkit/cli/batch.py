"""The command batch: many volumes and cutouts as one job."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from volkit.cli.boxes import parse_shape
from volkit.cli.clusters import ClusterFile, cluster_settings
from volkit.cli.commands import command, say_json, wants_json
from volkit.cli.progress import clock, shown
from volkit.cli.work import FAILED, interruptible, terminal
from volkit.errors import ConfigError

if TYPE_CHECKING:
    from volkit.pipelines.batch_record import ItemStatus

app = typer.Typer()
_MOST_ROWS = 1000  # of a table that a person reads
_COLOURS = {"finished": "green", "failed": "red", "waiting": "dim"}


# Private, since it has two faces: a batch, and the list of one.
@command(app, "batch")
def _batch(
    file: Annotated[
        Path | None, typer.Argument(help="Batch file, CSV or YAML.", show_default=False)
    ] = None,
    workflow: Annotated[
        Path | None, typer.Option(help="Workflow file of the items that name none.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of all items.", show_default="as the file is called")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes to start here, once for all; 0 is this one.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="key.path=value for all items; may be repeated."),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Say where all items stand.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Compute anew what other settings left there.")
    ] = False,
    tile: Annotated[
        str | None, typer.Option(help="Write a batch file that cuts this volume into tiles.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Of a tile: z,y,x, voxels.")] = None,
    overlap: Annotated[str, typer.Option(help="Of neighbouring tiles: z,y,x, voxels.")] = "0,0,0",
    cluster: ClusterFile = None,
) -> None:
    """Carry out a list of volumes and cutouts; what is finished is left as it is.

    volkit batch regions.csv --workflow em.yaml --workers 4

    volkit batch regions.csv --workflow em.yaml --status

    volkit batch --tile em.zarr --size 512,2048,2048 --overlap 0,64,64
    """
    from volkit.pipelines.batch import batch_status, run_batch
    from volkit.pipelines.batch_file import read_batch

    if tile is not None:
        if wants_json():
            raise ConfigError(f"--tile {tile} writes CSV; leave out --json")
        _write_tiles(tile, size, overlap)
        return
    if file is None:
        raise ConfigError("give a batch file, or --tile URI --size z,y,x to write one")
    before, after = cluster_settings(cluster, workers=workers)
    chosen = [*before, *(settings or []), *after]
    batch = read_batch(file, workflow=workflow, output=output, settings=chosen)
    console = terminal()
    if status:
        _show(console, batch_status(batch))
        return
    with interruptible(), shown(console) as on_progress:
        found = run_batch(
            batch,
            on_progress=on_progress,
            on_message=lambda text: console.print(text, soft_wrap=True, highlight=False),
            replace_stale=replace,
        )
    if not wants_json():
        console.print()
    _show(console, found)
    if any(item.state == "failed" for item in found):
        raise typer.Exit(FAILED)


def _write_tiles(uri: str, size: str | None, overlap: str) -> None:
    from volkit.io.open import open_volume
    from volkit.pipelines.batch_tiles import tiles, write_tiles

    if size is None:
        raise ConfigError(f"--tile {uri} without --size; give the extent of a tile, z,y,x, voxels")
    (sz, sy, sx), (oz, oy, ox) = parse_shape(size), parse_shape(overlap)
    domain = open_volume(uri).domain
    # The list may lie in any folder, where relative paths would mean something else.
    whole = uri if ":" in uri.partition("::")[0] else os.path.abspath(uri)  # noqa: PTH100
    write_tiles(sys.stdout, whole, tiles(domain, (sz, sy, sx), (oz, oy, ox)))


def _show(console: Console, items: "tuple[ItemStatus, ...]") -> None:
    if wants_json():
        say_json(items)
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("item")
    table.add_column("state")
    for name in ("blocks", "attempts", "time"):
        table.add_column(name, justify="right")
    table.add_column("error")
    # The many that are finished are what nobody looks for.
    few = len(items) <= _MOST_ROWS
    first = items if few else sorted(items, key=lambda item: item.state == "finished")
    for item in first[:_MOST_ROWS]:
        state = Text(item.state, style=_COLOURS.get(item.state, "yellow"))
        blocks = f"{item.done:,}/{item.total:,}" if item.total else ""
        taken = clock(item.seconds) if item.seconds else ""
        error = (item.error.splitlines() or [""])[0]
        attempts = str(item.attempts or "")
        table.add_row(item.name, state, blocks, attempts, taken, error)
    console.print(table)
    if not few:
        more = len(items) - _MOST_ROWS
        console.print(f"and {more:,} more; --json names them all", highlight=False)
    states = [item.state for item in items]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    console.print(f"{len(items)} items: {counts}", highlight=False)
