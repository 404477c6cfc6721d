"""Clips set aside: what cannot be read does not stop the others, and is tried again next time.

The stage of all clips is finished once, with the damaged ones noted beside what films they were.
Each of these that can be read later is a stage of its own, so that nothing else is done again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.engine.op import Columns
from volkit.errors import SourceError
from volkit.io.place import Place
from volkit.io.tables import Column, Schema, write_table
from volkit.ops.stall_ensemble import StallEnsemble
from volkit.ops.stall_prediction import (
    UNREADABLE,
    PredictionOptions,
    by_segment,
    gathered,
    predict,
)
from volkit.ops.stall_sources import FilmClips, Unreadable

_NOTE = "set_aside.json"
_SCHEMA = Schema(
    (Column("filename", "str", "", "clip"), Column("reason", "str", "", "why it was not judged"))
)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """What networks said of clips, and which clips they were not asked about.

    Parameters
    ----------
    answers : dict of ndarray
        As `volkit.ops.stall_prediction.predict` gives them, of the clips that can be read.
    aside : dict of str to str
        Reasons by file name.
    """

    answers: Columns
    aside: dict[str, str]


def ask_all(
    columns: Columns,
    source: FilmClips,
    ensemble: StallEnsemble,
    *,
    engine: JobEngine,
    options: PredictionOptions,
) -> Answered:
    """Ask networks about every clip that can be read.

    Parameters
    ----------
    columns : dict of ndarray
        ``segment_id``, ``filename`` and ``stamp``.
    source : FilmClips
        The clips.
    ensemble : StallEnsemble
        The networks.
    engine : JobEngine
        Folder and workers; the folder keeps what was set aside.
    options : PredictionOptions
        How clips are worked off.

    Returns
    -------
    Answered

    Raises
    ------
    SourceError
        If no clip can be read, or the note of an earlier run cannot be understood.
    """
    place, job = engine.place, _digest(columns["segment_id"], source.facts, ensemble.facts)
    # A damaged film that was replaced is a new one; to the stage of all it stays what it was.
    stamps = dict(zip(columns["filename"].tolist(), columns["stamp"].tolist(), strict=True))
    before = stamps | _noted(place, job)
    then = np.array([before[name] for name in columns["filename"].tolist()], np.str_)
    found = predict({**columns, "stamp": then}, source, ensemble, engine=engine, options=options)
    broken = set(found["segment_id"][found[UNREADABLE] != ""].tolist())
    rows = [n for n, key in enumerate(columns["segment_id"].tolist()) if key in broken]
    if rows:
        _note(place, job, {name: before[name] for name in columns["filename"][rows].tolist()})
    parts, aside = [_taken(found, found[UNREADABLE] == "")], {}
    for row in rows:
        one = _taken(columns, np.array([row]))
        name = str(one["filename"][0])
        ((_, clip, _),) = source.clips(one, [0])
        if isinstance(clip, Unreadable):
            aside[name] = clip.reason
            continue
        stage = f"predictions_{one['segment_id'][0]}_{_digest(one['stamp'])[:8]}"
        parts.append(predict(one, source, ensemble, engine=engine, options=options, name=stage))
    if len(aside) == len(stamps):
        raise SourceError(f"none of {len(aside)} clips can be read; {next(iter(aside.values()))}")
    return Answered(by_segment(gathered(parts)), aside)


def write_aside(folder: Path, aside: Mapping[str, str]) -> tuple[tuple[str, Path], ...]:
    """Write ``set_aside.csv`` where clips were set aside, and take an old one away where not."""
    path = folder / "set_aside.csv"
    if not aside:
        path.unlink(missing_ok=True)
        return ()
    frame = pd.DataFrame({"filename": [*aside], "reason": [*aside.values()]}).astype("str")
    write_table(path, frame, _SCHEMA, {})
    return (("set aside", path),)


def verdict(aside: Mapping[str, str], table: Path) -> str:
    """Say which clips were set aside, why, and what to do."""
    lines = [f"  {name}: {reason}" for name, reason in [*aside.items()][:_SHOWN]]
    if len(aside) > _SHOWN:
        lines.append(f"  and {len(aside) - _SHOWN} more: {table.parent / 'set_aside.csv'}")
    return "\n".join(
        [
            f"{len(aside)} clips cannot be read and were set aside; {table} holds the others:",
            *lines,
            "mend or leave out what is damaged, and run the same again: only these are tried again",
        ]
    )


def _taken(columns: Columns, rows: NDArray[Any]) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def _noted(place: Place, job: str) -> dict[str, str]:
    """Read which films could not be read, as they were then; of another job, nothing."""
    data = place.objects.get(_NOTE)
    if data is None:
        return {}
    try:
        known = json.loads(data)
        return dict(known["films"]) if known["of"] == job else {}
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{place.inside(_NOTE)} cannot be understood ({error!r}); delete it, and what "
            "predictions there are"
        ) from error


def _note(place: Place, job: str, films: dict[str, str]) -> None:
    text = json.dumps({"of": job, "films": films}, indent=1) + "\n"
    place.objects.put(_NOTE, text.encode())


def _digest(*values: Any) -> str:
    plain = [v.tolist() if isinstance(v, np.ndarray) else v for v in values]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
