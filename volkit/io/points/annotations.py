"""Annotation layers of Neuroglancer, precomputed: points and boxes as a viewer shows them.

Coordinates are float32 nanometres, as the format has it: at 10 µm from the origin they are exact to
a thousandth of a nanometre.  One spatial chunk holds all, and each mark has a file of its id.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.objects.protocol import Objects
from volkit.io.points.options import PointOptions
from volkit.io.points.properties import described
from volkit.io.points.table import centres_of, points_frame

_TYPE = "neuroglancer_annotations_v1"
_NM_PER_METRE = 1e9
# What the format knows, in the order in which properties of a point are stored.
_PROPERTIES = {
    "float32": "<f4",
    "uint32": "<u4",
    "int32": "<i4",
    "uint16": "<u2",
    "int16": "<i2",
    "uint8": "u1",
    "int8": "i1",
    "rgb": "(3,)u1",
    "rgba": "(4,)u1",
}


def write_annotations(place: Objects, frame: pd.DataFrame) -> None:
    """Write a layer of points.

    Parameters
    ----------
    place : Objects
        Its folder; ``info`` is written last.
    frame : pandas.DataFrame
        Points of one tomogram.

    Raises
    ------
    SourceError
        If they are of several tomograms, or of too many classes.
    """
    if "tomogram" in frame.columns and frame["tomogram"].nunique() > 1:
        raise SourceError(f"{place.uri}: a layer is of one tomogram; write each into its own")
    names = list(dict.fromkeys(frame["class"]))
    if len(names) > np.iinfo(np.uint16).max:
        raise SourceError(f"{place.uri}: {len(names)} classes; a layer can tell 65535 apart")
    numbers = {name: n for n, name in enumerate(names)}
    properties: list[dict[str, Any]] = [
        {"id": "score", "type": "float32", "description": "confidence"},
        {
            "id": "class",
            "type": "uint16",
            "description": "what it is",
            "enum_values": list(range(len(names))),
            "enum_labels": names,
        },
    ]
    records = np.zeros(len(frame), _record(3, properties))
    records["geometry"] = centres_of(frame)[:, ::-1]
    records["score"] = frame["score"]
    records["class"] = [numbers[name] for name in frame["class"]]
    _put(place, records, np.arange(len(frame), dtype=np.uint64), properties)


def write_boxes(
    place: Objects,
    corners_nm: tuple[NDArray[np.float64], NDArray[np.float64]],
    ids: NDArray[np.uint64],
    values: pd.DataFrame,
) -> None:
    """Write a layer of boxes along the axes.

    Parameters
    ----------
    place : Objects
        Its folder; ``info`` is written last.
    corners_nm : tuple of ndarray of float64, shape (N, 3)
        Lower and upper corners, (z, y, x), nanometres: edges of voxels, not their centres.
    ids : ndarray of uint64, shape (N,)
        By which a viewer names them, each once.
    values : pandas.DataFrame
        What is known of each: properties of the layer, by which it can be coloured and filtered;
        see :func:`volkit.io.points.properties.described`.

    Raises
    ------
    SourceError
        If an id is there twice, or a box ends before it begins.
    """
    lower, upper = corners_nm
    if len(np.unique(ids)) < len(ids) or (upper < lower).any():
        raise SourceError(
            f"{place.uri}: {len(ids)} boxes of {len(np.unique(ids))} ids, of which "
            f"{int((upper < lower).any(axis=1).sum())} end before they begin; give each an id of "
            "its own, and its lower corner first"
        )
    columns, properties = described(values)
    records = np.zeros(len(ids), _record(6, list(properties)))
    records["geometry"] = np.concatenate([lower[:, ::-1], upper[:, ::-1]], axis=1)
    for each in properties:
        records[each["id"]] = columns[each["id"]]
    _put(place, records, ids, list(properties))


def _put(
    place: Objects,
    records: NDArray[Any],
    ids: NDArray[np.uint64],
    properties: list[dict[str, Any]],
) -> None:
    chunk = (
        np.array(len(records), "<u8").tobytes() + records.tobytes() + ids.astype("<u8").tobytes()
    )
    place.put("spatial0/0_0_0", chunk)
    for n, record in zip(ids.tolist(), records, strict=True):
        place.put(f"by_id/{n}", record.tobytes())
    info = _info(records["geometry"], properties)
    place.put("info", json.dumps(info, indent=1).encode())


def read_annotations(place: Objects, options: PointOptions) -> pd.DataFrame:
    """Read a layer of points.

    Parameters
    ----------
    place : Objects
        Its folder.
    options : PointOptions
        With the class, where the layer does not say it.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    SourceError
        If it is no layer of points in x, y and z, is sharded, or damaged.
    """
    try:
        info = json.loads(place.get("info") or b"")
        points = info["@type"] == _TYPE and info["annotation_type"].upper() == "POINT"
        axes = list(info["dimensions"])
        keys = [level["key"] for level in info["spatial"] if "sharding" not in level]
        whole = len(keys) == len(info["spatial"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{place.uri} is no annotation layer ({error!r}); check it") from error
    if not points or sorted(axes) != ["x", "y", "z"] or not whole:
        raise SourceError(
            f"{place.uri} is not read: expected unsharded points in x, y and z, found "
            f"{info['annotation_type']} in {', '.join(axes)}{'' if whole else ', sharded'}"
        )
    dtype = _record(3, info["properties"])
    chunks = [place.get(name) for key in keys for name in place.keys(f"{key}/")]
    records = np.concatenate(
        [np.zeros(0, dtype), *(_chunk(place, c or b"", dtype) for c in chunks)]
    )
    scales = [_nanometres(place, *info["dimensions"][axis]) for axis in "zyx"]
    columns = [axes.index(axis) for axis in "zyx"]
    centres = records["geometry"].astype(np.float64)[:, columns] * scales
    names = set(dtype.names or ())
    scores = records["score"].astype(np.float64) if "score" in names else 1.0
    return points_frame(centres, _classes(place, info, records, options), scores=scores)


def _record(rank: int, properties: list[dict[str, Any]]) -> np.dtype[Any]:
    """Lay out a point or a box: its place, its properties by size, and padding to four bytes."""
    order = sorted(properties, key=lambda p: -np.dtype(_PROPERTIES[p["type"]]).base.itemsize)
    fields: list[Any] = [("geometry", "<f4", rank)]
    fields += [(p["id"], _PROPERTIES[p["type"]]) for p in order]
    left = -np.dtype(fields).itemsize % 4
    return np.dtype([*fields, ("", "V", left)] if left else fields)


def _chunk(place: Objects, data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(data[:8], "little")
    if len(data) != 8 + count * (dtype.itemsize + 8):
        raise SourceError(
            f"{place.uri}: a chunk of {len(data)} bytes should hold {count} points of "
            f"{dtype.itemsize} bytes and their ids; it is damaged: write it again"
        )
    return np.frombuffer(data, dtype, count, offset=8)


def _classes(
    place: Objects, info: dict[str, Any], records: NDArray[Any], options: PointOptions
) -> list[str]:
    if options.class_name is not None:
        return [options.class_name] * len(records)
    for each in info["properties"]:
        if each["id"] == "class" and "enum_labels" in each:
            names = dict(zip(each["enum_values"], each["enum_labels"], strict=True))
            return [str(names.get(n, f"class {n}")) for n in records["class"].tolist()]
    raise SourceError(f"{place.uri} does not say what its points are; pass class_name")


def _nanometres(place: Objects, scale: float, unit: str) -> float:
    if unit != "m":
        raise SourceError(f"{place.uri} has lengths in {unit!r}; Neuroglancer writes m")
    return round(scale * _NM_PER_METRE, 9)


def _info(geometry: NDArray[Any], properties: list[dict[str, Any]]) -> dict[str, Any]:
    some = len(geometry) > 0
    corners = geometry.reshape(len(geometry), geometry.shape[-1] // 3, 3)
    low = corners.min(axis=(0, 1)).astype(float) if some else np.zeros(3)
    # A little beyond the last point, so that it lies inside.
    high = corners.max(axis=(0, 1)).astype(float) + 1 if some else np.ones(3)
    return {
        "@type": _TYPE,
        "dimensions": {axis: [1 / _NM_PER_METRE, "m"] for axis in "xyz"},
        "lower_bound": low.tolist(),
        "upper_bound": high.tolist(),
        "annotation_type": "POINT" if corners.shape[1] == 1 else "AXIS_ALIGNED_BOUNDING_BOX",
        "properties": properties,
        "relationships": [],
        "by_id": {"key": "by_id"},
        "spatial": [
            {
                "key": "spatial0",
                "grid_shape": [1, 1, 1],
                "chunk_size": (high - low).tolist(),
                "limit": max(1, len(geometry)),
            }
        ],
    }
