"""The command pyramid: the coarser levels of a stored volume."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from volkit.cli.about import levels_table, levels_tree
from volkit.cli.commands import say_json, wants_json
from volkit.cli.following import next_command
from volkit.cli.progress import shown
from volkit.cli.work import interruptible, terminal
from volkit.errors import ConfigError

if TYPE_CHECKING:
    from volkit.geometry import Coord
    from volkit.io.sources import OpenArguments
    from volkit.io.volume import Volume

_ALONE = 2**30  # bytes up to which starting processes takes longer than the work


def pyramid(
    uri: Annotated[str, typer.Argument(help="OME-Zarr 0.5 or precomputed.", show_default=False)],
    levels: Annotated[
        int | None,
        typer.Option(
            help="How many it shall have, level 0 included.",
            show_default="until 256 voxels hold it",
        ),
    ] = None,
    method: Annotated[
        Literal["auto", "mean", "mode"],
        typer.Option(help="mean for images, mode (the most frequent id) for labels."),
    ] = "auto",
    factor: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as 1,2,2 (z, y, x): for every level, or given once for each.",
            show_default="towards cubes",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes to start here; 0 works in this one.",
            show_default="all processors, none for less than 1 GiB",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Build anew the levels that are there.")
    ] = False,
    missing: Annotated[
        Literal["error", "zero"], typer.Option(help="What a chunk that is not stored means.")
    ] = "error",
    credentials: Annotated[
        str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
    ] = None,
) -> None:
    """Build the coarser levels of a volume, into it; taken up where it was when run again.

    volkit pyramid em.zarr

    volkit pyramid labels.zarr --method mode --factor 1,2,2 --levels 4
    """
    from volkit.io.open import open_volume
    from volkit.ops import multiscale
    from volkit.pipelines.cluster import ClusterOptions
    from volkit.pipelines.cluster import workers as started

    how: OpenArguments = {"missing": missing}
    if credentials is not None:
        how["credentials"] = credentials
    volume = open_volume(uri, **how)
    factors = [_parsed(text) for text in factor or ()]
    before, console = volume.levels, terminal()
    cluster = ClusterOptions(workers=_processes(volume) if workers is None else workers)
    with interruptible(), started(cluster) as client, shown(console) as on_progress:
        made = multiscale.pyramid(
            volume,
            method=method,
            levels=levels,
            factors=factors[0] if len(factors) == 1 else factors or None,
            client=client,
            on_progress=on_progress,
            replace_levels=replace,
        )
    if wants_json():
        say_json({"uri": uri, "levels": levels_tree(made)})
        return
    console.print(levels_table(made))
    if made.levels == before and not replace:
        console.print(f"nothing to build: {_why(made, levels)}", highlight=False, soft_wrap=True)
    console.print(f"next: {next_command('volkit info', uri)}", highlight=False, soft_wrap=True)


def _why(volume: "Volume", levels: int | None) -> str:
    if volume.levels > 1:
        return "these levels are there already; --replace builds them anew"
    small = "the volume is no longer than 256 voxels on any axis"
    return f"{small}; ask for more with --levels" if levels is None else "one level was asked for"


def _parsed(text: str) -> "Coord":
    try:
        z, y, x = (int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise ConfigError(
            f"--factor {text!r} is not three numbers; give (z, y, x), such as --factor 1,2,2"
        ) from None
    return z, y, x


def _processes(volume: "Volume") -> int | None:
    voxel_bytes = volume.dtype.itemsize * (volume.channels or 1)
    return 0 if volume.domain.size * voxel_bytes < _ALONE else None
