"""Each of two networks, and both together: the adapted Rand error of FIB-25's last sections.

``python -m volkit.bench.fib25 STORED OUTPUT`` takes ``fib25_tr2_z000-124.h5``.  Boundary
maps of an affinity network and of a boundary network, each the mean over eight flips of every
window, are kept in OUTPUT, so that a command that was ended goes on where it was.  Sections 85 to
99 choose the threshold of agglomeration, sections 100 to 124 are judged at it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.geometry import Box, Coord, Grid
from volkit.io.open import open_volume
from volkit.io.volume import Volume
from volkit.kernels.contingency import contingency
from volkit.kernels.scores import rand_scores
from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.ops.inference import InferenceOptions, infer
from volkit.training.targets import boundary_of
from volkit.training.validate import segmented

Floats = NDArray[np.float32]

BOX = Box((85, 0, 0), (125, 250, 250))
"""Sections that neither network has learnt from."""

JUDGED_FROM = 15
"""The first of these sections that chooses nothing."""

NETWORKS = ("builtin:affinities-fib25", "builtin:boundaries-fib25")
"""What answers."""

THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
"""Mean boundary probabilities at which agglomeration may end."""

_BLOCK = (40, 128, 128)
_DEPTH = 32  # of windows of affinities: 40 sections hold more than one


def boundary(card: Checkpoint, image: Volume, folder: Path) -> Floats:
    """Let a network answer, and say where it sees boundaries.

    Parameters
    ----------
    card : Checkpoint
        Of affinities whose first three are those of neighbours, or of a class ``boundary``.
    image : Volume
        What it sees.
    folder : Path
        Where its answers are kept.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Probability, in the box.
    """
    window: Coord = (_DEPTH, *card.window[1:]) if card.offsets else card.window
    half = (window[0] // 2, window[1] // 2, window[2] // 2)
    options = InferenceOptions(window=window, stride=half, views="flips")
    found = infer(image, card, options=options, grid=Grid(BOX, _BLOCK), engine=JobEngine(folder))
    answers = found.read()
    if not card.offsets:
        return np.ascontiguousarray(answers[card.classes.index("boundary")])
    near: list[Any] = list(card.offsets[:3])
    return boundary_of(answers[:3], near)


def judged(
    prob: Floats, truth: NDArray[Any], thresholds: Sequence[float], *, judged_from: int
) -> list[tuple[float, float, float]]:
    """Score every threshold on the first sections and on the others, segmented as one volume.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability.
    truth : ndarray of int, shape (Z, Y, X)
        0 does not count.
    thresholds : sequence of float
        Mean boundary probabilities at which agglomeration ends.
    judged_from : int
        The first section that chooses nothing.

    Returns
    -------
    list of (float, float, float)
        Threshold, adapted Rand error of the sections that choose, and of those that are judged.
    """
    rows = []
    for threshold, labels in zip(thresholds, segmented(prob, thresholds), strict=True):
        errors = [
            rand_scores(contingency(truth[part], labels[part])).adapted_rand_error
            for part in (slice(0, judged_from), slice(judged_from, None))
        ]
        rows.append((threshold, errors[0], errors[1]))
    return rows


def chosen(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Give the row whose first sections have the least error; of equal ones the first."""
    return min(rows, key=lambda row: row[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the errors of all thresholds, and which one is chosen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stored", help="fib25_tr2_z000-124.h5")
    parser.add_argument("output", type=Path, help="folder that keeps what the networks answer")
    given = parser.parse_args(arguments)
    image, truth = (open_volume(f"{given.stored}::{name}") for name in ("raw", "gt_bodies"))
    maps = {
        name: boundary(read_checkpoint(name), image, given.output / name.partition(":")[2])
        for name in NETWORKS
    }
    maps["both"] = np.mean(list(maps.values()), axis=0, dtype=np.float32)
    sections = truth.read(BOX)
    for name, prob in maps.items():
        rows = judged(prob, sections, THRESHOLDS, judged_from=JUDGED_FROM)
        for threshold, choosing, error in rows:
            mark = " chosen" if threshold == chosen(rows)[0] else ""
            sys.stdout.write(f"{name} {threshold:.2f} {choosing:.4f} {error:.4f}{mark}\n")


if __name__ == "__main__":
    main()
