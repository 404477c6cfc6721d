"""Elements of a page: its sections and pictures."""

import base64
from collections.abc import Iterable
from pathlib import Path

from volkit.markup import Html, element, together


def section(title: str, *children: str | Iterable[str]) -> Html:
    """Write a part of a page with a heading; Html of nothing where there is nothing in it."""
    inner = together(*children)
    if not inner:
        return Html("")
    key = "".join(c if c.isalnum() else "-" for c in title.lower()).strip("-")
    heading = element("h2", title, id=f"{key}-title")
    return element("section", heading, inner, aria_labelledby=f"{key}-title", id=key)


def picture(path: Path, *, alt: str) -> Html:
    """Embed a PNG.

    Parameters
    ----------
    path : Path
        The file.
    alt : str
        What it shows, for whoever cannot see it.
    """
    data = base64.b64encode(path.read_bytes()).decode()
    return element("img", alt=alt, src=f"data:image/png;base64,{data}", loading="lazy")
