"""Clips of stall specimens: films in which one vessel is outlined, and the tables beside them.

``python -m volkit.testing.stall_clips FOLDER --first 1 --specimens 40`` writes a set to train on.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.errors import missing_extra
from volkit.geometry import Box
from volkit.testing.stalls import StallSpecimen, stall_specimen

Bytes = NDArray[np.uint8]

ORANGE = (220, 100, 30)
"""Colour of the outline, inside the box of colours in which published outlines are."""

_SURROUND = 10  # voxels shown around the outline
_SETTLED = 2  # planes shown before and after the vessel
_IN_PROJECT = 4  # specimens of one animal
METADATA = (
    "filename",
    "url",
    "project_id",
    "num_frames",
    "crowd_score",
    "tier1",
    "micro",
    "nano",
)


def clip_frames(specimen: StallSpecimen, segment: int) -> tuple[Bytes, Box]:
    """Show one vessel of a specimen as annotators see it.

    Parameters
    ----------
    specimen : StallSpecimen
        Where it is.
    segment : int
        Number of the vessel, from 1 on.

    Returns
    -------
    ndarray of uint8, shape (Z, Y, X, 3)
        Frames of even extent in red, green and blue: grey tissue, the vessel outlined in orange.
    Box
        What is inside the outline, half-open, in frames.
    """
    truth = specimen.truth()
    row = segment - 1
    low = [int(truth[f"{a}0"][row]) for a in "zyx"]
    high = [int(truth[f"{a}1"][row]) for a in "zyx"]
    start, stop = [max(low[0] - _SETTLED, 0)], [min(high[0] + _SETTLED, specimen.shape[0])]
    for axis in (1, 2):
        a = max(low[axis] - _SURROUND, 0)
        b = min(high[axis] + _SURROUND, specimen.shape[axis])
        start, stop = [*start, a], [*stop, b - (b - a) % 2]  # films have even extents
    box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    inside = (specimen.tree.labels(box) == segment).any(0)
    near = ndimage.binary_dilation(inside, iterations=2)
    line = ndimage.binary_dilation(near, iterations=2) & ~near
    frames = np.repeat(specimen.image(box)[..., None], 3, axis=3)
    frames[:, line] = ORANGE
    y, x = np.nonzero(line | near)
    region = Box((0, int(y.min()), int(x.min())), (len(frames), int(y.max()) + 1, int(x.max()) + 1))
    return frames, region


def write_film(path: str | Path, frames: Bytes, *, quality: int = 18) -> None:
    """Write frames as H.264, colours at half the resolution, as cameras and web sites do.

    Parameters
    ----------
    path : str or Path
        A ``.mp4`` file.
    frames : ndarray of uint8, shape (Z, Y, X, 3) or (Z, Y, X)
        In colours or grey; odd extents are stored with colours at full resolution.
    quality : int
        Constant rate factor: 18 is hardly seen, 28 is.  Equal frames give equal bytes.

    Raises
    ------
    MissingExtraError
        If PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise missing_extra("av", "formats") from error
    grey, odd = frames.ndim == 3, any(n % 2 for n in frames.shape[1:3])
    # With its tree of macroblocks x264 does not write the same bytes twice.
    options = {"crf": str(quality), "x264-params": "threads=1:mbtree=0:log-level=none"}
    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("libx264", rate=10, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "gray" if grey else "yuv444p" if odd else "yuv420p"
        for plane in frames:
            form = "gray" if grey else "rgb24"
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), form)))
        film.mux(stream.encode())


def write_clips(
    folder: str | Path,
    *,
    seeds: Iterable[int],
    stalled: float = 0.3,
    noise: float = 1.0,
    motion: float = 1.0,
) -> Path:
    """Write a set of clips as it is published: films, metadata and labels.

    Parameters
    ----------
    folder : str or Path
        Gets ``clips/*.mp4``, ``train_metadata.csv`` and ``train_labels.csv``.
    seeds : iterable of int
        Of the specimens; four in a row are one project.
    stalled, noise, motion
        See `stall_specimen`.

    Returns
    -------
    Path
        The folder.
    """
    root = Path(folder)
    (root / "clips").mkdir(parents=True, exist_ok=True)
    rows: list[Sequence[Any]] = []
    labels: list[Sequence[Any]] = []
    for seed in seeds:
        specimen = stall_specimen(seed=seed, stalled=stalled, noise=noise, motion=motion)
        crowd = np.random.default_rng([seed, 17])
        for segment, stands in enumerate(specimen.stalled.tolist(), start=1):
            name = f"s{seed:05d}_{segment:02d}.mp4"
            frames, _ = clip_frames(specimen, segment)
            write_film(root / "clips" / name, frames)
            votes = int(crowd.binomial(20, 0.85 if stands else 0.03)) / 20
            sure = votes == 0 or votes >= 0.75
            project = f"P{(seed - 1) // _IN_PROJECT:04d}"
            url = f"clips/{name}"
            rows.append((name, url, project, len(frames), votes, sure, segment == 1, False))
            labels.append((name, int(stands)))
    _write(root / "train_metadata.csv", METADATA, rows)
    _write(root / "train_labels.csv", ("filename", "stalled"), labels)
    return root


def _write(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a set of clips as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--first", type=int, default=1, help="seed of the first specimen")
    parser.add_argument("--specimens", type=int, default=40)
    parser.add_argument("--stalled", type=float, default=0.3, help="share of stalled vessels")
    given = parser.parse_args(arguments)
    seeds = range(given.first, given.first + given.specimens)
    write_clips(given.folder, seeds=seeds, stalled=given.stalled)


if __name__ == "__main__":
    main()
