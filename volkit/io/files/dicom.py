"""DICOM: a folder that holds one series, or a file of several frames, read plane by plane."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError, missing_extra
from volkit.io.array_source import ArraySource, check_level
from volkit.io.axes import Array
from volkit.io.files.affine import affine_attributes, aligned_origin_nm
from volkit.io.files.dicom_planes import Plane, Series, order_planes, planes_of
from volkit.io.files.stacks import listed_files, stack_stamp
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

try:
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array
except ImportError as error:
    raise missing_extra("pydicom", "formats") from error

_MAGIC, _MAGIC_PLACE = b"DICM", 128
_DAMAGE = (InvalidDicomError, OSError, EOFError, ValueError, AttributeError, KeyError, TypeError)
# What the planes of a volume share.  Nothing that names or dates a patient is read.
_SHARED = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
)
_TAGS = [
    *_SHARED,
    "SeriesInstanceUID",
    "PhotometricInterpretation",
    "Modality",
    "ContrastBolusAgent",
    "NumberOfFrames",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the planes of a series share.

    Parameters
    ----------
    shape : tuple of int
        (z, y, x), and colours behind them where there are any.
    dtype : dtype
        Of a voxel, rescaled.
    planes : tuple of Plane
        In the order of space.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    planes: tuple[Plane, ...]

    @property
    def chunks(self) -> tuple[int, ...]:
        """One plane."""
        return (1, *self.shape[1:])


def open_dicom(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open a series.

    Planes are ordered by their positions along the normal of the planes; voxels are rescaled (to
    integers where slope and intercept are whole).  ``attributes`` hold ``affine_mm`` and
    ``orientation`` in the axes of NIfTI (RAS), the modality, and nothing about the patient.

    Raises
    ------
    SourceError
        If files are damaged, of several series, or packed in a way that cannot be decoded, or if
        planes are missing or there twice.
    """
    check_level(uri, level)
    return open_series(uri, local_path(uri) or Path(uri), options)


def open_series(uri: str, path: Path, options: OpenOptions) -> ArraySource:
    """Open a series whose files lie elsewhere than its URI says, as copies of it do.

    Parameters
    ----------
    uri : str
        What messages name.
    path : Path
        Folder or file.
    options : OpenOptions
        As for `open_dicom`.

    Raises
    ------
    SourceError
        What `open_dicom` raises.
    """
    files = _files(uri, path)
    heads = [_head(uri, file) for file in files]
    _check_one_series(uri, files, heads)
    named = zip(files, heads, strict=True)
    planes = [plane for file, head in named for plane in planes_of(uri, file, head)]
    series = order_planes(uri, planes)
    head = heads[0]
    _check_decoder(uri, head)
    samples = int(head.get("SamplesPerPixel") or 1)
    shape = (len(planes), int(head.Rows), int(head.Columns), *((samples,) if samples > 1 else ()))
    stored = Stored(shape, _rescaled_dtype(uri, head, planes), series.planes)
    source = ArraySource.understand(
        uri,
        stored,
        lambda slices: _fetch(uri, stored, slices),
        stamp=stack_stamp(files),
        options=options,
        attributes=_attributes(head, series, "zyxc"[: len(shape)]),
    )
    if series.affine is None:
        return source
    return replace(source, origin_nm=aligned_origin_nm(series.affine))


def _files(uri: str, path: Path) -> list[Path]:
    """Find the files of a series: those named .dcm, and others that begin as DICOM does."""
    if path.is_file():
        return [path]
    found = [
        p
        for p in listed_files(path)
        if p.name.upper() != "DICOMDIR" and (p.suffix.lower() == ".dcm" or is_dicom(p))
    ]
    if not found:
        raise SourceError(f"{uri}: no DICOM files are there; check the path")
    return found


def is_dicom(path: Path) -> bool:
    """Say whether a file begins as DICOM does."""
    with path.open("rb") as file:
        return file.read(_MAGIC_PLACE + len(_MAGIC))[_MAGIC_PLACE:] == _MAGIC


