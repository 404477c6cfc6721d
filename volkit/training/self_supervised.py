"""Self-supervision: networks that learn to say the same of two views, without labels.

BYOL (doi:10.48550/arXiv.2006.07733) predicts, from one view of a tile, what a slowly following
copy of the network says of another view.  MYOW (doi:10.48550/arXiv.2102.10106) predicts what it
says of *another* tile that lies near, too; its second projector and predictor stand behind the
first (``myow``), or are the first (``merged``).
"""

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ConfigError

Mining = Literal["none", "cascaded", "merged"]


def projector(into: int, hidden: int, out: int) -> nn.Sequential:
    """Make a projector or predictor: two layers, normalised and rectified in between."""
    return nn.Sequential(
        nn.Linear(into, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out)
    )


def view_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Average the squared distance of directions, 0 to 4: twice one minus their cosine.

    Examples
    --------
    >>> view_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])).item()
    2.0
    """
    return (2 - 2 * functional.cosine_similarity(predicted, target, dim=1)).mean()


def mined(own: Tensor, pool: Tensor, rng: torch.Generator, *, neighbours: int) -> Tensor:
    """Choose for each of a batch one of its nearest in a pool, at random.

    Parameters
    ----------
    own : Tensor, shape (B, F)
        What the network says of the batch.
    pool : Tensor, shape (P, F)
        What its copy says of other tiles.
    rng : torch.Generator
        Source of chance.
    neighbours : int
        Among how many of the nearest, by the cosine, is chosen.

    Returns
    -------
    Tensor of int64, shape (B,)
        Rows of the pool.

    Raises
    ------
    ConfigError
        If the pool is smaller than the number of neighbours.
    """
    if len(pool) < neighbours:
        raise ConfigError(
            f"{neighbours} neighbours in a pool of {len(pool)} tiles; take fewer, or a larger batch"
        )
    near = functional.normalize(own, dim=1) @ functional.normalize(pool, dim=1).T
    best = near.topk(neighbours, dim=1).indices
    chosen = torch.randint(neighbours, (len(own), 1), generator=rng).to(best.device)
    return best.gather(1, chosen)[:, 0]


class Pupil(nn.Module):
    """An encoder that learns from views, with its slowly following copy.

    Parameters
    ----------
    encoder : torch.nn.Module
        Tiles (B, C, y, x) to features (B, F).
    features : int
        F.
    hidden, out : int
        Widths of projectors and predictors; 4096 and 256 as published.
    mining : {"none", "cascaded", "merged"}
        BYOL, MYOW, or MYOW with one projector and predictor.

    Examples
    --------
    >>> pupil = Pupil(nn.Flatten(), 16, hidden=8, out=4, mining="merged")
    >>> tiles = torch.rand(4, 1, 4, 4)
    >>> loss = pupil.loss((tiles, tiles), tiles, torch.Generator(), neighbours=1, weight=0.5)
    >>> bool(0 <= loss <= 8)
    True
    """

    def __init__(
        self, encoder: nn.Module, features: int, *, hidden: int, out: int, mining: Mining = "none"
    ) -> None:
        super().__init__()
        self.mining = mining
        self.encoder = encoder
        self.project = projector(features, hidden, out)
        self.predict = projector(out, hidden, out)
        cascaded = mining == "cascaded"
        self.project_mined = projector(out, hidden, out) if cascaded else nn.Identity()
        self.predict_mined = projector(out, hidden, out) if cascaded else nn.Identity()
        followed = nn.ModuleList([self.encoder, self.project, self.project_mined])
        self.followers = copy.deepcopy(followed).requires_grad_(False)

    def loss(
        self,
        views: tuple[Tensor, Tensor],
        pool: Tensor | None,
        rng: torch.Generator,
        *,
        neighbours: int,
        weight: float,
    ) -> Tensor:
        """Say how wrong the predictions of both views are.

        Parameters
        ----------
        views : tuple of Tensor, shape (B, C, y, x)
            Two views of the same tiles.
        pool : Tensor of shape (P, C, y, x), optional
            Other tiles, for mining.
        rng : torch.Generator
            Source of chance.
        neighbours : int
            Among how many of the nearest is mined.
        weight : float
            Of what is mined, beside the views.
        """
        said = [self.encoder(view) for view in views]
        projected = [self.project(one) for one in said]
        predicted = [self.predict(one) for one in projected]
        encoder, project, project_mined = self.followers
        with torch.no_grad():
            targets = [project(encoder(view)) for view in views]
        total = view_loss(predicted[0], targets[1]) + view_loss(predicted[1], targets[0])
        if self.mining == "none" or pool is None or not weight:
            return total
        with torch.no_grad():
            others = encoder(pool)
            chosen = others[mined(said[0], others, rng, neighbours=neighbours)]
            near = project_mined(project(chosen))
        if self.mining == "merged":
            return total + weight * view_loss(predicted[0], near)
        guess = self.predict_mined(self.project_mined(projected[0]))
        return total + weight * view_loss(guess, near)

    @torch.no_grad()
    def follow(self, keep: float) -> None:
        """Move the copy towards the network; ``keep`` is the share of what it was."""
        leaders = nn.ModuleList([self.encoder, self.project, self.project_mined]).state_dict()
        for name, old in self.followers.state_dict().items():
            if old.dtype.is_floating_point:
                old.lerp_(leaders[name], 1 - keep)
            else:
                old.copy_(leaders[name])
