"""ndjson of the CryoET Data Portal: a point on each line, in voxels, one class to a file.

Class and voxel size stand in a file beside it and in the names of its folders::

    Reconstructions/VoxelSpacing10.012/Annotations/100/ribosome-1.0_point.ndjson
    Reconstructions/VoxelSpacing10.012/Annotations/100/ribosome-1.0.json
"""

import json
import re
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import SourceError
from volkit.io.objects.protocol import Objects
from volkit.io.points.options import ANGSTROM_PER_NM, PointOptions, stated_voxel_nm
from volkit.io.points.table import centres_of, points_frame

_SPACING = re.compile(r"VoxelSpacing([0-9.]+)")
_ENDING = re.compile(r"(_point|_orientedpoint|_instancesegmentation)?\.ndjson$", re.IGNORECASE)


def read_portal(
    uri: str, data: bytes, place: Objects, name: str, options: PointOptions
) -> pd.DataFrame:
    """Read the points of a file.

    Parameters
    ----------
    uri : str
        The file.
    data : bytes
        Its content.
    place : Objects
        Its folder.
    name : str
        Its name there.
    options : PointOptions
        Class and voxel size, where the portal's do not stand beside it.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    SourceError
        If a line is no point, or class or voxel size are nowhere stated.
    """
    beside = _metadata(place, name)
    kind = options.class_name or beside.get("annotation_object", {}).get("name")
    if not kind:
        raise SourceError(
            f"{uri} does not say what its points are, and no metadata lie beside it; pass "
            "class_name"
        )
    found = _SPACING.search(uri)
    spacing = beside.get("voxel_spacing") or (float(found[1].rstrip(".")) if found else None)
    size = stated_voxel_nm(uri, options, spacing)
    rows = [_row(uri, n, line) for n, line in enumerate(data.splitlines(), 1) if line.strip()]
    numbers = np.array(rows, np.float64).reshape(-1, 4)
    centres = np.asarray(options.origin_nm) + numbers[:, :3] * size
    return points_frame(centres, str(kind), scores=numbers[:, 3])


def portal_ndjson(frame: pd.DataFrame, options: PointOptions) -> tuple[bytes, bytes]:
    """Write points, and the metadata that lie beside them.

    Parameters
    ----------
    frame : pandas.DataFrame
        Points of one class.
    options : PointOptions
        With the voxel size.

    Returns
    -------
    lines, metadata : bytes

    Raises
    ------
    SourceError
        If there are several classes or tomograms, or no voxel size.
    """
    kinds = sorted(set(frame["class"]))
    tomograms = sorted(set(frame["tomogram"])) if "tomogram" in frame.columns else []
    if len(kinds) > 1 or len(tomograms) > 1:
        raise SourceError(
            f"the portal keeps one class of one tomogram in a file, these are {', '.join(kinds)}"
            f"{' of ' * bool(tomograms)}{', '.join(tomograms)}; write each into its own"
        )
    size = stated_voxel_nm("the file", options, None)
    voxels = (centres_of(frame) - options.origin_nm) / size
    lines = [
        json.dumps({"type": "point", "location": {"x": x, "y": y, "z": z}, "score": score})
        for (z, y, x), score in zip(voxels.tolist(), frame["score"].tolist(), strict=True)
    ]
    kind = kinds[0] if kinds else options.class_name
    metadata: dict[str, Any] = {"annotation_object": {"name": kind}, "object_count": len(frame)}
    if len(set(size)) == 1:
        metadata["voxel_spacing"] = size[0] * ANGSTROM_PER_NM
    return "".join(f"{line}\n" for line in lines).encode(), json.dumps(metadata, indent=1).encode()


def beside(name: str) -> str:
    """Name the metadata of a file of points.

    Examples
    --------
    >>> beside("ribosome-1.0_point.ndjson")
    'ribosome-1.0.json'
    """
    return _ENDING.sub("", name) + ".json"


def _metadata(place: Objects, name: str) -> dict[str, Any]:
    data = place.get(beside(name))
    if data is None:
        return {}
    try:
        found = json.loads(data)
    except ValueError as error:
        raise SourceError(
            f"{place.uri}/{beside(name)} is no JSON ({error}); mend or delete it"
        ) from error
    return found if isinstance(found, dict) else {}


def _row(uri: str, number: int, line: bytes) -> tuple[float, float, float, float]:
    try:
        point = json.loads(line)
        z, y, x = (float(point["location"][axis]) for axis in "zyx")
        return z, y, x, float(point.get("score", 1.0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f'{uri}: line {number} is no point ({error!r}); expected {{"type": "point", '
            '"location": {"x": ..., "y": ..., "z": ...}}'
        ) from error
