"""Crops: particles move with their image, and everything follows from the seed."""

import numpy as np
import pytest

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import VoxelScale
from volkit.io.open import open_volume
from volkit.models.scaling import Scaling
from volkit.training.heatmaps import sigmas_in_voxels
from volkit.training.particle_crops import Tomogram, draw_crop, draw_crops, open_labelled
from volkit.training.particle_options import (
    CropAugmentation,
    Crops,
    LabelledTomogram,
    ParticleKind,
)
from volkit.training.particle_points import Points, read_points

PLAIN = CropAugmentation((False, False, False), quarter_turns=False, rotate=0, tone=0)
SHAPE = (20, 60, 60)


def dotted(places_voxel, kinds) -> Tomogram:
    """A tomogram whose image is the heat map of its particles: crops must agree with it."""
    size = (2.0, 1.0, 1.0)
    sigmas = sigmas_in_voxels([1.5, 2.5], "voxels", size)
    places = np.asarray(places_voxel, float)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    image = np.zeros(SHAPE)
    for place, kind in zip(places, kinds, strict=True):
        squares = (((grid - place) / sigmas[kind]) ** 2).sum(-1)
        image = np.maximum(image, np.exp(-0.5 * squares))
    points = Points(places * size, np.asarray(kinds, np.int64))
    return Tomogram("dots", image.astype(np.float32), VoxelScale(size), points, sigmas)


RNG = np.random.default_rng(3)
TOMOGRAM = dotted(RNG.uniform([2, 5, 5], [18, 55, 55], (12, 3)), np.arange(12) % 2)


@pytest.mark.parametrize(
    ("augmentation", "agreement"),
    [
        (PLAIN, 1e-2),
        (CropAugmentation((True, True, True), rotate=0, tone=0), 1e-2),
        # Linear interpolation flattens peaks; a mirrored or shifted map would be off by 1.
        (CropAugmentation(rotate=1.0, zoom=0.1, tone=0), 0.15),
    ],
)
def test_heat_maps_lie_where_the_image_went(augmentation, agreement) -> None:
    rng = np.random.default_rng(0)
    middle = (slice(None), slice(6, 26), slice(6, 26))
    for _ in range(20):
        image, maps = draw_crop(TOMOGRAM, Crops((8, 32, 32), 1), augmentation, rng)
        assert image.shape == (8, 32, 32)
        np.testing.assert_allclose(maps.max(0)[middle], image[middle], atol=agreement)


def test_focus_brings_particles_of_all_kinds_alike() -> None:
    places = [[10, 30, 30]] + [[10, 5, 5 + n] for n in range(9)]
    tomogram = dotted(places, [0] + [1] * 9)
    rng = np.random.default_rng(0)
    crops = Crops((8, 16, 16), 1, focus=1.0)
    held = np.mean(
        [draw_crop(tomogram, crops, PLAIN, rng)[1].max((1, 2, 3)) > 0.5 for _ in range(100)], axis=0
    )
    assert (held > 0.35).all()
    anywhere = [draw_crop(tomogram, Crops((8, 16, 16), 1), PLAIN, rng)[1] for _ in range(100)]
    assert np.mean([maps[0].max() > 0.5 for maps in anywhere]) < 0.3


def test_published_offset_moves_targets_half_a_voxel() -> None:
    tomogram = dotted([[10, 20, 20]], [0])
    assert tomogram.places(0.5).tolist() == [[10, 20, 20]]
    assert tomogram.places(1.0).tolist() == [[10.5, 20.5, 20.5]]


def test_tone_changes_the_image_and_never_the_maps() -> None:
    toned = CropAugmentation((False,) * 3, quarter_turns=False, rotate=0, tone=1.0)
    crops = Crops((8, 16, 16), 1)
    image, maps = draw_crop(TOMOGRAM, crops, toned, np.random.default_rng(5))
    plain, same = draw_crop(TOMOGRAM, crops, PLAIN, np.random.default_rng(5))
    np.testing.assert_array_equal(maps, same)
    slope, _ = np.polyfit(plain.ravel(), image.ravel(), 1)
    np.testing.assert_allclose(image - slope * plain, (image - slope * plain).mean(), atol=1e-5)


