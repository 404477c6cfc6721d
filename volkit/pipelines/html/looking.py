"""Looking: how a page says where something is to be seen."""

import shlex
from collections.abc import Sequence

from volkit.markup import Html, element, together


def look_at(uri: str, at: Sequence[float] | None = None, *, viewer: bool = False) -> Html:
    """Write the command that shows a voxel; and a link, where a server opens the viewer.

    Parameters
    ----------
    uri : str
        What ``volkit view`` takes.
    at : sequence of number, optional
        Voxel, (z, y, x); None is the middle.
    viewer : bool
        Whether the page is served by something that answers ``view?at=z,y,x``.

    Examples
    --------
    >>> look_at("run", (1, 2, 3))
    '<code>volkit view run --at 1,2,3</code>'
    >>> look_at("run", viewer=True)[:60]
    '<a href="view" target="_blank" rel="noopener">open</a> <code'
    """
    place = "" if at is None else ",".join(f"{n:g}" for n in at)
    command = element("code", f"volkit view {shlex.quote(uri)}{f' --at {place}' if place else ''}")
    if not viewer:
        return command
    href = f"view?at={place}" if place else "view"
    return together(element("a", "open", href=href, target="_blank", rel="noopener"), " ", command)
