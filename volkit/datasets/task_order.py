"""Order of samples: each worker reads a part of its own, drawn anew for every epoch."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from volkit.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ShardedBatches:
    """Batches of samples; every ``shards``-th batch comes from the same part of them.

    A DataLoader gives batches to its workers in turns, so that with as many shards as workers each
    worker has a shard of its own, until the last batches of uneven shards.

    Parameters
    ----------
    samples : int
        How many there are.
    batch : int
        Samples per step.
    shards : int
        Parts of samples that follow each other.
    seed, epoch : int
        Of the order within shards.

    Raises
    ------
    ConfigError
        If a number is less than 1.

    Examples
    --------
    >>> [sorted(part) for part in ShardedBatches(6, batch=3, shards=2)]
    [[0, 1, 2], [3, 4, 5]]
    """

    samples: int
    batch: int
    shards: int = 1
    seed: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        if min(self.samples, self.batch, self.shards) < 1:
            raise ConfigError(
                f"{self.samples} samples in batches of {self.batch} from {self.shards} shards "
                "cannot be; give at least 1"
            )

    def of_epoch(self, epoch: int) -> "ShardedBatches":
        """Give the order of another epoch."""
        return replace(self, epoch=epoch)

    def __len__(self) -> int:
        return sum(-(-len(part) // self.batch) for part in self._parts())

    def __iter__(self) -> Iterator[list[int]]:
        turns = []
        for number, part in enumerate(self._parts()):
            rng = np.random.default_rng([self.seed, self.epoch, number])
            order = rng.permutation(part)
            turns.append(
                [order[k : k + self.batch].tolist() for k in range(0, len(order), self.batch)]
            )
        for batches in zip_longest(*turns):
            yield from (batch for batch in batches if batch is not None)

    def _parts(self) -> list["np.ndarray[tuple[int], np.dtype[np.int64]]"]:
        return [part for part in np.array_split(np.arange(self.samples), self.shards) if len(part)]
