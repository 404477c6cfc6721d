"""Scans as they were acquired: NIfTI files and DICOM series, here or in an object store."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.geometry import Box
from volkit.io.faults import Fault, faults_behind
from volkit.io.files.affine import Affine, axis_letters
from volkit.io.files.canonical import canonical
from volkit.io.files.scan_bytes import stored_scan
from volkit.io.objects.protocol import Objects, open_objects, split_object
from volkit.io.seals import digest
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path, split_query

T = TypeVar("T")

_NIFTI = (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz")
# How DICOM, and the files that converters lay beside NIfTI, name what was injected.
_AGENTS = ("ContrastBolusAgent", "ContrastBolusIngredient")
_NO_AGENT = ("", "no", "none", "n/a", "na")  # what is filled in where none was injected


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
        A NIfTI file (``.nii``), either file of a pair (``.hdr``, ``.img``), both maybe packed
        (``.gz``), or the folder or file of a DICOM series: a path, or a URL that ``open_objects``
        takes.
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
    """Give a word that changes when a scan, or what is said beside it, is written anew.

    Parameters
    ----------
    uri : str
        As for `read_acquired`.
    options : OpenOptions, optional
        Credentials and patience.

    Returns
    -------
    str
        Empty where the scan is not there, or a part of it.
    """
    how = options or OpenOptions()
    path = local_path(uri)
    if path is not None and path.is_dir():
        found = [(p.name, p.stat()) for p in sorted(path.iterdir()) if p.is_file()]
        words = [f"{name} {s.st_mtime_ns} {s.st_size}" for name, s in found]
        return digest("\n".join(words).encode()) if words else ""
    place, name = split_object(uri)
    objects = open_objects(place, how)
    if is_nifti(uri):
        stem, files = _pair(name)
        own = [objects.modified(each) for each in files]
        beside = _optional(lambda: objects.modified(f"{stem}.json"))
        return "" if None in own else " ".join(filter(None, (*own, beside)))
    word = objects.modified(name)
    if word is not None:
        return word
    words = [f"{key} {word}" for key, word in open_objects(uri, how).stamps()]
    return digest("\n".join(words).encode()) if words else ""


def _nifti(uri: str, how: OpenOptions) -> AcquiredScan:
    place, name = split_object(uri)
    objects = open_objects(place, how)
    stem, files = _pair(name)
    parts = [_part(uri, objects, each) for each in files]
    values, affine = stored_scan(uri, *parts)
    beside = _sidecar(objects, stem)
    agent = next(filter(None, (_agent(beside.get(key)) for key in _AGENTS)), "")
    if not agent and "_ce-" in stem:  # as BIDS names scans after a contrast agent
        agent = stem.partition("_ce-")[2].partition("_")[0]
    sha256 = digest(parts[0]) if len(parts) == 1 else digest(*(digest(p).encode() for p in parts))
    return _acquired(values, affine, sha256, {"format": "NIfTI", "contrast_agent": agent})


def _pair(name: str) -> tuple[str, tuple[str, ...]]:
    """Give the stem of a NIfTI file's name, and the names of all its files: a pair has two."""
    end = next(end for end in _NIFTI if name.lower().endswith(end))
    stem, end = name[: -len(end)], name[-len(end) :]
    if end.lower().startswith(".nii"):
        return stem, (name,)
    kinds = (".HDR", ".IMG") if end[:4].isupper() else (".hdr", ".img")
    return stem, tuple(f"{stem}{kind}{end[4:]}" for kind in kinds)


def _part(uri: str, objects: Objects, name: str) -> bytes:
    data = objects.get(name)
    if data is None:
        raise SourceError(
            f"{uri} does not exist; check the path"
            if uri.partition("?")[0].endswith(name)
            else f"{uri} is one file of a pair, and {name} beside it does not exist; restore it"
        )
    return data


def _agent(said: object) -> str:
    text = str(said or "").strip()
    return "" if text.casefold() in _NO_AGENT else text


def _optional(ask: Callable[[], T | None]) -> T | None:
    """Ask for what may not be there: a store whose folders nobody may list refuses it instead."""
    try:
        return ask()
    except SourceError as error:
        if Fault.DENIED not in faults_behind(error):
            raise
        return None


def _sidecar(objects: Objects, stem: str) -> dict[str, Any]:
    try:
        found = json.loads(_optional(lambda: objects.get(f"{stem}.json")) or b"{}")
    except ValueError:
        return {}  # it is of others; the scan says all that must be known
    return found if isinstance(found, dict) else {}


def _dicom(uri: str, path: Path) -> AcquiredScan:
    from volkit.io.files.dicom import open_series

    if not path.exists():
        raise SourceError(f"{uri} does not exist; check the path")
    source = open_series(uri, path, OpenOptions())
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
        "contrast_agent": _agent(source.attributes.get("contrast_agent")),
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
