"""N5 metadata: the levels of a group, and how large a voxel of each is.

N5 states no convention for either; understood are those of n5-viewer and Paintera
(``downsamplingFactors`` or ``scales``, ``pixelResolution``, ``resolution``), of BigDataViewer
(``setupN/timepointN/sN``) and of OpenOrganelle (``transform``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from volkit.errors import SourceError
from volkit.geometry.scale import Vector
from volkit.io.objects.protocol import Objects
from volkit.io.units import nanometres

Json = Mapping[str, Any]

_FILE = "attributes.json"
_MOST_LEVELS = 32
_ONE: Vector = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class N5Level:
    """One array.

    Parameters
    ----------
    path : str
        Inside the URI; empty where the URI is the array.
    attributes : mapping
        Of the array.
    voxel_size_nm, origin_nm : tuple of float
        Extent of a voxel and centre of the first one, (z, y, x), nanometres.
    """

    path: str
    attributes: Json
    voxel_size_nm: Vector
    origin_nm: Vector


def read_attributes(objects: Objects, path: str) -> Json | None:
    """Read the attributes of an array or a group; None where there are none.

    Raises
    ------
    SourceError
        If they are no JSON object.
    """
    data = objects.get(f"{path}/{_FILE}" if path else _FILE)
    if data is None:
        return None
    try:
        found = json.loads(data)
    except ValueError as error:
        raise SourceError(
            f"{objects.uri}: {path or '.'}/{_FILE} is no JSON ({error}); restore it"
        ) from error
    if not isinstance(found, dict):
        raise SourceError(f"{objects.uri}: {path or '.'}/{_FILE} holds no object; restore it")
    return found


def find_levels(objects: Objects) -> tuple[N5Level, ...]:
    """Find the array at a place, or the levels of a group.

    Raises
    ------
    SourceError
        If there is neither.
    """
    root = read_attributes(objects, "") or {}
    if "dimensions" in root:
        size, origin = _stated(root, objects.uri) or (_ONE, (0.0, 0.0, 0.0))
        return (N5Level("", root, size, origin),)
    for prefix in ("", "timepoint0/", "setup0/timepoint0/"):
        arrays = _arrays(objects, prefix)
        if arrays:
            return _levels(objects, root, prefix, arrays)
    raise SourceError(
        f"{objects.uri} is neither an N5 array nor a group with levels s0, s1 …; name an array "
        "inside it, such as em.n5/volumes/raw"
    )


def _arrays(objects: Objects, prefix: str) -> list[Json]:
    """Read the attributes of s0, s1 … as far as they go; listing is not possible everywhere."""
    found: list[Json] = []
    for n in range(_MOST_LEVELS):
        said = read_attributes(objects, f"{prefix}s{n}")
        if said is None or "dimensions" not in said:
            break
        found.append(said)
    return found


def _levels(objects: Objects, root: Json, prefix: str, arrays: list[Json]) -> tuple[N5Level, ...]:
    uri = objects.uri
    parts = [part for part in prefix.split("/") if part]
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    groups = [root, *(read_attributes(objects, path) or {} for path in above)]
    listed = next((f for g in reversed(groups) if (f := _factors(g, uri))), [])
    stated = [_stated(said, uri) for said in [*reversed(groups), arrays[0]]]
    base = next((s[0] for s in stated if s is not None), _ONE)
    levels = []
    for n, said in enumerate(arrays):
        factor = _factor(said, listed, n, uri)
        own = _stated(said, uri)
        if "transform" in said and own is not None:
            size, origin = own
        elif factor is None and own is not None:
            size, origin = own[0], _shifted(own[0], base)
        elif factor is None and n:
            raise SourceError(
                f"{uri}: nothing says how much coarser {prefix}s{n} is; add downsamplingFactors "
                "to its attributes"
            )
        else:
            size = cast("Vector", tuple(b * f for b, f in zip(base, factor or _ONE, strict=True)))
            origin = _shifted(size, base)
        levels.append(N5Level(f"{prefix}s{n}", said, size, origin))
    return tuple(levels)


def _shifted(size: Vector, base: Vector) -> Vector:
    z, y, x = (round((s - b) / 2, 6) for s, b in zip(size, base, strict=True))
    return z, y, x


def _factors(group: Json, uri: str) -> list[Vector]:
    """Read the list of factors of a group, (z, y, x)."""
    for key in ("downsamplingFactors", "scales"):
        found = group.get(key)
        if isinstance(found, list) and found and isinstance(found[0], list):
            return [_zyx(f, f"{uri}: {key}") for f in found]
    return []


def _factor(said: Json, listed: list[Vector], n: int, uri: str) -> Vector | None:
    own = said.get("downsamplingFactors")
    if own is not None:
        return _zyx(own, f"{uri}: downsamplingFactors of s{n}")
    return listed[n] if n < len(listed) else None


def _stated(said: Json, uri: str) -> tuple[Vector, Vector] | None:
    """Read voxel size and origin, (z, y, x), nanometres; None where nothing is said."""
    transform = said.get("transform")
    if isinstance(transform, Mapping):
        return _transform(transform, uri)
    found: Any = said.get("pixelResolution", said.get("resolution"))
    if found is None:
        return None
    unit: Any = "nm"
    if isinstance(found, Mapping):
        found, unit = found.get("dimensions"), found.get("unit", "nm")
    elif said.get("units"):
        units = said["units"]
        unit = units if isinstance(units, str) else units[0]
    if unit in ("pixel", "pixels", "px"):
        return None
    size = _zyx(found, f"{uri}: its resolution")
    one = nanometres(str(unit), uri=uri)
    return cast("Vector", tuple(round(v * one, 9) for v in size)), (0.0, 0.0, 0.0)


def _transform(said: Json, uri: str) -> tuple[Vector, Vector]:
    """Read what OpenOrganelle says of an array; its axes are named, and mostly z, y, x."""
    try:
        axes = [str(a).lower() for a in said["axes"]]
        units = said.get("units") or ["nm"] * len(axes)
        values = []
        for name in ("scale", "translate"):
            of = dict(zip(axes, zip(said[name], units, strict=True), strict=True))
            values.append(
                tuple(
                    round(float(v) * nanometres(u, uri=uri), 9) for v, u in (of[a] for a in "zyx")
                )
            )
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{uri}: its transform {dict(said)!r} is not understood; mend it, or pass voxel_size_nm"
        ) from error
    return cast("Vector", values[0]), cast("Vector", values[1])


def _zyx(xyz: Any, what: str) -> Vector:
    try:
        x, y, z = (float(v) for v in cast("Sequence[Any]", xyz)[:3])
        good = all(0 < v < float("inf") for v in (x, y, z))
    except (TypeError, ValueError):
        good = False
    if not good:
        raise SourceError(f"{what} is {xyz!r}; expected positive numbers, x, y and z: mend it")
    return z, y, x
