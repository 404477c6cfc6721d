"""Sets of clips: which ones count, what they are labelled, and their voxels as they are needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import ConfigError, SourceError
from volkit.io.clip_tables import read_clip_table
from volkit.kernels.folds import groups_in_two_folds, stratified_folds
from volkit.training.clip_store import ClipStore
from volkit.training.stall_config import ClipFiles
from volkit.training.stall_options import Folds
from volkit.wording import counted

CROWD_STALLED = 0.5
"""Crowd score from which a clip without an expert's answer is stalled."""
CROWD_SURE = 0.75
"""Crowd score from which a stalled clip is of high confidence; a flowing one is at 0."""
_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class ClipSet:
    """Labelled clips.

    Parameters
    ----------
    names, project : ndarray of str, shape (N,)
        File names, and the animal or experiment.
    stalled, tier1 : ndarray of bool, shape (N,)
        Labels, and which of them are of high confidence.
    store : ClipStore
        Gives their voxels by name.
    """

    names: NDArray[Any]
    project: NDArray[Any]
    stalled: NDArray[np.bool_]
    tier1: NDArray[np.bool_]
    store: ClipStore

    def __len__(self) -> int:
        return len(self.names)

    def voxels(self, number: int) -> NDArray[np.uint8]:
        """Give the voxels of a clip, shape (3, Z, Y, X), not to be changed."""
        return self.store.voxels(str(self.names[number]))

    def chosen(self, rows: NDArray[Any]) -> "ClipSet":
        """Give some of the clips, by a mask or by numbers."""
        columns = (self.names, self.project, self.stalled, self.tier1)
        names, project, stalled, tier1 = (column[rows] for column in columns)
        return ClipSet(names, project, stalled, tier1, self.store)


def labelled_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Decide what each clip is labelled, and how sure that is.

    Parameters
    ----------
    table : pandas.DataFrame
        From `read_clip_table`.

    Returns
    -------
    pandas.DataFrame
        The clips that have a label: ``stalled`` is the expert's answer or the published label,
        else whether the crowd score is 0.5 or more; ``tier1``, where it is not stated, whether an
        expert answered, the crowd score is 0, or it is 0.75 or more.
    """
    crowd = table["crowd_score"]
    expert = table["expert"]
    by_crowd = (crowd >= CROWD_STALLED).astype("boolean").mask(crowd.isna())
    stalled = expert.fillna(table["stalled"]).fillna(by_crowd)
    sure = ((crowd == 0) | (crowd >= CROWD_SURE)).astype("boolean") | expert.notna()
    made = table.assign(stalled=stalled, tier1=table["tier1"].fillna(sure))
    return made[made["stalled"].notna()].reset_index(drop=True)


def open_clips(files: ClipFiles, *, memory_mib: int = 2048) -> ClipSet:
    """Open a set of clips: its tables are read and checked, its films are found.

    Parameters
    ----------
    files : ClipFiles
        Where.
    memory_mib : int
        Voxels of cut clips that are kept in memory.

    Returns
    -------
    ClipSet
        Sorted by file name.

    Raises
    ------
    SourceError
        If a table or a film is absent or damaged, or tables do not belong together.
    ConfigError
        If one class is missing, or a film without an outline is refused.
    """
    table = read_clip_table(files.metadata, files.labels)
    if files.subset != "all":
        table = table[table[files.subset].fillna(False).astype(bool)]
    rows = labelled_rows(table).sort_values("filename", kind="stable")
    folder = Path(files.clips)
    absent = [name for name in rows["filename"] if not (folder / name).is_file()]
    if absent:
        raise SourceError(
            f"{folder} lacks {counted(len(absent), 'clip')} of {files.metadata}: "
            f"{', '.join(absent[:_SHOWN])}; download them, or correct the folder"
        )
    made = ClipSet(
        rows["filename"].to_numpy(str),
        rows["project_id"].to_numpy(str),
        rows["stalled"].to_numpy(bool),
        rows["tier1"].to_numpy(bool),
        ClipStore(folder, files.outline, Path(files.cache) if files.cache else None, memory_mib),
    )
    kept = made if files.without_outline == "whole" else _outlined(made, files)
    if kept.stalled.all() or not kept.stalled.any():
        raise ConfigError(
            f"of {len(kept)} labelled clips in {files.metadata} (subset {files.subset}), "
            f"{int(kept.stalled.sum())} are stalled; give both stalled and flowing ones"
        )
    return kept


def _outlined(clips: ClipSet, files: ClipFiles) -> ClipSet:
    """Keep the clips in which a vessel is outlined."""
    flags = [clips.store.clip(str(name)).flags for name in clips.names]
    bare = np.array(["no_contour" in each for each in flags], bool)
    if bare.any() and files.without_outline == "refuse":
        raise ConfigError(
            f"no vessel is outlined in {counted(int(bare.sum()), 'clip')}: "
            f"{', '.join(clips.names[bare][:_SHOWN].tolist())}; correct data.outline, or say "
            "without_outline: leave_out or whole"
        )
    return clips.chosen(~bare)


def divide(clips: ClipSet, folds: Folds, *, seed: int) -> NDArray[np.int64]:
    """Give every clip its fold.

    Parameters
    ----------
    clips : ClipSet
        Labelled.
    folds : Folds
        How many, and what stays together.
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of int64, shape (N,)

    Raises
    ------
    ConfigError
        If a project is in two folds and that was not asked for.
    ContractError
        If there are too few projects.
    """
    group = clips.project if folds.by == "project" else clips.names
    fold = stratified_folds(clips.stalled, group, count=folds.count, seed=seed)
    check_leaks(fold, clips.project, folds)
    return fold


def check_leaks(fold: NDArray[Any], project: NDArray[Any], folds: Folds) -> None:
    """Refuse folds that share a project, unless that was asked for.

    Raises
    ------
    ConfigError
        Which names the projects.
    """
    leaks: Sequence[Any] = groups_in_two_folds(fold, project)
    if leaks and not folds.mixed_projects:
        raise ConfigError(
            f"{len(leaks)} projects are in two folds: {', '.join(map(str, leaks[:_SHOWN]))}; a "
            "network would be judged on animals it has seen: divide by project, or say "
            "mixed_projects: true if that is meant"
        )
