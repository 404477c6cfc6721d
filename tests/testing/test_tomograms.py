"""Synthetic tomograms: the same bytes whichever box is read, and exact centres."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from volkit.errors import ConfigError, GeometryError, SourceError
from volkit.geometry import Box
from volkit.io.open import open_volume
from volkit.testing.specimen import open_specimen
from volkit.testing.tomograms import TomogramSpecimen
from volkit.testing.tomograms_particles import KINDS
from volkit.testing.tomograms_wedge import REACH, seen, wedge_kernel

SHAPE = (72, 100, 90)
SPECIMEN = TomogramSpecimen(SHAPE, seed=5)
WHOLE = Box.from_shape(SHAPE)
RADIUS_NM = {kind.name: kind.radius / 10 for kind in KINDS}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return SPECIMEN.image(WHOLE)


@pytest.mark.parametrize(
    "box",
    [
        Box((0, 0, 0), (10, 20, 30)),
        Box((60, 50, 33), (72, 100, 70)),
        Box((64, 64, 64), (65, 65, 65)),
        Box((63, 0, 63), (65, 100, 65)),
    ],
)
def test_a_box_is_a_part_of_the_whole_to_the_bit(box, image) -> None:
    np.testing.assert_array_equal(SPECIMEN.image(box), image[box.slices])
    density = SPECIMEN.density_map(WHOLE)
    np.testing.assert_array_equal(SPECIMEN.density_map(box), density[box.slices])


def test_points_of_boxes_are_those_of_the_whole() -> None:
    whole = SPECIMEN.points(WHOLE)
    parts = [
        SPECIMEN.points(Box((z, y, 0), (min(z + 30, 72), min(y + 50, 100), 90)))
        for z in (0, 30, 60)
        for y in (0, 50)
    ]
    found = {name: np.concatenate([part[name] for part in parts]) for name in whole}
    order = np.lexsort((found["x_nm"], found["y_nm"], found["z_nm"]))
    for name, values in whole.items():
        np.testing.assert_array_equal(found[name][order], values)
    assert len(whole["class"]) >= 8


def test_particles_of_all_sizes_lie_inside_and_apart() -> None:
    big = TomogramSpecimen((200, 300, 300), seed=1)
    points = big.points(Box.from_shape(big.shape))
    assert set(points["class"]) == set(RADIUS_NM)
    places = np.stack([points[name] for name in ("z_nm", "y_nm", "x_nm")], axis=1)
    radii = np.array([RADIUS_NM[name] for name in points["class"]])
    apart = squareform(pdist(places)) + 100 * np.eye(len(places))
    assert (apart >= 0.95 * (radii[:, None] + radii) - 1e-9).all()
    size = big.voxel_size_nm[0]
    far = (np.array(big.shape) - 0.5) * size
    assert (places >= radii[:, None] / 2 - size / 2 - 1e-9).all()
    assert (places <= far - radii[:, None] / 2 + 1e-9).all()


def test_protein_is_where_the_points_say() -> None:
    """The centre of what a kind draws is its point, within the asymmetry of the ribosome."""
    density = SPECIMEN.density_map(WHOLE)
    points = SPECIMEN.points(WHOLE)
    for n, name in enumerate(points["class"]):
        if name not in ("apo-ferritin", "virus-like-particle"):
            continue
        at = np.array([points[key][n] for key in ("z_nm", "y_nm", "x_nm")]) / 1.0012444
        r = RADIUS_NM[name]
        if (at < r + 2).any() or (at > np.array(SHAPE) - r - 3).any():
            continue
        low = np.rint(at - r).astype(int)
        part = density[tuple(slice(a, a + int(2 * r) + 1) for a in low)]
        mass = [
            np.average(np.arange(n), weights=part.sum(tuple({0, 1, 2} - {axis})))
            for axis, n in enumerate(part.shape)
        ]
        np.testing.assert_allclose(low + mass, at, atol=1.0)


def test_seeds_are_different_tomograms(image) -> None:
    other = TomogramSpecimen(SHAPE, seed=6).image(WHOLE)
    assert abs(np.corrcoef(image.ravel(), other.ravel())[0, 1]) < 0.05


def test_protein_is_dark(image) -> None:
    density = SPECIMEN.density_map(WHOLE)
    assert image[density > 0.7].mean() < image[density < 0.05].mean() - 0.3


def test_wedge_takes_away_what_tilting_cannot_see() -> None:
    kernel = wedge_kernel(60.0, (1.0, 1.0, 1.0))
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1])
    z, x = np.meshgrid(np.arange(80), np.arange(80), indexing="ij")
    along_z = np.cos(2 * np.pi * z / 8).astype(np.float32)[:, None].repeat(40, 1)
    along_x = np.cos(2 * np.pi * x / 8).astype(np.float32)[:, None].repeat(40, 1)
    kept = {
        name: seen(wave, tilt_degrees=60.0, size_nm=(1.0, 1.0, 1.0)).std() / wave.std()
        for name, wave in (("z", along_z), ("x", along_x))
    }
    assert kept["z"] < 0.25 < 0.6 < kept["x"]
    assert seen(along_z, tilt_degrees=60.0, size_nm=(1, 1, 1)).shape == (80 - 2 * REACH, 8, 48)


def test_without_wedge_the_filter_only_blurs() -> None:
    kernel = wedge_kernel(90.0, (1.0, 1.0, 1.0))
    assert kernel[REACH, REACH] == pytest.approx(1)
    assert np.abs(kernel).sum() == pytest.approx(1)


def test_the_filter_is_a_convolution() -> None:
    values = np.random.default_rng(0).standard_normal((40, 40, 40)).astype(np.float32)
    out = seen(values, tilt_degrees=60.0, size_nm=(1.0, 1.0, 1.0))
    kernel = wedge_kernel(60.0, (1.0, 1.0, 1.0))
    k = np.fft.fftfreq(40)
    blur = np.real(np.fft.ifft(np.exp(-2 * (np.pi * 0.8 * k) ** 2)))
    smooth = values.astype(float)
    for axis in range(3):
        smooth = sum(blur[d] * np.roll(smooth, d, axis) for d in range(40) if abs(blur[d]) > 1e-9)
    expected = sum(
        kernel[dz + REACH, dx + REACH] * smooth[20 - dz, 20, 20 - dx]
        for dz in range(-REACH, REACH + 1)
        for dx in range(-REACH, REACH + 1)
    )
    assert out[20 - REACH, 20 - REACH, 20 - REACH] == pytest.approx(expected, abs=1e-4)


def test_opens_by_address() -> None:
    uri = "specimen://tomogram?shape=72,100,90&seed=5"
    volume = open_volume(uri)
    box = Box((3, 4, 5), (6, 8, 10))
    np.testing.assert_array_equal(volume.read(box), SPECIMEN.image(box))
    assert volume.scale.voxel_size_nm == SPECIMEN.voxel_size_nm
    source = open_specimen(f"{uri}&part=density")
    np.testing.assert_array_equal(source.read(box), SPECIMEN.density_map(box))
    assert source.identity() != open_specimen(uri).identity()
    with pytest.raises(SourceError, match="cannot be written"):
        source.write(box, np.zeros(box.shape))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("specimen://tomogram?seed=1", "has no shape"),
        ("specimen://tomogram?shape=8,8", "is not three numbers"),
        ("specimen://tomogram?shape=8,8,8&part=truth", "part 'truth' is unknown"),
        ("specimen://tomogram?shape=8,8,8&noize=2", "noize is unknown"),
        ("specimen://tomogram?shape=8,8,8&tilt=91", "tilt 91.0 is not from 0 to 90"),
    ],
)
def test_wrong_addresses_are_refused(uri, message) -> None:
    with pytest.raises((SourceError, ConfigError), match=message):
        open_specimen(uri)


def test_boxes_outside_are_refused() -> None:
    with pytest.raises(GeometryError, match="outside the tomogram"):
        SPECIMEN.image(Box((0, 0, 0), (73, 1, 1)))
    with pytest.raises(GeometryError, match="is empty"):
        TomogramSpecimen((0, 8, 8))
