"""Segmentation beside the libraries that do the same with whole volumes, and at growing sizes."""

from collections.abc import Iterator

from volkit.bench import segmentation_components, segmentation_growth, segmentation_kernels
from volkit.bench.harness import Case


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of ``volkit bench segmentation``."""
    for part in (segmentation_components, segmentation_kernels, segmentation_growth):
        yield from part.cases(quick=quick)
