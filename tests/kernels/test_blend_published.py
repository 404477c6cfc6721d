"""The published lattice and weights of the 2.5D U-Nets, by their formula and by their numbers."""

import numpy as np
import pytest

from volkit.geometry import Box, Windows
from volkit.kernels.blend import weight_sums, window_weights

FLOORED = 1 - 1e-6  # sums below one, which the published floor dims; rounding is not meant


def formula(depth: int, side: int) -> np.ndarray:
    """s = linspace(0, 1, n), a = min(s, 1 - s), w = min(a_y, a_x) c_z, divided by its maximum."""
    s, t = np.linspace(0, 1, side), np.linspace(0, 1, depth)
    a, c = np.minimum(s, 1 - s), np.minimum(t, 1 - t)
    w = np.minimum(a[:, None], a)[None] * c[:, None, None]
    return w / w.max()


def test_the_weights_are_the_formula_with_their_plateau_and_zeros() -> None:
    w = window_weights((16, 128, 128), "pyramid-published")
    np.testing.assert_allclose(w, formula(16, 128), rtol=1e-6, atol=1e-12)
    assert (w == 1).sum() == 2 * 2 * 2
    assert w.mean() == pytest.approx(0.165, abs=5e-4)
    faces = w.copy()
    faces[1:-1, 1:-1, 1:-1] = 0
    assert not faces.any()
    assert (w[1:-1, 1:-1, 1:-1] > 0).all()
    lifted = window_weights((16, 128, 128), "pyramid")
    assert lifted.min() > 0
    assert lifted[8, 64, 64] == 1


LATTICES = {  # extent, stride, depth of a window and its stride; windows; sums inside; below 1
    "submission, model A": ((184, 656), (16, 128), (8, 48), (22, 12, 12), (1.76, 2.95), 0.167),
    "submission, model B": ((192, 656), (32, 128), (16, 48), (11, 12, 12), (1.76, 2.95), 0.167),
    "validation, model A": ((184, 640), (16, 128), (8, 64), (22, 9, 9), (1.00, 1.98), 0.31),
}


@pytest.mark.parametrize("name", LATTICES)
def test_the_published_lattices(name: str) -> None:
    (deep, wide), (depth, side), (step_z, step), counts, (least, most), dimmed = LATTICES[name]
    domain = Box.from_shape((deep, wide, wide))
    windows = Windows(domain, (depth, side, side), (step_z, step, step))
    assert windows.counts == counts
    # Sums are those along the depth times those of a plane, as the weights are.
    weights = formula(depth, side)
    along, plane = np.zeros(deep), np.zeros((wide, wide))
    for z in range(0, deep - depth + 1, step_z):
        along[z : z + depth] += weights[:, side // 2, side // 2]
    for y in range(0, wide - side + 1, step):
        for x in range(0, wide - side + 1, step):
            plane[y : y + side, x : x + side] += weights[depth // 2]
    for z in (0, 3, deep // 2, deep - 1):
        found = weight_sums(windows, Box((z, 0, 0), (z + 1, wide, wide)), "pyramid-published")
        np.testing.assert_allclose(found[0], along[z] * plane, rtol=1e-5, atol=1e-9)
    deep_inside, wide_inside = along[depth:-depth], plane[side:-side, side:-side]
    assert deep_inside.max() * wide_inside.max() == pytest.approx(most, abs=6e-3)
    assert deep_inside.min() * wide_inside.min() >= least - 6e-3
    if name == "submission, model A":
        empty = 1 - (along > 0).mean() * (plane > 0).mean()
        assert empty == pytest.approx(0.017, abs=5e-4)
    tomogram = np.sort(plane[:630, :630], axis=None)
    with np.errstate(divide="ignore"):
        below = np.searchsorted(tomogram, FLOORED / along[:184])
    assert below.mean() / tomogram.size == pytest.approx(dimmed, abs=7e-3)
