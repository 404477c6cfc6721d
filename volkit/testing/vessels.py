"""Vascular trees whose graph is known: made once from a seed, drawn in any box of voxels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord

Floats = NDArray[np.float64]
_TRIES = 30  # per pair of children, before a vessel ends
_SPREAD = (0.6, 0.9)  # radians between a child and its parent: wide enough to part soon
_TURN = (-1.0, 1.0)  # the plane of two children, radians from that across the parent's


@dataclass(frozen=True, slots=True, eq=False)
class VesselTree:
    """A tree of straight vessels, each the voxels within a radius of a line.

    Parameters
    ----------
    shape : tuple of int
        Extent of the volume, (z, y, x), voxels.
    nodes : ndarray of float64, shape (N, 3)
        Where vessels begin and end, (z, y, x), voxels.
    segments : ndarray of int64, shape (S, 2)
        The nodes of each vessel; every inner node has one parent and two children.
    radius : ndarray of float64, shape (S,)
        Voxels.
    """

    shape: Coord
    nodes: Floats
    segments: NDArray[np.int64]
    radius: Floats

    @property
    def length(self) -> Floats:
        """Length of each vessel, voxels, shape (S,)."""
        ends = self.nodes[self.segments]
        return np.asarray(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1))

    @property
    def degree(self) -> NDArray[np.int64]:
        """Vessels that meet in each node, shape (N,)."""
        return np.bincount(self.segments.ravel(), minlength=len(self.nodes)).astype(np.int64)

    def labels(self, box: Box) -> NDArray[np.uint64]:
        """Draw a box of the volume: 1 + the vessel whose axis is nearest, 0 outside vessels.

        Parameters
        ----------
        box : Box
            Any; what lies outside the volume is drawn too.

        Returns
        -------
        ndarray of uint64, shape (Z, Y, X)
            The same voxels whichever box they are drawn in.
        """
        out = np.zeros(box.shape, np.uint64)
        nearest = np.full(box.shape, np.inf)
        for number, (a, b) in enumerate(self.nodes[self.segments]):
            radius = float(self.radius[number])
            around = _around(np.minimum(a, b) - radius, np.maximum(a, b) + radius).intersect(box)
            if around.size == 0:
                continue
            here = around.relative_to(box).slices
            distance = _from_line(_voxels(around), a, b)
            drawn = (distance <= radius) & (distance < nearest[here])
            out[here][drawn] = number + 1
            nearest[here][drawn] = distance[drawn]
        return out

    def mask(self, box: Box) -> NDArray[np.bool_]:
        """Draw a box of the volume: whether a voxel is vessel."""
        return self.labels(box) > 0


def vessel_tree(
    shape: Coord,
    *,
    seed: int,
    segments: int = 31,
    length: tuple[float, float] = (18.0, 28.0),
    radius: tuple[float, float] = (1.6, 2.6),
    gap: float = 5.0,
) -> VesselTree:
    """Grow a tree from the first plane on.

    Parameters
    ----------
    shape : tuple of int
        Extent of the volume, (z, y, x), voxels.
    seed : int
        The same seed gives the same tree.
    segments : int
        Vessels at most; fewer where there is no room.
    length, radius : tuple of float
        Range of the vessels' lengths and radii, voxels.
    gap : float
        Background between vessels that do not meet, voxels.

    Returns
    -------
    VesselTree

    Raises
    ------
    ConfigError
        If not even one vessel has room.
    """
    rng = np.random.default_rng(seed)
    margin = radius[1] + 2.0
    start = np.array([margin, shape[1] / 2, shape[2] / 2])
    trunk = start + np.array([np.mean(length), 0.0, 0.0])
    if not _inside(trunk, shape, margin) or not _inside(start, shape, margin):
        raise ConfigError(
            f"a vessel of {np.mean(length):g} voxels has no room in {shape}; give a larger shape"
        )
    nodes, pairs = [start, trunk], [(0, 1)]
    tips = [(1, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))]
    while tips and len(pairs) + 2 <= segments:
        tip, along, across = tips.pop(0)
        for _ in range(_TRIES):
            plane = _turned(np.cross(along, across), along, rng.uniform(*_TURN))
            ways = [
                _turned(along, plane, angle)
                for angle in (rng.uniform(*_SPREAD), -rng.uniform(*_SPREAD))
            ]
            ends = [nodes[tip] + way * rng.uniform(*length) for way in ways]
            lines = np.array([[nodes[a], nodes[b]] for a, b in pairs if tip not in (a, b)])
            if all(
                _inside(end, shape, margin) and _free(nodes[tip], end, lines, 2 * radius[1] + gap)
                for end in ends
            ):
                for way, end in zip(ways, ends, strict=True):
                    tips.append((len(nodes), way, plane))
                    pairs.append((tip, len(nodes)))
                    nodes.append(end)
                break
    return VesselTree(
        shape,
        np.array(nodes),
        np.array(pairs, np.int64),
        rng.uniform(*radius, len(pairs)),
    )


def _turned(vector: Floats, axis: Floats, angle: float) -> Floats:
    """Turn a vector about a unit axis that is at right angles to it."""
    turned = vector * np.cos(angle) + np.cross(axis, vector) * np.sin(angle)
    return np.asarray(turned / np.linalg.norm(turned))


def _inside(point: Floats, shape: Coord, margin: float) -> bool:
    return bool((point >= margin).all() and (point <= np.array(shape) - 1 - margin).all())


def _free(start: Floats, end: Floats, lines: Floats, clear: float) -> bool:
    """Tell whether a line keeps clear of others, at points a voxel or less apart."""
    steps = int(np.ceil(np.linalg.norm(end - start))) + 1
    points = start + np.linspace(0, 1, steps)[:, None] * (end - start)
    return all(bool((_from_line(points, a, b) >= clear).all()) for a, b in lines)


def _from_line(points: Floats, a: Floats, b: Floats) -> Floats:
    """Measure the distance of points, shape (..., 3), from the line between two."""
    along = b - a
    share = np.clip(((points - a) @ along) / (along @ along), 0, 1)
    return np.asarray(np.linalg.norm(points - a - share[..., None] * along, axis=-1))


def _around(low: Floats, high: Floats) -> Box:
    z, y, x = (int(np.floor(v)) for v in low)
    k, j, i = (int(np.ceil(v)) + 1 for v in high)
    return Box((z, y, x), (k, j, i))


def _voxels(box: Box) -> Floats:
    lattice = np.moveaxis(np.indices(box.shape, np.float64), 0, -1)
    return np.asarray(lattice + np.array(box.start))
