"""Kernels beside the libraries that do the same, on synthetic tissue.

Times are processor times: threads count in full, and other users of the machine hardly at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volkit.bench.harness import Case
from volkit.bench.peers import peer_module, silence
from volkit.bench.tissue import cells, noise, seeds_of
from volkit.geometry import Box, Grid
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contacts import contacts
from volkit.kernels.contingency import contingency
from volkit.kernels.label_rims import rim_table, rise_rims
from volkit.kernels.label_runs import component_parts
from volkit.kernels.octree_components import sink_links
from volkit.kernels.peaks import peaks
from volkit.kernels.relabel import renamed
from volkit.kernels.scores import rand_scores
from volkit.kernels.watershed import flood

Labels = NDArray[np.uint64]

_SIZE, _QUICK_SIZE = 256, 128
_CELL, _FRAGMENT = 10, 6  # voxels between seeds: some 9,000 and 3,000 voxels for each
_THRESHOLD = 0.5


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of ``volkit bench kernels``."""
    size = _QUICK_SIZE if quick else _SIZE
    yield from _components(size)
    yield from _watershed(size)
    yield from _contingency(size)
    yield from _peaks(size)
    yield from _agglomeration(size)


def _components(size: int) -> Iterator[Case]:
    """Ours in eight blocks and stitched, the peers in one piece: a price, so below 1."""
    setup = partial(_foreground, size)
    ours = partial(components_by_blocks, block=size // 2)
    yield Case(
        "components 6, blockwise / cc3d whole",
        ours=lambda d: ours(d.mask),
        peer=lambda d: cc3d.connected_components(d.mask, connectivity=6),
        setup=setup,
        target=0.3,
        agree=same_partition,
    )
    yield Case(
        "components 6, blockwise / scipy whole",
        ours=lambda d: ours(d.mask),
        peer=lambda d: ndimage.label(d.mask)[0],
        setup=setup,
        target=0.4,
        agree=same_partition,
    )


def _watershed(size: int) -> Iterator[Case]:
    yield Case(
        "watershed / scikit-image",
        ours=lambda d: flood(d.prob, d.seeds),
        peer=lambda d: d.peer.watershed(d.prob, d.seeds.astype(np.int32)),
        setup=partial(_boundaries, size, "skimage.segmentation"),
        target=5,
        # Ties are resolved otherwise, and 256 levels make some.
        agree=lambda a, b: float(np.mean(a == b)) > 0.9,
    )


def _contingency(size: int) -> Iterator[Case]:
    yield Case(
        "contingency / scikit-image adapted_rand_error",
        ours=lambda d: contingency(d.true, d.pred),
        peer=lambda d: d.peer.adapted_rand_error(d.true, d.pred),
        setup=partial(_segmentations, size, "skimage.metrics"),
        target=10,
    )
    yield Case(
        "contingency / numpy unique of a key",
        ours=lambda d: contingency(d.true, d.pred),
        peer=lambda d: np.unique(d.true << 32 | d.pred, return_counts=True),
        setup=partial(_segmentations, size, "numpy"),
        target=10,
        agree=lambda table, peer: np.array_equal(table["count"], peer[1]),
    )


def _peaks(size: int) -> Iterator[Case]:
    for kind, threshold, target in (("sparse", 0.8, 20.0), ("everywhere", 0.0, 4.0)):
        yield Case(
            f"peaks, {kind} / scikit-image peak_local_max",
            ours=partial(_our_peaks, threshold=threshold),
            peer=partial(_their_peaks, threshold=threshold),
            setup=partial(_boundaries, size, "skimage.feature"),
            target=target,
            agree=lambda a, b: {*map(tuple, a.tolist())} == {*map(tuple, b.tolist())},
        )


def _our_peaks(d: SimpleNamespace, *, threshold: float) -> Any:
    return peaks(d.prob, radius=3, threshold=threshold)[0]


def _their_peaks(d: SimpleNamespace, *, threshold: float) -> Any:
    return d.peer.peak_local_max(
        d.prob, min_distance=3, threshold_abs=threshold, exclude_border=False
    )


def _agglomeration(size: int) -> Iterator[Case]:
    yield Case(
        "region graph and mean agglomeration / waterz",
        ours=lambda d: _agglomerated(d.fragments, d.prob),
        peer=_agglomerated_by_waterz,
        setup=partial(_fragments, size, "waterz"),
        target=1,
        # It adds up in float32, so that close contests may end otherwise.
        agree=lambda a, b: rand_scores(contingency(a, b)).adapted_rand_error < 1e-3,
    )


def components_by_blocks(mask: NDArray[np.bool_], *, block: int) -> NDArray[Any]:
    """Label every block alone, unite what touches by rims, write under the names of the whole."""
    domain = Box.from_shape(mask.shape)
    grid, tables = Grid(domain, (block,) * 3), []
    parts = []
    for b in grid:
        found = component_parts(
            mask[b.write.slices],
            connectivity=6,
            start=b.write.start,
            domain_shape=domain.shape,
        )
        parts.append(found)
        tables.append(rim_table(found, b.write))
    lookup = sink_links(rise_rims(tables, connectivity=6, domain=domain)[1], None)
    # Like cc3d, in the smallest type that holds the names: else it is memory that is compared.
    labels = np.empty(mask.shape, np.min_scalar_type(mask.size))
    for b, found in zip(grid, parts, strict=True):
        found.painted(lookup["old"], lookup["new"], into=labels[b.write.slices])
    return labels


def _agglomerated(fragments: Labels, prob: NDArray[np.float32]) -> Labels:
    graph = contacts(fragments, prob, Box.from_shape(fragments.shape))
    old, new = agglomerate_mean(**graph, threshold=_THRESHOLD)
    return renamed(fragments, old, new)


def _agglomerated_by_waterz(d: SimpleNamespace) -> Any:
    # It overwrites the fragments it is given; 0 is its exact queue.
    with silence():
        segments = d.peer.agglomerate(
            d.affinities, [_THRESHOLD], fragments=d.fragments.copy(), discretize_queue=0
        )
        return next(iter(segments))


def same_partition(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Tell whether two labelings group the same voxels, whatever the ids."""
    table = contingency(a, b)
    return len({*table["true"]}) == len({*table["pred"]}) == len(table["count"])


@contextmanager
def _foreground(size: int) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(mask=noise(size, sigma=2) > 0.55)


@contextmanager
def _boundaries(size: int, peer: str) -> Iterator[SimpleNamespace]:
    module = peer_module(peer, "bench")
    prob = noise(size, sigma=2)
    yield SimpleNamespace(prob=prob, seeds=seeds_of(prob, radius=_CELL), peer=module)


@contextmanager
def _segmentations(size: int, peer: str) -> Iterator[SimpleNamespace]:
    module = peer_module(peer, "bench")
    # Signed, as scikit-image wants them.
    true, pred = (cells(size, radius=radius).astype(np.int64) for radius in (_CELL, _FRAGMENT))
    yield SimpleNamespace(true=true, pred=pred, peer=module)


@contextmanager
def _fragments(size: int, peer: str) -> Iterator[SimpleNamespace]:
    module = peer_module(peer, "bench")
    prob = noise(size, sigma=2)
    affinities = np.zeros((3, *prob.shape), np.float32)
    for axis in range(3):
        here = (slice(None),) * axis + (slice(1, None),)
        there = (slice(None),) * axis + (slice(None, -1),)
        affinities[axis][here] = 1 - np.maximum(prob[here], prob[there])
    fragments = cells(size, radius=_FRAGMENT)
    yield SimpleNamespace(prob=prob, affinities=affinities, fragments=fragments, peer=module)