def _head(uri: str, path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
            begin = file.tell()
        missing = [name for name in ("Rows", "Columns", "BitsAllocated") if name not in head]
        head.file_meta.TransferSyntaxUID  # noqa: B018 (a file that lacks it cannot be decoded)
    except _DAMAGE as error:
        raise SourceError(
            f"{uri}: {path.name} cannot be opened as DICOM ({error}); it may be truncated or "
            "another kind of file: copy it again, or take it out of the folder"
        ) from error
    if missing:
        raise SourceError(
            f"{uri}: {path.name} states no {', '.join(missing)}; it holds no image or is "
            "truncated: take it out of the folder, or copy it again"
        )
    _refuse_cut(uri, path, head, begin)
    return head


def _refuse_cut(uri: str, path: Path, head: Any, begin: int) -> None:
    """Refuse a file too short for its pixels behind ``begin``, where these are not compressed."""
    syntax = head.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated or syntax.is_deflated:
        return
    bits = int(head.Rows) * int(head.Columns) * int(head.BitsAllocated)
    bits *= int(head.get("NumberOfFrames") or 1) * int(head.get("SamplesPerPixel") or 1)
    if "422" in str(head.get("PhotometricInterpretation", "")):
        bits = bits * 2 // 3  # every second colour is left out
    left = path.stat().st_size - begin
    if left < bits // 8:
        raise SourceError(
            f"{uri}: {path.name} has {left} bytes behind its header, its pixels have {bits // 8}; "
            "it is truncated: copy it again"
        )


def _check_one_series(uri: str, files: Sequence[Path], heads: Sequence[Any]) -> None:
    """Refuse files of several series or sizes, naming one of each."""
    by_series: dict[str, list[Path]] = {}
    for path, head in zip(files, heads, strict=True):
        by_series.setdefault(str(head.get("SeriesInstanceUID", "")), []).append(path)
    if len(by_series) > 1:
        shown = "; ".join(f"{len(p)} as {p[0].name}" for p in by_series.values())
        raise SourceError(
            f"{uri} holds {len(by_series)} series ({shown}); put each into a folder of its own"
        )
    for path, head in zip(files, heads, strict=True):
        for name in (*_SHARED, "PhotometricInterpretation"):
            ours, theirs = heads[0].get(name), head.get(name)
            if ours != theirs:
                raise SourceError(
                    f"{uri}: {path.name} has {name} {theirs}, {files[0].name} has {ours}; the "
                    "planes of one volume are alike: take what is no part of it out of the folder"
                )


def _check_decoder(uri: str, head: Any) -> None:
    syntax = head.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise SourceError(
            f"{uri} is compressed as {syntax.name}, which pydicom does not decode; decompress it, "
            "for instance with dcmdjpeg or gdcmconv --raw"
        ) from None
    if not decoder.is_available:
        raise SourceError(
            f"{uri} is compressed as {syntax.name}; to decode that, install one of what it needs "
            f"({'; '.join(decoder.missing_dependencies)}), or decompress it with gdcmconv --raw"
        )
    if head.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise SourceError(f"{uri} has colours of a palette; convert it to RGB or grey values")


def _rescaled_dtype(uri: str, head: Any, planes: Sequence[Plane]) -> np.dtype[Any]:
    """Choose a type that holds every voxel exactly: integers where the rescaling is whole."""
    bits, signed = int(head.BitsAllocated), int(head.get("PixelRepresentation") or 0)
    if bits not in (1, 8, 16, 32):
        raise SourceError(f"{uri} has {bits} bits for a voxel; expected 1, 8, 16 or 32: convert it")
    raw = np.dtype(f"{'i' if signed else 'u'}{max(1, bits // 8)}")
    if all((p.slope, p.intercept) == (1, 0) for p in planes):
        return raw
    if all(p.slope == 1 and p.intercept.is_integer() for p in planes):
        used = int(head.get("BitsStored") or bits)
        low, high = (-(2 ** (used - 1)), 2 ** (used - 1) - 1) if signed else (0, 2**used - 1)
        low += int(min(p.intercept for p in planes))
        high += int(max(p.intercept for p in planes))
        for kind in (np.int16, np.int32, np.int64):
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return np.dtype(kind)
    return np.result_type(raw, np.float32)


def _fetch(uri: str, stored: Stored, slices: tuple[slice, ...]) -> Array:
    wanted = stored.planes[slices[0]]
    out = np.empty((len(wanted), *(s.stop - s.start for s in slices[1:])), stored.dtype)
    for i, plane in enumerate(wanted):
        values = _pixels(uri, plane, stored.shape[1:])[slices[1:]]
        if (plane.slope, plane.intercept) != (1, 0):
            values = values.astype(np.float64) * plane.slope + plane.intercept
        out[i] = values
    return out


def _pixels(uri: str, plane: Plane, shape: tuple[int, ...]) -> Array:
    try:
        found = np.asarray(pixel_array(plane.path, index=plane.frame))
    except (*_DAMAGE, RuntimeError, NotImplementedError, IndexError) as error:
        raise SourceError(
            f"{uri}: the pixels of {plane.name} cannot be decoded ({error}); restore the file "
            "from a copy"
        ) from error
    if found.shape != shape or found.dtype.kind not in "iub":
        raise SourceError(
            f"{uri}: {plane.name} holds {found.dtype} {found.shape}, expected integers {shape}; "
            "it is damaged, or a map of floats, which is not read"
        )
    return found


def _attributes(head: Any, series: Series, axes: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "axes": axes,
        "modality": str(head.get("Modality", "")),
        "photometric": str(head.get("PhotometricInterpretation", "")),
    }
    if head.get("ContrastBolusAgent"):
        found["contrast_agent"] = str(head.ContrastBolusAgent)
    if series.voxel_size_mm is not None:
        found["voxel_size_nm"] = [round(v * 1e6, 3) for v in series.voxel_size_mm]
    if series.affine is not None:
        found |= affine_attributes(series.affine)
    return found
