"""Tables: pandas in memory, Parquet on disk, with units and provenance beside the numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from volkit.errors import ContractError, SourceError
from volkit.io.objects.protocol import open_objects, split_object
from volkit.io.seals import BLANK, SEAL, digest, is_sealed, is_whole, seal
from volkit.io.sources import OpenOptions
from volkit.version import __version__

_KEY = "volkit"
# Types of pandas whose columns have places without a value.
_NULLABLE = {"boolean": "bool", "Int64": "int64", "UInt64": "uint64"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        With its unit at the end where it has one: ``z_nm``.
    dtype : str
        NumPy name of the type, ``str``, or where values may be missing ``boolean``, ``Int64`` or
        ``UInt64``.
    unit : str
        Such as ``nm`` or ``nm^2``; empty where there is none.
    description : str
        What a value means.
    """

    name: str
    dtype: str
    unit: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table, in order.

    Raises
    ------
    ContractError
        If two columns share a name.

    Examples
    --------
    >>> Schema((Column("score", "float64"),)).names
    ('score',)
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.columns):
            raise ContractError(f"columns {', '.join(self.names)} are not unique; rename some")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def framed(self, rows: Any) -> pd.DataFrame:
        """Make a table with the columns of the schema, in their order and of their types.

        Parameters
        ----------
        rows : sequence of dict, or dict of sequences
            What `pandas.DataFrame` takes; what a row lacks is missing, what is more is left out.

        Examples
        --------
        >>> Schema((Column("n", "int64"), Column("score", "float64"))).framed([{"n": 1.0}])
           n  score
        0  1    NaN
        """
        frame = pd.DataFrame(rows, columns=list(self.names))
        return frame.astype({column.name: column.dtype for column in self.columns})

    def check(self, frame: pd.DataFrame) -> None:
        """Compare a table with the schema; nothing is converted.

        Raises
        ------
        ContractError
            If columns are missing, too many, in another order, or of another type.
        """
        if tuple(frame.columns) != self.names:
            raise ContractError(
                f"the table has columns {', '.join(map(str, frame.columns))}; its schema declares "
                f"{', '.join(self.names)}: select them in this order"
            )
        for column in self.columns:
            found = _dtype_name(frame[column.name])
            if found != column.dtype:
                raise ContractError(
                    f"column {column.name} is {found}, its schema declares {column.dtype}; convert "
                    "it first, minding its range"
                )


def write_table(
    uri: str | Path,
    frame: pd.DataFrame,
    schema: Schema,
    provenance: Mapping[str, Any],
    *,
    options: OpenOptions | None = None,
) -> None:
    """Write a table, whole or not at all, with a digest by which a changed byte is noticed.

    Parameters
    ----------
    uri : str or Path
        Parquet, or CSV where the suffix is ``.csv`` (units and provenance then lie beside it, in
        ``NAME.csv.json``); a local path or a URL that ``open_objects`` takes.
    frame : pandas.DataFrame
        Columns of the schema; its index is not kept.
    schema : Schema
        Names, types, units.
    provenance : mapping
        JSON: what made the table, from what.
    options : OpenOptions or None
        Credentials and patience.

    Raises
    ------
    ContractError
        If the table is not what its schema declares.
    SourceError
        If it cannot be written, as on a full disk; what was there before is then kept.
    """
    schema.check(frame)
    facts = {
        "version": __version__,
        "columns": [asdict(column) for column in schema.columns],
        "provenance": dict(provenance),
    }
    place, name = split_object(uri)
    if _is_csv(name):
        data = frame.to_csv(index=False, lineterminator="\n").encode()
        facts["sha256"] = digest(data, _canonical(facts))
        parts = {f"{name}.json": json.dumps(facts, indent=1).encode(), name: data}
    else:
        parts = {name: _parquet(frame, schema, facts)}
    objects = open_objects(place, options)
    try:
        for key, part in parts.items():
            objects.put(key, part)
    except SourceError as error:
        raise SourceError(
            f"{uri} cannot be written: {error}; what was there before is kept: make room, or "
            "choose another place"
        ) from error


