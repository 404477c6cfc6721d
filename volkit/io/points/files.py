"""Files of points: read and written in the format that their name or content shows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import ConfigError, SourceError
from volkit.io.objects.protocol import open_objects, split_object
from volkit.io.points.annotations import read_annotations, write_annotations
from volkit.io.points.copick import open_copick, parsed_picks
from volkit.io.points.czii import czii_csv, is_czii, read_czii
from volkit.io.points.options import Format, PointOptions
from volkit.io.points.portal import beside, portal_ndjson, read_portal
from volkit.io.points.relion import read_relion, relion_star
from volkit.io.points.table import CENTRE, check_points, points_schema
from volkit.io.tables import read_table, write_table

_SUFFIXES: dict[str, Format] = {
    ".parquet": "table",
    ".csv": "table",
    ".star": "star",
    ".ndjson": "portal",
    ".jsonl": "portal",
    ".json": "copick",
    ".config": "copick",
}


def read_points(uri: str | Path, options: PointOptions | None = None) -> pd.DataFrame:
    """Read points.

    Parameters
    ----------
    uri : str or Path
        Parquet or CSV of volkit, CSV of the CZII challenge, RELION STAR, ndjson of the CryoET Data
        Portal, a copick project or one of its files of picks, or a folder with an annotation layer
        of Neuroglancer; a local path or a URL that ``open_objects`` takes.
    options : PointOptions or None
        What the file does not say itself, and what its points must be.

    Returns
    -------
    pandas.DataFrame
        ``z_nm, y_nm, x_nm, score, class``, after ``tomogram`` where the file names it.

    Raises
    ------
    SourceError
        If there is none, it is damaged, does not say how large voxels are or what its points are,
        or points are not what ``options.checks`` demands.
    ConfigError
        If the format cannot be told.

    Examples
    --------
    >>> from volkit.io.points.table import points_frame
    >>> picks = points_frame([[1, 2, 3]], "ribosome", tomograms="TS_1")
    >>> how = PointOptions(format="czii")
    >>> write_points("memory://picks/submission.csv", picks, how)
    >>> read_points("memory://picks/submission.csv").to_csv(index=False).splitlines()[1]
    'TS_1,1.0,2.0,3.0,1.0,ribosome'
    """
    options = options or PointOptions()
    frame = _read(str(uri), options, options.format or _format(str(uri)))
    if options.tomogram is not None and "tomogram" in frame.columns:
        there = sorted(set(frame["tomogram"]))
        frame = frame[frame["tomogram"] == options.tomogram].reset_index(drop=True)
        if not len(frame) and there:
            raise SourceError(
                f"{uri} has no points of {options.tomogram!r}; it has {', '.join(there[:10])}"
            )
    check_points(frame, options.checks, name=str(uri))
    return frame


def write_points(
    uri: str | Path,
    frame: pd.DataFrame,
    options: PointOptions | None = None,
    *,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write points.

    Parameters
    ----------
    uri : str or Path
        As for :func:`read_points`; a CSV is volkit's own unless the format says ``czii``.
    frame : pandas.DataFrame
        Points.
    options : PointOptions or None
        Voxel size where the file counts voxels, the tomogram's name, who picked.
    provenance : mapping or None
        JSON: what made them, from what; for tables of volkit, which alone have room for it.

    Raises
    ------
    SourceError
        If points are not what ``options.checks`` demands, the format has no room for them, or they
        cannot be written.
    ConfigError
        If the format cannot be told.
    """
    options = options or PointOptions()
    check_points(frame, options.checks, name=f"points for {uri}")
    kind = options.format or _format(str(uri))
    if kind == "table":
        made = dict(provenance or {})
        write_table(uri, frame, points_schema(frame), made, options=options.open)
        return
    if kind == "annotations":
        write_annotations(open_objects(uri, options.open), frame)
        return
    if kind == "copick":
        _write_copick(str(uri), frame, options)
        return
    folder, name = split_object(uri)
    place = open_objects(folder, options.open)
    if kind == "portal":
        lines, metadata = portal_ndjson(frame, options)
        place.put(beside(name), metadata)
        place.put(name, lines)
    else:
        star = kind == "star"
        data = relion_star(frame, options) if star else czii_csv(frame, options.tomogram)
        place.put(name, data)


def _format(uri: str) -> Format:
    path = uri.partition("?")[0].rstrip("/").lower()
    for suffix, kind in _SUFFIXES.items():
        if path.endswith(suffix):
            return kind
    last = path.rpartition("/")[2]
    if "." in last and not last.endswith((".annotations", ".precomputed")):
        raise ConfigError(
            f"{uri} has no suffix that tells its format ({', '.join(_SUFFIXES)}); pass format"
        )
    return "annotations"


def _read(uri: str, options: PointOptions, kind: Format) -> pd.DataFrame:
    if kind == "annotations":
        place = open_objects(uri, options.open)
        if options.format is None and place.get("info") is None:
            return _read_copick(uri, options)
        return read_annotations(place, options)
    folder, name = split_object(uri)
    place = open_objects(folder, options.open)
    data = None if kind == "copick" and options.format else place.get(name)
    if kind == "copick":
        one = data is not None and _is_picks(data)
        return parsed_picks(uri, data) if one and data else _read_copick(uri, options)
    if data is None:
        raise SourceError(f"{uri} does not exist; check the path")
    if kind == "czii" or (kind == "table" and name.lower().endswith(".csv") and is_czii(data)):
        return read_czii(uri, data)
    if kind == "star":
        return read_relion(uri, data, options)
    if kind == "portal":
        return read_portal(uri, data, place, name, options)
    return _plain(read_table(uri, options=options.open)[0])


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring a table that others wrote to our types, where nothing is lost by it."""
    numbers = {name: np.float64 for name in (*CENTRE, "score") if name in frame.columns}
    try:
        return frame.astype(numbers)
    except (ValueError, TypeError):
        return frame  # refused by the check, by name


def _is_picks(data: bytes) -> bool:
    try:
        return "pickable_object_name" in json.loads(data)
    except (ValueError, TypeError):
        return False


def _read_copick(uri: str, options: PointOptions) -> pd.DataFrame:
    project = open_copick(uri, options.open)
    runs = project.runs if options.tomogram is None else (options.tomogram,)
    parts = [project.picks(run, user=options.user, session=options.session) for run in runs]
    frame = pd.concat(parts, ignore_index=True)
    if options.class_name is None:
        return frame
    return frame[frame["class"] == options.class_name].reset_index(drop=True)


def _write_copick(uri: str, frame: pd.DataFrame, options: PointOptions) -> None:
    project = open_copick(uri, options.open)
    who = {"user": options.user or "volkit", "session": options.session or "1"}
    if "tomogram" not in frame.columns:
        if options.tomogram is None:
            raise SourceError(f"{uri}: picks of a project name their run; pass tomogram")
        project.write_picks(options.tomogram, frame, **who)
        return
    for run, rows in frame.groupby("tomogram"):
        project.write_picks(str(run), rows, **who)
