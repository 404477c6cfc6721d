"""TIFF: files of pages, OME-TIFF with levels, and folders of planes, read piece by piece."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from volkit.errors import SourceError, missing_extra
from volkit.io.array_source import ArraySource, check_level
from volkit.io.axes import Array
from volkit.io.files.flat import flat_chunks, flat_reader
from volkit.io.files.stacks import stack_stamp
from volkit.io.files.tiff_pages import DAMAGE, Layout, Page
from volkit.io.files.tiff_scale import level_factors, tiff_voxel_size
from volkit.io.sources import OpenOptions

try:
    import tifffile
except ImportError as error:
    raise missing_extra("tifffile", "formats") from error

# Axes by which tifffile names the third one of a plain stack: a sequence, an image series, pages.
_STACK_AXES = "QIZ"


@dataclass(frozen=True, slots=True)
class Stored:
    """Extents and type of a stack, and what is cheap to read of it, in stored order."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]


def open_tiff(uri: str, files: Sequence[Path], level: int, options: OpenOptions) -> ArraySource:
    """Open one file of pages, or several of one plane each.

    Voxels that are stored in one piece are mapped into memory; of others, the strips or tiles are
    read that a box touches.  The levels of a pyramid are those below the first image (SubIFDs).

    Parameters
    ----------
    uri : str
        Where they lie.
    files : sequence of Path
        In order.
    level : int
        0 is the finest.
    options : OpenOptions
        What the caller knows of them.

    Raises
    ------
    SourceError
        If planes differ in shape or type, the axes are not those of a volume, or a file is cut.
    """
    if len(files) == 1:
        return _one_file(uri, files[0], level, options)
    check_level(uri, level)
    with _opened(uri, files[0]) as file:
        layout = _alone(uri, files[0], file)
    axes = "ZYX" if layout.axes == "YX" else f"Z{layout.axes.replace('S', 'C')}"
    shape = (len(files), *layout.shape)
    return ArraySource.understand(
        uri,
        Stored(shape, layout.dtype, (1, *layout.chunks)),
        lambda slices: _fetch_files(uri, files, layout, slices),
        stamp=stack_stamp(files),
        options=options,
        attributes={"axes": axes},
    )


def _opened(uri: str, path: Path) -> Any:
    try:
        return tifffile.TiffFile(path)
    except DAMAGE as error:
        raise SourceError(
            f"{uri}: {path.name} cannot be opened as TIFF ({error}); it may be truncated: copy it "
            "again"
        ) from error


def _alone(uri: str, path: Path, file: Any) -> Layout:
    """Understand the plane of a file that has one."""
    page = file.pages[0]
    if len(file.pages) > 1 or page.axes not in ("YX", "YXS", "SYX"):
        raise SourceError(
            f"{uri}: {path.name} holds {len(file.pages)} pages of shape {page.shape}; a "
            "folder is read as planes, grey or in colours, one in each file"
        )
    return Layout.of(page)


def _one_file(uri: str, path: Path, level: int, options: OpenOptions) -> ArraySource:
    with _opened(uri, path) as file:
        _refuse_cut(uri, file)
        levels = file.series[0].levels
        check_level(uri, level, len(levels))
        series = levels[level]
        axes, shape = _axes(uri, series)
        _refuse_lost_planes(uri, file, levels[0].shape)
        stored, fetch = _understood(uri, file, series, shape)
        factors = _factors(levels[0], series)
        stated = tiff_voxel_size(file, uri=uri)
    size = stated or (1.0, 1.0, 1.0)
    attributes: dict[str, Any] = {"axes": axes}
    if stated is not None or level:
        scaled = {a: s * f for a, s, f in zip("ZYX", size, factors, strict=True)}
        attributes["voxel_size_nm"] = [scaled[a] for a in axes if a in "ZYX"]
    source = ArraySource.understand(
        uri, stored, fetch, stamp=stack_stamp([path]), options=options, attributes=attributes
    )
    z, y, x = ((f - 1) / 2 * s for f, s in zip(factors, size, strict=True))
    return replace(source, levels=len(levels), origin_nm=(z, y, x))


def _axes(uri: str, series: Any) -> tuple[str, tuple[int, ...]]:
    """Name the axes of a series; a plane alone gets a z."""
    axes = "".join("Z" if a in _STACK_AXES else "C" if a == "S" else a for a in series.axes)
    shape = tuple(int(n) for n in series.shape)
    if set(axes) <= set("CYX"):
        axes, shape = f"Z{axes}", (1, *shape)
    if not set("ZYX") <= set(axes) <= set("TCZYX") or len(set(axes)) < len(axes):
        raise SourceError(
            f"{uri} has axes {series.axes} of shape {series.shape}; a volume has z, y, x and "
            "perhaps c: store it so, or as a zarr"
        )
    return axes, shape


