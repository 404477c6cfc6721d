"""Patches of answers: anywhere in the labelled boxes, with all that the network sees of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.geometry import Box, Coord
from volkit.training.config import Augmentation
from volkit.training.dense_config import OutputPatches
from volkit.training.patches import Readable, Tissue
from volkit.training.targets import boundary_map
from volkit.training.warp import random_warp
from volkit.training.whole_map import mirrored, tiles

Floats = NDArray[np.float32]

# Symmetries that keep sections: quarter turns and mirrors.
_SYMMETRIES = Augmentation(isotropic=False, warp=0.0)
_SLAB: Coord = (16, 1024, 1024)  # voxels that are counted at once


@dataclass(frozen=True, slots=True)
class MappedTissue:
    """A tissue, and what an earlier network made of it.

    Parameters
    ----------
    tissue : Tissue
        Image and labels.
    map : Readable or None
        The earlier network's probabilities, over the tissue's box.
    levels : tuple of float
        Values that 0 and 1 of the map become.
    scaled : bool
        Whether levels are what the network sees; else they are in the unit of the image, and
        scaled with it.
    """

    tissue: Tissue
    map: Readable | None = None
    levels: tuple[float, float] = (0.0, 1.0)
    scaled: bool = False

    def seen(self, box: Box) -> Floats:
        """Read what the network sees of a box, scaled, shape (C, Z, Y, X)."""
        image = self.tissue.scaled(box)
        if self.map is None:
            return image[None]
        low, high = self.levels
        levels = low + (high - low) * self.map.read(box)
        seen = levels.astype(np.float32) if self.scaled else self.tissue.scale.apply(levels)
        return np.stack([image, seen])

    def boundary(self, box: Box, patches: OutputPatches) -> NDArray[np.bool_]:
        """Mark the boundaries of a box, which may reach over the faces, shape (Z, Y, X)."""
        width = patches.boundary_width
        context = box.grow((0 if patches.planar else width, width, width))
        labels = mirrored(self.tissue.labels.read, self.tissue.box, context)
        found = boundary_map(labels, width=width, planar=patches.planar)
        return found[box.relative_to(context).slices]


def draw_answers(
    tissues: Sequence[MappedTissue], patches: OutputPatches, margin: Coord, rng: Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Draw patches and the classes of their voxels.

    Parameters
    ----------
    tissues : sequence of MappedTissue
        A tissue is drawn as often as it has voxels.
    patches : OutputPatches
        Shape, count, and what a boundary is.
    margin : tuple of int
        Voxels that an answer sees on each side.
    rng : numpy.random.Generator
        Source of chance; nothing else decides.

    Returns
    -------
    images : ndarray of float32, shape (B, C, z + 2a, y + 2b, x + 2c)
        Scaled; mirrored beyond the boxes.
    classes : ndarray of int64, shape (B, z, y, x)
        0 inside cells, 1 on boundaries.
    """
    share = np.array([each.tissue.box.size for each in tissues], float)
    pairs = [
        _draw(tissues[rng.choice(len(tissues), p=share / share.sum())], patches, margin, rng)
        for _ in range(patches.batch)
    ]
    images, classes = zip(*pairs, strict=True)
    return np.stack(images), np.stack(classes).astype(np.int64)


def _draw(
    tissue: MappedTissue, patches: OutputPatches, margin: Coord, rng: Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    warp = random_warp(rng, _SYMMETRIES)
    box = _placed(rng, tissue.tissue.box, warp.source_shape(patches.shape))
    context = box.grow(warp.source_shape(margin))
    image = mirrored(tissue.seen, tissue.tissue.box, context)
    target = tissue.boundary(box, patches)
    return np.stack([warp.turned(channel) for channel in image]), warp.turned(target)


def _placed(rng: Generator, domain: Box, shape: Coord) -> Box:
    """Place a box in the domain, or over its far faces where the domain is smaller."""
    start = [
        a + int(rng.integers(0, max(0, d - n) + 1))
        for a, d, n in zip(domain.start, domain.shape, shape, strict=True)
    ]
    return Box.from_shape(shape, start)


def class_weights(tissues: Sequence[MappedTissue], patches: OutputPatches) -> tuple[float, float]:
    """Weigh both classes alike over all that is learnt from: half of all voxels by those of each.

    Parameters
    ----------
    tissues : sequence of MappedTissue
        What is learnt from.
    patches : OutputPatches
        What a boundary is.

    Returns
    -------
    tuple of float
        Weights of a voxel inside cells and of one on boundaries; their mean over voxels is 1.

    Raises
    ------
    ConfigError
        If one of the classes has no voxel.

    References
    ----------
    Lee et al., Recursive training of 2D-3D convolutional networks for neuronal boundary
    detection, NIPS 2015, https://doi.org/10.48550/arXiv.1508.04843
    """
    boundary = total = 0
    for each in tissues:
        for box in tiles(each.tissue.box, _SLAB):
            boundary += int(np.count_nonzero(each.boundary(box, patches)))
            total += box.size
    if boundary in (0, total):
        raise ConfigError(
            f"{boundary} of {total} voxels are boundary, so that there is one class alone; give "
            "labels of several objects, or choose another boundary_width"
        )
    return 0.5 * total / (total - boundary), 0.5 * total / boundary
