"""Networks that say of a clip, as a whole, whether its vessel is stalled."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.dense_net import DenseNet, Dims
from volkit.models.residual_net import ResidualNet

Pooling = Literal["average", "max"]
Unit = Literal["sigmoid", "relu"]

BACKBONES: Mapping[str, Callable[..., nn.Module]] = {
    "densenet121": DenseNet,
    "densenet169": partial(DenseNet, blocks=(6, 12, 32, 32)),
    "densenet201": partial(DenseNet, blocks=(6, 12, 48, 32)),
    "resnet18": partial(ResidualNet, blocks=(2, 2, 2, 2), bottleneck=False),
    "resnet34": partial(ResidualNet, bottleneck=False),
    "resnet50": ResidualNet,
    "resnext50": partial(ResidualNet, groups=32),
    "se_resnext50": partial(ResidualNet, groups=32, squeeze=16),
}
"""Published backbones by name; each answers maps, and says how many channels they have."""


class StallNetwork(nn.Module):
    """A backbone, a global pooling, and a head that answers one logit.

    Parameters
    ----------
    backbone : str
        One of `BACKBONES`.
    in_channels : int
        Channels of a clip; 3 as published, 1 for grey, 2 with the outline as a mask.
    dims : {2, 3}
        3 for clips; 2 makes the network for images, whose weights can be inflated.
    size : mapping, optional
        What makes the backbone smaller than the published one: ``stem``, ``growth``, ``blocks``,
        ``bottleneck`` of `DenseNet`, or ``widths``, ``blocks`` and so on of `ResidualNet`.
    pooling : {"average", "max"}
        Over all voxels of the maps; the maximum is what attention maps are made with.
    units : int
        Of the head's hidden layer; 512 as published.
    unit : {"sigmoid", "relu"}
        Their activation; sigmoid as published.
    dropout : float
        Share of the units left out while it trains; 0.5 as published.

    Raises
    ------
    ModelError
        If the backbone is unknown.

    Notes
    -----
    ``forward`` is ``head(features(x))``, and ``features`` is ``pooled(maps(x))``.  Dropout is in
    the head alone, so that its passes need no second look at the clip.  The published network is
    the default: 11,895,489 numbers, running statistics of the normalisation counted.

    Examples
    --------
    >>> import torch
    >>> size = {"stem": 4, "growth": 2, "blocks": (1, 1)}
    >>> net = StallNetwork("densenet121", in_channels=1, size=size, units=8).eval()
    >>> clip = torch.zeros(2, 1, 16, 32, 32)
    >>> net.features(clip).shape, net(clip).shape
    (torch.Size([2, 5]), torch.Size([2, 1]))
    """

    def __init__(
        self,
        backbone: str = "densenet121",
        *,
        in_channels: int = 3,
        dims: Dims = 3,
        size: Mapping[str, Any] | None = None,
        pooling: Pooling = "average",
        units: int = 512,
        unit: Unit = "sigmoid",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES or pooling not in ("average", "max"):
            raise ModelError(
                f"backbone {backbone!r} with pooling {pooling!r} is unknown; choose one of "
                f"{', '.join(BACKBONES)}, and average or max"
            )
        self.backbone = BACKBONES[backbone](in_channels, dims=dims, **(size or {}))
        self.pooling = pooling
        channels: int = self.backbone.channels  # type: ignore[assignment]
        self.head = nn.Sequential(
            nn.Linear(channels, units),
            nn.Sigmoid() if unit == "sigmoid" else nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(units, 1),
        )

    def maps(self, x: Tensor) -> Tensor:
        """Answer the maps of clips before pooling.

        Parameters
        ----------
        x : Tensor of float32, shape (B, C, z, y, x)
            Scaled clips.

        Returns
        -------
        Tensor of float32, shape (B, F, z', y', x')
            At a 32nd of the extent for published backbones, not negative.
        """
        return self.backbone(x)

    def pooled(self, maps: Tensor) -> Tensor:
        """Pool maps, shape (B, F, z', y', x'), to features, shape (B, F)."""
        flat = maps.flatten(2)
        return flat.mean(2) if self.pooling == "average" else flat.amax(2)

    def features(self, x: Tensor) -> Tensor:
        """Answer the features of clips, shape (B, C, z, y, x): float32, shape (B, F)."""
        return self.pooled(self.maps(x))

    def forward(self, x: Tensor) -> Tensor:
        """Answer the logits of clips, shape (B, C, z, y, x): float32, shape (B, 1)."""
        return self.head(self.features(x))
