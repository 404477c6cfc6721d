"""Scans as bytes: small NIfTI files read and written whole, in canonical orientation.

nibabel is an extra: it is imported where it is needed, and by `volkit.io.files.nifti`.
"""

import gzip
import zlib
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError, missing_extra
from volkit.io.files.affine import Affine
from volkit.io.files.canonical import canonical

_PACKED = b"\x1f\x8b"


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


def stored_scan(
    uri: str, data: bytes, voxels: bytes | None = None
) -> tuple[NDArray[np.float32], Affine]:
    """Understand the bytes of a NIfTI file as a scan, in the orientation of the file.

    Parameters
    ----------
    uri : str
        Where they come from, for messages.
    data : bytes
        ``.nii`` or, of a pair, ``.hdr``; plain, or packed by gzip.
    voxels : bytes, optional
        Of a pair, ``.img``.

    Returns
    -------
    values : ndarray of float32, shape (Z, Y, X)
        The last axis is the first of the file; the scale of the file is applied.
    affine : ndarray of float64, shape (4, 4)
        Voxel indices (x, y, z) to millimetres, RAS.

    Raises
    ------
    SourceError
        If they are damaged, not three-dimensional, no real numbers, or state no affine.
    """
    from volkit.io.files.nifti import stated_affine

    image = _image(uri, data, voxels)
    affine = stated_affine(uri, image)
    if affine is None:
        raise SourceError(
            f"{uri} states no affine (sform and qform are 0), so nobody knows which way its axes "
            "run; convert it again from DICOM"
        )
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1:
        raise SourceError(
            f"{uri} has shape {shape}, expected three axes: it is a series or no volume; store one "
            "scan in a file"
        )
    if image.dataobj.dtype.kind not in "uif":
        raise SourceError(
            f"{uri} has voxels of {image.dataobj.dtype}, expected real numbers; convert it to grey "
            "values"
        )
    return np.asarray(image.dataobj, np.float32).reshape(shape).transpose(), affine


def _image(uri: str, data: bytes, voxels: bytes | None) -> Any:
    """Open a file all of whose voxels are there."""
    from volkit.io.files.nifti import DAMAGE

    try:
        plain, apart = _unpacked(data), None if voxels is None else _unpacked(voxels)
        image = _opened(plain, apart)
        image.header.get_xyzt_units()
    except (*DAMAGE, KeyError, zlib.error) as error:
        raise SourceError(
            f"{uri} cannot be read as NIfTI ({error}); it may be truncated or another format: copy "
            "it again"
        ) from error
    # Of a damaged header: room for what it says is not there is not asked for.
    left = len(plain if apart is None else apart) - int(image.dataobj.offset)
    wanted = prod(int(n) for n in image.shape) * image.dataobj.dtype.itemsize
    if left < wanted:
        raise SourceError(
            f"{uri} cannot be read as NIfTI: its voxels take {wanted} bytes, {max(left, 0)} are "
            "there; it is truncated or damaged: copy it again"
        )
    return image


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == _PACKED else data


def _opened(plain: bytes, apart: bytes | None) -> Any:
    import nibabel

    two = nibabel.Nifti2Header.may_contain_header(plain)
    if apart is None:
        return (nibabel.Nifti2Image if two else nibabel.Nifti1Image).from_bytes(plain)
    if not two and not nibabel.Nifti1Header.may_contain_header(plain):
        raise ValueError(
            "no magic number: Analyze 7.5 does not say which way its axes run, convert it to NIfTI "
            "with a tool that knows"
        )
    files = {"header": BytesIO(plain), "image": BytesIO(apart)}
    kind = nibabel.Nifti2Pair if two else nibabel.Nifti1Pair
    return kind.from_file_map({k: nibabel.FileHolder(fileobj=v) for k, v in files.items()})


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
    try:
        import nibabel
    except ImportError as error:
        raise missing_extra("nibabel", "formats") from error
    image = nibabel.Nifti1Image(np.ascontiguousarray(values).transpose(), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 2)
    image.set_qform(affine, 2)
    return bytes(image.to_bytes())
