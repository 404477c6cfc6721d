"""Video ResNets: networks made for films, whose frames are taken as the sections of a volume.

Parameters have the names that torchvision gives them, so that its files of weights fit.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.partly_frozen import PartlyFrozen

Kind = Literal["r3d_18", "mc3_18"]

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")
"""Parts of the network, from the input to the answer."""

_WIDTHS = (64, 128, 256, 512)
_STEM = "stem.0.weight"


class VideoResNet(PartlyFrozen):
    """A ResNet of 18 layers over volumes.

    Parameters
    ----------
    kind : {"r3d_18", "mc3_18"}
        ``r3d_18`` convolves along all axes; ``mc3_18`` along all in its first stage, and in
        planes across z in the others.
    in_channels : int
        Channels of a volume.
    classes : int
        Answers.
    widths : sequence of int
        Channels of the four stages; the published ones are the default.

    Raises
    ------
    ModelError
        If the kind is unknown or there are not four widths.

    Notes
    -----
    Parts are named as in `STAGES`; see `volkit.models.partly_frozen.PartlyFrozen` for freezing.
    With one channel and two classes ``r3d_18`` has 33,148,482 parameters, ``mc3_18`` 11,472,450.

    References
    ----------
    Tran et al., A closer look at spatiotemporal convolutions for action recognition, 2018,
    https://doi.org/10.1109/CVPR.2018.00675.

    Examples
    --------
    >>> import torch
    >>> net = VideoResNet(widths=(2, 2, 4, 4)).eval()
    >>> net(torch.zeros(3, 1, 16, 16, 16)).shape
    torch.Size([3, 2])
    >>> net.freeze_below("fc"), net.train().layer1.training, net.fc.training
    (10, False, True)
    """

    def __init__(
        self,
        kind: Kind = "r3d_18",
        *,
        in_channels: int = 1,
        classes: int = 2,
        widths: Sequence[int] = _WIDTHS,
    ) -> None:
        super().__init__(STAGES, attended="layer4")
        if kind not in ("r3d_18", "mc3_18") or len(widths) != 4:
            raise ModelError(
                f"kind {kind!r} with widths {tuple(widths)} is unknown; choose r3d_18 or mc3_18, "
                "and four widths"
            )
        first, *others = widths
        flat = kind == "mc3_18"
        self.stem = nn.Sequential(
            nn.Conv3d(in_channels, first, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(first),
            nn.ReLU(inplace=True),
        )
        self.layer1 = _stage(first, first, stride=1, flat=False)
        self.layer2 = _stage(first, others[0], stride=2, flat=flat)
        self.layer3 = _stage(others[0], others[1], stride=2, flat=flat)
        self.layer4 = _stage(others[1], others[2], stride=2, flat=flat)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(others[2], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, 0, 0.01)
        nn.init.zeros_(self.fc.bias)

    def maps(self, x: Tensor) -> Tensor:
        """Answer the maps of volumes before pooling.

        Parameters
        ----------
        x : Tensor of float32, shape (B, C, z, y, x)
            Scaled volumes.

        Returns
        -------
        Tensor of float32, shape (B, F, z', y', x')
            At an 8th of the extent along z (all of it in ``mc3_18``), a 16th along y and x.
        """
        stages = (self.stem, self.layer1, self.layer2, self.layer3, self.layer4)
        for stage in stages:
            x = stage(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Answer the logits of volumes, shape (B, C, z, y, x): float32, shape (B, classes)."""
        return self.fc(self.avgpool(self.maps(x)).flatten(1))


class _Block(nn.Module):
    """Two convolutions, and what goes past them."""

    def __init__(self, before: int, width: int, *, stride: int, flat: bool) -> None:
        super().__init__()
        steps = (1 if flat else stride, stride, stride)
        self.conv1 = nn.Sequential(
            _convolution(before, width, steps, flat=flat),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(
            _convolution(width, width, (1, 1, 1), flat=flat), nn.BatchNorm3d(width)
        )
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(
                nn.Conv3d(before, width, 1, steps, bias=False), nn.BatchNorm3d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        past = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + past)


def _stage(before: int, width: int, *, stride: int, flat: bool) -> nn.Sequential:
    return nn.Sequential(
        _Block(before, width, stride=stride, flat=flat),
        _Block(width, width, stride=1, flat=flat),
    )


def _convolution(before: int, width: int, steps: tuple[int, int, int], *, flat: bool) -> nn.Conv3d:
    kernel, padding = ((1, 3, 3), (0, 1, 1)) if flat else ((3, 3, 3), (1, 1, 1))
    return nn.Conv3d(before, width, kernel, steps, padding, bias=False)


def from_films(weights: Mapping[str, Tensor], module: VideoResNet) -> dict[str, Tensor]:
    """Convert weights that were trained on films to a network for volumes.

    The filters of the stem are summed over the colours, which is exact for grey films; the last
    layer is left as the module has it, where the number of classes differs.

    Parameters
    ----------
    weights : mapping of str to Tensor
        Under torchvision's names.
    module : VideoResNet
        What they are for.

    Returns
    -------
    dict of str to Tensor
        For ``module.load_state_dict``.

    Raises
    ------
    ModelError
        If names or shapes do not fit.
    """
    wanted = module.state_dict()
    found = {name: tensor.detach().clone() for name, tensor in weights.items()}
    stem = found.get(_STEM)
    if stem is not None and stem.ndim == 5 and stem.shape[1] == 3 != wanted[_STEM].shape[1]:
        found[_STEM] = stem.sum(1, keepdim=True)
    for name in ("fc.weight", "fc.bias"):
        if name in found and found[name].shape != wanted[name].shape:
            found[name] = wanted[name]
    wrong = sorted(wanted.keys() ^ found.keys())
    wrong += [n for n in wanted if n in found and wanted[n].shape != found[n].shape]
    if wrong:
        raise ModelError(
            f"weights do not fit the network: {', '.join(wrong[:4])}"
            f"{' and others' if len(wrong) > 4 else ''} lack, are too many or have another shape; "
            "give the file that torchvision publishes for the same kind (r3d_18, mc3_18)"
        )
    return found
