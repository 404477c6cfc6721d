"""Thumbnails on the command line: the middle plane of a volume, in a terminal and as PNG."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.color import Color
from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from volkit.errors import VolkitError

if TYPE_CHECKING:
    from volkit.io.volume import Volume
    from volkit.pipelines.thumbnail import Pixels, Thumbnail

_TERMINAL_PIXELS = 64  # wide or high: a character holds two, one above the other
_PNG_PIXELS = 768


def draw(console: Console, volume: "Volume") -> None:
    """Draw a thumbnail with half blocks; in colours also where the output is no terminal."""
    found = _thumbnail(console, volume, _TERMINAL_PIXELS)
    if found is None:
        return
    colours = (
        console
        if console.is_terminal
        else Console(force_terminal=True, color_system="truecolor", width=console.width)
    )
    colours.print()
    colours.print(Segments(_half_blocks(found.pixels)), end="")
    console.print(found.caption, style="dim", highlight=False)


def write_png(console: Console, volume: "Volume", path: Path) -> None:
    """Write a thumbnail as PNG."""
    from matplotlib.image import imsave

    found = _thumbnail(console, volume, _PNG_PIXELS)
    if found is not None:
        imsave(path, found.pixels, format="png")
        console.print(f"{found.caption}: {path}", soft_wrap=True, highlight=False)


def _thumbnail(console: Console, volume: "Volume", longest: int) -> "Thumbnail | None":
    from volkit.pipelines.thumbnail import thumbnail

    try:
        with console.status("reading the middle plane"):
            return thumbnail(volume, longest=longest)
    except VolkitError as error:
        # What is known of the volume has been said, and is right without a picture.
        console.print(f"no thumbnail: {error}", soft_wrap=True, highlight=False)
        return None


def _half_blocks(pixels: "Pixels") -> Iterator[Segment]:
    for row in range(0, len(pixels), 2):
        for column in range(pixels.shape[1]):
            above = Color.from_rgb(*map(int, pixels[row, column]))
            below = (
                Color.from_rgb(*map(int, pixels[row + 1, column]))
                if row + 1 < len(pixels)
                else None
            )
            yield Segment("▀", Style(color=above, bgcolor=below))
        yield Segment.line()
