"""Worst objects on a page: those of which most is wrong, each to be looked at."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from volkit.errors import VolkitError
from volkit.geometry import AXES
from volkit.io.tables import read_table
from volkit.markup import Html
from volkit.pipelines.html.looking import look_at
from volkit.pipelines.html.tables import printed, table

_MOST = 10
_WORST = (
    ("objects.csv", "split", "True objects that are cut into most pieces"),
    ("segments.csv", "merged", "Segments that join most true objects"),
)


def worst_objects(folder: Path, uri: str, *, viewer: bool = False) -> Iterator[Html]:
    """Show the worst rows of the tables of a report that say what is wrong where.

    Parameters
    ----------
    folder : Path
        Of the report; tables that are absent or half written are passed over.
    uri : str
        What ``volkit view`` takes to show them.
    viewer : bool
        Whether links of the page open the viewer.

    Yields
    ------
    Html
        A table for each kind.
    """
    for ending, by, title in _WORST:
        for path in sorted(folder.glob(f"*{ending}")):
            try:
                frame = read_table(path)[0]
            except VolkitError:
                continue  # the section of tables says why
            stem = path.name.removesuffix(ending).rstrip(".")
            found = worst_rows(frame, by, uri, title=f"{stem}: {title}" if stem else title,
                               viewer=viewer)  # fmt: skip
            if found:
                yield found


def worst_rows(frame: pd.DataFrame, by: str, uri: str, *, title: str, viewer: bool = False) -> Html:
    """Show the rows of which most is wrong.

    Parameters
    ----------
    frame : pandas.DataFrame
        With boxes: ``z_start`` to ``x_stop``, voxels.
    by : str
        Column that is 0 where nothing is wrong.
    uri : str
        What ``volkit view`` takes to show them.
    title : str
        What they are.
    viewer : bool
        Whether links of the page open the viewer.

    Returns
    -------
    Html
        Of nothing where nothing is wrong, or the table has no boxes.
    """
    edges = [f"{axis}_{edge}" for axis in AXES for edge in ("start", "stop")]
    if not {by, *edges} <= set(frame.columns):
        return Html("")
    placed = frame[frame[by] > 0].dropna(subset=edges)
    wrong = placed.sort_values(by, ascending=False, kind="stable").head(_MOST)
    if not len(wrong):
        return Html("")
    told = [name for name in frame.columns if name not in edges][:6]
    told = list(dict.fromkeys([*told[:1], by, *told[1:]]))
    rows = [
        (
            *(printed(row[name]) for name in told),
            look_at(
                uri,
                [(int(row[f"{a}_start"]) + int(row[f"{a}_stop"]) - 1) // 2 for a in AXES],
                viewer=viewer,
            ),
        )
        for row in wrong.to_dict("records")
    ]
    return table([*told, "to look at it"], rows, caption=title)
