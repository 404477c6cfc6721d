"""OME-Zarr multiscales: versions 0.4 and 0.5 read, 0.5 written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from volkit.errors import SourceError
from volkit.geometry.scale import Vector
from volkit.io.units import nanometres

Json = Mapping[str, Any]

_KINDS = {"c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True, slots=True)
class Level:
    """One array of a multiscale.

    Parameters
    ----------
    path : str
        Of the array in the group.
    axes : tuple of str
        Names, in stored order.
    scale_nm, translation_nm : tuple of float
        One value for each axis, in stored order; of no meaning for c and t.
    """

    path: str
    axes: tuple[str, ...]
    scale_nm: tuple[float, ...]
    translation_nm: tuple[float, ...]


def multiscale(attributes: Json) -> Json | None:
    """Find the first multiscale among the attributes of a group, whatever its version."""
    found = attributes.get("ome", attributes).get("multiscales")
    return found[0] if found else None


def read_levels(image: Json, *, uri: str) -> tuple[Level, ...]:
    """Understand a multiscale.

    Parameters
    ----------
    image : mapping
        One entry of ``multiscales``.
    uri : str
        Which volume, for messages.

    Returns
    -------
    tuple of Level
        Finest first.

    Raises
    ------
    SourceError
        If the metadata does not say what the specification asks for.
    """
    try:
        axes, factors = _axes(image.get("axes"), uri)
        n = len(axes)
        outer = _transform(image.get("coordinateTransformations", ()), n, uri)
        levels = []
        for dataset in image["datasets"]:
            scale, shift = _transform(dataset.get("coordinateTransformations", ()), n, uri)
            scale, shift = (
                tuple(a * b for a, b in zip(outer[0], scale, strict=True)),
                tuple(a * b + t for a, b, t in zip(outer[0], shift, outer[1], strict=True)),
            )
            levels.append(
                Level(dataset["path"], axes, _times(scale, factors), _times(shift, factors))
            )
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{uri}: its OME-Zarr metadata is not understood ({error!r}); check it with "
            "yaozarrs.validate_zarr_store"
        ) from error
    if not levels:
        raise SourceError(f"{uri}: its OME-Zarr metadata lists no datasets; add one")
    return tuple(levels)


def write_multiscale(
    *, name: str, channels: bool, voxel_size_nm: Vector, translation_nm: Vector, stated: bool = True
) -> dict[str, Any]:
    """Write the ``ome`` attribute (0.5) of a volume with one level, stored at ``0``.

    Parameters
    ----------
    name : str
        Of the image.
    channels : bool
        Whether the array begins with a channel axis.
    voxel_size_nm, translation_nm : tuple of float
        Extent of a voxel and centre of the first one, (z, y, x), nanometres.
    stated : bool
        Whether anybody said so; else there is no unit, which the specification lets out.

    Returns
    -------
    dict
        JSON.
    """
    letters = "czyx" if channels else "zyx"
    lead = 1 if channels else 0
    axes = [
        {"name": a, "type": _KINDS[a]} | ({"unit": "nanometer"} if stated and a != "c" else {})
        for a in letters
    ]
    transforms = [
        {"type": "scale", "scale": [1.0] * lead + [float(v) for v in voxel_size_nm]},
        {"type": "translation", "translation": [0.0] * lead + [float(v) for v in translation_nm]},
    ]
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": transforms}],
            }
        ],
    }


def coarser_dataset(
    image: Json, *, path: str, factor: Sequence[int], first: Sequence[int], uri: str
) -> dict[str, Any]:
    """Write the entry of a coarser level, from that of the finest.

    A coarse voxel covers ``factor`` fine ones, counted from voxel (0, 0, 0) of the volume.

    Parameters
    ----------
    image : mapping
        One entry of ``multiscales``.
    path : str
        Of the new array in the group.
    factor : sequence of int
        Voxels of level 0 that become one, (z, y, x).
    first : sequence of int
        Voxel of level 0, counted from the first one stored, with which the first coarse voxel
        begins, (z, y, x); before it where the coarse voxel lies over the edge.
    uri : str
        Which volume, for messages.

    Returns
    -------
    dict
        JSON, one of ``datasets``.
    """
    names, _ = _axes(image.get("axes"), uri)
    finest = image["datasets"][0].get("coordinateTransformations", ())
    scale, shift = _transform(finest, len(names), uri)
    by = [dict(zip("zyx", factor, strict=True)).get(a, 1) for a in names]
    begin = [dict(zip("zyx", first, strict=True)).get(a, 0) for a in names]
    # Half a coarse voxel less half a fine one: places are centres.
    centre = [t + s * (a + (f - 1) / 2) for t, s, a, f in zip(shift, scale, begin, by, strict=True)]
    return {
        "path": path,
        "coordinateTransformations": [
            {"type": "scale", "scale": list(_times(scale, by))},
            {"type": "translation", "translation": [round(c, 9) for c in centre]},
        ],
    }


def _axes(given: Sequence[Any] | None, uri: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Read names of the axes, and what one unit of each is in nanometres."""
    if given is None:  # versions up to 0.2 have these five, without units
        return tuple("tczyx"), (1.0,) * 5
    plain = [{"name": a} if isinstance(a, str) else a for a in given]
    names = tuple(str(a["name"]) for a in plain)
    # An axis without a unit counts as nanometres: the specification lets the unit out.
    return names, tuple(
        nanometres(a["unit"], uri=uri)
        if a.get("unit") and a.get("type", "space") == "space"
        else 1.0
        for a in plain
    )


def _transform(
    steps: Sequence[Json], n: int, uri: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fold coordinate transformations, applied in order, into one scale and one translation."""
    scale, shift = (1.0,) * n, (0.0,) * n
    for step in steps:
        if step["type"] == "scale" and len(step["scale"]) == n:
            by = tuple(float(v) for v in step["scale"])
            scale, shift = _times(scale, by), _times(shift, by)
        elif step["type"] == "translation" and len(step["translation"]) == n:
            shift = tuple(a + float(b) for a, b in zip(shift, step["translation"], strict=True))
        elif step["type"] != "identity":
            raise SourceError(
                f"{uri}: coordinate transformation {dict(step)} of an array with {n} axes; "
                "understood are identity, scale and translation with a value for each axis"
            )
    return scale, shift


def _times(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(x * y, 9) for x, y in zip(a, b, strict=True))
