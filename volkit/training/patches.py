"""Patches: boxes drawn from labelled volumes, warped, with their targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from volkit.errors import GeometryError, SourceError
from volkit.geometry import Box, Coord
from volkit.io.open import open_volume
from volkit.kernels.histogram import value_histogram
from volkit.models.scaling import Scale, Scaling
from volkit.training.affinity_config import AffinityPatches
from volkit.training.augment import misalignment, slipped, varied
from volkit.training.config import Augmentation, LabelledVolume, Patches
from volkit.training.targets import affinity_maps, boundary_map, separation_map
from volkit.training.warp import random_warp

Floats = NDArray[np.float32]

# A box of at most this many voxels is kept in memory: patches overlap, and decoding the same
# chunks hundreds of times would cost more than the network.
_RESIDENT_VOXELS = 512**3


class Readable(Protocol):
    """What patches need of a volume."""

    @property
    def domain(self) -> Box:
        """The voxels that it holds."""

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box, shape (Z, Y, X)."""


@dataclass(frozen=True, slots=True)
class Held:
    """A box of a volume in memory, at its own coordinates.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        The voxels.
    domain : Box
        Where they lie.
    """

    values: NDArray[Any]
    domain: Box

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box, as a view."""
        return self.values[box.relative_to(self.domain).slices]


@dataclass(frozen=True, slots=True)
class Tissue:
    """An image and its labels, ready to draw patches from.

    Parameters
    ----------
    image, labels : Readable
        Aligned voxel by voxel.
    box : Box
        What may be used.
    scale : Scale
        How the image is scaled.
    """

    image: Readable
    labels: Readable
    box: Box
    scale: Scale

    def scaled(self, box: Box) -> Floats:
        """Read the image of a box, scaled to what the network wants."""
        return self.scale.apply(self.image.read(box))


def open_tissue(spec: LabelledVolume, scaling: Scaling) -> Tissue:
    """Open an image and its labels.

    Parameters
    ----------
    spec : LabelledVolume
        Where they are, and which box to use.
    scaling : Scaling
        Resolved with the image of the box, the part that training knows.

    Returns
    -------
    Tissue
        In memory where the box is of moderate size.

    Raises
    ------
    GeometryError
        If image and labels differ in their domains, have channels, or do not hold the box.
    SourceError
        If the labels are no ids, or the image holds NaN or infinities.
    """
    image, labels = open_volume(spec.image), open_volume(spec.labels)
    if image.domain != labels.domain or image.channels is not None or labels.channels is not None:
        raise GeometryError(
            f"image {spec.image} {image.domain} and labels {spec.labels} {labels.domain} do not "
            "fit; give two volumes without channels on the same voxels"
        )
    if labels.dtype.kind not in "bui":
        raise SourceError(f"labels {spec.labels} are {labels.dtype}; give integer ids")
    box = Box(spec.start or image.domain.start, spec.stop or image.domain.stop)
    if not image.domain.contains(box) or box.size == 0:
        raise GeometryError(
            f"box {box} is not inside {spec.image} {image.domain}; choose start and stop within it"
        )
    if box.size > _RESIDENT_VOXELS:
        return Tissue(image, labels, box, _scale(image, box, scaling))
    held, ids = Held(image.read(box), box), Held(labels.read(box), box)
    _refuse_unusable(spec, held.values, ids.values)
    return Tissue(held, ids, box, _scale(held, box, scaling))


def _refuse_unusable(spec: LabelledVolume, image: NDArray[Any], labels: NDArray[Any]) -> None:
    bad = image.size - int(np.count_nonzero(np.isfinite(image)))
    if bad:
        raise SourceError(
            f"image {spec.image}: {bad} of {image.size} voxels are NaN or infinite; replace them "
            "in the source, or choose start and stop without them"
        )
    if labels.min() < 0:
        raise SourceError(
            f"labels {spec.labels} hold the negative id {labels.min()}; ids begin at 0 "
            "(background), so rename or mask what is negative"
        )


def _scale(image: Readable, box: Box, scaling: Scaling) -> Scale:
    if not scaling.needs_histogram:
        return scaling.resolve()
    part = box.intersect(Box.from_shape((512, 512, 512), box.start))  # enough of a large one
    histogram = value_histogram(image.read(part))
    return scaling.resolve(histogram["value"], histogram["count"])


def draw_batch(
    tissues: Sequence[Tissue], patches: Patches, augmentation: Augmentation, rng: Generator
) -> tuple[Floats, Floats]:
    """Draw patches and their targets.

    Parameters
    ----------
    tissues : sequence of Tissue
        A tissue is drawn as often as it has voxels.
    patches : Patches
        Shape, count and width of boundaries.
    augmentation : Augmentation
        How to vary them.
    rng : numpy.random.Generator
        Source of chance; nothing else decides.

    Returns
    -------
    tuple of ndarray of float32, shapes (B, 1, Z, Y, X) and (B, C, Z, Y, X)
        Scaled images, and targets 0 or 1.
    """
    share = np.array([tissue.box.size for tissue in tissues], float)
    pairs = [
        draw_patch(tissues[rng.choice(len(tissues), p=share / share.sum())],
                   patches, augmentation, rng)
        for _ in range(patches.batch)
    ]  # fmt: skip
    images, targets = zip(*pairs, strict=True)
    return np.stack(images)[:, None], np.stack(targets).astype(np.float32)


def draw_patch(
    tissue: Tissue, patches: Patches, augmentation: Augmentation, rng: Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw one patch and its target.

    Parameters
    ----------
    tissue : Tissue
        What to draw from; where it is smaller than a patch it is mirrored at its faces.
    patches : Patches
        Shape and width of boundaries.
    augmentation : Augmentation
        How to vary it.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    tuple
        Image (float32), shape ``patches.shape``, and targets (bool), shape (C, Z, Y, X): the
        boundary, and one map for every separation.
    """
    width = patches.boundary_width
    beyond = np.max([(width,) * 3, *patches.separations], axis=0)
    z, y, x = (n + width + int(b) for n, b in zip(patches.shape, beyond, strict=True))
    image, labels = drawn(tissue, (z, y, x), augmentation, rng)
    inner = Box.from_shape(patches.shape, (width,) * 3).slices
    maps = [boundary_map(labels, width=width)[inner]]
    maps += [separation_map(labels, offset)[inner] for offset in patches.separations]
    return varied(np.ascontiguousarray(image[inner]), rng, augmentation), np.stack(maps)


