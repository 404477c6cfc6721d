"""Sets of small preprocessed scans with a manifest: a class that shows, subjects that show more.

They are no heads (`volkit.testing.heads` draws those), and are made in milliseconds: an ellipsoid
with a pattern of the subject's own, in which one class has a brighter spot.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.geometry import Coord
from volkit.io.files.scan_bytes import scan_bytes
from volkit.io.scan_manifest import ScanManifest, ScanRow, write_manifest
from volkit.io.seals import digest
from volkit.training.scan_split import fold_scans, split_scans

CLASSES = ("AD", "CN")
PREPROCESSING = digest(b"scan sets")
_SPOT = (0.35, 0.5, 0.3)  # where the class shows, of the extent
_NOISE = 0.1  # deviation of what every scan has anew, over the brightness of the head
_SMOOTH = 1.5  # voxels, of a subject's pattern


def write_scan_set(
    folder: str | Path,
    *,
    subjects: int = 8,
    scans: int = 2,
    folds: int = 2,
    shape: Coord = (16, 16, 16),
    signal: float = 1.0,
    identity: float = 0.3,
    seed: int = 0,
) -> ScanManifest:
    """Write scans, the masks of their spots, and ``manifest.csv``.

    Parameters
    ----------
    folder : str or Path
        Gets ``NAME.nii`` and ``NAME_spot.nii`` for every scan, ``spots.csv`` that names the latter,
        and the manifest.
    subjects, scans : int
        How many, and of each.
    folds : int
        By subject; 0 makes the parts train, val and test.
    shape : tuple of int
        (z, y, x).
    signal : float
        Brightness of the spot of class AD, over that of the head.
    identity : float
        Deviation of a subject's own pattern, over the brightness of the head.
    seed : int
        Of everything.

    Returns
    -------
    ScanManifest
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    head, spot = _ellipsoid(shape, (0.5, 0.5, 0.5), 0.45), _ellipsoid(shape, _SPOT, 0.14)
    rows, lines = [], ["scan,spot"]
    for number in range(subjects):
        rng = np.random.default_rng([seed, number])
        label = CLASSES[number % 2]
        own = ndimage.gaussian_filter(rng.standard_normal(shape), _SMOOTH)
        own *= identity / own.std()
        for visit in range(scans):
            voxels = 1 + own + _NOISE * rng.standard_normal(shape)
            voxels += signal * spot * (label == "AD")
            name = f"s{number:02d}v{visit}"
            data = scan_bytes((np.maximum(voxels, 0.1) * head).astype(np.float32), affine)
            (folder / f"{name}.nii").write_bytes(data)
            (folder / f"{name}_spot.nii").write_bytes(scan_bytes(spot.astype(np.uint8), affine))
            lines.append(f"{name},{name}_spot.nii")
            rows.append(
                ScanRow(
                    name,
                    f"s{number:02d}",
                    f"ses-{visit}",
                    label,
                    f"{name}.nii",
                    "train",
                    digest(data),
                    PREPROCESSING,
                )
            )
    (folder / "spots.csv").write_text("\n".join(lines) + "\n")
    dealt = (
        fold_scans(rows, folds, seed=seed)
        if folds
        else split_scans(rows, {"train": 0.5, "val": 0.25, "test": 0.25}, seed=seed)
    )
    return write_manifest(folder / "manifest.csv", dealt)


def _ellipsoid(shape: Coord, centre: tuple[float, ...], reach: float) -> NDArray[np.bool_]:
    """Find the voxels of an ellipsoid; centre and reach are shares of the extent."""
    places = np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij")
    squares = [(p - c) ** 2 for p, c in zip(places, centre, strict=True)]
    return np.asarray(sum(squares) < reach**2)