def read_table(
    uri: str | Path, *, options: OpenOptions | None = None, texts: Sequence[str] = ()
) -> tuple[pd.DataFrame, Schema, dict[str, Any]]:
    """Read a table.

    A table that others wrote has a schema without units, and no provenance.

    Parameters
    ----------
    uri : str or Path
        Parquet or CSV; a local path or a URL that ``open_objects`` takes.
    options : OpenOptions or None
        Credentials and patience.
    texts : sequence of str
        Columns of a CSV that others wrote, whose values stay as they are written: ``001`` is no 1.

    Returns
    -------
    frame : pandas.DataFrame
        The rows.
    schema : Schema
        Names, types, units.
    provenance : dict
        JSON.

    Raises
    ------
    SourceError
        If there is no table, or it is damaged.
    """
    place, name = split_object(uri)
    objects = open_objects(place, options)
    data = objects.get(name)
    if data is None:
        raise SourceError(f"{uri} does not exist; check the path")
    try:
        if _is_csv(name):
            frame, facts = _read_csv(str(uri), data, objects.get(f"{name}.json"), texts)
        else:
            frame, facts = _read_parquet(str(uri), data)
        if facts is None:
            named = tuple(Column(n, _dtype_name(frame[n])) for n in frame.columns)
            return frame, Schema(named), {}
        return frame, Schema(tuple(Column(**c) for c in facts["columns"])), facts["provenance"]
    except SourceError:
        raise
    except (OSError, pa.ArrowInvalid, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{uri} cannot be read as a table ({error}); it may be truncated: write it again"
        ) from error


def _parquet(frame: pd.DataFrame, schema: Schema, facts: Mapping[str, Any]) -> bytes:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [
        field.with_metadata({"unit": column.unit, "description": column.description})
        for field, column in zip(table.schema, schema.columns, strict=True)
    ]
    own = {_KEY: json.dumps({**facts, "sealed": True}), SEAL: BLANK}
    stream = pa.BufferOutputStream()
    kept = pa.schema(fields, {**(table.schema.metadata or {}), **own})
    pq.write_table(table.cast(kept), stream, compression="zstd")
    return seal(stream.getvalue().to_pybytes())


def _read_parquet(uri: str, data: bytes) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    sealed = is_sealed(data)
    if sealed and not is_whole(data):
        raise _changed(uri)
    table = pq.read_table(pa.BufferReader(data))
    raw = (table.schema.metadata or {}).get(_KEY.encode())
    facts = None if raw is None else json.loads(raw)
    if facts is not None and facts.get("sealed") and not sealed:
        raise _changed(uri)
    return table.to_pandas(), facts


def _read_csv(
    uri: str, data: bytes, beside: bytes | None, texts: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    facts = None if beside is None else json.loads(beside)
    if facts is not None and "sha256" in facts:
        stated = facts.pop("sha256")
        if digest(data, _canonical(facts)) != stated:
            raise SourceError(
                f"{uri}: the table or {uri}.json is not as it was written; if it was edited on "
                f"purpose, delete {uri}.json, else restore them from a copy, or write them again"
            )
    own = facts["columns"] if facts else [{"name": name, "dtype": "str"} for name in texts]
    types = {c["name"]: _arrow_type(c["dtype"]) for c in own}
    options = pa.csv.ConvertOptions(column_types=types)
    table = pa.csv.read_csv(pa.BufferReader(data), convert_options=options)
    frame = table.to_pandas()
    for column in facts["columns"] if facts else ():
        if column["dtype"] in _NULLABLE:  # not by way of floats, in which large ids are rounded
            wanted: Any = pd.api.types.pandas_dtype(column["dtype"])
            frame[column["name"]] = wanted.__from_arrow__(table[column["name"]])
    return frame, facts


def _changed(uri: str) -> SourceError:
    return SourceError(
        f"{uri} is damaged: its bytes are not those that were written; restore it from a copy, or "
        "write it again"
    )


def _canonical(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True).encode()


def _arrow_type(dtype: str) -> pa.DataType:
    if dtype == "str":
        return pa.string()
    return pa.from_numpy_dtype(np.dtype(_NULLABLE.get(dtype, dtype)))


def _is_csv(uri: str) -> bool:
    return uri.lower().endswith(".csv")


def _dtype_name(values: pd.Series) -> str:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind != "O":
        return values.dtype.name
    return "str" if pd.api.types.is_string_dtype(values) else str(values.dtype)