def _factors(finest: Any, series: Any) -> tuple[float, float, float]:
    """Say by how much a level is coarser than the finest one, (z, y, x)."""
    found = dict(zip(series.axes, level_factors(finest.shape, series.shape), strict=True))
    z = next((found[a] for a in _STACK_AXES if a in found), 1.0)
    return z, found["Y"], found["X"]


def _understood(
    uri: str, file: Any, series: Any, shape: tuple[int, ...]
) -> tuple[Stored, Callable[[tuple[slice, ...]], Array]]:
    """Choose how a series is read: in one piece, or by the pieces of its pages."""
    first = series.pages[0]
    if series.dataoffset is not None and not series.is_multifile:
        path = Path(first.parent.filehandle.path)
        dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)
        read = flat_reader(uri, path, dtype=dtype, shape=shape, offset=int(series.dataoffset))
        return Stored(shape, dtype, flat_chunks(shape, dtype.itemsize)), read
    layout = Layout.of(first)
    outer = len(shape) - len(layout.shape)
    if outer < 0 or shape[outer:] != layout.shape:
        raise SourceError(
            f"{uri} has shape {series.shape} and axes {series.axes}, its pages have "
            f"{layout.shape} and {layout.axes}; store one plane as a page, or use a zarr"
        )
    pages = _pages(uri, series, layout, int(np.prod(shape[:outer], dtype=np.int64)))
    stored = Stored(shape, layout.dtype, (1,) * outer + layout.chunks)
    return stored, lambda slices: _fetch_pages(uri, stored, pages, layout, slices)


def _pages(uri: str, series: Any, layout: Layout, count: int) -> list[Page]:
    if len(series.pages) < count:
        raise SourceError(
            f"{uri} states {count} planes of {layout.shape} but holds {len(series.pages)} pages; "
            "it is truncated: copy it again"
        )
    found = list(series.pages[:count])
    if None in found:
        raise SourceError(
            f"{uri}: plane {found.index(None)} of {count} is listed but not there; a set of "
            "OME-TIFF files must be complete"
        )
    return [Page.of(page) for page in found]


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


def _refuse_lost_planes(uri: str, file: Any, shape: tuple[int, ...]) -> None:
    """Refuse an ImageJ stack of fewer planes than it states: tifffile gives the first of them."""
    stated = int((file.imagej_metadata or {}).get("images", 1))
    found = int(np.prod(shape, dtype=np.int64)) // max(1, int(np.prod(file.pages[0].shape)))
    if found < stated:
        raise SourceError(
            f"{uri} states {stated} planes and holds {found} of them; it is truncated: copy it "
            "again"
        )


def _fetch_pages(
    uri: str, stored: Stored, pages: Sequence[Page], layout: Layout, slices: tuple[slice, ...]
) -> Array:
    """Read the planes of a box, each file opened once."""
    outer = len(slices) - len(layout.shape)
    inner = slices[outer:]
    numbers = np.arange(len(pages)).reshape(stored.shape[:outer])[slices[:outer]]
    wanted: list[int] = numbers.ravel().tolist()
    out = np.empty((len(wanted), *(s.stop - s.start for s in inner)), stored.dtype)
    by_file: dict[Path, list[int]] = {}
    for i, n in enumerate(wanted):
        by_file.setdefault(pages[n].path, []).append(i)
    for path, places in by_file.items():
        with path.open("rb") as file:
            for i in places:
                n = wanted[i]
                out[i] = _region(uri, n, pages[n], layout, file, inner)
    return out.reshape(*numbers.shape, *out.shape[1:])


def _fetch_files(
    uri: str, files: Sequence[Path], layout: Layout, slices: tuple[slice, ...]
) -> Array:
    """Read the planes of a box from files that are looked at now for the first time."""
    wanted = range(len(files))[slices[0]]
    out = np.empty((len(wanted), *(s.stop - s.start for s in slices[1:])), layout.dtype)
    for i, n in enumerate(wanted):
        with _opened(uri, files[n]) as file:
            own = _alone(uri, files[n], file)
            if (own.shape, own.axes, own.dtype) != (layout.shape, layout.axes, layout.dtype):
                raise SourceError(
                    f"{uri}: plane {n} ({files[n].name}) is {own.dtype} {own.shape}, the first "
                    f"one {layout.dtype} {layout.shape}; all planes must be alike"
                )
            out[i] = _region(uri, n, Page.of(file.pages[0]), own, file.filehandle, slices[1:])
    return out


def _region(
    uri: str, n: int, page: Page, layout: Layout, file: "BinaryIO | Any", inner: tuple[slice, ...]
) -> Array:
    try:
        return layout.read(page, file, inner)
    except DAMAGE as error:
        if isinstance(error, ImportError) or "imagecodecs" in str(error):
            raise SourceError(
                f"{uri}: plane {n} ({page.path.name}) is compressed in a way that needs another "
                f"package ({error}): pip install imagecodecs"
            ) from error
        raise SourceError(
            f"{uri}: plane {n} ({page.path.name}) cannot be read: {error}; restore it from a copy"
        ) from error
