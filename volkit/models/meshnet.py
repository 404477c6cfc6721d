"""MeshNet: a small fully convolutional network whose dilations see far."""

from collections.abc import Sequence

from torch import Tensor, nn

DILATIONS = (1, 2, 4, 8, 16, 8, 4, 2, 1)


class MeshNet(nn.Module):
    """A chain of dilated 3 x 3 x 3 convolutions, each as large as its input.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the volume, and of the answer.
    channels : int
        Of every layer between.
    dilations : sequence of int
        One convolution for each.
    batch_norm : bool
        Whether each is normalised before its rectifier.

    References
    ----------
    Fedorov et al., End-to-end learning of brain tissue segmentation from imperfect labeling,
    IJCNN 2017, https://doi.org/10.1109/IJCNN.2017.7966333

    Examples
    --------
    >>> sum(weights.numel() for weights in MeshNet(1, 3).parameters()), MeshNet(1, 3).margin
    (5598, (46, 46, 46))
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 3,
        *,
        channels: int = 5,
        dilations: Sequence[int] = DILATIONS,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if not dilations or min(dilations) < 1:
            raise ValueError(f"dilations {list(dilations)} must be 1 or more, one for each layer")
        layers: list[nn.Module] = []
        for number, dilation in enumerate(dilations):
            before = channels if number else in_channels
            layers.append(nn.Conv3d(before, channels, 3, padding=dilation, dilation=dilation))
            if batch_norm:
                layers.append(nn.BatchNorm3d(channels))
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers)
        self.output = nn.Conv3d(channels, out_channels, 1)
        self.margin = (sum(dilations),) * 3

    @property
    def chain(self) -> nn.Sequential:
        """Its layers, one after the other."""
        return nn.Sequential(self.layers, self.output)

    def forward(self, batch: Tensor) -> Tensor:
        """Answer one score per class and voxel.

        Parameters
        ----------
        batch : Tensor, shape (B, C, z, y, x)
            Scaled voxels.

        Returns
        -------
        Tensor, shape (B, out_channels, z, y, x)
            Logits; within ``margin`` of a face they have seen the zeros outside.
        """
        return self.output(self.layers(batch))
