"""Chains of layers whose answer depends on a field of view and on no position."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from volkit.errors import ModelError
from volkit.geometry import Coord
from volkit.models.em_networks import ScaledTanh
from volkit.models.streams import SummedStreams

ONE: Coord = (1, 1, 1)

_POINTWISE = (
    nn.Identity,
    nn.Dropout,
    nn.BatchNorm3d,
    nn.ReLU,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
    ScaledTanh,
)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a chain sees, and how far apart its answers are.

    Parameters
    ----------
    field : tuple of int
        Voxels that one answer sees, (z, y, x).
    stride : tuple of int
        Voxels from one answer to the next.
    padding : tuple of int
        Voxels of padding at each face of the window that the answers reach into.

    Examples
    --------
    >>> reach_of(nn.Sequential(nn.Conv3d(1, 1, 3), nn.MaxPool3d(2), nn.Conv3d(1, 1, 3)))
    Reach(field=(8, 8, 8), stride=(2, 2, 2), padding=(0, 0, 0))
    """

    field: Coord = ONE
    stride: Coord = ONE
    padding: Coord = (0, 0, 0)

    @property
    def margin(self) -> Coord:
        """Voxels that an answer sees on each side of its own, (z, y, x).

        Raises
        ------
        ModelError
            If the field of view is even, so that no voxel is in its middle.
        """
        if any(n % 2 == 0 for n in self.field):
            raise ModelError(
                f"a field of view of {self.field} voxels is even on an axis, so that answers lie "
                "between voxels; add a kernel of 2 on that axis, which makes it odd"
            )
        z, y, x = (n // 2 for n in self.field)
        return z, y, x

    def after(self, layer: nn.Module) -> "Reach":
        """Add a layer behind the chain."""
        kernel, stride, padding = extent_of(layer), stride_of(layer), padding_of(layer)
        field = tuple(
            n + (k - 1) * s for n, k, s in zip(self.field, kernel, self.stride, strict=True)
        )
        padded = tuple(
            n + p * s for n, p, s in zip(self.padding, padding, self.stride, strict=True)
        )
        return Reach(field, _times(self.stride, stride), padded)  # type: ignore[arg-type]


def chain(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of a module, one after the other.

    Parameters
    ----------
    module : torch.nn.Module
        A ``Sequential`` of convolutions, max-pooling, pointwise layers and `SummedStreams`; or a
        module whose class has a property ``chain`` that is one.

    Yields
    ------
    torch.nn.Module
        Convolutions, pools, pointwise layers, and streams as a whole.

    Raises
    ------
    ModelError
        If a layer is of another kind; its answers may depend on the whole window.
    """
    if isinstance(getattr(type(module), "chain", None), property):
        yield from chain(module.chain)  # type: ignore[arg-type]
    elif isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for layer in module:
            yield from chain(layer)
    elif isinstance(module, (SummedStreams, nn.Conv3d, nn.MaxPool3d, *_POINTWISE)):
        if isinstance(module, nn.MaxPool3d) and (module.ceil_mode or module.return_indices):
            raise ModelError(
                f"{module} rounds up or returns indices; use max-pooling without either"
            )
        yield module
    else:
        raise ModelError(
            f"{type(module).__name__} is no chain of convolutions, max-pooling and pointwise "
            "layers, so it cannot be evaluated at every voxel; write it as torch.nn.Sequential, "
            "or give a network that answers every voxel"
        )


def reach_of(module: nn.Module) -> Reach:
    """Find how far a module sees.

    Parameters
    ----------
    module : torch.nn.Module
        As in `chain`.

    Returns
    -------
    Reach
        Field of view, stride and padding.

    Raises
    ------
    ModelError
        If a layer is of another kind, or streams that are added see differently.
    """
    return _follow(module, Reach())


def _follow(module: nn.Module, reach: Reach) -> Reach:
    for layer in chain(module):
        if isinstance(layer, SummedStreams):
            seen = {_follow(stream, reach) for stream in layer.streams}
            if len(seen) > 1:
                raise ModelError(
                    f"streams that are added see {sorted(r.field for r in seen)} voxels at strides "
                    f"{sorted(r.stride for r in seen)}; make them see alike"
                )
            reach = seen.pop()
        else:
            reach = reach.after(layer)
    return reach


def extent_of(layer: nn.Module) -> Coord:
    """Voxels that a layer sees from its first to its last, (z, y, x)."""
    if not isinstance(layer, (nn.Conv3d, nn.MaxPool3d)):
        return ONE
    sides, steps = triple(layer.kernel_size), triple(layer.dilation)
    z, y, x = ((k - 1) * d + 1 for k, d in zip(sides, steps, strict=True))
    return z, y, x


def stride_of(layer: nn.Module) -> Coord:
    """Voxels from one answer of a layer to the next, (z, y, x)."""
    return triple(layer.stride) if isinstance(layer, (nn.Conv3d, nn.MaxPool3d)) else ONE


def padding_of(layer: nn.Module) -> Coord:
    """Voxels that a layer adds at each face, (z, y, x)."""
    if not isinstance(layer, (nn.Conv3d, nn.MaxPool3d)) or layer.padding == "valid":
        return 0, 0, 0
    if layer.padding != "same":
        return triple(layer.padding)
    z, y, x = ((n - 1) // 2 for n in extent_of(layer))
    return z, y, x


def triple(value: object) -> Coord:
    """Read what torch takes as one number for all axes or one for each."""
    z, y, x = value if isinstance(value, (tuple, list)) else (value,) * 3
    return int(z), int(y), int(x)


def _times(a: Coord, b: Coord) -> Coord:
    z, y, x = (m * n for m, n in zip(a, b, strict=True))
    return z, y, x
