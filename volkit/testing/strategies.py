"""Strategies: hypothesis draws boxes, grids and small volumes for your own property tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import missing_extra
from volkit.geometry import Box, Coord, Grid, Windows

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise missing_extra("hypothesis", "dev") from error

_FAR = 50  # domains begin up to here from the origin, on either side
_SEEDS = st.integers(0, 2**32 - 1)


def shapes(*, smallest: int = 1, largest: int = 9) -> st.SearchStrategy[Coord]:
    """Draw extents, (z, y, x): of domains, of blocks.

    Parameters
    ----------
    smallest, largest : int
        Voxels on an axis, both included.

    Returns
    -------
    SearchStrategy of tuple of int
    """
    extent = st.integers(smallest, largest)
    return st.tuples(extent, extent, extent)


def halos(*, largest: int = 4) -> st.SearchStrategy[Coord]:
    """Draw halos, (z, y, x), from none to ``largest`` voxels."""
    return shapes(smallest=0, largest=largest)


@st.composite
def domains(draw: st.DrawFn, *, largest: int = 9) -> Box:
    """Draw domains that begin anywhere, before the origin too; one voxel or more on every axis."""
    start = draw(shapes(smallest=-_FAR, largest=_FAR))
    return Box.from_shape(draw(shapes(largest=largest)), start)


@st.composite
def boxes(draw: st.DrawFn, domain: Box) -> Box:
    """Draw boxes with voxels in them, inside a domain."""
    spans = []
    for first, end in zip(domain.start, domain.stop, strict=True):
        start = draw(st.integers(first, end - 1))
        spans.append((start, draw(st.integers(start + 1, end))))
    (az, bz), (ay, by), (ax, bx) = spans
    return Box((az, ay, ax), (bz, by, bx))


@st.composite
def grids(draw: st.DrawFn, domain: Box | None = None, *, largest_halo: int = 4) -> Grid:
    """Draw grids: of a domain, or of any; with ragged ends, and blocks larger than the domain.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    domain : Box or None
        What to cover; None draws it.
    largest_halo : int
        Voxels.

    Returns
    -------
    SearchStrategy of Grid
    """
    covered = draw(domains()) if domain is None else domain
    z, y, x = (draw(st.integers(1, n + 2)) for n in covered.shape)
    return Grid(covered, (z, y, x), draw(halos(largest=largest_halo)))


@st.composite
def windows(draw: st.DrawFn, domain: Box | None = None) -> Windows:
    """Draw lattices of windows that leave no gap, with and without margins."""
    covered = draw(domains(largest=12)) if domain is None else domain
    margin = draw(halos(largest=2))
    shape = [draw(st.integers(1, 6)) + 2 * m for m in margin]
    stride = [draw(st.integers(1, n - 2 * m)) for n, m in zip(shape, margin, strict=True)]
    return Windows(covered, tuple(shape), tuple(stride), margin)  # type: ignore[arg-type]


@st.composite
def label_volumes(
    draw: st.DrawFn, shape: Coord = (6, 7, 8), *, cells: int = 5, dtype: Any = np.uint64
) -> NDArray[Any]:
    """Draw labels, (Z, Y, X): cells that touch, background 0, and ids with gaps between them.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    shape : tuple of int
        Extent, voxels.
    cells : int
        The largest number of different ids; cells may be in several pieces.
    dtype : dtype
        Of the labels; ids go up to its largest value.

    Returns
    -------
    SearchStrategy of ndarray, shape (Z, Y, X)
    """
    rng = np.random.default_rng(draw(_SEEDS))
    largest = int(np.iinfo(dtype).max)
    ids = draw(st.lists(st.integers(1, largest), min_size=1, max_size=cells, unique=True))
    # Coarse cubes, so that cells have insides; every axis may be cut.
    edge = draw(st.integers(1, 4))
    coarse = rng.integers(0, len(ids) + 1, [-(-n // edge) for n in shape])
    fine = coarse.repeat(edge, 0).repeat(edge, 1).repeat(edge, 2)
    labels = np.array([0, *ids], dtype)[fine]
    return labels[tuple(slice(n) for n in shape)]


@st.composite
def probability_maps(
    draw: st.DrawFn, shape: Coord = (6, 7, 8), *, levels: int | None = None
) -> NDArray[np.float32]:
    """Draw probabilities, (Z, Y, X), 0 to 1 with both ends.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    shape : tuple of int
        Extent, voxels.
    levels : int or None
        Number of different values, few of which make many ties; None draws it, 2 to 256.

    Returns
    -------
    SearchStrategy of ndarray of float32, shape (Z, Y, X)
    """
    count = draw(st.integers(2, 256)) if levels is None else levels
    rng = np.random.default_rng(draw(_SEEDS))
    steps = rng.integers(0, count, shape)
    return (steps / (count - 1)).astype(np.float32)
