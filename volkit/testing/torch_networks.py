"""Networks whose answers are known, as modules of torch (needs the extra torch)."""

import torch
from torch import Tensor, nn


class Identity(nn.Module):
    """Answers its input times a weight of one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch: Tensor) -> Tensor:
        """Answer a batch, shape (B, C, z, y, x), with itself."""
        return batch * self.weight


class Ramp(nn.Module):
    """Answers input + z + 2 y + 3 x, counted from the window's corner, and ones."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, batch: Tensor) -> Tensor:
        """Answer a batch, shape (B, C, z, y, x), with (B, 2, z, y, x)."""
        first = batch[:, 0]
        z, y, x = torch.meshgrid(
            *(torch.arange(n, device=batch.device) for n in first.shape[1:]), indexing="ij"
        )
        steps = self.slope[0] * z + self.slope[1] * y + self.slope[2] * x
        return torch.stack([first + steps, torch.ones_like(first)], dim=1)
