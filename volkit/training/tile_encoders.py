"""Tile encoders: networks that learn to tell tiles apart, with labels or without."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.models.tile_resnet import TileResNet
from volkit.training.mixup import draw_mix
from volkit.training.region_options import EncoderSize, Method, RegionOptions, Schooling
from volkit.training.schedule import learning_rate
from volkit.training.self_supervised import Mining, Pupil
from volkit.training.tile_set import TileSet
from volkit.training.tile_views import drawn_views

OnEpoch = Callable[[int, float], None]
_MINING: dict[Method, Mining] = {"byol": "none", "myow": "cascaded", "myow-merged": "merged"}


def train_encoder(
    method: Method,
    tiles: TileSet,
    options: RegionOptions,
    *,
    seed: int,
    classes: int,
    on_epoch: OnEpoch | None = None,
) -> TileResNet:
    """Train a network on tiles.

    Parameters
    ----------
    method : str
        One of the methods that train a network, or ``random``, which leaves it as it begins.
    tiles : TileSet
        What to learn from; self-supervision does not look at its regions.
    options : RegionOptions
        Sizes and schooling.
    seed : int
        Of weights, order, views and everything else that is drawn.
    classes : int
        Regions there are.
    on_epoch : callable or None
        Told every epoch, from 1, and its mean loss.

    Returns
    -------
    TileResNet
        With a classifier where it was supervised, else without.  Ready to be asked.

    Raises
    ------
    ModelError
        If the loss is no longer finite.

    References
    ----------
    Grill et al., Bootstrap your own latent, 2020, doi:10.48550/arXiv.2006.07733; Azabou et al.,
    Mine your own view, 2021, doi:10.48550/arXiv.2102.10106; Zhang et al., mixup, 2018,
    doi:10.48550/arXiv.1710.09412.
    """
    torch.manual_seed(seed)
    network = _network(options.encoder, tiles, classes if method in ("supervised", "mixup") else 0)
    if method == "random":
        return network.eval()
    school = options.schooling
    if method in _MINING:
        size = options.encoder
        pupil = Pupil(
            network, network.channels, hidden=size.hidden, out=size.out, mining=_MINING[method]
        )
        lesson: Any = _Views(pupil, tiles, options)
    else:
        lesson = _Regions(network, tiles, school, mixing=method == "mixup")
    _school(lesson, tiles, school, seed, on_epoch)
    return network.eval()


def features(network: TileResNet, tiles: Tensor, *, batch: int = 64) -> "np.ndarray[Any, Any]":
    """Ask a network for the features of tiles, shape (N, C, y, x): float32, shape (N, F)."""
    with torch.inference_mode():
        parts = [network.eval().features(part) for part in tiles.split(batch)]
    found: np.ndarray[Any, Any] = torch.cat(parts).numpy()
    return found


def _network(size: EncoderSize, tiles: TileSet, classes: int) -> TileResNet:
    return TileResNet(
        tiles.tiles.shape[1],
        classes=classes,
        stem=size.stem,
        widths=size.widths,
        blocks=size.blocks,
        dropout=size.dropout,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Regions:
    """Learn the regions of tiles."""

    network: TileResNet
    tiles: TileSet
    school: Schooling
    mixing: bool

    @property
    def module(self) -> nn.Module:
        return self.network

    def loss(self, rows: Tensor, share: float, rng: torch.Generator) -> Tensor:
        images, regions = self.tiles.tiles[rows], self.tiles.regions[rows]
        if not self.mixing:
            return functional.cross_entropy(self.network(images), regions)
        drawn = np.random.default_rng(int(torch.randint(2**31, (1,), generator=rng)))
        mix = draw_mix(drawn, len(rows), probability=1.0, alpha=self.school.mixup)
        if mix is None:
            return functional.cross_entropy(self.network(images), regions)
        return mix.loss(functional.cross_entropy, self.network(mix.images(images)), regions)

    def stepped(self, share: float) -> None:
        """Nothing follows."""


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """Learn that views of a tile, and of tiles like it, are the same."""

    pupil: Pupil
    tiles: TileSet
    options: RegionOptions

    @property
    def module(self) -> nn.Module:
        return self.pupil

    def loss(self, rows: Tensor, share: float, rng: torch.Generator) -> Tensor:
        images, school = self.tiles.tiles[rows], self.options.schooling
        first, second = (drawn_views(images, self.options.views, rng) for _ in range(2))
        pool = None
        if self.pupil.mining != "none":
            others = torch.ones(len(self.tiles), dtype=torch.bool)
            others[rows] = False
            rest = others.nonzero()[:, 0]
            rest = rest[torch.randperm(len(rest), generator=rng)[: len(rows)]]
            pool = drawn_views(self.tiles.tiles[rest], self.options.views, rng)
        return self.pupil.loss(
            (first, second),
            pool,
            rng,
            neighbours=school.neighbours,
            weight=school.mined if share >= school.warmup else 0.0,
        )

    def stepped(self, share: float) -> None:
        """Let the copy follow, ever more slowly."""
        slow = 1 - self.options.schooling.average
        self.pupil.follow(1 - slow * (cos(pi * share) + 1) / 2)


def _school(
    lesson: Any, tiles: TileSet, school: Schooling, seed: int, on_epoch: OnEpoch | None
) -> None:
    """Take all steps; where a batch is all there is, an epoch is one step."""
    rng = torch.Generator().manual_seed(seed)
    module = lesson.module.train()
    learning = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(
        learning, lr=school.learning_rate, momentum=school.momentum, weight_decay=school.decay
    )
    steps = school.epochs * sum(1 for _ in tiles.batches(school.batch, rng))
    warmup = int(school.warmup * steps)
    step = 0
    for epoch in range(1, school.epochs + 1):
        losses = []
        for rows in tiles.batches(school.batch, rng):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(
                    step, peak=school.learning_rate, warmup=warmup, steps=steps
                )
            loss = lesson.loss(rows, step / steps, rng)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            lesson.stepped(step / steps)
            losses.append(loss.item())
            step += 1
        if not np.isfinite(losses).all():
            raise ModelError(
                f"the loss of epoch {epoch} is not finite; lower learning_rate, or raise warmup"
            )
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)))
