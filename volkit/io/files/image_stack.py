"""TIFF: a file, a folder of planes or a pattern such as ``slices/*.tif``, read plane by plane."""

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from volkit.errors import SourceError, missing_extra
from volkit.io.array_source import ArraySource, check_level, file_stamp
from volkit.io.axes import Array
from volkit.io.files.tiff_scale import tiff_voxel_size
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

try:
    import tifffile
except ImportError as error:
    raise missing_extra("tifffile", "formats") from error

# Axes by which tifffile names the third one of a plain stack: a sequence, an image series, pages.
_STACK_AXES = "QIZ"
# What tifffile raises for bytes that it cannot take, by where it meets them.
_DAMAGE = (OSError, ValueError, IndexError, RuntimeError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Stack:
    """Planes of one shape, in order.

    Parameters
    ----------
    planes : tuple
        Of (file, page in it).
    shape : tuple of int
        Stored extents; the first ``outer`` of them count planes, the rest are a plane's.
    dtype : dtype
        Of a voxel.
    outer : int
        Number of axes outside a plane.
    """

    planes: tuple[tuple[Path, int], ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    outer: int

    @property
    def chunks(self) -> tuple[int, ...]:
        """One plane."""
        return (1,) * self.outer + self.shape[self.outer :]


def open_stack(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open a TIFF stack.

    Raises
    ------
    SourceError
        If there are no planes, they differ in shape or type, or a file is damaged.
    """
    check_level(uri, level)
    path = local_path(uri) or Path(uri)
    files = _files(uri, path)
    stack, attributes = _one_file(uri, files[0]) if len(files) == 1 else _many_files(uri, files)
    return ArraySource.understand(
        uri,
        stack,
        lambda slices: _fetch(uri, stack, slices),
        stamp=file_stamp(*files),
        options=options,
        attributes=attributes,
    )


def _files(uri: str, path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    folder, pattern = (path.parent, path.name) if "*" in path.name else (path, "*")
    found = [
        p for p in folder.glob(pattern) if p.suffix.lower() in (".tif", ".tiff") and p.is_file()
    ]
    if not found:
        raise SourceError(f"{uri}: no .tif or .tiff files are there; check the path")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order names so that z2 comes before z10."""
    return [
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)
    ]


def _open(uri: str, path: Path) -> Any:
    try:
        return tifffile.TiffFile(path)
    except _DAMAGE as error:
        raise SourceError(
            f"{uri}: {path.name} cannot be opened as TIFF ({error}); it may be truncated: copy it "
            "again"
        ) from error


def _one_file(uri: str, path: Path) -> tuple[Stack, Mapping[str, Any]]:
    """Understand a file of pages; a plane alone is a volume of one plane."""
    with _open(uri, path) as file:
        _refuse_cut(uri, file)
        series = file.series[0]
        axes = "".join("Z" if a in _STACK_AXES else "C" if a == "S" else a for a in series.axes)
        shape, page = tuple(series.shape), file.pages[0]
        inside = len(page.shape)
        if len(axes) == 2:
            axes, shape = f"Z{axes}", (1, *shape)
        if set(axes) - set("TCZYX") or inside not in (2, 3):
            raise SourceError(
                f"{uri} has axes {series.axes} of shape {series.shape}; a volume has z, y, x and "
                "perhaps c: store it so, or as a zarr"
            )
        pages = int(np.prod(shape[: len(shape) - inside], dtype=np.int64))
        if len(series.pages) < pages:
            raise SourceError(
                f"{uri} states {pages} planes of {page.shape} but holds {len(series.pages)} pages; "
                "it is stored in one piece or truncated: store it as pages, or as a zarr"
            )
        found = list(series.pages[:pages])
        if None in found:
            raise SourceError(
                f"{uri}: plane {found.index(None)} of {pages} is listed but not there; a set of "
                "OME-TIFF files must be complete"
            )
        planes = tuple((Path(p.parent.filehandle.path), int(p.index)) for p in found)
        size = tiff_voxel_size(file, axes, uri=uri)
        attributes = {"axes": axes} | ({} if size is None else {"voxel_size_nm": size})
        return Stack(planes, shape, np.dtype(series.dtype), len(shape) - inside), attributes


def _refuse_cut(uri: str, file: Any) -> None:
    """Refuse a file whose chain of pages leads beyond its end: tifffile takes what is left."""
    pages = len(file.pages)
    handle, tiff = file.filehandle, file.tiff
    handle.seek(file.pages.next_page_offset)
    following = handle.read(tiff.offsetsize)
    if len(following) < tiff.offsetsize or struct.unpack(tiff.offsetformat, following)[0]:
        raise SourceError(
            f"{uri} is truncated: after {pages} pages, the next one would lie beyond the end of "
            f"the file at {handle.size} bytes; copy it again"
        )


def _many_files(uri: str, files: list[Path]) -> tuple[Stack, Mapping[str, Any]]:
    """Understand a folder by its first file; each plane is checked when it is read."""
    with _open(uri, files[0]) as file:
        page = file.pages[0]
        if len(file.pages) > 1 or page.ndim != 2:
            raise SourceError(
                f"{uri}: {files[0].name} holds {len(file.pages)} pages of shape {page.shape}; a "
                "folder is read as grey planes, one in each file"
            )
        shape, dtype = (len(files), *page.shape), np.dtype(page.dtype)
    planes = tuple((path, 0) for path in files)
    return Stack(planes, shape, dtype, outer=1), {"axes": "ZYX"}


def _fetch(uri: str, stack: Stack, slices: tuple[slice, ...]) -> Array:
    """Read the planes of a box, each file opened once."""
    outer, inner = slices[: stack.outer], slices[stack.outer :]
    wanted = np.arange(len(stack.planes)).reshape(stack.shape[: stack.outer])[outer]
    out = np.empty((wanted.size, *(s.stop - s.start for s in inner)), stack.dtype)
    by_file: dict[Path, list[int]] = {}
    for i, n in enumerate(wanted.flat):
        by_file.setdefault(stack.planes[n][0], []).append(i)
    for path, places in by_file.items():
        with _open(uri, path) as file:
            for i in places:
                out[i] = _plane(uri, file, stack, int(wanted.flat[i]))[inner]
    return out.reshape(*wanted.shape, *out.shape[1:])


def _plane(uri: str, file: Any, stack: Stack, n: int) -> Array:
    path, page = stack.planes[n]
    try:
        values = np.asarray(file.pages[page].asarray())
    except _DAMAGE as error:
        raise SourceError(
            f"{uri}: plane {n} ({path.name}) cannot be read: {error}; restore it from a copy"
        ) from error
    expected = stack.shape[stack.outer :]
    if values.shape != expected or values.dtype != stack.dtype:
        raise SourceError(
            f"{uri}: plane {n} ({path.name}) is {values.dtype} {values.shape}, the first one "
            f"{stack.dtype} {expected}; all planes must be alike"
        )
    return values
