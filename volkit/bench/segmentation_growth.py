"""Segmentation of growing volumes: time for a voxel, and memory of a worker."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.growth import Work, growth_cases
from volkit.bench.harness import Case
from volkit.bench.tissue import noise
from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.volume import Volume
from volkit.ops.affinity_boundary import boundary_affinities
from volkit.ops.affinity_segmentation import AffinitySegmentationOptions, affinity_segment
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions
from volkit.ops.components import connected_components
from volkit.ops.graph_holder import Held

_FOREGROUND = 140  # of 0 to 255: about a fifth of the voxels


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    components, chain = ((64, 128), (64, 128)) if quick else ((256, 512, 1024), (256, 512))
    works: tuple[tuple[str, Work, tuple[int, ...]], ...] = (
        ("components", _components, components),
        ("affinities to labels", partial(_segments, held="whole"), chain),
        ("affinities to labels by boxes", partial(_segments, held="boxes"), chain),
    )
    for what, work, sizes in works:
        yield from growth_cases(what, work, _grey, sizes=sizes, block=32 if quick else 128)


def _grey(size: int) -> NDArray[np.uint8]:
    return np.rint(noise(size, sigma=2) * 255).astype(np.uint8)


def _components(image: Volume, grid: Grid, engine: JobEngine) -> Any:
    return connected_components(
        image, threshold=_FOREGROUND, connectivity=6, grid=grid, engine=engine
    )


def _segments(image: Volume, grid: Grid, engine: JobEngine, *, held: Held) -> Any:
    how: dict[str, Any] = {"grid": grid, "engine": engine}
    options = AffinitySegmentationOptions(AffinityOptions(NEAREST, low=0.2))
    affinities = boundary_affinities(image, **how)
    return affinity_segment(affinities, options=options, held=held, **how).labels
