"""Judged specimens: what networks say of clips that they have not seen, to calibrate them by.

``python -m volkit.testing.stall_judged CARD TABLE`` writes a table for the pipeline
``stalls_calibrate``.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from volkit.kernels.clips import cut_clip
from volkit.ops.stall_ensemble import StallEnsemble, read_folds
from volkit.ops.stall_prediction import summarised
from volkit.testing.stall_clips import clip_frames
from volkit.testing.stalls import stall_specimen

FIRST_UNSEEN = 40_001
"""Seed of the first specimen that nothing was trained or tested on."""


def judged_specimens(
    ensemble: StallEnsemble, seeds: Iterable[int], *, stalled: float = 0.3
) -> pd.DataFrame:
    """Ask networks about every vessel of some specimens.

    Parameters
    ----------
    ensemble : StallEnsemble
        Asked with all its views.
    seeds : iterable of int
        Of the specimens.
    stalled : float
        How probable it is for a vessel to stand.

    Returns
    -------
    pandas.DataFrame
        ``filename``, ``project_id`` (one for each specimen), ``stalled`` (0 or 1), ``probability``.
    """
    rows = []
    for seed in seeds:
        specimen = stall_specimen(seed=seed, stalled=stalled)
        numbers = range(1, len(specimen.stalled) + 1)
        frames = [clip_frames(specimen, number)[0] for number in numbers]
        clips = [cut_clip(np.ascontiguousarray(f.transpose(3, 0, 1, 2))) for f in frames]
        found = summarised(**ensemble.logits(clips, numbers))["p_stalled"]
        for number, said, true in zip(numbers, found, specimen.stalled, strict=True):
            rows.append((f"s{seed}_{number:02d}", f"P{seed}", int(true), float(said)))
    return pd.DataFrame(rows, columns=["filename", "project_id", "stalled", "probability"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a table as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("card")
    parser.add_argument("table", type=Path)
    parser.add_argument("--first", type=int, default=FIRST_UNSEEN)
    parser.add_argument("--specimens", type=int, default=40)
    given = parser.parse_args(arguments)
    ensemble = StallEnsemble(read_folds(given.card), passes=0)
    seeds = range(given.first, given.first + given.specimens)
    judged_specimens(ensemble, seeds).to_csv(given.table, index=False)


if __name__ == "__main__":
    main()
