"""The command info: what a volume is, how long it takes to copy, and how it looks."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from volkit.cli.commands import say, say_json, wants_json
from volkit.cli.progress import clock, size
from volkit.cli.thumbnails import draw, write_png
from volkit.cli.voxel_size import voxel_size_nm
from volkit.cli.work import terminal
from volkit.errors import VolkitError

if TYPE_CHECKING:
    from volkit.io.sources import OpenArguments
    from volkit.io.volume import Volume
    from volkit.pipelines.reading_rate import ReadingRate

_SAID = ("kind", "type", "description", "sources", "source", "stage", "method", "version")
_AS = {"image": "an image", "labels": "labels", "classes": "labels of classes"}
_LONGEST_WORDS = 200  # characters of what a volume says of itself


def info(
    uri: Annotated[str, typer.Argument(help="What open_volume takes.", show_default=False)],
    level: Annotated[int | None, typer.Option(help="0 is the finest.", show_default="0")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a thumbnail there.")] = None,
    thumbnail: Annotated[
        bool | None,
        typer.Option(
            "--thumbnail/--no-thumbnail",
            help="Draw the middle plane.",
            show_default="on a terminal",
        ),
    ] = None,
    rate: Annotated[
        bool, typer.Option("--rate/--no-rate", help="Read a few pieces, to tell how long all take.")
    ] = True,
    credentials: Annotated[
        str | None, typer.Option(help="anonymous, env:NAME, file:PATH or profile:NAME.")
    ] = None,
) -> None:
    """Say what a volume is, how long it takes to copy, and how it looks.

    volkit info em.zarr

    volkit info bossdb://prasad/prasad2020/image --level 2 --png plane.png

    volkit info em.h5::raw --no-rate --json
    """
    from volkit.io.stated_size import open_sized

    console = terminal()
    how: OpenArguments = {} if credentials is None else {"credentials": credentials}
    how["voxel_size_nm"] = voxel_size_nm()
    volume = open_sized(uri, level=level, **how)
    if wants_json():
        found, why = _reading_rate(volume) if rate else (None, "")
        if why:
            say(f"time to mirror: {why}")
        say_json(_facts_tree(volume, found))
        if png is not None:
            write_png(console, volume, png)
        return
    console.print(_facts_table(volume))
    if volume.levels > 1:
        console.print()
        console.print(levels_table(volume))
    if rate:
        console.print()
        with console.status("timing a few pieces"):
            words = _time_to_mirror(volume)
        console.print(words, soft_wrap=True, highlight=False)
    drawn = console.is_terminal if thumbnail is None and png is None else bool(thumbnail)
    if drawn:
        draw(console, volume)
    if png is not None:
        write_png(console, volume, png)


def levels_table(volume: "Volume") -> Table:
    """Lay out the levels of a volume.

    Parameters
    ----------
    volume : Volume
        At any level.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("level")
    for name in ("shape (z, y, x)", "voxel size, nm", "chunks", "size"):
        table.add_column(name, justify="right")
    for level in _levels(volume):
        table.add_row(
            str(level.level),
            _by(level.shape),
            _by(level.voxel_size_nm),
            _by(level.chunk_shape),
            size(_bytes(level)),
        )
    return table


def levels_tree(volume: "Volume") -> list[dict[str, Any]]:
    """Say of the levels of a volume what its table says, for machines.

    Parameters
    ----------
    volume : Volume
        At any level.
    """
    return [
        {
            "level": level.level,
            "shape": level.shape,
            "voxel_size_nm": level.voxel_size_nm,
            "chunk_shape": level.chunk_shape,
            "bytes": _bytes(level),
        }
        for level in _levels(volume)
    ]


def _levels(volume: "Volume") -> "Iterator[Volume]":
    whole = replace(volume, region=None)
    return (whole.at_level(number) for number in range(volume.levels))


