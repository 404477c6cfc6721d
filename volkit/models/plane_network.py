"""Plane networks: networks of pictures that see the planes of a volume one by one."""

from torch import Tensor, nn

from volkit.errors import ModelError


class PlaneNetwork(nn.Module):
    """A network of pictures, made to answer volumes plane by plane.

    Parameters
    ----------
    network : torch.nn.Module
        Answers (B, C', y', x') to (B, C, y, x).

    Examples
    --------
    >>> import torch
    >>> network = PlaneNetwork(nn.AvgPool2d(2, stride=1))
    >>> network(torch.arange(8.0).reshape(1, 1, 2, 2, 2)).flatten().tolist()
    [1.5, 5.5]
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Tensor) -> Tensor:
        """Answer windows, shape (B, C, z, y, x), with (B, C', z, y', x').

        Raises
        ------
        ModelError
            If the network answers anything but pictures.
        """
        windows, planes = batch.shape[0], batch.shape[2]
        answer = self.network(batch.transpose(1, 2).flatten(0, 1).contiguous())
        if not isinstance(answer, Tensor) or answer.ndim != batch.ndim - 1:
            found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise ModelError(f"the network answered {found} to pictures; expected (B, C, y, x)")
        return answer.unflatten(0, (windows, planes)).transpose(1, 2)
