"""Files of stall tables: Parquet and CSV that read back as what was written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.errors import ContractError
from volkit.io.tables import read_table, write_table
from volkit.ops.stall_schema import completed, folds_of, stall_schema

_AXES = "zyx"


def write_stalls(uri: str | Path, frame: pd.DataFrame, provenance: Mapping[str, Any]) -> None:
    """Write a stall table, with units, meanings and provenance.

    Parameters
    ----------
    uri : str or Path
        Parquet, or CSV where the suffix says so.
    frame : pandas.DataFrame
        From `volkit.ops.stall_schema.completed`.
    provenance : mapping
        JSON: what made the table, from what.

    Raises
    ------
    ContractError
        If the table is not what its schema declares.
    SourceError
        If it cannot be written.
    """
    write_table(uri, frame, stall_schema(folds_of(frame)), provenance)


def write_parts(folder: Path, frame: pd.DataFrame, provenance: Mapping[str, Any]) -> list[Path]:
    """Write a stall table in parts, one for each block that owns segments.

    Parameters
    ----------
    folder : Path
        Gets ``z_y_x.parquet``, named by block; parts that were there before and own nothing any
        more are removed.
    frame, provenance
        As for `write_stalls`.

    Returns
    -------
    list of Path
        Sorted.
    """
    owners = [f"owner_chunk_{a}" for a in _AXES]
    written = []
    owner: Any
    for owner, part in frame.groupby(owners, sort=True, dropna=False):
        name = "_".join("none" if n is pd.NA else f"{n:04d}" for n in owner)
        path = folder / f"{name}.parquet"
        write_stalls(path, part.reset_index(drop=True), provenance)
        written.append(path)
    for old in {*folder.glob("*.parquet")} - {*written}:
        old.unlink()
    return sorted(written)


def read_stalls(uri: str | Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a stall table, or the folder of its parts.

    Parameters
    ----------
    uri : str or Path
        From `write_stalls` or `write_parts`.

    Returns
    -------
    frame : pandas.DataFrame
        As it was written.
    provenance : dict
        Of the first part.

    Raises
    ------
    SourceError
        If there is none, or it is damaged.
    ContractError
        If it is another table.
    """
    folder = Path(str(uri))
    parts: list[str | Path] = [*sorted(folder.glob("*.parquet"))] if folder.is_dir() else [uri]
    if not parts:
        raise ContractError(f"{uri} holds no Parquet; give a stall table, or the folder of parts")
    read = [read_table(part) for part in parts]
    frame = pd.concat([each[0] for each in read], ignore_index=True)
    try:
        stall_schema(folds_of(frame)).check(frame)
    except ContractError as error:
        raise ContractError(f"{uri} is no stall table: {error}") from error
    for name in frame.columns:
        if frame[name].dtype == "str":  # a CSV cannot tell a text without letters from none
            frame[name] = frame[name].mask(frame[name] == "")
    return completed(frame, folds=folds_of(frame)), read[0][2]