def _facts_tree(volume: "Volume", rate: "ReadingRate | None") -> dict[str, Any]:
    from volkit.io.stated_size import says_size
    from volkit.pipelines.proposal.sample import sampled_content

    return {
        "uri": volume.uri,
        "level": volume.level,
        "shape": volume.shape,
        "channels": volume.channels,
        "dtype": str(volume.dtype),
        "holds": sampled_content(volume),
        "voxel_size_nm": volume.voxel_size_nm,
        "voxel_size_stated": says_size(volume),
        "origin_nm": volume.origin_nm,
        "domain": volume.domain,
        "chunk_shape": volume.chunk_shape,
        "write_shape": volume.write_shape,
        "bytes": _bytes(volume),
        "bytes_per_second": None if rate is None else rate.bytes_per_second,
        "seconds_to_mirror": None if rate is None else rate.seconds_for(volume),
        "levels": levels_tree(volume),
        "says": _said(volume),
    }


def _facts_table(volume: "Volume") -> Table:
    from volkit.io.stated_size import says_size

    stated = says_size(volume)
    size_nm = [extent * nm for extent, nm in zip(volume.shape, volume.voxel_size_nm, strict=True)]
    stored = prod(-(-n // u) for n, u in zip(volume.shape, volume.write_shape, strict=True))
    rows = {
        "shape (z, y, x)": _by(volume.shape),
        "channels": "none" if volume.channels is None else str(volume.channels),
        "dtype": f"{volume.dtype}, {_kind(volume)}",
        "voxel size": _lengths(volume.voxel_size_nm)
        if stated
        else "not stated: lengths are voxels (--voxel-size z,y,x says it)",
        **({"extent": _lengths(size_nm)} if stated else {}),
        "domain": str(volume.domain),
        "origin": _lengths(volume.origin_nm),
        "levels": f"{volume.levels} (this is level {volume.level})",
        "chunks": _by(volume.chunk_shape),
        "stored objects": f"{_by(volume.write_shape)}, {stored:,} in all",
        "size": f"{size(_bytes(volume))} uncompressed",
        **_said(volume),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _kind(volume: "Volume") -> str:
    from volkit.pipelines.proposal.sample import sampled_content

    return f"taken as {_AS[sampled_content(volume)]}"


def _said(volume: "Volume") -> dict[str, str]:
    """Pick from the attributes what tells a person what it is."""
    found: dict[str, Any] = {}
    for place in (volume.attributes, volume.attributes.get("volkit", {})):
        found |= {key: place[key] for key in _SAID if isinstance(place, dict) and place.get(key)}
    made_by = found.pop("version", None)
    rows = {}
    for key, value in found.items():
        words = ", ".join(map(str, value)) if isinstance(value, list) else _brief(value)
        rows[key] = words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]} …"
    return {**rows, **({"made by": f"volkit {made_by}"} if made_by else {})}


def _brief(value: Any) -> str:
    """Write what is said of a source: its address, where there is more."""
    return str(value["uri"]) if isinstance(value, dict) and "uri" in value else str(value)


def _reading_rate(volume: "Volume") -> "tuple[ReadingRate | None, str]":
    """Time a few pieces; where that tells nothing, say why."""
    from volkit.pipelines.reading_rate import reading_rate

    try:
        found = reading_rate(volume)
    except VolkitError as error:
        return None, f"not known, for reading failed: {error}"
    large = "not timed, for its chunks are so large that one takes long"
    return found, "" if found else large


def _time_to_mirror(volume: "Volume") -> str:
    found, why = _reading_rate(volume)
    if found is None:
        return f"time to mirror: {why}"
    seconds = found.seconds_for(volume)
    shown = "less than a second" if seconds < 1 else f"about {clock(seconds)}"
    return (
        f"time to mirror: {shown} at {size(round(found.bytes_per_second))}/s (an estimate from "
        f"pieces read one after another: {found.pieces})"
    )


def _by(values: Any) -> str:
    return " x ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)


def _lengths(nm: Sequence[float]) -> str:
    """Write lengths with a unit that fits the smallest.

    Examples
    --------
    >>> _lengths((40.0, 4.5, 4)), _lengths((25_000, 0, 1_500)), _lengths((1e6, 2e6, -1e6))
    ('40 x 4.5 x 4 nm', '25 x 0 x 1.5 µm', '1 x 2 x -1 mm')
    """
    least = min((abs(v) for v in nm if v), default=0.0)
    unit, name = next((u for u in ((1e6, "mm"), (1e3, "µm")) if least >= u[0]), (1.0, "nm"))
    return f"{_by(float(v) / unit for v in nm)} {name}"


def _bytes(volume: "Volume") -> int:
    return volume.domain.size * (volume.channels or 1) * volume.dtype.itemsize
