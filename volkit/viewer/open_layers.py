"""Opened layers: what a person names becomes layers, of the kind that it says or looks like."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from volkit.errors import ConfigError, MissingChunkError, SourceError
from volkit.geometry import Box
from volkit.geometry.scale import Vector
from volkit.io.labels import holds_labels
from volkit.io.stated_size import open_sized, says_size
from volkit.io.uris import local_path, split_query
from volkit.io.volume import Volume
from volkit.viewer.frame import Frame, dimensions
from volkit.viewer.layer import (
    KINDS,
    Kind,
    Layer,
    State,
    image_look,
    label_look,
    prob_look,
)
from volkit.viewer.served_volume import Change, ServedVolume
from volkit.viewer.skeletons import ServedSkeletons, Unit, read_skeletons
from volkit.viewer.table_layers import LISTED

_TABLES = (".csv", ".parquet", ".star", ".ndjson", ".jsonl", ".annotations")
_PROBABLE = re.compile(r"prob|boundar|affinit|membrane", re.IGNORECASE)
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, slots=True)
class Named:
    """Something that a person wants to see.

    Parameters
    ----------
    uri : str
        What ``open_volume`` or ``read_points`` takes, or ``NAME.swc``.
    kind : str or None
        What it is; None goes by what it looks like.
    """

    uri: str
    kind: Kind | None = None

    @classmethod
    def parse(cls, text: str) -> "Named":
        """Understand ``URI`` or ``KIND=URI``.

        Examples
        --------
        >>> Named.parse("labels=cells.zarr"), Named.parse("em.zarr").kind
        (Named(uri='cells.zarr', kind='labels'), None)
        """
        word, mark, rest = text.partition("=")
        if mark and word in KINDS:
            return cls(rest, word)
        if mark and re.fullmatch(r"[a-z]+", word) and not Path(text).exists():
            raise ConfigError(f"{text}: {word!r} is no kind of layer; known are {', '.join(KINDS)}")
        return cls(text)

    @property
    def name(self) -> str:
        """A short name."""
        return split_query(self.uri)[0].rstrip("/").rpartition("/")[2].partition("::")[0]

    @property
    def is_table(self) -> bool:
        """Whether it is a table of points or boxes."""
        path = self.uri.partition("?")[0].rstrip("/").lower()
        return self.kind in ("points", "boxes") or (self.kind is None and path.endswith(_TABLES))

    @property
    def is_skeletons(self) -> bool:
        """Whether it is one skeleton or more."""
        path = self.uri.partition("?")[0].lower()
        return self.kind == "skeletons" or (self.kind is None and path.endswith(".swc"))


def open_for_view(uri: str, voxel_size_nm: Vector | None = None, **options: Any) -> Volume:
    """Open a volume, and refuse one of which nobody says how large its voxels are.

    Parameters
    ----------
    uri : str
        What ``open_volume`` takes.
    voxel_size_nm : tuple of float or None
        (z, y, x), where the volume does not say it.
    **options
        Of ``open_volume``.

    Raises
    ------
    SourceError
        If it cannot be opened, or has no voxel size and none is given.
    """
    volume = open_sized(uri, voxel_size_nm=voxel_size_nm, **options)
    if not says_size(volume):
        raise SourceError(
            f"{uri} does not say how large its voxels are; give --voxel-size 40,4,4 (z, y, x, "
            "in nm), or --voxel-size 1 to count in voxels"
        )
    return volume


def kind_of(volume: Volume, name: str) -> Kind:
    """Guess what a volume shows, by its type, what it says of itself, and its name."""
    if volume.channels is None and holds_labels(volume):
        return "labels"
    return "prob" if volume.dtype.kind == "f" and _PROBABLE.search(name) else "image"


def volume_layer(
    volume: Volume,
    frame: Frame,
    *,
    name: str,
    kind: Kind,
    visible: bool = True,
    change: Change | None = None,
) -> Layer:
    """Make a layer of a volume.

    Parameters
    ----------
    volume : Volume
        At the level that is the finest to be shown.
    frame : Frame
        Where the viewer counts from.
    name : str
        Of the layer.
    kind : {'image', 'prob', 'labels'}
        What it shows.
    visible : bool
        Whether it is shown at first.
    change : callable, optional
        What is done to the voxels of every chunk.

    Raises
    ------
    ContractError
        If its voxels cannot be shown so.
    """
    served = ServedVolume.of(volume, "segmentation" if kind == "labels" else "image", change)
    if kind == "labels":
        look = label_look(stated_colours(volume))
    else:
        made = prob_look if kind == "prob" else image_look
        look = made(value_span(volume, kind), volume.channels, served.dtype)
    return Layer(name, kind, served, look, visible, transform=_transform(volume, frame))


def value_span(volume: Volume, kind: Kind) -> tuple[float, float]:
    """Find which values become black and white, from one chunk in the middle of the coarsest level.

    Bytes and probabilities have a span of their own, and nothing is read.
    """
    if volume.dtype.kind == "b":
        return 0.0, 1.0
    if volume.dtype == np.uint8:
        return 0.0, 255.0
    if kind == "prob" and volume.dtype.kind == "f":
        return 0.0, 1.0
    level = volume.at_level(volume.levels - 1) if volume.levels - 1 > volume.level else volume
    middle = [(a + b) // 2 for a, b in zip(level.domain.start, level.domain.stop, strict=True)]
    chunk = [min(c, 128) for c in level.chunk_shape]
    start = [m - c // 2 for m, c in zip(middle, chunk, strict=True)]
    stop = [s + c for s, c in zip(start, chunk, strict=True)]
    box = Box(tuple(start), tuple(stop)).intersect(level.domain)  # type: ignore[arg-type]
    try:
        values = level.read(box).astype(np.float64)
    except MissingChunkError:
        values = np.zeros(0)
    sound = values[np.isfinite(values)]
    low, high = (float(v) for v in np.percentile(sound, _PERCENTILES)) if sound.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1.0)


def stated_colours(volume: Volume) -> Mapping[int, str]:
    """Read the colours that OME labels state, ``#rrggbb`` by id; empty where they state none."""
    said = volume.attributes.get("ome", volume.attributes)
    found = said.get("image-label", {}) if isinstance(said, Mapping) else {}
    colours = {}
    for entry in found.get("colors", []) if isinstance(found, Mapping) else []:
        try:
            red, green, blue = (int(v) for v in entry["rgba"][:3])
            colours[int(entry["label-value"])] = f"#{red:02x}{green:02x}{blue:02x}"
        except (KeyError, TypeError, ValueError):
            continue  # one that is not of the format leaves its label without a colour
    return colours


