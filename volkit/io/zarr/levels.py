"""Levels of an OME-Zarr 0.5: coarser arrays, listed once they are finished."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from volkit.errors import SourceError
from volkit.geometry import Coord
from volkit.io.levels import Made, NewLevel, no_levels
from volkit.io.place import Place
from volkit.io.registry import forget_opened
from volkit.io.sources import OpenOptions
from volkit.io.volume import Volume
from volkit.io.zarr.array import ZarrSource
from volkit.io.zarr.create import COMPRESSOR
from volkit.io.zarr.ome import coarser_dataset
from volkit.io.zarr.source import open_zarr
from volkit.io.zarr.store import remove_drafts
from volkit.version import __version__

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ZarrLevels:
    """The levels of a group, to be added to.

    Parameters
    ----------
    place : Place
        The group.
    finest : ZarrSource
        Its level 0.
    """

    place: Place
    finest: ZarrSource

    @classmethod
    def of(cls, uri: str, options: OpenOptions) -> "ZarrLevels":
        """Look at a group whose levels can be added to.

        Raises
        ------
        SourceError
            If it is no OME-Zarr 0.5, or cannot be written.
        """
        finest = open_zarr(uri, 0, replace(options, voxel_size_nm=None, cache=None))
        levels = cls(Place(uri, options), finest)
        if finest.array.read_only:
            raise no_levels(uri, "is read-only")
        levels._image(levels._group())
        return levels

    def listed(self) -> Sequence[Made]:
        """Say how each level beyond 0 was made: its ``pyramid`` attribute, empty where unknown."""
        paths = [dataset["path"] for dataset in self._image(self._group())["datasets"]]
        return [self._made(path) for path in paths[1:]]

    def write_shape(self, level: NewLevel) -> Coord:
        """Say which stored objects a level will have, voxels."""
        return self.finest.order.pick(self._storage(level.domain.shape)[2])

    def begin(self, level: NewLevel, fingerprint: str) -> Volume:
        """Create the array of a level, or take up the one that was begun; gives its handle."""
        path = self._path(level.number)
        if not self.begun(level, fingerprint):
            self._clear(path)
            own = {
                "version": __version__,
                "voxel_offset": list(level.domain.start),
                "fingerprint": fingerprint,
                "pyramid": level.made,
            }
            self.place.objects.put(f"{path}/zarr.json", self._array(level.domain.shape, own))
        elif self.place.local is not None:
            remove_drafts(str(self.place.local / path))
        forget_opened()
        how = self.place.options
        options = OpenOptions(credentials=how.credentials, patience=how.patience)
        return Volume(self.place.inside(path).uri, 0, options)

    def begun(self, level: NewLevel, fingerprint: str) -> bool:
        """Tell whether an array of this computation lies there."""
        return (self._own(self._path(level.number)) or {}).get("fingerprint") == fingerprint

    def finish(self, level: NewLevel) -> None:
        """List a level whose voxels are all stored."""
        group = self._group()
        image = self._image(group)
        first = [
            a * f - o
            for a, f, o in zip(
                level.domain.start, level.factor, self.finest.voxel_offset, strict=True
            )
        ]
        path = self._path(level.number)
        dataset = coarser_dataset(
            image, path=path, factor=level.factor, first=first, uri=self.place.uri
        )
        image["datasets"] = [*image["datasets"][: level.number], dataset]
        self._put(group)

    def remove_all(self) -> None:
        """Delete every level but the finest.

        They are taken off the list last, so that a removal that was killed is done again.
        """
        group = self._group()
        image = self._image(group)
        for dataset in image["datasets"][1:]:
            self._delete(dataset["path"])
        image["datasets"] = image["datasets"][:1]
        self._put(group)

    def _clear(self, path: str) -> None:
        """Delete an array that is not listed, if volkit made it; refuse another one."""
        if self.place.objects.get(f"{path}/zarr.json") is not None and self._own(path) is None:
            raise SourceError(
                f"{self.place} holds an array {path!r} that is not among its levels and was not "
                "made by volkit; move it away"
            )
        self._delete(path)

    def _delete(self, path: str) -> None:
        self.place.objects.delete(f"{path}/zarr.json")  # first: half an array must not open
        self.place.objects.delete_all(f"{path}/")

    def _path(self, level: int) -> str:
        """Name an array as the finest one is named: ``s1`` beside ``s0``."""
        found = re.fullmatch(r"(.*?\D|)0", self.finest.array.path)
        return f"{found[1] if found else ''}{level}"

    def _own(self, path: str) -> Json | None:
        """Read what volkit says of an array; None where it made none."""
        data = self.place.objects.get(f"{path}/zarr.json")
        own: Json | None = (
            None if data is None else _parsed(self.place, data).get("attributes", {}).get("volkit")
        )
        return own

    def _made(self, path: str) -> Made:
        made: Made = (self._own(path) or {}).get("pyramid", {})
        return made

    def _group(self) -> Json:
        data = self.place.objects.get("zarr.json")
        group = {} if data is None else _parsed(self.place, data)
        if group.get("node_type") != "group" or "multiscales" not in group.get(
            "attributes", {}
        ).get("ome", {}):
            raise no_levels(self.place.uri, "is no OME-Zarr 0.5 group")
        return group

    def _image(self, group: Json) -> Json:
        image: Json = group["attributes"]["ome"]["multiscales"][0]
        return image

    def _put(self, group: Json) -> None:
        # What it says of its members would hide those that are added.
        group.pop("consolidated_metadata", None)
        self.place.objects.put("zarr.json", json.dumps(group, indent=2).encode())
        forget_opened()

    def _array(self, spatial: Coord, own: Json) -> bytes:
        """Make the metadata of an array that is stored as the finest one is."""
        shape, chunks, shards = self._storage(spatial)
        store = MemoryStore()
        zarr.create_array(
            store,
            shape=shape,
            dtype=self.finest.array.dtype,
            chunks=chunks,
            shards=None if shards == chunks else shards,
            compressors=COMPRESSOR,
            fill_value=0,
            dimension_names=list(self.finest.order.names),
            attributes={"volkit": own},
        )
        data = sync(store.get("zarr.json", default_buffer_prototype()))
        return data.to_bytes() if data is not None else b""

    def _storage(self, spatial: Coord) -> tuple[tuple[int, ...], ...]:
        """Give shape, chunks and shards of a level, in the stored order; none longer than it."""
        like, order = self.finest.array, self.finest.order
        extents = dict(zip("zyx", spatial, strict=True))
        shape = tuple(extents.get(a, n) for a, n in zip(order.names, like.shape, strict=True))
        chunks = tuple(min(c, n) for c, n in zip(like.chunks, shape, strict=True))
        shards = tuple(
            min(s, -(-n // c) * c)
            for s, c, n in zip(like.shards or chunks, chunks, shape, strict=True)
        )
        return shape, chunks, shards


def _parsed(place: Place, data: bytes) -> Json:
    try:
        found: Json = json.loads(data)
    except ValueError as error:
        raise SourceError(
            f"{place}: its zarr metadata cannot be read ({error}); restore it, or write it again"
        ) from error
    return found
