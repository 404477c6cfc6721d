"""Chosen network: what a person gives as a model, and the options that are about it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from volkit.errors import ConfigError
from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.models.ensemble import Ensemble, EnsembleOptions, Model, read_model
from volkit.models.views import views_of
from volkit.ops.inference_options import InferenceOptions
from volkit.ops.network import Network

# What options say of a network as well as a Network does.
_OF_NETWORKS = (
    "window",
    "channels",
    "precision",
    "views",
    "backend",
    "compile",
    "nonfinite",
    "providers",
)

Given = (
    Checkpoint
    | Ensemble
    | Callable[..., Any]
    | str
    | Path
    | Mapping[str, Any]
    | EnsembleOptions
    | Sequence[Model | str | Path]
    | Network
)


def chosen_network(model: Given, options: InferenceOptions) -> Network:
    """Make a network of a model and of the options that are about it.

    Parameters
    ----------
    model : Checkpoint, Ensemble, callable, str, Path, mapping, sequence or Network
        A text is where a card lies, a mapping has the keys of `EnsembleOptions`, a sequence is an
        ensemble whose answers are averaged.
    options : InferenceOptions
        Window, channels, device, precision, views, and how it is run.

    Returns
    -------
    Network
        A Network that was given, as it is.

    Raises
    ------
    ConfigError
        If options contradict a Network or a card, or a callable comes without its window.
    ModelError
        If there is no card, or it is no model.
    """
    if isinstance(model, Network):
        _check_same(model, options)
        return model
    if isinstance(model, (str, Path, Mapping, EnsembleOptions)):
        model = read_model(model)
    elif isinstance(model, Sequence):
        model = Ensemble(
            tuple(read_checkpoint(m) if isinstance(m, (str, Path)) else m for m in model)
        )
    network = Network.of(
        model,
        window=options.window,
        channels=options.channels,
        device=options.device,
        precision=options.precision,
        views=views_of(options.views),
        backend=options.backend,
        compile=options.compile,
        nonfinite=options.nonfinite,
        providers=options.providers,
    )
    cards = [member for member in network.members if isinstance(member, Checkpoint)]
    if cards and options.channels not in (None, cards[0].channels[1]):
        raise ConfigError(
            f"channels {options.channels} is for a module or a function; the card says "
            f"{cards[0].channels[1]}: leave it out"
        )
    return network


def _check_same(network: Network, options: InferenceOptions) -> None:
    """Refuse options that would change a Network: it is taken as it is."""
    usual = InferenceOptions()
    for name in _OF_NETWORKS:
        asked, has = getattr(options, name), getattr(network, name)
        if name == "views":
            asked = views_of(asked)
        if getattr(options, name) != getattr(usual, name) and asked != has:
            raise ConfigError(
                f"{name} {getattr(options, name)!r} is asked for, and the Network that was given "
                f"has another; say so when you make it: Network.of(model, {name}=...)"
            )
