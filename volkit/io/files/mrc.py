"""MRC and CCP4 maps: tomograms and densities, ``.mrc``, ``.map``, ``.rec``, also packed."""

import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from volkit.errors import SourceError, missing_extra
from volkit.geometry.scale import Vector
from volkit.io.array_source import ArraySource, check_level, file_stamp
from volkit.io.files.flat import flat_chunks, flat_reader
from volkit.io.files.packed import first_bytes
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

try:
    from mrcfile import utils as mrc_utils
    from mrcfile.dtypes import HEADER_DTYPE
except ImportError as error:
    raise missing_extra("mrcfile", "formats") from error

_HEADER_BYTES = 1024
_NM_PER_ANGSTROM = 0.1
# IMOD's own words in the header: its stamp, then flags whose first bit says that bytes are signed.
_IMOD_STAMP, _IMOD_PLACE = 1_146_047_817, 152


def open_mrc(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open a map.

    The axes of the file are brought into z, y, x by ``MAPC``, ``MAPR`` and ``MAPS``; the voxel
    size is the cell over its intervals.  The origin is that of the header, or where it states
    none, that of the first voxel in the unit cell.  A plain file is mapped into memory; a packed
    one is decoded whole, since it has no random access.

    Raises
    ------
    SourceError
        If the file is cut or no map, or holds complex values or a stack of volumes.
    """
    check_level(uri, level)
    path = local_path(uri) or Path(uri)
    content = first_bytes(uri, path, _HEADER_BYTES)
    header = _header(uri, path, content)
    shape, dtype = _shape(uri, header), _dtype(uri, header, content)
    axes = _axes(uri, header)
    offset = _HEADER_BYTES + int(header.nsymbt)
    size = _voxel_size_nm(header)
    attributes = _attributes(header, axes)
    if size is not None:
        attributes["voxel_size_nm"] = [size["zyx".index(axis)] for axis in axes]
    chunks = flat_chunks(shape, dtype.itemsize)
    source = ArraySource.understand(
        uri,
        SimpleNamespace(shape=shape, dtype=dtype, chunks=chunks),
        flat_reader(uri, path, dtype=dtype, shape=shape, offset=offset),
        stamp=file_stamp(path),
        options=options,
        attributes=attributes,
    )
    return replace(source, origin_nm=_origin_nm(header, axes, options.voxel_size_nm or size))


def _header(uri: str, path: Path, content: bytes) -> Any:
    """Read a header, also one that breaks the letter of the format as many programs do."""
    if len(content) < _HEADER_BYTES:
        raise SourceError(
            f"{uri}: {path.name} has {len(content)} bytes, a header alone has {_HEADER_BYTES}; it "
            "is truncated or no MRC map: copy it again"
        )
    found: Any = np.frombuffer(content, HEADER_DTYPE).reshape(()).view(np.recarray)
    found = found.view(found.dtype.newbyteorder(_byte_order(found)))
    extents = [int(found[name]) for name in ("nx", "ny", "nz")]
    if min(extents) < 0 or int(found.nsymbt) < 0:
        raise SourceError(
            f"{uri}: {path.name} states extents of {extents} and an extended header of "
            f"{int(found.nsymbt)} bytes; it is no MRC map, or damaged"
        )
    return found


def _byte_order(header: Any) -> str:
    """Take the machine stamp's word; a mode that makes sense where there is none."""
    try:
        return str(mrc_utils.byte_order_from_machine_stamp(header.machst))
    except ValueError:
        return "<" if 0 <= int.from_bytes(header.mode.tobytes(), "little") < 256 else ">"


def _shape(uri: str, header: Any) -> tuple[int, int, int]:
    if mrc_utils.spacegroup_is_volume_stack(header.ispg):
        raise SourceError(
            f"{uri} is a stack of volumes (space group {int(header.ispg)}, {int(header.nz)} "
            f"sections of which {int(header.mz)} make a volume); store one of them as a file"
        )
    return int(header.nz), int(header.ny), int(header.nx)


def _dtype(uri: str, header: Any, content: bytes) -> np.dtype[Any]:
    mode = int(header.mode)
    if mode not in (0, 1, 2, 6, 12):
        kind = {3: ": complex integers", 4: ": complex values", 101: ": half bytes"}.get(mode, "")
        raise SourceError(
            f"{uri} has mode {mode}{kind}; read are 0 (int8), 1 (int16), 2 (float32), 6 (uint16) "
            "and 12 (float16): convert it, or it is no MRC map"
        )
    found: np.dtype[Any] = mrc_utils.data_dtype_from_header(header)
    order = mrc_utils.normalise_byte_order(header.mode.dtype.byteorder)
    stamp, flags = struct.unpack_from(f"{order}2i", content, _IMOD_PLACE)
    if mode == 0 and stamp == _IMOD_STAMP and not flags & 1:
        return np.dtype(np.uint8)
    return found


def _axes(uri: str, header: Any) -> str:
    """Name the stored axes, sections first."""
    numbers = [int(header[name]) for name in ("maps", "mapr", "mapc")]
    if not any(numbers):
        return "zyx"  # not stated, as old programs have it
    if sorted(numbers) != [1, 2, 3]:
        raise SourceError(
            f"{uri}: MAPS, MAPR and MAPC are {numbers}; expected 1, 2 and 3 (x, y, z) in some "
            "order: mend the header"
        )
    return "".join(" xyz"[n] for n in numbers)


def _voxel_size_nm(header: Any) -> Vector | None:
    """Find the extent of a voxel, (z, y, x); None where cell or intervals are not stated."""
    size = []
    for axis in "zyx":
        cell, intervals = float(header.cella[axis]), int(header[f"m{axis}"])
        if not 0 < cell < float("inf") or intervals < 1:
            return None
        size.append(round(cell / intervals * _NM_PER_ANGSTROM, 7))  # beyond a float32's digits
    z, y, x = size
    return z, y, x


def _origin_nm(header: Any, axes: str, size_nm: Vector | None) -> Vector:
    origin = [float(header.origin[axis]) * _NM_PER_ANGSTROM for axis in "zyx"]
    if not any(origin) or not np.isfinite(origin).all():
        start = dict(zip(axes, _start(header), strict=True))
        origin = [start[a] * s for a, s in zip("zyx", size_nm or (1, 1, 1), strict=True)]
    z, y, x = (round(v, 6) for v in origin)
    return z, y, x


def _start(header: Any) -> list[int]:
    """Give the first voxel in the unit cell, in stored order; columns come first in the file."""
    return [int(header[name]) for name in ("nzstart", "nystart", "nxstart")]


def _attributes(header: Any, axes: str) -> dict[str, Any]:
    labels = [
        mrc_utils.printable_string_from_bytes(bytes(label)).strip()
        for label in header.label[: max(0, int(header.nlabl))]
    ]
    return {
        "axes": axes,
        "space_group": int(header.ispg),
        "start": _start(header),
        "origin_angstrom": [float(header.origin[axis]) for axis in "zyx"],
        "cell_angles_degrees": [float(header.cellb[a]) for a in ("alpha", "beta", "gamma")],
        "labels": [label for label in labels if label],
        "extended_header": {
            "type": mrc_utils.printable_string_from_bytes(bytes(header.exttyp)).strip(),
            "bytes": int(header.nsymbt),
        },
    }
