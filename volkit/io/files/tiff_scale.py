"""Voxel sizes of TIFF files, as OME-TIFF and ImageJ state them, and those of levels."""

from collections.abc import Sequence
from math import log2
from typing import Any
from xml.etree import ElementTree

from volkit.errors import SourceError
from volkit.geometry.scale import Vector
from volkit.io.units import nanometres


def tiff_voxel_size(file: Any, *, uri: str) -> Vector | None:
    """Find the voxel size of a TIFF file, of its finest level.

    Parameters
    ----------
    file : tifffile.TiffFile
        Open.
    uri : str
        Which file, for messages.

    Returns
    -------
    tuple of float or None
        (z, y, x), nanometres; None where nothing is stated.
    """
    found = _of_ome(file, uri) or _of_imagej(file, uri)
    return None if found is None else (found["Z"], found["Y"], found["X"])


def level_factors(finest: Sequence[int], extents: Sequence[int]) -> list[float]:
    """Say by how much each axis of a level is coarser than that of the finest one.

    TIFF states no size for a level.  Its writers take every second voxel or more, and round an odd
    extent up or down: that is told from the extents.

    Parameters
    ----------
    finest, extents : sequence of int
        Of level 0, and of the level.

    Examples
    --------
    >>> level_factors((10, 1001, 1001), (10, 500, 251))
    [1.0, 2.0, 4.0]
    """
    factors = []
    for whole, left in zip(finest, extents, strict=True):
        ratio = whole / max(left, 1)
        # The whole number that explains the extent, with what halving again and again rounds off.
        near = [f for f in {2 ** round(log2(ratio)), round(ratio)} if abs(whole / f - left) < 1]
        factors.append(float(min(near, key=lambda f: abs(f - ratio))) if near else ratio)
    return factors


def _of_ome(file: Any, uri: str) -> dict[str, float] | None:
    if not file.is_ome:
        return None
    try:
        root = ElementTree.fromstring(file.ome_metadata)
    except ElementTree.ParseError as error:
        raise SourceError(
            f"{uri}: its OME-XML is damaged ({error}); store the file again"
        ) from error
    pixels = root.find(".//{*}Pixels")
    if pixels is None or any(f"PhysicalSize{a}" not in pixels.attrib for a in "YX"):
        return None
    size = {}
    for axis in "ZYX":
        unit = nanometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"), uri=uri)
        # A single plane states no extent in z; its pixel's will do.
        size[axis] = unit * float(
            pixels.get(f"PhysicalSize{axis}") or pixels.attrib["PhysicalSizeX"]
        )
    return size


def _of_imagej(file: Any, uri: str) -> dict[str, float] | None:
    stated = file.imagej_metadata or {}
    unit = stated.get("unit")
    tags = file.pages[0].tags
    if not unit or unit == "pixel" or "XResolution" not in tags or "YResolution" not in tags:
        return None
    factor = nanometres(unit, uri=uri)
    (nx, dx), (ny, dy) = tags["XResolution"].value, tags["YResolution"].value
    if not nx or not ny:
        return None
    pixel = {"Y": factor * dy / ny, "X": factor * dx / nx}
    return {"Z": factor * float(stated.get("spacing", dx / nx)), **pixel}
