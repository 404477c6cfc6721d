"""Layers of tables: points where rows have a place, boxes where they have corners."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.points.files import read_points
from volkit.io.points.options import PointOptions
from volkit.io.points.properties import described
from volkit.io.points.table import centres_of
from volkit.io.tables import read_table
from volkit.viewer.frame import Frame
from volkit.viewer.layer import Kind, Layer, State, mark_look
from volkit.viewer.marks import Marks
from volkit.viewer.served_marks import ServedMarks

LISTED = 1000
"""Marks that the viewer lists, each to jump to; of more it asks for what it shows."""

_COLOURS = ("#ffd23f", "#ff5a5f", "#3fd2ff", "#9dff6e", "#d68bff", "#ffffff")
_EDGES = (("z_start", "y_start", "x_start", "z_stop", "y_stop", "x_stop"),
          ("z0", "y0", "x0", "z1", "y1", "x1"))  # fmt: skip
_CENTRES = (("centroid_z", "centroid_y", "centroid_x"), ("z", "y", "x"))


def colour_of(number: int) -> str:
    """Give a layer a colour of its own, ``#rrggbb``."""
    return _COLOURS[number % len(_COLOURS)]


def read_marked(uri: str, options: PointOptions | None = None) -> pd.DataFrame:
    """Read a table whose rows have a place.

    Parameters
    ----------
    uri : str
        What ``read_points`` or ``read_table`` takes.
    options : PointOptions, optional
        What a file of points does not say itself.

    Raises
    ------
    SourceError
        If it cannot be read, or is of several tomograms of which none is chosen.
    """
    path = uri.partition("?")[0].lower()
    if path.endswith((".csv", ".parquet")):
        frame = read_table(uri)[0]
        names = set(frame.columns)
        if "z_nm" not in names and any(set(one) <= names for one in (*_EDGES, _CENTRES[0])):
            return frame
    frame = read_points(uri, options)
    if "tomogram" in frame.columns and frame["tomogram"].nunique() > 1:
        known = ", ".join(sorted(set(frame["tomogram"]))[:10])
        raise SourceError(f"{uri} has points of several tomograms ({known}); choose --tomogram")
    return frame


def table_marks(table: pd.DataFrame, frame: Frame, *, name: str) -> Marks:
    """Find where the rows of a table lie.

    Raises
    ------
    SourceError
        If no columns say so.
    """
    for edges in _EDGES:
        if set(edges) <= set(table.columns):
            corners = frame.from_edges(table[list(edges)].to_numpy(np.float64).reshape(-1, 3))
            rest = table.drop(columns=list(edges))
            pair = corners.reshape(-1, 2, 3)
            return Marks(pair[:, 0], pair[:, 1], *described(rest), _words(rest))
    if {"z_nm", "y_nm", "x_nm"} <= set(table.columns):
        rest = table.drop(columns=["z_nm", "y_nm", "x_nm"])
        return Marks(frame.from_nm(centres_of(table)), None, *described(rest), _words(rest))
    for centres in _CENTRES:
        if set(centres) <= set(table.columns):
            rest = table.drop(columns=list(centres))
            voxels = table[list(centres)].to_numpy(np.float64) + 0.5
            return Marks(frame.from_edges(voxels), None, *described(rest), _words(rest))
    raise SourceError(
        f"{name} does not say where its rows lie: it has {', '.join(map(str, table.columns))}; "
        f"a viewer needs z_nm, y_nm, x_nm, or {', '.join(_EDGES[0])}, or {', '.join(_CENTRES[0])}"
    )


def marks_layer(marks: Marks, frame: Frame, *, name: str, colour: str) -> Layer:
    """Make a layer of marks: few are listed in the viewer, many are served as it asks for them.

    Its name says how many have no place, which are left out.
    """
    lost = int((~marks.placed).sum())
    if lost:
        marks, name = marks.only(marks.placed), f"{name} ({lost:,} without a place)"
    scores = marks.columns.get("score", np.zeros(0))
    scores = scores[np.isfinite(scores)]
    span = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 0.0)
    look = mark_look(colour, marks.properties, span)
    kind: Kind = "points" if marks.upper is None else "boxes"
    if len(marks) > LISTED:
        return Layer(name, kind, ServedMarks.of(marks), look)
    listed = _listed(marks, frame)
    look = {**look, "annotations": listed, "annotationProperties": list(marks.properties)}
    return Layer(
        name,
        kind,
        look={**look, "tab": "annotations"},
        source="local://annotations",
        transform={"outputDimensions": frame.dimensions},
    )


def _listed(marks: Marks, frame: Frame) -> list[State]:
    """Write marks out, in voxels of the frame."""
    lower = frame.to_voxels(marks.lower)[:, ::-1].tolist()
    upper = None if marks.upper is None else frame.to_voxels(marks.upper)[:, ::-1].tolist()
    values = [_known(marks.columns[p["id"]]).tolist() for p in marks.properties]
    found = []
    for n, place in enumerate(lower):
        one: State = {"id": str(n), "type": marks.type}
        one |= {"point": place} if upper is None else {"pointA": place, "pointB": upper[n]}
        if marks.descriptions:
            one["description"] = marks.descriptions[n]
        found.append({**one, "props": [column[n] for column in values]})
    return found


def _known(column: NDArray[Any]) -> NDArray[Any]:
    """Put the least value where none is known: states are JSON, which has no NaN and no infinity.

    What is said of each mark, in words, keeps them.
    """
    sound = np.isfinite(column)
    least = column[sound].min() if sound.any() else 0
    return np.where(sound, column, least).astype(column.dtype)


def _words(table: pd.DataFrame) -> tuple[str, ...]:
    """Say of each row what it holds; of very many, nothing."""
    if len(table) > LISTED:
        return ()
    rows = table.to_dict("records")
    return tuple(
        ", ".join(f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}"
                  for key, value in row.items())
        for row in rows
    )  # fmt: skip
