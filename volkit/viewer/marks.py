"""Marks: points and boxes that a viewer shows, and what colours, filters and explains them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from volkit.io.points.properties import STORED, Property


@dataclass(frozen=True, slots=True)
class Marks:
    """Points or boxes.

    Parameters
    ----------
    lower : ndarray of float64, shape (N, 3)
        Points, or the lower corners of boxes, (z, y, x), nanometres of the frame.
    upper : ndarray of float64, shape (N, 3), or None
        Upper corners; None where these are points.
    columns : mapping of str to ndarray
        Numbers of each, or codes of words.
    properties : tuple of dict
        Of the columns, as Neuroglancer has them, in the order in which records hold them.
    descriptions : tuple of str
        What to say of each mark; empty where nothing is.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    properties: tuple[Property, ...] = ()
    descriptions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def placed(self) -> NDArray[np.bool_]:
        """Which of them lie somewhere: shape (N,); the others have NaN for a place."""
        return np.asarray(np.isfinite(self.geometry).all(axis=1))

    def only(self, which: NDArray[np.bool_]) -> Self:
        """Leave some out."""
        said = self.descriptions
        return replace(
            self,
            lower=self.lower[which],
            upper=None if self.upper is None else self.upper[which],
            columns={name: column[which] for name, column in self.columns.items()},
            descriptions=tuple(said[n] for n in np.flatnonzero(which)) if said else (),
        )

    @property
    def type(self) -> Literal["point", "axis_aligned_bounding_box"]:
        """What Neuroglancer calls them."""
        return "point" if self.upper is None else "axis_aligned_bounding_box"

    @property
    def geometry(self) -> NDArray[np.float64]:
        """Corners, x before y before z: shape (N, 3) or (N, 6)."""
        corners = [self.lower] if self.upper is None else [self.lower, self.upper]
        return np.concatenate([corner[:, ::-1] for corner in corners], axis=1)

    def records(self) -> NDArray[np.void]:
        """Lay the marks out as a precomputed layer stores them."""
        fields: list[Any] = [("geometry", "<f4", (self.geometry.shape[1],))]
        fields += [(p["id"], STORED[p["type"]]) for p in self.properties]
        over = -sum(np.dtype(kind[1]).itemsize for kind in fields[1:]) % 4
        fields += [("_pad", "u1", (over,))] if over else []
        found = np.zeros(len(self), fields)
        found["geometry"] = self.geometry
        for said in self.properties:
            found[said["id"]] = self.columns[said["id"]]
        return found
