"""Reading and writing volumes beside the peers, on loopback and from a warm page cache."""

from collections.abc import Iterator

from volkit.bench import amplification, bossdb, mirror, precomputed, zarr
from volkit.bench.harness import Case


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of ``volkit bench io``."""
    for part in (bossdb, precomputed, zarr, amplification, mirror):
        yield from part.cases(quick=quick)
