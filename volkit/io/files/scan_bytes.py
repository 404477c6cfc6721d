"""Scans as bytes: small NIfTI files read and written whole, in canonical orientation."""

import gzip
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError, missing_extra
from volkit.io.files.affine import Affine
from volkit.io.files.canonical import canonical

_PACKED = b"\x1f\x8b"
_MILLIMETRES = {"unknown": 1.0, "mm": 1.0, "meter": 1e3, "micron": 1e-3}


def scan_of(uri: str, data: bytes) -> tuple[NDArray[np.float32], Affine]:
    """Understand the bytes of a NIfTI file as a scan, and turn it into canonical orientation.

    Parameters
    ----------
    uri : str
        Where they come from, for messages.
    data : bytes
        ``.nii``, or packed as ``.nii.gz``.

    Returns
    -------
    values : ndarray of float32, shape (Z, Y, X)
        Contiguous; the scale of the file is applied.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.

    Raises
    ------
    SourceError
        If they are damaged, not three-dimensional, or state no affine.
    """
    turned, affine = canonical(*stored_scan(uri, data))
    return np.ascontiguousarray(turned), affine


def stored_scan(uri: str, data: bytes) -> tuple[NDArray[np.float32], Affine]:
    """Understand the bytes of a NIfTI file as a scan, in the orientation of the file.

    Parameters
    ----------
    uri : str
        Where they come from, for messages.
    data : bytes
        ``.nii``, or packed as ``.nii.gz``.

    Returns
    -------
    values : ndarray of float32, shape (Z, Y, X)
        The last axis is the first of the file; the scale of the file is applied.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.

    Raises
    ------
    SourceError
        If they are damaged, not three-dimensional, or state no affine.
    """
    image = _image(uri, data)
    shape = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or 0 in shape:
        raise SourceError(
            f"{uri} has shape {shape}, expected three axes: it is a series or no volume; store one "
            "scan in a file"
        )
    header = image.header
    if not (int(header["sform_code"]) or int(header["qform_code"])):
        raise SourceError(
            f"{uri} states no affine (sform and qform are 0), so nobody knows which way its axes "
            "run; convert it again from DICOM"
        )
    try:
        values = np.asarray(image.dataobj, np.float32).reshape(shape).transpose()
    except (ValueError, OSError, TypeError) as error:
        raise SourceError(f"{uri}: its voxels cannot be read ({error}); copy it again") from error
    affine = np.array(image.affine, np.float64)
    affine[:3] *= _MILLIMETRES[header.get_xyzt_units()[0]]
    return values, affine


def _image(uri: str, data: bytes) -> Any:
    nibabel = _nibabel()
    damage = (
        *(OSError, EOFError, ValueError, KeyError, zlib.error),
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        nibabel.wrapstruct.WrapStructError,
    )
    try:
        plain = gzip.decompress(data) if data[:2] == _PACKED else data
        two = int.from_bytes(plain[:4], "little") in (540, 540 << 24) or plain[4:7] == b"n+2"
        image = (nibabel.Nifti2Image if two else nibabel.Nifti1Image).from_bytes(plain)
        unit = image.header.get_xyzt_units()[0]
    except damage as error:
        raise SourceError(
            f"{uri} cannot be read as NIfTI ({error}); it may be truncated or another format: copy "
            "it again"
        ) from error
    if unit not in _MILLIMETRES:
        raise SourceError(f"{uri} has lengths in {unit!r}; expected mm, meter or micron: mend it")
    return image


def scan_bytes(values: NDArray[Any], affine: Affine) -> bytes:
    """Write a scan as a plain NIfTI file: its voxels lie behind a header of 352 bytes.

    Parameters
    ----------
    values : ndarray of float32 or uint8, shape (Z, Y, X)
        Voxels.
    affine : ndarray of float, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.

    Returns
    -------
    bytes
        The same for the same scan, on every machine.
    """
    nibabel = _nibabel()
    image = nibabel.Nifti1Image(np.ascontiguousarray(values).transpose(), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 2)
    image.set_qform(affine, 2)
    return bytes(image.to_bytes())


def _nibabel() -> Any:
    try:
        import nibabel
        import nibabel.filebasedimages
        import nibabel.spatialimages
        import nibabel.wrapstruct
    except ImportError as error:
        raise missing_extra("nibabel", "formats") from error
    return nibabel