def skeleton_layer(named: Named, frame: Frame) -> Layer:
    """Make a layer of SWC files; ``?unit=nm`` behind the path says that they count nanometres.

    Raises
    ------
    SourceError
        If there are none.
    ConfigError
        If the unit is unknown.
    """
    path, _, unit = named.uri.partition("?unit=")
    if unit not in ("", "nm", "um"):
        raise ConfigError(f"{named.uri}: unit {unit!r} is unknown; write ?unit=nm or ?unit=um")
    place = local_path(path)
    if place is None:
        raise SourceError(f"{named.uri}: skeletons are read from local paths; copy them")
    found = read_skeletons(place, cast("Unit", unit or "um"))
    look: State = {"segments": [str(key) for key in list(found)[:LISTED]]}
    return Layer(Path(path).name, "skeletons", ServedSkeletons(found, frame), look)


def _transform(volume: Volume, frame: Frame) -> State | None:
    """Say where a volume lies that the frame is not made of."""
    shift = frame.shift(volume.scale)
    if not any(shift):
        return None
    rows = [[float(i == j) for j in range(3)] + [shift[2 - i]] for i in range(3)]
    out: State = dimensions(volume.voxel_size_nm)
    if (volume.channels or 1) > 1:
        rows = [[*row[:3], 0.0, row[3]] for row in rows] + [[0.0, 0.0, 0.0, 1.0, 0.0]]
        out = {**out, "c^": [1, ""]}
    return {"outputDimensions": out, "matrix": rows}
