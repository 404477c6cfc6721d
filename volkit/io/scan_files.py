"""Scans as they were acquired: NIfTI files and DICOM series, here or in an object store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io.files.affine import Affine, axis_letters
from volkit.io.files.canonical import canonical
from volkit.io.files.scan_bytes import stored_scan
from volkit.io.objects.protocol import open_objects, split_object
from volkit.io.seals import digest
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path, split_query

_NIFTI = (".nii", ".nii.gz")
# How DICOM, and the files that converters lay beside NIfTI, name what was injected.
_AGENTS = ("ContrastBolusAgent", "ContrastBolusIngredient")


@dataclass(frozen=True, slots=True)
class AcquiredScan:
    """A scan as it was acquired, in canonical orientation.

    Parameters
    ----------
    values : ndarray of float32, shape (Z, Y, X)
        x to the Right, y to Anterior, z to Superior.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.
    sha256 : str
        Of the file, or of the files of the series.
    facts : dict
        JSON: the format, the orientation and shape as stored, a contrast agent where one is named.
    """

    values: NDArray[np.float32]
    affine: Affine
    sha256: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edges of a voxel, (z, y, x), millimetres."""
        x, y, z = (float(v) for v in np.linalg.norm(self.affine[:3, :3], axis=0))
        return z, y, x


def read_acquired(uri: str, options: OpenOptions | None = None) -> AcquiredScan:
    """Read a scan.

    Parameters
    ----------
    uri : str
        A ``.nii`` or ``.nii.gz`` file, or the folder or file of a DICOM series: a path, or a URL
        that ``open_objects`` takes.
    options : OpenOptions, optional
        Credentials and patience.

    Returns
    -------
    AcquiredScan

    Raises
    ------
    SourceError
        If it is absent or damaged, has several time points, or states no affine.
    """
    how = options or OpenOptions()
    if is_nifti(uri):
        return _nifti(uri, how)
    path = local_path(uri)
    if path is not None:
        return _dicom(uri, path)
    with TemporaryDirectory() as folder:
        _fetch(uri, Path(folder), how)
        return _dicom(uri, Path(folder))


def is_nifti(uri: str) -> bool:
    """Tell whether a name is that of a NIfTI file."""
    return split_query(uri)[0].lower().endswith(_NIFTI)


def stamp(uri: str, options: OpenOptions | None = None) -> str:
    """Give a word that changes when a scan is written anew; empty where it is not there.

    Parameters
    ----------
    uri : str
        As for `read_acquired`.
    options : OpenOptions, optional
        Credentials and patience.
    """
    how = options or OpenOptions()
    path = local_path(uri)
    if path is not None and path.is_dir():
        found = [(p.name, p.stat()) for p in sorted(path.iterdir()) if p.is_file()]
        words = [f"{name} {s.st_mtime_ns} {s.st_size}" for name, s in found]
        return digest("\n".join(words).encode()) if words else ""
    place, name = split_object(uri)
    objects = open_objects(place, how)
    word = objects.modified(name)
    if word is not None or is_nifti(uri):
        return word or ""
    series = open_objects(uri, how)
    words = [f"{key} {series.modified(key)}" for key in sorted(series.keys())]
    return digest("\n".join(words).encode()) if words else ""


def _nifti(uri: str, how: OpenOptions) -> AcquiredScan:
    place, name = split_object(uri)
    objects = open_objects(place, how)
    data = objects.get(name)
    if data is None:
        raise SourceError(f"{uri} does not exist; check the path")
    values, affine = stored_scan(uri, data)
    stem = name[: -len(next(end for end in reversed(_NIFTI) if name.lower().endswith(end)))]
    beside = _sidecar(objects.get(f"{stem}.json"))
    agent = next((str(beside[key]) for key in _AGENTS if beside.get(key)), "")
    if not agent and "_ce-" in stem:  # as BIDS names scans after a contrast agent
        agent = stem.partition("_ce-")[2].partition("_")[0]
    return _acquired(values, affine, digest(data), {"format": "NIfTI", "contrast_agent": agent})


def _sidecar(data: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(data or b"{}")
    except ValueError:
        return {}  # it is of others; the scan says all that must be known
    return found if isinstance(found, dict) else {}


def _dicom(uri: str, path: Path) -> AcquiredScan:
    from volkit.io.files.dicom import open_dicom

    if not path.exists():
        raise SourceError(f"{uri} does not exist; check the path")
    source = open_dicom(str(path), 0, OpenOptions())
    if "affine_mm" not in source.attributes:
        raise SourceError(
            f"{uri} states no positions of its planes, so nobody knows how they lie; export the "
            "series again with positions"
        )
    if source.channels is not None:
        raise SourceError(f"{uri} has {source.channels} colours; give a T1-weighted scan")
    values = np.asarray(source.read(Box.from_shape(source.shape)), np.float32)
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    facts = {
        "format": "DICOM",
        "contrast_agent": str(source.attributes.get("contrast_agent", "")),
    }
    affine = np.array(source.attributes["affine_mm"], np.float64)
    sha256 = digest(*(digest(file.read_bytes()).encode() for file in files))
    return _acquired(values, affine, sha256, facts)


def _acquired(
    values: NDArray[np.float32], affine: Affine, sha256: str, facts: dict[str, Any]
) -> AcquiredScan:
    turned, whole = canonical(values, affine)
    known = {
        **facts,
        "orientation": axis_letters(affine),
        "shape": list(values.shape),
        "affine_mm": [[float(v) for v in row] for row in affine],
    }
    return AcquiredScan(np.ascontiguousarray(turned), whole, sha256, known)


def _fetch(uri: str, folder: Path, how: OpenOptions) -> None:
    """Copy a series out of an object store; its files are read many times."""
    objects = open_objects(uri, how)
    keys = [key for key in sorted(objects.keys()) if "/" not in key]
    if not keys:
        place, name = split_object(uri)
        objects, keys = open_objects(place, how), [name]
    for key in keys:
        data = objects.get(key)
        if data is None:
            raise SourceError(f"{uri} does not exist; check the URL")
        (folder / key).write_bytes(data)
