"""Watershed, agglomeration and contingency tables beside scikit-image and waterz."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case
from volkit.bench.in_memory import InMemory
from volkit.bench.kernels import same_partition
from volkit.bench.peers import peer_module, silence
from volkit.bench.tissue import cells, noise, seeds_of
from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.contacts import ONE
from volkit.kernels.contingency import contingency
from volkit.kernels.scores import rand_scores
from volkit.kernels.watershed import flood
from volkit.ops.affinity_segmentation import graph_of
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions, basin_fragments
from volkit.ops.arguments import Call
from volkit.ops.sharded_lookup import rename

_LOW, _HIGH, _THRESHOLD = 0.3, 0.8, 0.5
_ROUNDS = 3


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    size, block = (96, 48) if quick else (256, 128)
    yield Case(
        f"seeded watershed of {size}³ / scikit-image",
        ours=lambda d: flood(d.prob, d.seeds),
        peer=lambda d: d.peer.watershed(d.prob, d.seeds.astype(np.int32)),
        setup=partial(_seeded, size),
        target=8,
        # Ties are resolved otherwise, and 256 levels make some.
        agree=lambda a, b: float(np.mean(a == b)) > 0.9,
        most_rounds=_ROUNDS,
    )
    yield Case(
        f"fragments, graph and mean agglomeration of {size}³ in {block}³ blocks / waterz whole",
        ours=partial(_agglomerated, block=block),
        peer=_agglomerated_by_waterz,
        setup=partial(_affinities, size),
        target=1.5,
        agree=same_partition,
        most_rounds=_ROUNDS,
    )
    tables = (("EM-like labels", _tissue, 10.0), ("small cells, mixed", _mixed, 4.0))
    for kind, setup, target in tables:
        yield Case(
            f"contingency of {size}³, {kind} / scikit-image adapted_rand_error",
            ours=lambda d: (
                rand_scores(contingency(d.true, d.pred), form="pairs").adapted_rand_error
            ),
            peer=lambda d: d.peer.adapted_rand_error(d.true, d.pred)[0],
            setup=partial(setup, size),
            target=target,
            agree=lambda a, b: bool(abs(a - b) < 1e-9),
        )


def _agglomerated(d: SimpleNamespace, *, block: int) -> NDArray[Any]:
    """Cut, measure and merge in blocks, in this process."""
    options, engine = AffinityOptions(NEAREST, low=_LOW, high=_HIGH), InMemory()
    grid = Grid(d.volume.domain, (block,) * 3)
    call = Call((d.volume,), grid, engine, None)
    pieces = basin_fragments(call, options)
    graph = graph_of(pieces, call, options, None)
    boundary = graph["count"] * ONE - graph["affinity_sum"]
    old, new = agglomerate_mean(
        graph["u"], graph["v"], boundary, graph["count"], threshold=_THRESHOLD
    )
    found: NDArray[Any] = rename(
        pieces, {"old": old, "new": new}, grid=grid, engine=engine, name="labels"
    )
    return found


def _agglomerated_by_waterz(d: SimpleNamespace) -> NDArray[Any]:
    with silence():
        segments = d.peer.agglomerate(
            d.affinities,
            [_THRESHOLD],
            aff_threshold_low=_LOW,
            aff_threshold_high=_HIGH,
            discretize_queue=0,  # its exact queue
        )
        found: NDArray[Any] = next(iter(segments)).copy()
    return found


@contextmanager
def _seeded(size: int) -> Iterator[SimpleNamespace]:
    peer, prob = peer_module("skimage.segmentation", "bench"), noise(size, sigma=2)
    yield SimpleNamespace(prob=prob, seeds=seeds_of(prob, radius=10), peer=peer)


@contextmanager
def _affinities(size: int) -> Iterator[SimpleNamespace]:
    """Make affinities without ties, whose order is then nobody's choice."""
    peer, prob = peer_module("waterz", "bench"), noise(size, sigma=3)
    affinities = np.zeros((3, *prob.shape), np.float32)
    for axis in range(3):
        here = (slice(None),) * axis + (slice(1, None),)
        before = (slice(None),) * axis + (slice(None, -1),)
        affinities[axis][here] = 1 - (prob[here] + prob[before]) / 2
    yield SimpleNamespace(affinities=affinities, volume=open_volume(affinities), peer=peer)


@contextmanager
def _tissue(size: int) -> Iterator[SimpleNamespace]:
    peer = peer_module("skimage.metrics", "bench")
    # Signed, as scikit-image wants them.
    true, pred = (cells(size, radius=radius).astype(np.int64) for radius in (10, 6))
    yield SimpleNamespace(true=true, pred=pred, peer=peer)


@contextmanager
def _mixed(size: int) -> Iterator[SimpleNamespace]:
    """Make some 50,000 cells of 256³ voxels, and move them, with ids that say nothing of place."""
    peer = peer_module("skimage.metrics", "bench")
    true = cells(size, radius=2, sigma=1.2).astype(np.int64)
    names = 1 + np.random.default_rng(1).permutation(int(true.max()) + 1)
    pred = names[np.roll(true, (2, 2, 2), (0, 1, 2))]
    yield SimpleNamespace(true=true, pred=pred, peer=peer)
