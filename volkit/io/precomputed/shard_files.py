"""Scales whose chunks lie in shards: which chunks are there, and shards written whole.

Tensorstore reads shards, but gives a chunk that is not there as zeros, does not store chunks of
zeros, and reads the old shard before it writes one; so these three are done here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import tensorstore as ts

from volkit.geometry import Box, Coord
from volkit.io.axes import Array
from volkit.io.objects.protocol import Objects, open_objects
from volkit.io.precomputed.codec import decode_chunks, encode_chunks
from volkit.io.precomputed.failures import FAILURES
from volkit.io.precomputed.info import Info, Scale
from volkit.io.precomputed.kvstore import KeyValues
from volkit.io.precomputed.shards import Sharding, chunk_number, pack_shard
from volkit.io.sources import OpenOptions


@dataclass(frozen=True)
class ShardFiles:
    """The shards of a scale.

    Parameters
    ----------
    uri : str
        Of the layer.
    info, scale : Info, Scale
        What it says of itself.
    keys : KeyValues
        Where it lies.
    options : OpenOptions
        How it is reached.
    """

    uri: str
    info: Info
    scale: Scale
    keys: KeyValues = field(repr=False)
    options: OpenOptions = field(repr=False)

    @property
    def sharding(self) -> Sharding:
        """How chunks are distributed."""
        return cast("Sharding", self.scale.sharding)

    def fetched(self, indices: Sequence[Coord], left: float) -> list[bytes | Exception | None]:
        """Fetch encoded chunks.

        Parameters
        ----------
        indices : sequence of tuple of int
            Of chunks, (z, y, x).
        left : float
            Seconds to wait at most.

        Returns
        -------
        list of bytes, None or Exception
            None for a chunk that is not stored, the failure of one that cannot be told.
        """
        wait = min(left, self.options.patience.silence_seconds)
        found: list[bytes | Exception | None] = []
        for answer in self._asked(indices, left):
            try:
                result = answer.result(wait)
                found.append(result.value if result.state == "value" else None)
            except FAILURES as error:
                found.append(error)
        return found

    def decoded(self, box: Box, chunks: Mapping[Coord, bytes]) -> Array:
        """Decode chunks of a box; where none is given it is zero.

        Raises
        ------
        ValueError
            If one of them is damaged.
        """
        return decode_chunks(self.info, self.scale, box, chunks)

    def write(self, box: Box, values: Array) -> None:
        """Write a box of whole shards, each as one object, whatever was there.

        Raises
        ------
        SourceError
            If the store fails, or refuses.
        """
        files: dict[str, dict[int, bytes]] = {}
        for index, data in encode_chunks(self.info, self.scale, box, values).items():
            number = chunk_number(index, self.scale.grid)
            files.setdefault(self.sharding.file(number), {})[number] = data
        for name, chunks in files.items():
            self._objects.put(f"{self.scale.key}/{name}", pack_shard(chunks, self.sharding))

    @cached_property
    def _objects(self) -> Objects:
        return open_objects(self.uri, self.options)

    def _asked(self, indices: Sequence[Coord], left: float) -> list[Any]:
        """Ask for chunks; give the futures."""
        # Opened each time: a connection that fell silent is left behind.
        spec = {
            "driver": "neuroglancer_uint64_sharded",
            "metadata": self.sharding.to_json(),
            "base": self.keys.inside(self.scale.key),
        }
        store = ts.KvStore.open(spec, context=ts.Context(dict(self.keys.context))).result(left)
        numbers = [chunk_number(index, self.scale.grid) for index in indices]
        with ts.Batch() as batch:
            return [store.read(n.to_bytes(8, "big"), batch=batch) for n in numbers]
