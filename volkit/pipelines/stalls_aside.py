"""Clips set aside: what cannot be read does not stop the others, and is tried again next time.

The stage of all clips is about the films that were there when it was begun, which are noted: it is
finished with them, however often it is killed.  A film that was damaged then, or is another one
now, is a stage of its own, so that nothing else is done again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.engine.op import Columns
from volkit.errors import BlockFailedError, SourceError
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
from volkit.ops.stall_sources import FilmClips, Shown, Unreadable, readable
from volkit.wording import counted

_NOTE = "films_{}.json"
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


@dataclass(frozen=True, slots=True)
class _Readable:
    """Films that could be read a moment ago: where one cannot, its stage is not finished."""

    source: FilmClips

    @property
    def facts(self) -> Mapping[str, Any]:
        """Those of the films."""
        return self.source.facts

    def clips(self, table: Columns, rows: Sequence[int]) -> Shown:
        """Read and cut the films of rows, or raise SourceError."""
        return readable(self.source.clips(table, rows))


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
        Folder and workers; the folder keeps which films the stage of all is about.
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
    note = _NOTE.format(_digest(columns["segment_id"], source.facts, ensemble.facts)[:16])
    then = _begun_with(engine.place, note, columns)
    found = predict({**columns, "stamp": then}, source, ensemble, engine=engine, options=options)
    ids = columns["segment_id"]
    left = np.isin(ids, found["segment_id"][found[UNREADABLE] != ""]) | (columns["stamp"] != then)
    parts, aside = [_taken(found, ~np.isin(found["segment_id"], ids[left]))], {}
    for row in left.nonzero()[0]:
        one = _taken(columns, np.array([row]))
        name = str(one["filename"][0])
        ((_, clip, _),) = source.clips(one, [0])
        if isinstance(clip, Unreadable):
            aside[name] = clip.reason
            continue
        stage = f"predictions_{one['segment_id'][0]}_{_digest(one['stamp'])[:8]}"
        how: Any = {"engine": engine, "options": options, "name": stage}
        try:
            parts.append(predict(one, _Readable(source), ensemble, **how))
        except BlockFailedError as error:
            if not isinstance(error.__cause__, SourceError):
                raise
            aside[name] = str(error.__cause__)
    if len(aside) == len(ids):
        count = counted(len(aside), "clip")
        raise SourceError(f"none of {count} can be read; {next(iter(aside.values()))}")
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
            f"{counted(len(aside), 'clip')} could not be read and went aside; {table} holds the "
            "others:",
            *lines,
            "mend or leave out what is damaged, and run the same again: only these are tried again",
        ]
    )


def _taken(columns: Columns, rows: NDArray[Any]) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def _begun_with(place: Place, note: str, columns: Columns) -> NDArray[np.str_]:
    """Read the stamps of the films that the stage of all was begun with; note them before it is."""
    names, now = columns["filename"].tolist(), columns["stamp"].tolist()
    data = place.objects.get(note)
    if data is None:
        films = dict(zip(names, now, strict=True))
        place.objects.put(note, (json.dumps(films, indent=1) + "\n").encode())
        return np.array(now, np.str_)
    try:
        films = json.loads(data)
        return np.array([films[name] for name in names], np.str_)
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{place.inside(note)} cannot be understood ({error!r}); delete it, and what "
            "predictions there are"
        ) from error


def _digest(*values: Any) -> str:
    plain = [v.tolist() if isinstance(v, np.ndarray) else v for v in values]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
