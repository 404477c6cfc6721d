"""Marks: points and boxes that a viewer shows, and what colours, filters and explains them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Property = dict[str, Any]

_MOST_PROPERTIES = 16
_MOST_WORDS = 1000  # different ones of a column, beyond which it is text that nobody can filter by
_ORDER = ("float32", "int32", "uint32", "uint16", "uint8")  # in which a record holds them
_STORED = {"float32": "<f4", "int32": "<i4", "uint32": "<u4", "uint16": "<u2", "uint8": "u1"}


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
        fields += [(p["id"], _STORED[p["type"]]) for p in self.properties]
        over = -sum(np.dtype(kind[1]).itemsize for kind in fields[1:]) % 4
        fields += [("_pad", "u1", (over,))] if over else []
        found = np.zeros(len(self), fields)
        found["geometry"] = self.geometry
        for said in self.properties:
            found[said["id"]] = self.columns[said["id"]]
        return found


def described(frame: pd.DataFrame) -> tuple[dict[str, NDArray[Any]], tuple[Property, ...]]:
    """Turn the columns of a table into properties of marks.

    Parameters
    ----------
    frame : pandas.DataFrame
        Numbers, truth values and words; columns of very many words are left out.

    Returns
    -------
    columns : dict of ndarray
        By the id of the property; words as numbers.
    properties : tuple of dict
        As Neuroglancer has them.

    Examples
    --------
    >>> columns, said = described(pd.DataFrame({"class": ["a", "b", "a"], "Score": [0.5, 1, 0]}))
    >>> [(p["id"], p["type"], p.get("enum_labels")) for p in said], columns["class_"].tolist()
    ([('score', 'float32', None), ('class_', 'uint16', ['a', 'b'])], [0, 1, 0])
    """
    columns: dict[str, NDArray[Any]] = {}
    said: list[Property] = []
    for name in frame.columns:
        found = _property(str(name), frame[name])
        if found is None:
            continue
        prop, values = found
        while prop["id"] in columns:
            prop["id"] += "_"
        columns[prop["id"]] = values
        said.append(prop)
    said.sort(key=lambda prop: _ORDER.index(prop["type"]))
    return columns, tuple(said[:_MOST_PROPERTIES])


def _property(name: str, values: pd.Series) -> tuple[Property, NDArray[Any]] | None:
    prop: Property = {"id": _identifier(name), "type": "float32", "description": name}
    if pd.api.types.is_bool_dtype(values):
        return {**prop, "type": "uint8"}, values.to_numpy(np.uint8)
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy()
        if numbers.dtype.kind in "iu":
            kind = _whole(numbers)
            return {**prop, "type": kind}, numbers.astype(kind)
        return prop, numbers.astype(np.float32)
    codes, words = pd.factorize(values.astype(str))
    if len(words) > _MOST_WORDS:
        return None
    labels = [str(word) for word in words]
    enum = {"enum_values": list(range(len(labels))), "enum_labels": labels}
    return {**prop, "type": "uint16", **enum}, codes.astype(np.uint16)


def _whole(numbers: NDArray[Any]) -> str:
    """Choose the type that holds whole numbers; the largest lose their last digits."""
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    for kind in ("uint32", "int32"):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return "float32"


# Words of the shading language that a property cannot be called.
_TAKEN = ("class", "sample", "input", "output", "filter", "active", "common", "partition")


def _identifier(name: str) -> str:
    """Make a name that a shader can have."""
    found = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "value"
    found = found if found[0].isalpha() else f"p_{found}"
    return f"{found}_" if found in _TAKEN else found
