"""Patches with classes: drawn anywhere and varied, or tile by tile as published."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import Box, Coord
from volkit.kernels.class_merge import Classes, merged_classes
from volkit.training.augment import varied
from volkit.training.class_config import ClassPatches
from volkit.training.config import Augmentation
from volkit.training.patches import Tissue, drawn
from volkit.training.whole_map import tiles

Floats = NDArray[np.float32]
_SLAB: Coord = (32, 1024, 1024)  # voxels that are counted at once


def draw_anywhere(
    tissues: Sequence[Tissue],
    classes: Classes,
    patches: ClassPatches,
    augmentation: Augmentation,
    rng: Generator,
) -> tuple[Floats, NDArray[np.int64]]:
    """Draw patches and the classes of their voxels.

    Parameters
    ----------
    tissues : sequence of Tissue
        A tissue is drawn as often as it has voxels.
    classes : mapping of str to sequence of int
        Codes of every class.
    patches : ClassPatches
        Shape and count.
    augmentation : Augmentation
        How to vary them.
    rng : numpy.random.Generator
        Source of chance; nothing else decides.

    Returns
    -------
    images : ndarray of float32, shape (B, 1, Z, Y, X)
        Scaled.
    numbers : ndarray of int64, shape (B, Z, Y, X)
        Of classes.
    """
    share = np.array([tissue.box.size for tissue in tissues], float)
    images, numbers = [], []
    for _ in range(patches.batch):
        tissue = tissues[rng.choice(len(tissues), p=share / share.sum())]
        image, labels = drawn(tissue, patches.shape, augmentation, rng)
        images.append(varied(np.ascontiguousarray(image), rng, augmentation)[None])
        numbers.append(merged_classes(labels, classes))
    return np.stack(images), np.stack(numbers).astype(np.int64)


def draw_tiles(
    tissues: Sequence[Tissue],
    classes: Classes,
    patches: ClassPatches,
    *,
    step: int,
    seed: int,
) -> tuple[Floats, NDArray[np.int64]]:
    """Take the tiles of a step: every tile once in an epoch, in an order drawn for each epoch.

    Parameters
    ----------
    tissues : sequence of Tissue
        Cut into tiles from their starts on; what does not fill a tile is left.
    classes : mapping of str to sequence of int
        Codes of every class.
    patches : ClassPatches
        Shape and count; the last batch of an epoch is filled from the next one.
    step : int
        From 0.
    seed : int
        Of the orders.

    Returns
    -------
    images, numbers
        As `draw_anywhere`.

    Raises
    ------
    GeometryError
        If no tissue holds a whole tile.
    """
    places = [
        (n, box)
        for n, tissue in enumerate(tissues)
        for box in tiles(tissue.box, patches.shape)
        if box.shape == tuple(patches.shape)
    ]
    if not places:
        raise GeometryError(
            f"no volume holds a tile of {patches.shape}; give smaller patches, or larger boxes"
        )
    chosen = [
        places[_shuffled(len(places), seed, k // len(places))[k % len(places)]]
        for k in range(step * patches.batch, (step + 1) * patches.batch)
    ]
    images = [tissues[n].scaled(box)[None] for n, box in chosen]
    numbers = [merged_classes(tissues[n].labels.read(box), classes) for n, box in chosen]
    return np.stack(images), np.stack(numbers).astype(np.int64)


def _shuffled(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


def count_classes(tissues: Sequence[Tissue], classes: Classes) -> list[int]:
    """Count the voxels of every class in all that is learnt from.

    Raises
    ------
    ContractError
        If a code belongs to no class.
    """
    total = np.zeros(len(classes), np.int64)
    for tissue in tissues:
        for box in _slabs(tissue.box):
            numbers = merged_classes(tissue.labels.read(box), classes)
            total += np.bincount(numbers.ravel(), minlength=len(classes))
    return [int(n) for n in total]


def _slabs(box: Box) -> Iterator[Box]:
    return tiles(box, _SLAB)
