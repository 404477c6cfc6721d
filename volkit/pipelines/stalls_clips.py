"""Stalls of clips: films with an outlined vessel in, a table of them with probabilities out."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from volkit.engine.job import JobEngine
from volkit.engine.op import Columns
from volkit.errors import SourceError
from volkit.io.clip_tables import read_clip_table
from volkit.ops.stall_sources import FilmClips, film_stamps
from volkit.pipelines.plan import Plan
from volkit.pipelines.stalls_aside import Answered, ask_all
from volkit.pipelines.stalls_config import StallsClips
from volkit.pipelines.stalls_plan import listed, predictions, stalls_plan
from volkit.pipelines.stalls_run import Rows, judge, stalls_pipeline
from volkit.pipelines.stalls_table import Made, open_calibrator
from volkit.wording import counted

_SHOWN = 3
_FILM_BYTES = 512 * 2**20  # 300 frames of 512 x 384 in colours, decoded, kept, and cut
_ID_BITS = 48  # a spreadsheet keeps whole numbers of 15 digits


def find(config: StallsClips, engine: JobEngine) -> Rows:
    """Find the clips of a set.

    Parameters
    ----------
    config : StallsClips
        The workflow.
    engine : JobEngine
        Folder and workers.

    Returns
    -------
    Rows

    Raises
    ------
    SourceError
        If a table cannot be read, a film is not there, two clips get the same id, or no clip can
        be read.
    """
    ensemble = config.networks.ensemble()
    calibrator = open_calibrator(config, ensemble)
    table, folder = _listed(config), Path(config.input.clips)
    names = table["filename"].astype(str).tolist()
    columns: Columns = {
        "segment_id": clip_ids(names),
        "filename": np.array(names, dtype=np.str_),
        "stamp": film_stamps(folder, names),
    }
    source = FilmClips(str(folder), config.input.outline)
    version = hashlib.sha256(" ".join(sorted(columns["stamp"].tolist())).encode()).hexdigest()
    made = Made(config, ensemble, calibrator, dict(source.facts), str(folder), version)
    found = Rows(_frame(table, columns), columns, source, made, labels=_labels(table, columns))
    answered = ask_all(columns, source, ensemble, engine=engine, options=config.predict)
    return _with_clips(found, answered)


def plan(config: StallsClips) -> Plan:
    """Say what a run will read, compute and need.

    Parameters
    ----------
    config : StallsClips
        The workflow.

    Returns
    -------
    Plan
        Its domain is the list of clips.

    Raises
    ------
    VolkitError
        What `find` raises of tables, networks and calibrator.
    """
    names = _listed(config)["filename"].astype(str).tolist()
    clip_ids(names)
    sizes = [(Path(config.input.clips) / name).stat().st_size for name in names]
    stage = predictions(config, len(names), bytes_read=sum(sizes), held=_FILM_BYTES)
    return stalls_plan(config, listed(len(names), config.predict.group), (stage,))


def _listed(config: StallsClips) -> pd.DataFrame:
    told = config.input
    table, folder = read_clip_table(told.metadata, told.labels), Path(told.clips)
    names = table["filename"].astype(str).tolist()
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise SourceError(
            f"{folder} lacks {counted(len(absent), 'clip')} of {told.metadata}: "
            f"{', '.join(absent[:_SHOWN])}; download them, or correct the folder"
        )
    return table


def clip_ids(names: list[str]) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Name clips by a digest of their file names: the same in every list of clips.

    Raises
    ------
    SourceError
        If two names have the same digest.

    Examples
    --------
    >>> clip_ids(["a.mp4"]).tolist()
    [253800601081184]
    """
    digests = [hashlib.sha256(name.encode()).digest()[: _ID_BITS // 8] for name in names]
    found = np.array([int.from_bytes(digest, "big") for digest in digests], np.uint64)
    values, count = np.unique(found, return_counts=True)
    if (count > 1).any():
        both = [n for n, key in zip(names, found, strict=True) if key in values[count > 1]]
        raise SourceError(
            f"clips {', '.join(both[:_SHOWN])} have the same id; list each clip once, or rename one"
        )
    return found


def _frame(table: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    expert = table["expert"].map({True: "stalled", False: "flowing"})
    return pd.DataFrame(
        {
            "volume_id": table["filename"].astype("str"),
            "segment_id": columns["segment_id"],
            "crowd_score": table["crowd_score"],
            "expert_label": expert.astype("str"),
            "tier1": table["tier1"],
        }
    )


def _labels(table: pd.DataFrame, columns: Columns) -> pd.DataFrame | None:
    known = table["stalled"].notna().to_numpy(bool)
    if not known.any():
        return None
    return pd.DataFrame(
        {
            "segment_id": columns["segment_id"][known],
            "stalled": table["stalled"][known].to_numpy(bool),
            "group": table["project_id"][known].to_numpy(str),
        }
    )


def _with_clips(rows: Rows, answered: Answered) -> Rows:
    """Add what only the clips themselves tell: their extent, and what is wrong with them."""
    answers = answered.answers
    extent = {a: answers[f"{a}1"] - answers[f"{a}0"] for a in "zyx"}
    shapes = [" x ".join(map(str, shape)) for shape in zip(*extent.values(), strict=True)]
    seen = pd.DataFrame(
        {
            "segment_id": answers["segment_id"],
            "n_frames": extent["z"],
            "roi_shape": shapes,
            "touches_border": answers["border"],
            "contour_found": ~answers["no_contour"],
            **{f"centroid_{a}": (answers[f"{a}0"] + answers[f"{a}1"] - 1) / 2 for a in extent},
        }
    )
    frame = rows.frame.merge(seen, on="segment_id", validate="one_to_one")
    return replace(rows, frame=frame, answers=answers, aside=answered.aside)


def judge_clips(config: StallsClips, **how: Any) -> Any:
    """Judge the clips of a set; see `volkit.pipelines.stalls_run.judge`."""
    return judge(config, find, **how)


PIPELINE = stalls_pipeline(
    "stalls_clips", StallsClips, find, plan, frozenset({"metadata", "clips", "labels"})
)
