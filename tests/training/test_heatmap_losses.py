"""Losses of heat maps by hand, and mixup."""

import numpy as np
import pytest
import torch

from volkit.training.heatmap_losses import balanced_squares, weighted_squares
from volkit.training.mixup import Mix, draw_mix


def test_weighted_squares_by_loops() -> None:
    torch.manual_seed(0)
    p, t = torch.rand(2, 3, 2, 2, 2), torch.rand(2, 3, 2, 2, 2)
    pairs = zip(p.flatten().tolist(), t.flatten().tolist(), strict=True)
    expected = np.mean([(a - b) ** 2 * (b + 0.1) for a, b in pairs])
    assert float(weighted_squares(p, t)) == pytest.approx(expected, rel=1e-5)


def test_balanced_squares_by_loops() -> None:
    torch.manual_seed(1)
    p, t = torch.rand(1, 2, 2, 2, 2), torch.rand(1, 2, 2, 2, 2)
    pairs = list(zip(p.flatten().tolist(), t.flatten().tolist(), strict=True))
    near = sum(b * (a - b) ** 2 for a, b in pairs) / sum(b for _, b in pairs)
    far = sum((1 - b) * (a - b) ** 2 for a, b in pairs) / sum(1 - b for _, b in pairs)
    found = balanced_squares(p, t, foreground=2.0, background=3.0)
    assert float(found) == pytest.approx(2 * near + 3 * far, rel=1e-4)


@pytest.mark.parametrize("loss", [weighted_squares, balanced_squares])
def test_nothing_is_lost_where_all_is_right(loss) -> None:
    target = torch.rand(1, 1, 2, 2, 2)
    assert float(loss(target, target)) == 0
    assert torch.isfinite(loss(torch.zeros(1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1, 1)))


def test_mixup_blends_images_and_losses() -> None:
    torch.manual_seed(2)
    images, target, answer = torch.rand(3, 1, 2, 2, 2), torch.rand(3, 2), torch.rand(3, 2)
    mix = Mix(0.7, (2, 0, 1))
    torch.testing.assert_close(mix.images(images)[1], 0.7 * images[1] + 0.3 * images[0])
    expected = 0.7 * weighted_squares(answer, target)
    expected += 0.3 * weighted_squares(answer, target[[2, 0, 1]])
    torch.testing.assert_close(mix.loss(weighted_squares, answer, target), expected)


def test_mixup_is_drawn_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_mix(rng, 4, probability=0.5, alpha=1.0) for _ in range(400)]
    mixes = [mix for mix in drawn if mix]
    assert 160 < len(mixes) < 240
    assert all(sorted(mix.order) == [0, 1, 2, 3] for mix in mixes)
    assert 0.4 < np.mean([mix.share for mix in mixes]) < 0.6
    assert draw_mix(rng, 4, probability=0.0, alpha=1.0) is None
