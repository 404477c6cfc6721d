"""Rules for small branches: spurs are taken away, and what they held apart is merged."""

from collections import defaultdict
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.kernels.skeleton_branches import Branches
from volkit.kernels.skeleton_runs import FIRST, LEAST, MOST, RADIUS_UNIT, SUMS

Side = tuple[int, int]  # branch, 0 or 1


@dataclass(frozen=True, slots=True)
class SpurRule:
    """Which branches with one free end are no vessels.

    Parameters
    ----------
    length : float
        Shorter ones, unit of the spacing; 0 for none.
    radii : float
        Shorter ones than this many radii of the junction they leave: they do not come out of the
        vessel they grow from; 0 for none.

    Raises
    ------
    ConfigError
        If one is negative.
    """

    length: float = 0.0
    radii: float = 0.0

    def __post_init__(self) -> None:
        if not (self.length >= 0 and self.radii >= 0):
            raise ConfigError(
                f"spurs shorter than {self.length}, or than {self.radii} radii; give 0 or more"
            )


def apply_rule(branches: Branches, rule: SpurRule) -> tuple[Branches, NDArray[np.uint64]]:
    """Take spurs away, the shortest first, and merge the two branches that are left at a junction.

    A junction keeps two branches at least, so that no tree is eaten from its ends.

    Parameters
    ----------
    branches : Branches
        The graph.
    rule : SpurRule
        What is a spur.

    Returns
    -------
    branches : Branches
        The graph that is left; a merged branch is named by its first voxel.
    became : ndarray of uint64, shape (B,)
        Of each branch that was given, the id it has become; 0 where it was taken away.
    """
    work = _Pruning(branches, rule)
    for node in sorted(work.sides):
        work.merge_at(node)
    work.remove_spurs()
    return work.result()


class _Pruning:
    """The graph while it changes."""

    def __init__(self, branches: Branches, rule: SpurRule) -> None:
        self.given = branches
        self.total, self.length = branches.total.copy(), branches.length.copy()
        self.node, self.tip = branches.node.copy(), branches.tip.copy()
        self.free = branches.free.copy()
        self.into = np.arange(len(branches.length))  # -1 where taken away
        knots = branches.junctions
        self.limit = dict(
            zip(
                knots["id"].tolist(),
                np.maximum(rule.length, rule.radii * knots["radius"] * RADIUS_UNIT).tolist(),
                strict=True,
            )
        )
        self.sides: dict[int, list[Side]] = defaultdict(list)
        for branch, side in np.argwhere(~self.free & (self.node > 0)).tolist():
            self.sides[int(self.node[branch, side])].append((branch, side))

    def remove_spurs(self) -> None:
        """Take spurs away until none is left."""
        heap = [self._key(b) for b in np.flatnonzero(self.free.sum(1) == 1).tolist()]
        heapify(heap)
        while heap:
            key = heappop(heap)
            branch = key[2]
            if self.into[branch] != branch or self._key(branch) != key:
                continue
            side = int(np.flatnonzero(~self.free[branch])[0])
            node = int(self.node[branch, side])
            if key[0] >= self.limit[node] or len(self.sides[node]) < 3:
                continue
            self.sides[node].remove((branch, side))
            self.into[branch] = -1
            merged = self.merge_at(node)
            if merged is not None and self.free[merged].sum() == 1:
                heappush(heap, self._key(merged))

    def merge_at(self, node: int) -> int | None:
        """Merge the branches of a junction that has but two."""
        sides = self.sides[node]
        if len(sides) != 2 or sides[0][0] == sides[1][0]:
            return None
        (a, a_side), (b, b_side) = sides
        total = self.total
        total[a, SUMS] += total[b, SUMS]
        total[a, LEAST] = np.minimum(total[a, LEAST], total[b, LEAST])
        total[a, MOST] = np.maximum(total[a, MOST], total[b, MOST])
        self.length[a] += self.length[b]
        far = 1 - b_side
        self.node[a, a_side], self.tip[a, a_side] = self.node[b, far], self.tip[b, far]
        self.free[a, a_side] = self.free[b, far]
        self.into[b] = a
        del self.sides[node]
        if not self.free[b, far]:
            other = self.sides[int(self.node[b, far])]
            other[other.index((b, far))] = (a, a_side)
        return a

    def result(self) -> tuple[Branches, NDArray[np.uint64]]:
        """Give what is left."""
        into = self.into.copy()
        for branch in range(len(into)):
            while into[branch] >= 0 and into[into[branch]] != into[branch]:
                into[branch] = into[into[branch]]
        names = (self.total[:, FIRST] + 1).astype(np.uint64)
        became = np.where(into < 0, np.uint64(0), names[into])
        left = np.flatnonzero(into == np.arange(len(into)))
        left = left[np.argsort(names[left])]
        turned = self.node[left, 0] > self.node[left, 1]
        way = np.where(turned[:, None], [[1, 0]], [[0, 1]])
        node = np.take_along_axis(self.node[left], way, 1)
        knots = self.given.junctions
        used = np.isin(knots["id"], node)
        after = replace(
            self.given,
            total=self.total[left],
            node=node,
            tip=np.take_along_axis(self.tip[left], way[:, :, None], 1),
            free=np.take_along_axis(self.free[left], way, 1),
            length=self.length[left],
            junctions={name: column[used] for name, column in knots.items()},
        )
        return after, became

    def _key(self, branch: int) -> tuple[float, int, int]:
        return float(self.length[branch]), int(self.total[branch, FIRST]), branch
