"""NIfTI: ``.nii``, ``.nii.gz`` and pairs of ``.hdr`` and ``.img``, mapped or decoded whole."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError, missing_extra
from volkit.io.array_source import ArraySource, check_level, file_stamp
from volkit.io.axes import Array
from volkit.io.files.affine import Affine, affine_attributes, aligned_origin_nm
from volkit.io.files.flat import flat_chunks, flat_reader
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

try:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError
except ImportError as error:
    raise missing_extra("nibabel", "formats") from error

DAMAGE = (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError)
"""What nibabel raises where a file is damaged, or another format."""

# Millimetres where the header names no unit: what the tools of the field take it for.
_MILLIMETRES = {"unknown": 1.0, "mm": 1.0, "meter": 1e3, "micron": 1e-3}


@dataclass(frozen=True, slots=True)
class Stored:
    """Voxels as a NIfTI file has them.

    Parameters
    ----------
    shape : tuple of int
        Extents, the last one contiguous: the file's own order backwards.
    axes : str
        A letter for each extent.
    raw, dtype : dtype
        Of a stored voxel, and of one that is scaled.
    slope, inter : float
        The scale: ``slope * stored + inter``.
    """

    shape: tuple[int, ...]
    axes: str
    raw: np.dtype[Any]
    dtype: np.dtype[Any]
    slope: float
    inter: float

    @property
    def chunks(self) -> tuple[int, ...]:
        """Whole planes, about a MiB."""
        return flat_chunks(self.shape, self.raw.itemsize)

    def scaled(self, values: Array) -> Array:
        """Apply the scale, if there is one."""
        if (self.slope, self.inter) == (1, 0):
            return values
        exact = np.asarray(values, np.float64) * self.slope + self.inter
        return np.asarray(exact, self.dtype)


def open_nifti(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open a scan.

    Voxel indices (i, j, k) are (x, y, z).  ``attributes["affine_mm"]`` takes them to millimetres
    along Right, Anterior, Superior; ``attributes["orientation"]`` says which way each one grows.
    ``origin_nm`` is that of the affine where all three grow along their axis of space (RAS), and 0
    otherwise.  A scale is applied, in floats; without one, integers stay integers.  A packed file
    has no random access: it is decoded whole when it is first read.

    Raises
    ------
    SourceError
        If the file is cut or no NIfTI, or has several time points.
    """
    check_level(uri, level)
    path = local_path(uri) or Path(uri)
    image = _load(uri, path)
    stored = _stored(uri, image, options)
    voxels = Path(image.file_map["image"].filename)
    if not voxels.is_file():
        raise SourceError(f"{uri}: its voxels would be in {voxels.name}, which is not there")
    read = flat_reader(
        uri, voxels, dtype=stored.raw, shape=stored.shape, offset=int(image.dataobj.offset)
    )
    affine = stated_affine(uri, image)
    attributes = _attributes(uri, image, stored)
    if affine is not None:
        attributes |= affine_attributes(affine)
    source = ArraySource.understand(
        uri,
        stored,
        _scaled_reader(read, stored),
        stamp=file_stamp(*dict.fromkeys((path, voxels))),
        options=replace(options, axes=None),
        attributes=attributes,
    )
    return source if affine is None else replace(source, origin_nm=aligned_origin_nm(affine))


def _load(uri: str, path: Path) -> Any:
    try:
        image: Any = nibabel.load(path)
        image.file_map["image"].filename  # noqa: B018 (formats of other software have no such map)
        image.header.get_xyzt_units()
    except (*DAMAGE, AttributeError, KeyError) as error:
        raise SourceError(
            f"{uri}: {path.name} cannot be opened as NIfTI ({error}); it may be truncated or "
            "another format: copy it again"
        ) from error
    return image


def _stored(uri: str, image: Any, options: OpenOptions) -> Stored:
    """Understand shape, axes and type; colours are one more axis, the innermost one."""
    shape = tuple(int(n) for n in image.shape)
    shape = (*shape, *(1,) * (3 - len(shape)))
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    names = {3: "xyz", 4: "xyzt", 5: "xyztc"}.get(len(shape), "")
    if options.axes in ("xyzc", "xyzt") and len(shape) == 4:
        names = options.axes
    if options.axes not in (None, names):
        raise SourceError(
            f"{uri} has axes {names}, not {options.axes!r}; open it without axes, or with "
            "axes='xyzc' where the fourth one counts channels"
        )
    if not names or (names == "xyzt" and shape[3] > 1):
        raise SourceError(
            f"{uri} has shape {shape}, of several time points or more; store one of them, or if "
            "the fourth axis counts channels, open it with axes='xyzc'"
        )
    raw, axes, shape = np.dtype(image.dataobj.dtype), names[::-1], shape[::-1]
    if raw.names and "c" not in axes and len({raw[n] for n in raw.names}) == 1:
        shape, axes, raw = (*shape, len(raw.names)), f"{axes}c", raw[0]
    slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
    scaled = (slope, inter) != (1, 0) and raw.kind in "uif"
    # NumPy's own rule: float32 holds every digit of 16 bits, wider integers take float64.
    dtype = np.result_type(raw, np.float32) if scaled else raw
    return Stored(shape, axes, raw, dtype, slope, inter)


def _scaled_reader(
    read: Callable[[tuple[slice, ...]], Array], stored: Stored
) -> Callable[[tuple[slice, ...]], Array]:
    return lambda slices: stored.scaled(read(slices))


def stated_affine(uri: str, image: Any) -> Affine | None:
    """Give the affine of an image in millimetres; None where it states none, only extents.

    Parameters
    ----------
    uri : str
        Where it comes from, for messages.
    image : nibabel image
        Opened.

    Returns
    -------
    ndarray of float64, shape (4, 4), or None
        Voxel indices (x, y, z) to millimetres, RAS.

    Raises
    ------
    SourceError
        If its lengths are no lengths.
    """
    header = image.header
    codes = [int(header[name]) for name in ("sform_code", "qform_code") if name in header]
    if not any(codes):
        return None
    affine = np.array(image.affine, np.float64)
    affine[:3] *= _unit_mm(uri, image)
    return affine


def _unit_mm(uri: str, image: Any) -> float:
    unit = image.header.get_xyzt_units()[0]
    if unit not in _MILLIMETRES:
        raise SourceError(f"{uri} has lengths in {unit!r}; expected mm, meter or micron: mend it")
    return _MILLIMETRES[unit]


def _attributes(uri: str, image: Any, stored: Stored) -> dict[str, Any]:
    # A float32 states 0.6 as 0.60000002: the digits that it holds are meant.
    zooms = [float(f"{v:.7g}") for v in image.header.get_zooms()[:3]]
    zooms += [zooms[-1]] * (3 - len(zooms))  # a plane alone: as thick as its pixels are wide
    size = {a: v * _unit_mm(uri, image) * 1e6 for a, v in zip("xyz", zooms, strict=True)}
    found: dict[str, Any] = {"axes": stored.axes}
    if all(isfinite(v) and v > 0 for v in size.values()):
        found["voxel_size_nm"] = [round(size[a], 6) for a in stored.axes if a in "xyz"]
    if (stored.slope, stored.inter) != (1, 0):
        found["scale"] = {"slope": stored.slope, "inter": stored.inter}
    return found
