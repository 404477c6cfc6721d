"""Tables of points: their columns, and what is refused where they come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from volkit.errors import ContractError, SourceError
from volkit.geometry.scale import Vector
from volkit.io.tables import Column, Schema

CENTRE = ("z_nm", "y_nm", "x_nm")

_POINT = (
    *(Column(name, "float64", "nm", f"centre, {name[0]}") for name in CENTRE),
    Column("score", "float64", "", "confidence; 1 where none was stated"),
    Column("class", "str", "", "what it is"),
)
POINTS = Schema(_POINT)
"""Points of one tomogram."""

POINTS_OF_MANY = Schema((Column("tomogram", "str", "", "in which it lies"), *_POINT))
"""Points of several tomograms."""


@dataclass(frozen=True, slots=True)
class PointChecks:
    """What a table of points must be.

    Parameters
    ----------
    classes : tuple of str or None
        Names that are known; None takes any.
    extent_nm : tuple of tuple of float or None
        The corners, (z, y, x) each, between which points lie, these included; None takes any.
    unique : bool
        No two points of a tomogram may lie at the same place, as for true ones.
    """

    classes: tuple[str, ...] | None = None
    extent_nm: tuple[Vector, Vector] | None = None
    unique: bool = False


def points_frame(
    centres_nm: ArrayLike,
    classes: Sequence[str] | str,
    *,
    scores: ArrayLike = 1.0,
    tomograms: Sequence[str] | str | None = None,
) -> pd.DataFrame:
    """Make a table of points.

    Parameters
    ----------
    centres_nm : array_like of float, shape (N, 3)
        (z, y, x), nanometres.
    classes : sequence of str, or str
        Of each, or of all.
    scores : array_like of float, shape (N,) or ()
        Of each, or of all.
    tomograms : sequence of str, str or None
        In which each lies, or all; None leaves the column out.

    Returns
    -------
    pandas.DataFrame
        With the columns of :data:`POINTS`, or of :data:`POINTS_OF_MANY`.

    Examples
    --------
    >>> points_frame([[1, 2, 3]], "ribosome").to_csv(index=False).splitlines()
    ['z_nm,y_nm,x_nm,score,class', '1.0,2.0,3.0,1.0,ribosome']
    """
    centres = np.asarray(centres_nm, np.float64).reshape(-1, 3)
    columns: dict[str, Any] = {}
    if tomograms is not None:
        columns["tomogram"] = _names(tomograms, len(centres))
    columns |= {name: centres[:, axis] for axis, name in enumerate(CENTRE)}
    columns["score"] = np.broadcast_to(np.asarray(scores, np.float64), len(centres))
    columns["class"] = _names(classes, len(centres))
    return pd.DataFrame(columns)


def points_schema(frame: pd.DataFrame) -> Schema:
    """Give the schema of a table of points.

    Raises
    ------
    ContractError
        If it is none.
    """
    schema = POINTS_OF_MANY if "tomogram" in frame.columns else POINTS
    schema.check(frame)
    return schema


def centres_of(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give the centres, (z, y, x) in nanometres, shape (N, 3)."""
    return frame[list(CENTRE)].to_numpy(np.float64)


def check_points(frame: pd.DataFrame, checks: PointChecks | None = None, *, name: str) -> None:
    """Refuse what would be wrong later without anybody noticing.

    Parameters
    ----------
    frame : pandas.DataFrame
        A table of points.
    checks : PointChecks or None
        Beyond columns and NaN.
    name : str
        What messages call the table.

    Raises
    ------
    ContractError
        If columns are missing or of another type.
    SourceError
        If a coordinate or a score is NaN or infinite, a class is unknown, a point lies outside,
        or two lie at the same place.
    """
    checks = checks or PointChecks()
    try:
        points_schema(frame)
    except ContractError as error:
        raise ContractError(f"{name}: {error}") from None
    numbers = frame[[*CENTRE, "score"]].to_numpy()
    _refuse(frame, ~np.isfinite(numbers).all(axis=1), name, "are NaN or infinite")
    if checks.classes is not None:
        unknown = ~frame["class"].isin(checks.classes).to_numpy()
        said = f"are of a class that is none of {', '.join(checks.classes)}"
        _refuse(frame, unknown, name, said)
    if checks.extent_nm is not None:
        low, high = (np.asarray(corner) for corner in checks.extent_nm)
        outside = ((numbers[:, :3] < low) | (numbers[:, :3] > high)).any(axis=1)
        bounds = " to ".join(str(tuple(corner)) for corner in checks.extent_nm)
        _refuse(frame, outside, name, f"lie outside {bounds} nm (z, y, x)")
    if checks.unique:
        place = [*(["tomogram"] if "tomogram" in frame.columns else []), *CENTRE]
        twice = frame.duplicated(place).to_numpy()
        _refuse(frame, twice, name, "lie where another one does")


def _refuse(frame: pd.DataFrame, bad: Any, name: str, what: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        first = ", ".join(f"{key} {value}" for key, value in frame.iloc[rows[0]].items())
        raise SourceError(
            f"{name}: {len(rows)} of {len(frame)} points {what}, the first is row {rows[0]} "
            f"({first}); mend or drop them"
        )


def _names(names: Sequence[str] | str, count: int) -> "pd.Series[str]":
    listed = [names] * count if isinstance(names, str) else list(names)
    return pd.Series(listed, dtype="str")
