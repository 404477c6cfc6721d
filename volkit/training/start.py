"""Where weights start: from those of networks that were trained before."""

from torch import Tensor, nn

from volkit.errors import ConfigError, ModelError
from volkit.models import location
from volkit.models.checkpoint import read_checkpoint
from volkit.models.em_networks import VD2D3D, start_from_vd2d
from volkit.models.weights import read_state
from volkit.training.dense_config import Recursion


def start_from(network: object, recursion: Recursion) -> None:
    """Give the 2-D layers of a VD2D3D the weights of the earlier VD2D, in place.

    Parameters
    ----------
    network : object
        A `VD2D3D`.
    recursion : Recursion
        Names the VD2D.

    Raises
    ------
    ConfigError
        If the network is no VD2D3D.
    ModelError
        If the earlier network is no VD2D of as many channels.
    """
    if not isinstance(network, VD2D3D):
        raise ConfigError(
            f"recursion.start needs the architecture vd2d3d, not {type(network).__name__}; say "
            "start: false"
        )
    start_from_vd2d(network, _state(recursion.checkpoint))


def take_over(network: nn.Module, checkpoint: str) -> None:
    """Take over the weights of a checkpoint where name and shape agree, in place.

    Parameters
    ----------
    network : torch.nn.Module
        Other weights of it, such as those of more output channels, stay as they are.
    checkpoint : str
        A card.

    Raises
    ------
    ModelError
        If fewer than half of the network's tensors are there.
    """
    found, own = _state(checkpoint), network.state_dict()
    shared = {
        name: value
        for name, value in found.items()
        if name in own and own[name].shape == value.shape
    }
    if 2 * len(shared) < len(own):
        raise ModelError(
            f"{checkpoint} holds {len(shared)} of the {len(own)} tensors of this network; give "
            "the arguments of its card (norm: none, widths, blocks), or leave start_from out"
        )
    network.load_state_dict(shared, strict=False)


def _state(checkpoint: str) -> dict[str, Tensor]:
    card = read_checkpoint(checkpoint)
    source = card.weights_uri
    return read_state(location.read_bytes(source), card.format, source=source)
