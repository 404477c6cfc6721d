"""Views of tiles: the same tissue, turned, cut and lit in another way."""

from math import pi

import torch
from torch import Tensor
from torch.nn import functional

from volkit.training.region_options import ViewOptions


def drawn_views(tiles: Tensor, options: ViewOptions, rng: torch.Generator) -> Tensor:
    """Draw a view of every tile.

    Parameters
    ----------
    tiles : Tensor of float32, shape (B, C, y, x)
        From 0 to 1.
    options : ViewOptions
        How far views differ.
    rng : torch.Generator
        Source of chance, of the CPU.

    Returns
    -------
    Tensor of float32, shape (B, C, y, x)
        Beyond the tile, its mirror image is seen.

    Examples
    --------
    >>> still = ViewOptions(crop=1, turn=0, flip=False, light=0, contrast=0, noise=0)
    >>> tiles = torch.rand(2, 1, 8, 8)
    >>> bool((drawn_views(tiles, still, torch.Generator()) - tiles).abs().max() < 1e-5)
    True
    """
    count = len(tiles)
    side = _between(options.crop, 1.0, count, rng)
    angle = _between(-options.turn, options.turn, count, rng) * (pi / 180)
    mirror = torch.ones(count)
    if options.flip:
        mirror = 1 - 2 * torch.randint(2, (count,), generator=rng).float()
    room = 1 - side
    places = torch.zeros(count, 2, 3)
    places[:, 0, 0], places[:, 0, 1] = side * angle.cos() * mirror, -side * angle.sin()
    places[:, 1, 0], places[:, 1, 1] = side * angle.sin() * mirror, side * angle.cos()
    places[:, 0, 2] = room * _between(-1, 1, count, rng)
    places[:, 1, 2] = room * _between(-1, 1, count, rng)
    shape = [count, tiles.shape[1], *tiles.shape[2:]]
    grid = functional.affine_grid(places, shape, align_corners=False).to(tiles.device)
    seen = functional.grid_sample(tiles, grid, padding_mode="reflection", align_corners=False)
    return _lit(seen, options, rng)


def _lit(seen: Tensor, options: ViewOptions, rng: torch.Generator) -> Tensor:
    """Change light and contrast about the mean, and add noise."""
    count, place = len(seen), seen.device
    spread = (len(seen), 1, 1, 1)
    contrast = _between(1 - options.contrast, 1 + options.contrast, count, rng).view(spread)
    light = _between(-options.light, options.light, count, rng).view(spread)
    grain = _between(0, options.noise, count, rng).view(spread)
    mean = seen.mean((1, 2, 3), keepdim=True)
    noise = torch.randn(seen.shape, generator=rng) * grain
    return (seen - mean) * contrast.to(place) + mean + light.to(place) + noise.to(place)


def _between(low: float, high: float, count: int, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=rng)
