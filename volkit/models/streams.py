"""Several convolutional streams that become one: their maps are added."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SummedStreams(nn.Module):
    """Streams that each see some channels of the input; their answers are added.

    Parameters
    ----------
    streams : sequence of torch.nn.Sequential
        Of equal field of view, stride and number of maps.
    channels : sequence of int
        How many channels of the input each stream sees, in order.

    Raises
    ------
    ValueError
        If there are not as many streams as numbers of channels.

    Examples
    --------
    >>> both = SummedStreams([nn.Sequential(nn.Identity()), nn.Sequential(nn.Identity())], [1, 1])
    >>> both(torch.tensor([1.0, 2.0]).view(1, 2, 1, 1, 1)).item()
    3.0
    """

    def __init__(self, streams: Sequence[nn.Sequential], channels: Sequence[int]) -> None:
        super().__init__()
        if not streams or len(streams) != len(channels) or min(channels) < 1:
            raise ValueError(
                f"{len(streams)} streams cannot see channels {list(channels)}; "
                "give each stream the number of its channels, 1 or more"
            )
        self.streams = nn.ModuleList(streams)
        self.channels = tuple(channels)

    def shares(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Give every stream its channels of a batch, shape (B, C, z, y, x)."""
        return torch.split(batch, list(self.channels), dim=1)

    def forward(self, batch: Tensor) -> Tensor:
        """Add what the streams answer to a batch, shape (B, C, z, y, x)."""
        answers = [
            stream(share) for stream, share in zip(self.streams, self.shares(batch), strict=True)
        ]
        return sum(answers[1:], answers[0])
