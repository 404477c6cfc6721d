"""Tables: pandas in memory, Parquet on disk, with units and provenance beside the numbers."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from volkit.errors import ContractError, SourceError
from volkit.io.uris import local_path
from volkit.version import __version__

_KEY = b"volkit"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        With its unit at the end where it has one: ``z_nm``.
    dtype : str
        NumPy name of the type, or ``str``.
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
    uri: str | Path, frame: pd.DataFrame, schema: Schema, provenance: Mapping[str, Any]
) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    uri : str or Path
        Parquet, or CSV where the suffix is ``.csv`` (units and provenance then lie beside it, in
        ``NAME.csv.json``); a local path or any URL of fsspec.
    frame : pandas.DataFrame
        Columns of the schema; its index is not kept.
    schema : Schema
        Names, types, units.
    provenance : mapping
        JSON: what made the table, from what.

    Raises
    ------
    ContractError
        If the table is not what its schema declares.
    SourceError
        If it cannot be written, as on a full disk; what was there before is then kept.
    """
    uri = os.fspath(uri)
    schema.check(frame)
    facts = {
        "version": __version__,
        "columns": [asdict(column) for column in schema.columns],
        "provenance": dict(provenance),
    }
    if _is_csv(uri):
        with _replacing(f"{uri}.json") as file:
            file.write(json.dumps(facts, indent=1).encode())
        with _replacing(uri) as file:
            frame.to_csv(file, index=False, lineterminator="\n")
        return
    table = pa.Table.from_pandas(frame, preserve_index=False)
    fields = [
        field.with_metadata({"unit": column.unit, "description": column.description})
        for field, column in zip(table.schema, schema.columns, strict=True)
    ]
    kept = {**(table.schema.metadata or {}), _KEY: json.dumps(facts).encode()}
    with _replacing(uri) as file:
        pq.write_table(table.cast(pa.schema(fields, kept)), file, compression="zstd")


def read_table(uri: str | Path) -> tuple[pd.DataFrame, Schema, dict[str, Any]]:
    """Read a table.

    A table that others wrote has a schema without units, and no provenance.

    Parameters
    ----------
    uri : str or Path
        Parquet or CSV; a local path or any URL of fsspec.

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
    uri = os.fspath(uri)
    try:
        frame, facts = _read_csv(uri) if _is_csv(uri) else _read_parquet(uri)
    except FileNotFoundError as error:
        raise SourceError(f"{uri} does not exist; check the path") from error
    except (OSError, pa.ArrowInvalid, ValueError) as error:
        raise SourceError(
            f"{uri} cannot be read as a table ({error}); it may be truncated: write it again"
        ) from error
    if facts is None:
        return frame, Schema(tuple(Column(n, _dtype_name(frame[n])) for n in frame.columns)), {}
    return frame, Schema(tuple(Column(**c) for c in facts["columns"])), facts["provenance"]


def _read_parquet(uri: str) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    with fsspec.open(uri, "rb") as file:
        table = pq.read_table(file)
    raw = (table.schema.metadata or {}).get(_KEY)
    return table.to_pandas(), None if raw is None else json.loads(raw)


def _read_csv(uri: str) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    facts = None
    try:
        with fsspec.open(f"{uri}.json", "rb") as file:
            facts = json.load(file)
    except FileNotFoundError:
        pass  # a table that others wrote
    types = {c["name"]: _arrow_type(c["dtype"]) for c in facts["columns"]} if facts else None
    with fsspec.open(uri, "rb") as file:
        table = pa.csv.read_csv(file, convert_options=pa.csv.ConvertOptions(column_types=types))
    return table.to_pandas(), facts


def _arrow_type(dtype: str) -> pa.DataType:
    return pa.string() if dtype == "str" else pa.from_numpy_dtype(np.dtype(dtype))


@contextmanager
def _replacing(uri: str) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when it is complete."""
    path = local_path(uri)
    try:
        if path is None:
            with fsspec.open(uri, "wb") as file:  # object stores put whole objects
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
        try:
            with draft.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SourceError(
            f"{uri} cannot be written: {error}; what was there before is kept: make room, or "
            "choose another place"
        ) from error


def _is_csv(uri: str) -> bool:
    return uri.lower().endswith(".csv")


def _dtype_name(values: pd.Series) -> str:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind != "O":
        return values.dtype.name
    return "str" if pd.api.types.is_string_dtype(values) else str(values.dtype)
