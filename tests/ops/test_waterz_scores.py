"""Scores that the packaged waterz has not compiled, beside a transcript of its own merging."""

import heapq
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from volkit.geometry import Grid
from volkit.io.open import open_volume
from volkit.kernels.label import label_equal
from volkit.kernels.linkage_rule import Linkage
from volkit.ops.affinity_watershed import NEAREST, AffinityOptions
from volkit.ops.octree_agglomeration import agglomeration_tree

Values = list[float]


def smallest(values: Values) -> float:
    """``MinAffinity``."""
    return min(values)


def quantile(percent: int) -> Callable[[Values], float]:
    """``QuantileAffinity``, of what ``InitWithMax`` leaves of every contact."""
    return lambda values: sorted(values)[percent * len(values) // 100]


def largest(k: int) -> Callable[[Values], float]:
    """``MeanMaxKAffinity``."""
    return lambda values: sum(sorted(values)[-k:]) / min(k, len(values))


class Merging:
    """``IterativeRegionMerging`` of waterz 0.10.1, with ``OneMinus`` of a statistic.

    Of two edges that meet, the cheaper one stays, stale, and is scored again when it is popped.
    """

    def __init__(self, contacts: dict[tuple[int, int], Values], statistic) -> None:
        self.values = {n: list(values) for n, values in enumerate(contacts.values())}
        self.ends = dict(enumerate(contacts))
        self.edges: dict[int, dict[int, int]] = {}
        for n, (u, v) in self.ends.items():
            self.edges.setdefault(u, {})[v] = n
            self.edges.setdefault(v, {})[u] = n
        self.statistic, self.order = statistic, count()
        self.queue: list[tuple[float, int, int]] = []
        self.scores: dict[int, float] = {}
        self.stale: set[int] = set()
        self.root = {u: u for u in self.edges}
        for n in self.ends:
            self.score(n)

    def score(self, n: int) -> None:
        self.scores[n] = 1 - self.statistic(self.values[n])
        heapq.heappush(self.queue, (self.scores[n], next(self.order), n))

    def until(self, threshold: float) -> dict[int, int]:
        while self.queue and self.queue[0][0] < threshold:
            _, _, n = heapq.heappop(self.queue)
            if n not in self.ends:
                continue
            if n in self.stale:
                self.stale.discard(n)
                self.score(n)
                continue
            self.merge(n)
        return {u: self.top(u) for u in self.root}

    def top(self, u: int) -> int:
        while self.root[u] != u:
            u = self.root[u]
        return u

    def merge(self, n: int) -> None:
        a, b = self.ends.pop(n)
        self.root[b] = a
        del self.edges[a][b], self.edges[b][a]
        for other, edge in self.edges.pop(b).items():
            del self.edges[other][b]
            twin = self.edges[a].get(other)
            if twin is None:
                kept = edge
            else:
                kept, gone = (twin, edge) if self.scores[edge] > self.scores[twin] else (edge, twin)
                self.values[kept] += self.values[gone]
                self.stale.add(kept)
                del self.ends[gone]
            self.ends[kept] = (a, other)
            self.edges[a][other] = self.edges[other][a] = kept


def contacts_of(labels: np.ndarray, affinities: np.ndarray) -> dict[tuple[int, int], Values]:
    found: dict[tuple[int, int], Values] = {}
    for axis in range(3):
        here = [slice(1, None) if n == axis else slice(None) for n in range(3)]
        before = [slice(None, -1) if n == axis else slice(None) for n in range(3)]
        pairs = np.stack([labels[tuple(before)], labels[tuple(here)]]).reshape(2, -1).astype(int)
        values = affinities[axis][tuple(here)].ravel()
        for u, v, value in zip(*np.sort(pairs, axis=0).tolist(), values.tolist(), strict=True):
            if u != v:
                found.setdefault((u, v), []).append(value)
    return found


@pytest.mark.parametrize(
    ("kind", "number", "threshold"),
    [
        *(("min", 0, threshold) for threshold in (0.75, 0.95)),
        ("quantile", 10, 0.35),
        ("quantile", 50, 0.3),
        ("quantile", 50, 0.34),
        ("quantile", 75, 0.3),
        ("max_k", 3, 0.3),
        ("max_k", 10, 0.4),
    ],
)
def test_scores_are_those_of_waterz(kind: str, number: int, threshold: float) -> None:
    rng = np.random.default_rng(4)
    places = np.stack(np.indices((9, 10, 11)), axis=-1)[..., None, :]
    distance = ((places - rng.random((30, 3)) * (9, 10, 11)) ** 2).sum(axis=-1)
    labels = label_equal(distance.argmin(axis=-1) + 1, connectivity=6)
    # No two values are the same, so that nothing hangs on ties; all are exact in float32.
    values = rng.permutation(3 * labels.size).reshape(3, *labels.shape) / 2**12
    affinities = values.astype(np.float32)
    contacts = contacts_of(labels, affinities)
    assert len(contacts) > 60
    if kind == "min":
        linkage, statistic = Linkage("min"), smallest
    elif kind == "max_k":
        linkage, statistic = Linkage("max_k", k=number), largest(number)
    else:
        linkage = Linkage("quantile", number, "largest", exact=True)
        contacts = {pair: [max(found)] for pair, found in contacts.items()}
        statistic = quantile(number)
    theirs = Merging(contacts, statistic).until(threshold)
    expected = np.vectorize(theirs.get)(labels.astype(int))
    volumes = open_volume(labels), open_volume(affinities)
    for held, block_shape in (("whole", labels.shape), ("boxes", (4, 5, 6))):
        tree = agglomeration_tree(
            *volumes,
            options=AffinityOptions(NEAREST),
            linkage=linkage,
            held=held,
            grid=Grid(volumes[0].domain, block_shape),
        )
        ours = tree.labels(threshold).compute(scheduler="sync")
        pairs = np.unique(np.stack([ours.ravel().astype(int), expected.ravel()]), axis=1)
        groups = len(np.unique(expected))
        assert pairs.shape[1] == len(np.unique(ours)) == groups
        assert 1 < groups < len(np.unique(labels))


def test_a_quantile_of_all_affinities_has_bins() -> None:
    with pytest.raises(Exception, match="exact is true, linkage 'quantile' of contact 'all'"):
        Linkage("quantile", 50, exact=True)
