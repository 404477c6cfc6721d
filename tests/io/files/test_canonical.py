"""Canonical orientation: whichever way a file's axes run, the same head comes out."""

from itertools import permutations, product

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io.files.affine import axis_letters
from volkit.io.files.canonical import canonical, check_affine, reoriented
from volkit.io.files.scan_bytes import scan_bytes, scan_of

nibabel = pytest.importorskip("nibabel")

ORIENTATIONS = [
    "".join(letters) for axes in permutations(("RL", "AP", "SI")) for letters in product(*axes)
]


def scan() -> tuple[np.ndarray, np.ndarray]:
    values = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    affine = np.diag([1.5, 2.0, 2.5, 1.0])
    affine[:3, 3] = -98, -134, -72
    return values, affine


def test_there_are_48_of_them() -> None:
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_every_orientation_of_a_file_gives_the_same_array(axes: str) -> None:
    values, affine = scan()
    turned, frame = reoriented(values, affine, axes)
    assert axis_letters(frame) == axes
    assert "".join(nibabel.aff2axcodes(frame)) == axes
    found, back = scan_of("a file", scan_bytes(turned, frame))
    np.testing.assert_array_equal(found, values)
    np.testing.assert_allclose(back, affine, atol=1e-5)


@pytest.mark.parametrize("axes", ["LIA", "PSR", "ASL"])
def test_it_is_what_nibabel_calls_closest_canonical(axes: str) -> None:
    turned, frame = reoriented(*scan(), axes)
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(turned.transpose(2, 1, 0), frame))
    found, affine = canonical(turned, frame)
    np.testing.assert_array_equal(found.transpose(2, 1, 0), image.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(affine, image.affine, atol=1e-6)


def test_an_oblique_scan_keeps_its_obliqueness() -> None:
    values, affine = scan()
    c, s = np.cos(0.3), np.sin(0.3)
    oblique = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) @ affine
    found, frame = canonical(*reoriented(values, oblique, "PIR"))
    np.testing.assert_array_equal(found, values)
    np.testing.assert_allclose(frame, oblique, atol=1e-9)


@pytest.mark.parametrize(
    ("affine", "said"),
    [
        (np.full((4, 4), np.nan), "4 x 4 finite numbers"),
        (np.zeros((4, 4)), "axes of length 0"),
        (np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "along one line"),
    ],
)
def test_an_affine_that_places_no_voxel_is_refused(affine: np.ndarray, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        check_affine(affine)
