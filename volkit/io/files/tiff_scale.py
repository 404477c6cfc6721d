"""Voxel sizes of TIFF files, as OME-TIFF and ImageJ state them."""

from typing import Any
from xml.etree import ElementTree

from volkit.errors import SourceError
from volkit.io.units import nanometres


def tiff_voxel_size(file: Any, axes: str, *, uri: str) -> list[float] | None:
    """Find the voxel size of a TIFF file.

    Parameters
    ----------
    file : tifffile.TiffFile
        Open.
    axes : str
        Stored order, with Z, Y and X among it.
    uri : str
        Which file, for messages.

    Returns
    -------
    list of float or None
        Nanometres, for the spatial axes in stored order; None where nothing is stated.
    """
    found = _of_ome(file, uri) or _of_imagej(file, uri)
    return None if found is None else [found[a] for a in axes if a in "ZYX"]


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
