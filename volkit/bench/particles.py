"""Particles: what follows the network, beside the libraries that do the same.

All times are processor times: of what works in one thread, on a machine that has nothing else to
do, they are those of the clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from volkit.bench.harness import Case
from volkit.bench.particle_tomograms import FLOOR, heat_map, memory_case, share_case
from volkit.bench.peers import peer_module
from volkit.io.points.table import points_frame
from volkit.kernels.matching import Match, hit_curve, match_counts
from volkit.kernels.peaks import peaks
from volkit.kernels.suppression import suppress
from volkit.ops.particle_convention import CZII
from volkit.ops.particle_scoring import THRESHOLDS, evaluate_points

_SIZE, _QUICK_SIZE = 256, 96
_REACH = 3  # of max-pooling with kernel 7
_TIES = 1e-3  # of peaks, at most
_CANDIDATES, _REFERENCES = 1_000_000, 100_000
_NM3_PER_PARTICLE = 3.5e5
_MATCH_NM = 5.0
_TOMOGRAM, _QUICK_TOMOGRAM = (184, 630, 630), (46, 157, 157)


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of ``volkit bench particles``."""
    yield from _peaks(_QUICK_SIZE if quick else _SIZE)
    share = 10 if quick else 1
    yield from _scoring(_CANDIDATES // share, _REFERENCES // share)
    yield _suppression(_CANDIDATES // share)
    yield share_case(_QUICK_TOMOGRAM if quick else _TOMOGRAM)
    yield memory_case(quick=quick)


def _peaks(size: int) -> Iterator[Case]:
    for kind, threshold, skimage, torch in (
        ("sparse", FLOOR, 50.0, 500.0),
        ("threshold 0", 0.0, 4.0, 4.0),
    ):
        ours = partial(_our_peaks, threshold=threshold)
        yield Case(
            f"peaks, {kind} / scikit-image peak_local_max",
            ours=ours,
            peer=partial(_peaks_of_skimage, threshold=threshold),
            setup=partial(_heat, size, "skimage.feature"),
            target=skimage,
            agree=_same_points,
        )
        yield Case(
            f"peaks, {kind} / torch max_pool3d",
            ours=ours,
            peer=partial(_peaks_of_torch, threshold=threshold),
            setup=partial(_heat, size, "torch"),
            target=torch,
            agree=_same_points,
            most_rounds=3,  # of ten seconds each
        )


def _scoring(candidates: int, references: int) -> Iterator[Case]:
    setup = partial(_points, candidates, references)
    sizes = f"{candidates:.0e} x {references:.0e}".replace("e+0", "e")
    matches: tuple[Match, ...] = ("czii", "one_to_one")
    for match in matches:
        yield Case(
            f"counting {sizes}, {match}",
            ours=partial(_our_counts, match=match),
            setup=setup,
            unit="s",
            target=2.0,
            better="lower",
        )
        yield Case(
            f"counting {sizes} at {len(THRESHOLDS)} thresholds, {match}",
            ours=partial(_our_curve, match=match),
            setup=setup,
            unit="s",
            target=2.0,
            better="lower",
        )
    yield Case(
        f"counting {sizes}, czii / scipy KDTree as in the challenge",
        ours=partial(_our_counts, match="czii"),
        peer=_counts_of_scipy,
        setup=setup,
        target=1,
        agree=lambda a, b: a == b,
    )
    yield Case(
        f"tables {sizes} to a score",
        ours=lambda d: evaluate_points(d.pred, d.truth),
        setup=partial(_tables, candidates, references),
        unit="s",
        target=2.0,
        better="lower",
    )


def _suppression(count: int) -> Case:
    return Case(
        f"suppression of {count:.0e} points".replace("e+0", "e"),
        ours=lambda d: suppress(d.candidates, d.scores, radius=_MATCH_NM),
        setup=partial(_points, count, count // 10),
        unit="s",
        target=2.0,
        better="lower",
    )


def _our_peaks(d: SimpleNamespace, *, threshold: float) -> Any:
    return peaks(d.heat, radius=_REACH, threshold=threshold)[0]


def _peaks_of_skimage(d: SimpleNamespace, *, threshold: float) -> Any:
    return d.peer.peak_local_max(
        d.heat, min_distance=_REACH, threshold_abs=threshold, exclude_border=False
    )


def _peaks_of_torch(d: SimpleNamespace, *, threshold: float) -> Any:
    heat = d.peer.from_numpy(d.heat)
    kernel = 2 * _REACH + 1
    pool = d.peer.nn.functional.max_pool3d
    pooled = pool(heat[None, None], kernel, stride=1, padding=_REACH)[0, 0]
    return ((heat == pooled) & (heat > threshold)).nonzero().numpy()


def _same_points(a: NDArray[Any], b: NDArray[Any]) -> bool:
    ours, theirs = ({*map(tuple, points.tolist())} for points in (a, b))
    # Of equal maxima within a window we keep the first, they keep all; noise has a few.
    return ours <= theirs and len(theirs - ours) <= _TIES * len(theirs)


def _our_counts(d: SimpleNamespace, *, match: Match) -> Any:
    return match_counts(d.candidates, d.references, radius=_MATCH_NM, match=match)


def _our_curve(d: SimpleNamespace, *, match: Match) -> Any:
    thresholds = np.array(THRESHOLDS)
    how: dict[str, Any] = {"radius": _MATCH_NM, "thresholds": thresholds, "match": match}
    return hit_curve(d.candidates, d.scores, d.references, **how)


def _counts_of_scipy(d: SimpleNamespace) -> Any:
    near = KDTree(d.references).query_ball_point(d.candidates, r=_MATCH_NM)
    hits = len({row for rows in near for row in rows})
    return hits, len(d.candidates) - hits, len(d.references) - hits


@contextmanager
def _heat(size: int, peer: str) -> Iterator[SimpleNamespace]:
    module = peer_module(peer, "torch" if peer == "torch" else "bench")
    yield SimpleNamespace(heat=heat_map((size,) * 3, seed=7), peer=module)


@contextmanager
def _points(candidates: int, references: int) -> Iterator[SimpleNamespace]:
    """Scatter references, a candidate near each, and others anywhere."""
    rng = np.random.default_rng(11)
    side = (references * _NM3_PER_PARTICLE) ** (1 / 3)
    true = rng.random((references, 3)) * side
    near = true + rng.normal(0, _MATCH_NM / 3, true.shape)
    far = rng.random((candidates - references, 3)) * side
    order = rng.permutation(candidates)
    yield SimpleNamespace(
        candidates=np.concatenate([near, far])[order],
        scores=rng.random(candidates),
        references=true,
    )


@contextmanager
def _tables(candidates: int, references: int) -> Iterator[SimpleNamespace]:
    with _points(candidates, references) as d:
        names = np.array(CZII.classes)
        kinds = np.random.default_rng(12).integers(0, len(names), candidates)
        pred = points_frame(d.candidates, names[kinds].tolist(), scores=d.scores)
        truth = points_frame(d.references, names[kinds[:references]].tolist())
        yield SimpleNamespace(pred=pred, truth=truth)
