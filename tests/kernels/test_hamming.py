"""Hamming windows: against Pillow, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from volkit.errors import GeometryError
from volkit.kernels.hamming import hamming_weights


@pytest.mark.parametrize(("shape", "size"), [((256, 256), (64, 64)), ((20, 33), (7, 33))])
def test_pictures_are_those_of_pillow(shape, size) -> None:
    picture = np.random.default_rng(0).random(shape).astype(np.float32)
    theirs = Image.fromarray(picture).resize(size[::-1], Image.Resampling.HAMMING)
    down, along = (hamming_weights(a, b)[1] for a, b in zip(shape, size, strict=True))
    np.testing.assert_allclose(down @ picture @ along.T, np.asarray(theirs), atol=2e-6)


def test_some_rows_are_those_of_all() -> None:
    first, some = hamming_weights(32, 8, rows=range(3, 6))
    _, whole = hamming_weights(32, 8)
    # From half a pixel of four before the third one to half a pixel after the fifth.
    assert (first, some.shape) == (10, (3, 16))
    np.testing.assert_array_equal(some, whole[3:6, 10:26])
    np.testing.assert_allclose(whole.sum(axis=1), 1)


def test_what_cannot_be_made_is_refused() -> None:
    for rows in (range(7, 9), range(0)):
        with pytest.raises(GeometryError, match="give fewer, and rows among them"):
            hamming_weights(32, 8, rows=rows)
    with pytest.raises(GeometryError, match="4 pixels cannot become 8"):
        hamming_weights(4, 8)
