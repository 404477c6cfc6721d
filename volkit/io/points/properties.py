"""Properties of annotations: what of a table colours, filters and explains the marks of a layer."""

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Property = dict[str, Any]

STORED = {"float32": "<f4", "int32": "<i4", "uint32": "<u4", "uint16": "<u2", "uint8": "u1"}
"""Types of properties, in the order in which a record holds them, and how they are stored."""

_MOST_PROPERTIES = 16
_MOST_WORDS = 1000  # different ones of a column, beyond which it is text that nobody can filter by


def described(frame: pd.DataFrame) -> tuple[dict[str, NDArray[Any]], tuple[Property, ...]]:
    """Turn the columns of a table into properties of marks.

    Parameters
    ----------
    frame : pandas.DataFrame
        Numbers, truth values and words, some of which may be missing; columns of very many words
        are left out.

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
    said.sort(key=lambda prop: [*STORED].index(prop["type"]))
    return columns, tuple(said[:_MOST_PROPERTIES])


def _property(name: str, values: pd.Series) -> tuple[Property, NDArray[Any]] | None:
    prop: Property = {"id": _identifier(name), "type": "float32", "description": name}
    if pd.api.types.is_bool_dtype(values):
        if values.isna().any():  # nobody knows: neither 0 nor 1
            return prop, values.to_numpy(np.float32, na_value=np.nan)
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
