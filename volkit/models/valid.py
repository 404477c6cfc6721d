"""Networks that answer fewer voxels than they see, made to answer all of a window.

Inference lays windows whose ``margin`` is not used.  A network of valid convolutions loses no more
than that margin; its answer is put in the middle of zeros, which nobody reads.
"""

from contextlib import suppress

from torch import Tensor, nn
from torch.nn import functional

from volkit.errors import ModelError
from volkit.geometry import AXES, Coord
from volkit.models.card import Checkpoint
from volkit.models.dense import DenseNetwork
from volkit.models.dense_layers import ONE, reach_of


class ValidNetwork(nn.Module):
    """A network whose answer is put back into the middle of its window.

    Parameters
    ----------
    network : torch.nn.Module
        Answers (B, C', z - 2a, y - 2b, x - 2c) to (B, C, z, y, x).
    margin : tuple of int
        Voxels at each face that it may leave unanswered, (z, y, x).

    Examples
    --------
    >>> import torch
    >>> network = ValidNetwork(nn.AvgPool3d((1, 1, 3), stride=1), (0, 0, 1))
    >>> network(torch.ones(1, 1, 1, 1, 4)).flatten().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, network: nn.Module, margin: Coord) -> None:
        super().__init__()
        self.network = network
        self.margin = margin

    def forward(self, batch: Tensor) -> Tensor:
        """Answer windows, shape (B, C, z, y, x), with (B, C', z, y, x).

        Raises
        ------
        ModelError
            If the network leaves more voxels unanswered than the margin, or leaves them on one
            side.
        """
        answer = self.network(batch)
        if not isinstance(answer, Tensor) or answer.ndim != batch.ndim:
            return answer  # which the predictor refuses
        lost = [n - m for n, m in zip(batch.shape[2:], answer.shape[2:], strict=True)]
        if not any(lost):
            return answer
        self._check(lost, tuple(answer.shape[2:]), tuple(batch.shape[2:]))
        z, y, x = (n // 2 for n in lost)
        return functional.pad(answer, (x, x, y, y, z, z))

    def _check(self, lost: list[int], answer: tuple[int, ...], window: tuple[int, ...]) -> None:
        said = f"the network answered {answer} of a window of {window} voxels, so that"
        for axis, missing, margin in zip(AXES, lost, self.margin, strict=True):
            if missing < 0 or missing > 2 * margin:
                raise ModelError(
                    f"{said} {missing} are missing on axis {axis}, its card's margin of {margin} "
                    f"allows for {2 * margin}; {self._advice()}"
                )
            if missing % 2:
                raise ModelError(
                    f"{said} {missing} are missing on axis {axis}, which do not part evenly: "
                    "answers lie between voxels; add a kernel of 2 on that axis, which makes the "
                    "field of view odd, or crop the answer in a module of your own"
                )

    def _advice(self) -> str:
        with suppress(ModelError):
            reach = reach_of(self.network)
            if reach.stride != ONE:
                return f"say stride: {list(reach.stride)} in the card, and margin: " + str(
                    [n // 2 for n in reach.field]
                )
            return f"say margin: {[n // 2 for n in reach.field]} in the card"
        return (
            "say in the card the margin that the network loses, and its stride if it does not "
            "answer every voxel"
        )


def fitted(module: nn.Module, checkpoint: Checkpoint) -> nn.Module:
    """Make a module answer all of a window, as its card says that it does not.

    Parameters
    ----------
    module : torch.nn.Module
        As the card's weights make it.
    checkpoint : Checkpoint
        Says ``output``, ``stride`` and ``margin``.

    Returns
    -------
    torch.nn.Module
        The same unless the card says ``output: valid``.

    Raises
    ------
    ModelError
        If the stride is not the network's, it cannot be evaluated at every voxel, or its field of
        view does not fit the margin.
    """
    if checkpoint.output != "valid":
        return module
    if checkpoint.stride == ONE:
        return ValidNetwork(module, checkpoint.margin)
    dense = DenseNetwork(module)
    if dense.reach.stride != checkpoint.stride:
        raise ModelError(
            f"the card {checkpoint.uri} gives stride {checkpoint.stride}, the network has "
            f"{dense.reach.stride}; correct the card"
        )
    if any(n > m for n, m in zip(dense.reach.margin, checkpoint.margin, strict=True)):
        raise ModelError(
            f"the card {checkpoint.uri} gives a margin of {checkpoint.margin}, the network sees "
            f"{dense.reach.margin} voxels on each side of an answer; say that margin in the card"
        )
    return ValidNetwork(dense, checkpoint.margin)