def draw_affinities(
    tissues: Sequence[Tissue], patches: AffinityPatches, augmentation: Augmentation, rng: Generator
) -> tuple[Floats, Floats, Floats]:
    """Draw patches, their affinities, and which of these are known.

    Parameters
    ----------
    tissues : sequence of Tissue
        A tissue is drawn as often as it has voxels.
    patches : AffinityPatches
        Shape, count and offsets.
    augmentation : Augmentation
        How to vary them.
    rng : numpy.random.Generator
        Source of chance; nothing else decides.

    Returns
    -------
    tuple of ndarray of float32, shapes (B, 1, Z, Y, X), (B, C, Z, Y, X), (B, C, Z, Y, X)
        Scaled images; affinities 0 or 1; and 1 where both voxels lie in the patch and, where
        label 0 is unlabelled, have labels.
    """
    share = np.array([tissue.box.size for tissue in tissues], float)
    images, targets, known = [], [], []
    for _ in range(patches.batch):
        tissue = tissues[rng.choice(len(tissues), p=share / share.sum())]
        image, labels = drawn(tissue, patches.shape, augmentation, rng)
        same, told = affinity_maps(labels, patches.offsets, zero=patches.zero)
        images.append(varied(np.ascontiguousarray(image), rng, augmentation)[None])
        targets.append(same.astype(np.float32))
        known.append(told.astype(np.float32))
    return np.stack(images), np.stack(targets), np.stack(known)


def drawn(
    tissue: Tissue, shape: Coord, augmentation: Augmentation, rng: Generator
) -> tuple[Floats, NDArray[Any]]:
    """Draw an image and its labels, warped and misaligned.

    Parameters
    ----------
    tissue : Tissue
        What to draw from; where it is smaller than a patch it is mirrored at its faces.
    shape : tuple of int
        Of the patch, voxels.
    augmentation : Augmentation
        How to move it.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    tuple of ndarray, shape (Z, Y, X)
        Image (float32, scaled) and labels, as stored.
    """
    slip = augmentation.slip if augmentation.misaligned else 0
    outer = (shape[0], shape[1] + 2 * slip, shape[2] + 2 * slip)
    warp = random_warp(rng, augmentation)
    source = warp.source_shape(outer)
    box = _random_box(rng, tissue.box, source)
    image = _extended(tissue.scaled(box), source)
    labels = _extended(tissue.labels.read(box), source)
    image, labels = warp.apply(image, labels, outer)
    if not slip:
        return image, labels
    shifts = misalignment(shape[0], rng, augmentation)
    return slipped(image, shifts, slip), slipped(labels, shifts, slip)


def _random_box(rng: Generator, domain: Box, shape: Coord) -> Box:
    """Place a box of ``shape`` in the domain, cut where the domain is smaller."""
    extent = [min(n, d) for n, d in zip(shape, domain.shape, strict=True)]
    start = [
        a + int(rng.integers(0, d - n + 1))
        for a, d, n in zip(domain.start, domain.shape, extent, strict=True)
    ]
    return Box.from_shape(extent, start)


def _extended(values: NDArray[Any], shape: Coord) -> NDArray[Any]:
    """Mirror an array at its far faces up to ``shape``."""
    missing = [(0, n - have) for n, have in zip(shape, values.shape, strict=True)]
    return np.pad(values, missing, mode="symmetric") if np.any(missing) else values
