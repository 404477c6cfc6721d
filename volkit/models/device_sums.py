"""Sums of weighted answers, where the network is, in fixed point.

Integers add up to the same sum in every order, so that a result does not know which windows were
added where, or when; the kernels for the CPU round alike, so that their sums may be added to these.
"""

from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from volkit.errors import ContractError, ModelError

BOUNDED_BITS = 30
PLAIN_BITS = 36
GREATEST = 2.0**26  # of an answer that is not bounded: its sums stay below 2**62

Floats = npt.NDArray[np.float32]
Corner = tuple[int, int, int]
Part = tuple[slice, slice, slice]

_WEIGHTS_KEPT = 64  # a lattice repeats its weights, but for those of its faces


class DeviceSums:
    """Sums over the windows of a block, on the device of the network.

    An answer in [-1, 1] is added as ``rint(w * a * 2**30)``, computed in float32 and summed as
    int32; any other as ``rint(w * a * 2**36)``, computed in float64 and summed as int64.  The
    weights of a voxel sum to one, so that sums stay within their integers.

    Parameters
    ----------
    channels : int
        Channels of the answers.
    shape : tuple of int
        Voxels to sum over, (Z, Y, X).
    device : str
        A device of torch.
    bounded : bool
        Whether all answers lie within [-1, 1]; see `volkit.models.predictor.Predictor`.

    Examples
    --------
    >>> sums = DeviceSums(1, (1, 1, 4), "cpu", bounded=True)
    >>> answer, half = torch.ones(1, 1, 1, 3), np.full((1, 1), 0.5, np.float32)
    >>> sums.add(answer, (0, 0, 3), np.ones(1, np.float32), half, np.s_[:, :, 1:2])
    >>> (sums.to_numpy() / 2**BOUNDED_BITS).ravel().tolist()
    [0.0, 0.0, 0.0, 0.5]
    """

    def __init__(
        self, channels: int, shape: tuple[int, int, int], device: str, *, bounded: bool
    ) -> None:
        self.bounded = bounded
        kind = torch.int32 if bounded else torch.int64
        self._total = torch.zeros((channels, *shape), dtype=kind, device=device)
        self._greatest = torch.zeros((), device=device)
        self._weights: OrderedDict[tuple[tuple[int, ...], bytes], Tensor] = OrderedDict()

    def add(self, answer: Tensor, corner: Corner, wz: Floats, wyx: Floats, part: Part) -> None:
        """Add a part of a window's answer.

        Parameters
        ----------
        answer : Tensor of float32, shape (C, z, y, x)
            Of one window, on the device, finite.
        corner : tuple of int
            Where the first voxel of the part lies in the sums, (z, y, x).
        wz : ndarray of float32, shape (k,)
            Weights of the part along z.
        wyx : ndarray of float32, shape (j, i)
            Weights of the part along y and x.
        part : tuple of slice
            What to add of the window, (z, y, x), of extent (k, j, i).

        Raises
        ------
        ContractError
            If part, weights and sums do not fit together.
        """
        seen = answer[(slice(None), *part)]
        z, y, x = (slice(c, c + n) for c, n in zip(corner, seen.shape[1:], strict=True))
        place = self._total[:, z, y, x]
        if seen.shape != place.shape or tuple(seen.shape[1:]) != (*wz.shape, *wyx.shape):
            raise ContractError(
                f"a part of {tuple(seen.shape)}, weights of {wz.shape} and {wyx.shape} and "
                f"{tuple(place.shape)} of the sums at {corner} do not fit; give weights of the "
                "part, and a part that lies within the sums"
            )
        if not seen.numel():
            return
        with torch.inference_mode():
            weight = self._on_device(wz)[:, None, None] * self._on_device(wyx)
            if self.bounded:
                added = (seen * weight).mul_(2.0**BOUNDED_BITS).round_()
                place += added.to(torch.int32)
                return
            self._greatest = torch.maximum(self._greatest, seen.abs().amax())
            exact = weight.double()
            for channel, values in zip(place, seen, strict=True):  # float64 of one at a time
                channel += (values * exact).mul_(2.0**PLAIN_BITS).round_().to(torch.int64)

    def to_numpy(self) -> npt.NDArray[np.int32] | npt.NDArray[np.int64]:
        """Copy the sums to the host, waiting for the device.

        Returns
        -------
        ndarray of int32 or int64, shape (C, Z, Y, X)
            int32 in units of ``2**-30`` where answers are bounded, else int64 of ``2**-36``.

        Raises
        ------
        ModelError
            If an answer reached 2**26, which the sums cannot hold.
        """
        greatest = float(self._greatest)
        if not greatest < GREATEST:
            raise ModelError(
                f"the network answered {greatest:g}; sums hold values of less than {GREATEST:g}: "
                "scale its input or its answer, or give it an activation"
            )
        return self._total.cpu().numpy()

    def _on_device(self, weights: Floats) -> Tensor:
        key = (weights.shape, weights.tobytes())
        found = self._weights.get(key)
        if found is None:
            given = torch.from_numpy(np.array(weights, np.float32, order="C"))
            found = self._weights[key] = given.to(self._total.device)
            if len(self._weights) > _WEIGHTS_KEPT:
                self._weights.popitem(last=False)
        self._weights.move_to_end(key)
        return found
