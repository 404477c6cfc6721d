"""Networks that say of a scan, as a whole, which class it is of, beside the video ResNets.

Those of MONAI are taken apart so that their first parts can be frozen; a baseline sees sections.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from volkit.errors import ModelError, missing_extra
from volkit.models.monai_networks import monai_class
from volkit.models.partly_frozen import PartlyFrozen
from volkit.models.residual_net import ResidualNet

_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_WIDTHS = (64, 128, 256, 512)


class ScanResNet(PartlyFrozen):
    """MONAI's ResNet of basic blocks.

    Its stem (7³ without stride, then pooling) takes no weights of video ResNets.

    Parameters
    ----------
    depth : {10, 18, 34}
        Layers.
    in_channels, classes : int
        Channels of a scan, answers.
    widths : sequence of int
        Channels of the four stages.

    Raises
    ------
    ModelError
        If there is no such depth.
    MissingExtraError
        If MONAI is not installed.

    Notes
    -----
    With one channel and two classes 18 layers have 33,161,922 parameters.
    """

    def __init__(
        self,
        depth: int = 18,
        *,
        in_channels: int = 1,
        classes: int = 2,
        widths: Sequence[int] = _WIDTHS,
    ) -> None:
        stages = ("layer1", "layer2", "layer3", "layer4")
        super().__init__(("stem", *stages, "fc"), attended="layer4")
        if depth not in _BLOCKS:
            raise ModelError(f"depth is {depth}; choose one of {', '.join(map(str, _BLOCKS))}")
        made = monai_class("ResNet")(
            "basic",
            list(_BLOCKS[depth]),
            list(widths),
            n_input_channels=in_channels,
            num_classes=classes,
        )
        self.stem = nn.Sequential(made.conv1, made.bn1, made.act, made.maxpool)
        for name in stages:
            self.add_module(name, getattr(made, name))
        self.avgpool, self.fc = made.avgpool, made.fc
        self._stages = stages

    def forward(self, x: Tensor) -> Tensor:
        """Answer the logits of scans, shape (B, C, z, y, x): float32, shape (B, classes)."""
        x = self.stem(x)
        for name in self._stages:
            x = self.get_submodule(name)(x)
        return self.fc(self.avgpool(x).flatten(1))


class ScanDenseNet(PartlyFrozen):
    """MONAI's DenseNet; DenseNet121 as it is.

    Parameters
    ----------
    blocks : sequence of int
        Layers of every dense block.
    in_channels, classes : int
        Channels of a scan, answers.
    stem, growth : int
        Channels of the first convolution, and those that each layer adds.

    Raises
    ------
    MissingExtraError
        If MONAI is not installed.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (6, 12, 24, 16),
        *,
        in_channels: int = 1,
        classes: int = 2,
        stem: int = 64,
        growth: int = 32,
    ) -> None:
        super().__init__(("features", "class_layers"), attended="features")
        made = monai_class("DenseNet")(
            spatial_dims=3,
            in_channels=in_channels,
            out_channels=classes,
            init_features=stem,
            growth_rate=growth,
            block_config=tuple(blocks),
        )
        self.features, self.class_layers = made.features, made.class_layers

    def forward(self, x: Tensor) -> Tensor:
        """Answer the logits of scans, shape (B, C, z, y, x): float32, shape (B, classes)."""
        return self.class_layers(self.features(x))


class ScanTransformer(PartlyFrozen):
    """MONAI's vision transformer; it has no maps from which attention could be drawn.

    Parameters
    ----------
    window : sequence of int
        Extent of a scan, (z, y, x); the network takes no other.
    patch : int
        Side of the cubes that become tokens.
    in_channels, classes : int
        Channels of a scan, answers.
    width, hidden, layers, heads : int
        Channels of a token, of the hidden layers, how many layers, heads of each.

    Raises
    ------
    ModelError
        If the window is no multiple of the patch.
    MissingExtraError
        If MONAI or einops is not installed.
    """

    def __init__(
        self,
        window: Sequence[int] = (128, 128, 128),
        *,
        patch: int = 16,
        in_channels: int = 1,
        classes: int = 2,
        width: int = 384,
        hidden: int = 1536,
        layers: int = 12,
        heads: int = 6,
    ) -> None:
        super().__init__(("embedding", "blocks", "norm", "fc"), attended="")
        if any(n % patch for n in window):
            raise ModelError(
                f"a window of {tuple(window)} is no multiple of patches of {patch}; choose others"
            )
        transformer = monai_class("ViT")
        try:
            made = transformer(
                in_channels,
                img_size=tuple(window),
                patch_size=(patch,) * 3,
                hidden_size=width,
                mlp_dim=hidden,
                num_layers=layers,
                num_heads=heads,
                classification=True,
                num_classes=classes,
                post_activation="none",
            )
        except ImportError as error:  # of what MONAI itself takes as an extra
            raise missing_extra("einops", "models") from error
        self.embedding, self.blocks, self.norm = made.patch_embedding, made.blocks, made.norm
        self.cls_token, self.fc = made.cls_token, made.classification_head

    def forward(self, x: Tensor) -> Tensor:
        """Answer the logits of scans, shape (B, C, z, y, x): float32, shape (B, classes)."""
        x = self.embedding(x)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1)
        for block in self.blocks:
            x = block(x)
        return self.fc(self.norm(x)[:, 0])


class SectionNet(PartlyFrozen):
    """The baseline in two dimensions: a ResNet of images sees sections, which are averaged.

    Parameters
    ----------
    sections : int
        Taken evenly along the axis, the outer ones half a step from its ends.
    axis : {0, 1, 2}
        Across which, of (z, y, x); 0 takes axial sections of a scan in canonical orientation, 1
        coronal ones, 2 sagittal ones.
    in_channels, classes : int
        Channels of a scan, answers.
    widths, blocks : sequence of int
        Of the stages; ResNet18 as it is.

    Raises
    ------
    ModelError
        If there is no such axis, or no section.

    Examples
    --------
    >>> net = SectionNet(sections=3, widths=(2, 4), blocks=(1, 1)).eval()
    >>> net(torch.zeros(5, 1, 8, 32, 32)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        sections: int = 16,
        *,
        axis: int = 1,
        in_channels: int = 1,
        classes: int = 2,
        widths: Sequence[int] = _WIDTHS,
        blocks: Sequence[int] = (2, 2, 2, 2),
    ) -> None:
        super().__init__(("backbone", "fc"), attended="seen")
        if axis not in (0, 1, 2) or sections < 1:
            raise ModelError(f"{sections} sections across axis {axis}; give 1 or more, and 0 to 2")
        self.sections, self.axis = sections, axis
        self.backbone = ResidualNet(
            in_channels, dims=2, widths=widths, blocks=blocks, bottleneck=False
        )
        self.seen = nn.Identity()  # whose answer has the axes of the scan again
        self.fc = nn.Linear(self.backbone.channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Answer the logits of scans, shape (B, C, z, y, x): float32, shape (B, classes)."""
        x = x.movedim(2 + self.axis, 1)
        count = x.shape[1]
        places = [int((n + 0.5) * count / self.sections) for n in range(self.sections)]
        images = x[:, places].flatten(0, 1)
        maps = self.backbone(images).unflatten(0, (len(x), self.sections))
        seen = self.seen(maps.movedim(1, 2 + self.axis))
        return self.fc(seen.mean((2, 3, 4)))
