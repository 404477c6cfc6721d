"""T1-weighted heads of two classes, several scans of each subject, for trainings and their traps.

Atrophy follows the class, with overlap; beside it every subject has an anatomy of its own, which
all its scans share.  A network that has seen another scan of a subject can therefore know its
class without looking at atrophy: where scans are split at random, scores are too good.

``python -m volkit.testing.heads FOLDER --subjects 24`` writes a set.
"""

import argparse
import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.io.files.affine import Affine
from volkit.io.files.canonical import reoriented
from volkit.io.files.scan_bytes import scan_bytes
from volkit.testing.heads_drawing import Anatomy, draw_head

CLASSES = ("AD", "CN")

_SPREAD = 0.16  # of atrophy within a class
_MIDDLE = 0.5
_GREY_LEVELS = 1000  # of white matter, about
_TURN, _SHIFT_MM = 0.04, 2.0  # radians and millimetres between two visits


@dataclass(frozen=True, slots=True)
class Head:
    """One scan.

    Parameters
    ----------
    image : ndarray of int16, shape (Z, Y, X)
        With noise, and brighter on one side.
    brain, hippocampus : ndarray of uint8, shape (Z, Y, X)
        Masks, 1 inside.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.
    """

    image: NDArray[np.int16]
    brain: NDArray[np.uint8]
    hippocampus: NDArray[np.uint8]
    affine: Affine


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A scan in the table of a set; paths are meant from its folder."""

    scan: str
    subject: str
    session: str
    label: str
    path: str
    brain: str
    hippocampus: str
    atrophy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """How heads are scanned.

    Parameters
    ----------
    shape : tuple of int
        Voxels, (z, y, x).
    voxel_size_mm : float
        Edge of a voxel, millimetres.
    noise : float
        Standard deviation over the brightness of white matter.
    shading : float
        Brightness that the coil adds or takes away at the border of the head, a share.
    """

    shape: tuple[int, int, int] = (52, 56, 48)
    voxel_size_mm: float = 3.6
    noise: float = 0.03
    shading: float = 0.25


def head(anatomy: Anatomy, atrophy: float, *, seed: int, scanner: Scanner | None = None) -> Head:
    """Scan a head.

    Parameters
    ----------
    anatomy : Anatomy
        Of the subject.
    atrophy : float
        0 (none) to 1 (severe).
    seed : int
        Of how the head lies, the shading and the noise.
    scanner : Scanner, optional
        Voxels and noise.

    Returns
    -------
    Head
    """
    how = scanner or Scanner()
    rng = np.random.default_rng([seed, 7])
    affine = np.diag([how.voxel_size_mm] * 3 + [1.0])
    affine[:3, 3] = [-how.voxel_size_mm * (n - 1) / 2 for n in how.shape[::-1]]
    z, y, x = np.meshgrid(*(np.arange(n) for n in how.shape), indexing="ij", sparse=False)
    space = np.stack([x, y, z]) * how.voxel_size_mm + affine[:3, 3][:, None, None, None]
    turn, shift = _pose(rng)
    at = np.einsum("ij,jzyx->izyx", turn, space - shift[:, None, None, None])
    drawn = draw_head(at, anatomy, atrophy, voxel_mm=how.voxel_size_mm)
    tilt = rng.normal(size=3)
    tilt *= how.shading / np.linalg.norm(tilt) / 85.0  # the head ends about there
    shaded = drawn.image * np.exp(np.einsum("i,izyx->zyx", tilt, space))
    noise = how.noise * rng.standard_normal((2, *how.shape))
    measured = np.hypot(shaded + noise[0], noise[1])  # magnitude of a complex signal
    gain = _GREY_LEVELS * rng.uniform(0.8, 1.25)
    return Head(
        np.rint(measured * gain).astype(np.int16),
        drawn.brain.astype(np.uint8),
        drawn.hippocampus.astype(np.uint8),
        affine,
    )


def write_heads(
    folder: str | Path,
    *,
    subjects: int = 24,
    scans_per_subject: int = 3,
    seed: int = 0,
    separation: float = 1.2,
    scanner: Scanner | None = None,
    orientations: Sequence[str] = ("RAS",),
) -> Path:
    """Write a set of heads as studies keep them, and a table of them.

    Parameters
    ----------
    folder : str or Path
        Gets ``sub-001/ses-1/sub-001_ses-1_T1w.nii.gz`` and so on, beside each scan the masks
        ``…_brain.nii.gz`` and ``…_hippocampus.nii.gz``, and ``scans.csv``.
    subjects : int
        How many, one class and the other in turns.
    scans_per_subject : int
        On the average: a subject has this many, or one more or less.
    seed : int
        Of everything; other seeds give other subjects.
    separation : float
        Distance of the mean atrophy of the classes over its spread within a class: at 1.2, whoever
        knows the atrophy exactly is right about 73 times in 100.
    scanner : Scanner, optional
        Voxels and noise.
    orientations : sequence of str
        Which way the axes of the files run, scan by scan in turns.

    Returns
    -------
    Path
        ``scans.csv``, with the columns scan, subject, session, label, path, brain, hippocampus
        and atrophy.

    Raises
    ------
    ConfigError
        If there are fewer than two subjects or no scans.
    """
    if subjects < 2 or scans_per_subject < 1:
        raise ConfigError(
            f"{subjects} subjects of {scans_per_subject} scans; give 2 subjects or more, and a scan"
        )
    folder = Path(folder)
    rows = []
    for number, (row, found) in enumerate(
        _heads(subjects, scans_per_subject, seed, separation, scanner)
    ):
        axes = orientations[number % len(orientations)]
        for name, values in (
            (row.path, found.image),
            (row.brain, found.brain),
            (row.hippocampus, found.hippocampus),
        ):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            turned, affine = reoriented(values, found.affine, axes)
            target.write_bytes(gzip.compress(scan_bytes(turned, affine), 1, mtime=0))
        rows.append(row)
    with (folder / "scans.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(HeadRow)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return folder / "scans.csv"


def _heads(
    subjects: int, scans_per_subject: int, seed: int, separation: float, scanner: Scanner | None
) -> Iterator[tuple[HeadRow, Head]]:
    rng = np.random.default_rng([seed, 1])
    for number in range(subjects):
        label = CLASSES[number % 2]
        mean = _MIDDLE + (0.5 if label == "AD" else -0.5) * separation * _SPREAD
        atrophy = float(np.clip(rng.normal(mean, _SPREAD), 0, 1))
        anatomy = Anatomy.drawn(int(rng.integers(2**31)))
        count = scans_per_subject + (0 if scans_per_subject == 1 else int(rng.integers(-1, 2)))
        for visit in range(count):
            subject, session = f"sub-{number + 1:03d}", f"ses-{visit + 1}"
            stem = f"{subject}/{session}/{subject}_{session}"
            now = min(1.0, atrophy + 0.01 * visit)  # it goes on between visits, a little
            row = HeadRow(
                scan=f"{subject}_{session}",
                subject=subject,
                session=session,
                label=label,
                path=f"{stem}_T1w.nii.gz",
                brain=f"{stem}_brain.nii.gz",
                hippocampus=f"{stem}_hippocampus.nii.gz",
                atrophy=f"{now:.4f}",
            )
            yield row, head(anatomy, now, seed=int(rng.integers(2**31)), scanner=scanner)


def _pose(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw how a head lies: a small turn about each axis, and a shift."""
    turn = np.eye(3)
    for axis in range(3):
        a, (i, j) = rng.normal(0, _TURN), [n for n in range(3) if n != axis]
        each = np.eye(3)
        each[i, i] = each[j, j] = np.cos(a)
        each[i, j], each[j, i] = -np.sin(a), np.sin(a)
        turn = each @ turn
    return turn, rng.normal(0, _SHIFT_MM, 3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a set of heads as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--subjects", type=int, default=24)
    parser.add_argument("--scans", type=int, default=3, help="of each subject, about")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    write_heads(
        given.folder, subjects=given.subjects, scans_per_subject=given.scans, seed=given.seed
    )


if __name__ == "__main__":
    main()