def test_the_seed_decides() -> None:
    crops = Crops((8, 16, 16), 3, focus=0.5)
    drawn = [
        draw_crops([TOMOGRAM, TOMOGRAM], crops, CropAugmentation(), np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    assert drawn[0][0].shape == (3, 1, 8, 16, 16)
    assert drawn[0][1].shape == (3, 2, 8, 16, 16)
    np.testing.assert_array_equal(drawn[0][0], drawn[1][0])
    assert not np.array_equal(drawn[0][0], drawn[2][0])


URI = "specimen://tomogram?shape=32,64,64&seed=5"
KINDS = (ParticleKind("ribosome", 15.0), ParticleKind("thyroglobulin", 13.0))


def opened(image=URI, points=URI, shape=(16, 32, 32)) -> Tomogram:
    return open_labelled(
        LabelledTomogram(image, points), KINDS, Scaling("fixed", divide=2.0), Crops(shape, 1)
    )


def test_a_specimen_brings_its_points() -> None:
    tomogram = opened()
    volume = open_volume(URI)
    np.testing.assert_allclose(tomogram.image, volume.read(volume.domain) / 2)
    assert tomogram.scale == volume.scale
    assert set(tomogram.points.kinds) <= {0, 1}


def test_moments_are_those_of_the_tomogram() -> None:
    tomogram = open_labelled(
        LabelledTomogram(URI, URI), KINDS, Scaling("moments"), Crops((16, 32, 32), 1)
    )
    assert abs(tomogram.image.mean()) < 1e-4
    assert tomogram.image.std() == pytest.approx(1, abs=1e-4)


def test_tomograms_thinner_than_crops_are_refused() -> None:
    with pytest.raises(GeometryError, match="smaller crops"):
        opened(shape=(64, 32, 32))


def test_points_in_another_unit_are_refused(tmp_path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("z_nm,y_nm,x_nm,score,class\n10,20,30,1,ribosome\n100,200,300,1,ribosome\n")
    with pytest.raises(GeometryError, match=r"1 particles of .* the unit of the table"):
        opened(points=str(table))


def test_tables_of_the_challenge_are_ordered_x_y_z_in_angstrom(tmp_path) -> None:
    table = tmp_path / "solution.csv"
    table.write_text(
        "id,experiment,particle_type,x,y,z\n0,TS_1,ribosome,100,200,300\n"
        "1,TS_1,apo-ferritin,1,2,3\n2,TS_2,thyroglobulin,10,20,30\n"
    )
    points = read_points(str(table), [kind.name for kind in KINDS], run="TS_1")
    assert points.places_nm.tolist() == [[30, 20, 10]]
    assert points.kinds.tolist() == [0]
    both = read_points(str(table), ["thyroglobulin", "ribosome"])
    assert both.kinds.tolist() == [1, 0]
    assert both.of(0).tolist() == [[3, 2, 1]]


def test_tables_without_the_kinds_are_refused(tmp_path) -> None:
    table = tmp_path / "solution.csv"
    table.write_text("id,experiment,particle_type,x,y,z\n0,TS_1,ribosom,100,200,300\n")
    with pytest.raises(ConfigError, match="none of the kinds ribosome, .* but ribosom; name those"):
        read_points(str(table), [kind.name for kind in KINDS])


def test_images_know_of_no_particles() -> None:
    with pytest.raises(SourceError, match="knows of no particles"):
        read_points("specimen://em?shape=8,8,8", ["ribosome"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ParticleKind("a", 0.0), "must be above 0"),
        (lambda: Crops(focus=2.0), "focus from 0 to 1"),
        (lambda: CropAugmentation(zoom=-1), "augmentation zoom is -1"),
    ],
)
def test_options_without_sense_are_refused(make, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
