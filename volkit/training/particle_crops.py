"""Crops of tomograms, varied, with the heat maps of their particles.

Particles move as points, and their Gaussians are drawn afterwards: no map is ever interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from volkit.errors import GeometryError, SourceError
from volkit.geometry import Box, Coord, VoxelScale
from volkit.io.open import open_volume
from volkit.kernels.histogram import value_histogram
from volkit.models.scaling import Scaling
from volkit.training.heatmaps import heat_maps, sigmas_in_voxels
from volkit.training.particle_options import (
    CropAugmentation,
    Crops,
    LabelledTomogram,
    ParticleKind,
)
from volkit.training.particle_points import Points, read_points

Floats = NDArray[np.float32]
Places = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tomogram:
    """A tomogram in memory, with its particles.

    Parameters
    ----------
    name : str
        Its address.
    image : ndarray of float32, shape (Z, Y, X)
        Scaled to what the network wants.
    scale : VoxelScale
        Where voxel (0, 0, 0) of ``image`` lies.
    points : Points
        The particles.
    sigmas : ndarray of float64, shape (C, 3)
        Deviations of their Gaussians, voxels.
    """

    name: str
    image: Floats
    scale: VoxelScale
    points: Points
    sigmas: NDArray[np.float64]

    def places(self, target_offset: float) -> Places:
        """Centres in voxels of ``image``, shape (N, 3): what decodes to them, unrounded."""
        origin, size = np.array(self.scale.origin_nm), np.array(self.scale.voxel_size_nm)
        return (self.points.places_nm - origin) / size + (target_offset - 0.5)


def open_labelled(
    spec: LabelledTomogram, kinds: Sequence[ParticleKind], scaling: Scaling, crops: Crops
) -> Tomogram:
    """Read a tomogram and its particles.

    Parameters
    ----------
    spec : LabelledTomogram
        Where they are.
    kinds : sequence of ParticleKind
        Which to take, in the order of the channels.
    scaling : Scaling
        Resolved with the whole tomogram.
    crops : Crops
        What they are to be cut into.

    Returns
    -------
    Tomogram

    Raises
    ------
    GeometryError
        If it has channels, a particle lies outside, or it is thinner than a crop.
    SourceError
        If a voxel is not finite.
    """
    volume = open_volume(spec.image)
    domain = volume.domain
    if volume.channels is not None or any(
        n < c for n, c in zip(domain.shape, crops.shape, strict=True)
    ):
        raise GeometryError(
            f"{spec.image} of shape {volume.shape} gives no crops of {crops.shape}; give a "
            "tomogram without channels that is larger, or smaller crops"
        )
    values = np.asarray(volume.read(domain), np.float32)
    if not np.isfinite(values).all():
        raise SourceError(f"{spec.image} has voxels that are not finite; replace them first")
    histogram = value_histogram(values) if scaling.needs_histogram else None
    scale = (
        scaling.resolve(histogram["value"], histogram["count"])
        if histogram
        else (scaling.resolve())
    )
    at = VoxelScale(volume.scale.voxel_size_nm, volume.scale.to_nm(domain.start))
    names = [kind.name for kind in kinds]
    sigmas = sigmas_in_voxels([kind.sigma for kind in kinds], crops.sigma_unit, at.voxel_size_nm)
    tomogram = Tomogram(
        spec.image, scale.apply(values), at, read_points(spec.points, names, run=spec.run), sigmas
    )
    _check_inside(tomogram)
    return tomogram


def _check_inside(tomogram: Tomogram) -> None:
    places = tomogram.places(0.5)
    outside = ((places < -1) | (places > np.array(tomogram.image.shape))).any(axis=1)
    if outside.any():
        z, y, x = (round(float(v), 1) for v in places[outside][0])
        raise GeometryError(
            f"{int(outside.sum())} particles of {tomogram.name} lie outside its voxels "
            f"{tomogram.image.shape}, the first at voxel ({z}, {y}, {x}); check the voxel size and "
            "the unit of the table"
        )


def draw_crops(
    tomograms: Sequence[Tomogram], crops: Crops, augmentation: CropAugmentation, rng: Generator
) -> tuple[Floats, Floats]:
    """Draw crops and their heat maps.

    Parameters
    ----------
    tomograms : sequence of Tomogram
        Each is drawn as often as any other.
    crops : Crops
        Shape, count and focus.
    augmentation : CropAugmentation
        How to vary them.
    rng : numpy.random.Generator
        Source of chance; nothing else decides.

    Returns
    -------
    tuple of ndarray of float32, shapes (B, 1, Z, Y, X) and (B, C, Z, Y, X)
        Images and heat maps.
    """
    pairs = [
        draw_crop(tomograms[int(rng.integers(len(tomograms)))], crops, augmentation, rng)
        for _ in range(crops.batch)
    ]
    images, maps = zip(*pairs, strict=True)
    return np.stack(images)[:, None], np.stack(maps)


def draw_crop(
    tomogram: Tomogram, crops: Crops, augmentation: CropAugmentation, rng: Generator
) -> tuple[Floats, Floats]:
    """Draw one crop and its heat maps.

    Parameters
    ----------
    tomogram : Tomogram
        What to draw from.
    crops : Crops
        Shape and focus.
    augmentation : CropAugmentation
        How to vary it.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    tuple of ndarray of float32, shapes (Z, Y, X) and (C, Z, Y, X)
        Image and heat maps.
    """
    places = tomogram.places(crops.target_offset)
    start = _start(tomogram, places, crops, rng)
    image, moved, zoom = _cut(tomogram.image, places, start, crops.shape, augmentation, rng)
    image, moved = _mirrored(image, moved, augmentation, rng)
    if rng.random() < augmentation.tone:
        contrast, brightness = rng.uniform(-1, 1, 2)
        image = image * np.float32(1 + augmentation.contrast * contrast)
        image += np.float32(augmentation.brightness * brightness)
    sigmas = tomogram.sigmas / np.array([1.0, zoom, zoom])
    maps = heat_maps(moved, tomogram.points.kinds, Box.from_shape(crops.shape), sigmas=sigmas)
    return np.ascontiguousarray(image, np.float32), maps


def _start(tomogram: Tomogram, places: Places, crops: Crops, rng: Generator) -> NDArray[np.int64]:
    """Choose the first voxel of a crop that lies inside."""
    last = np.array(tomogram.image.shape) - crops.shape
    if len(places) and rng.random() < crops.focus:
        kinds = tomogram.points.kinds
        kind = rng.choice(np.unique(kinds))
        place = places[rng.choice(np.flatnonzero(kinds == kind))]
        # The particle may lie anywhere in the middle four fifths of the crop.
        start = np.rint(place - rng.uniform(0.1, 0.9, 3) * crops.shape)
    else:
        start = np.floor(rng.random(3) * (last + 1))
    return np.clip(start, 0, last).astype(np.int64)


def _cut(
    image: Floats,
    places: Places,
    start: NDArray[np.int64],
    shape: Coord,
    augmentation: CropAugmentation,
    rng: Generator,
) -> tuple[Floats, Places, float]:
    """Cut a crop out, turned about z and zoomed for a share of them."""
    z = int(start[0])
    slices = image[z : z + shape[0]]
    if rng.random() >= augmentation.rotate:
        inside = Box.from_shape(shape, (z, int(start[1]), int(start[2])))
        return image[inside.slices], places - start, 1.0
    angle, zoom = rng.uniform(-np.pi, np.pi), 1 + augmentation.zoom * rng.uniform(-1, 1)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(shape[1:]) - 1) / 2
    source = start[1:] + middle
    matrix = np.eye(3)
    matrix[1:, 1:] = turn
    offset = np.array([0.0, *(source - turn @ middle)])
    cut = ndimage.affine_transform(slices, matrix, offset, shape, np.float32, order=1)
    moved = places - [z, 0, 0]
    moved[:, 1:] = (places[:, 1:] - source) @ np.linalg.inv(turn).T + middle
    return cut, moved, zoom


def _mirrored(
    image: Floats, places: Places, augmentation: CropAugmentation, rng: Generator
) -> tuple[Floats, Places]:
    """Turn by quarters, then mirror."""
    places = places.copy()
    if augmentation.quarter_turns:
        for _ in range(int(rng.integers(4))):
            image = np.rot90(image, axes=(1, 2))
            places = places[:, [0, 2, 1]]
            places[:, 1] = image.shape[1] - 1 - places[:, 1]
    for axis, allowed in enumerate(augmentation.flips):
        if allowed and rng.random() < 0.5:
            image = np.flip(image, axis)
            places[:, axis] = image.shape[axis] - 1 - places[:, axis]
    return image, places
