"""Module loading: from a checkpoint to a module that is ready on its device."""

import copy
import hashlib
import platform
from math import prod

import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models import location
from volkit.models.architectures import build
from volkit.models.card import PROGRAMS, Checkpoint
from volkit.models.foreign_code import build_foreign
from volkit.models.onednn import use_onednn
from volkit.models.onnx_program import OnnxProgram
from volkit.models.plane_network import PlaneNetwork
from volkit.models.predictor import check_answer
from volkit.models.programs import read_program, read_script
from volkit.models.running import Running
from volkit.models.strided import slice_strides
from volkit.models.trust import check_trusted, is_foreign
from volkit.models.valid import fitted
from volkit.models.weights import check_state, read_state

_QUICK = 2 * 10**11  # products of weights and voxels: a quarter of a second for a U-Net


def read_module(checkpoint: Checkpoint) -> nn.Module:
    """Read the weights of a checkpoint into its architecture; it answers all of a window.

    Parameters
    ----------
    checkpoint : Checkpoint
        Card and address.

    Returns
    -------
    torch.nn.Module
        On the CPU.

    Raises
    ------
    ModelError
        As :func:`bare_module`, or if the network does not answer as its card says.
    """
    module = fitted(bare_module(checkpoint), checkpoint)
    if checkpoint.format not in PROGRAMS:
        _check_channels(module, checkpoint)
    return module


def bare_module(checkpoint: Checkpoint) -> nn.Module:
    """Read the weights of a checkpoint into its architecture, which may lose voxels at its faces.

    Parameters
    ----------
    checkpoint : Checkpoint
        Card and address.

    Returns
    -------
    torch.nn.Module
        On the CPU.

    Raises
    ------
    ModelError
        If the weights are absent, damaged, hold code that is not trusted, or do not fit the card.
    """
    source = checkpoint.weights_uri
    try:
        data = location.read_bytes(source)
    except FileNotFoundError as error:
        raise ModelError(
            f"the weights {source} are not there; put them beside the card {checkpoint.uri}, in a "
            f"place that every worker sees ({platform.node()} does not see them)"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != checkpoint.sha256:
        raise ModelError(
            f"the weights {source} have sha256 {found}, their card says {checkpoint.sha256}; "
            "they are damaged or belong to another card: fetch them again"
        )
    if checkpoint.format in PROGRAMS:
        return _program(data, checkpoint)
    state = read_state(data, checkpoint.format, source=source)
    module = _architecture(checkpoint)
    check_state(state, module.state_dict(), source=source)
    module.load_state_dict(state)
    module.eval()
    return PlaneNetwork(module) if checkpoint.planes else module


def _architecture(checkpoint: Checkpoint) -> nn.Module:
    if is_foreign(checkpoint.architecture):
        return build_foreign(checkpoint)
    return build(checkpoint.architecture, **checkpoint.arguments)


def _program(data: bytes, checkpoint: Checkpoint) -> nn.Module:
    """Read a network that is stored with its weights."""
    source = checkpoint.weights_uri
    module: nn.Module
    if checkpoint.format == "onnx":
        module = OnnxProgram(data, source)
    elif checkpoint.format == "torchscript":
        check_trusted(checkpoint, "TorchScript")
        module = read_script(data, source=source)
    else:
        module = read_program(data, source=source)
    return PlaneNetwork(module) if checkpoint.planes else module


def _check_channels(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Push an empty window through the network, or one without numbers where that is cheaper."""
    shape = (1, checkpoint.channels[0], *checkpoint.window)
    card = f"card {checkpoint.uri} gives channels {checkpoint.channels}"
    weights = sum(p.numel() for p in module.parameters())
    # A window without numbers costs no arithmetic, but two seconds of imports in each process.
    device = "cpu" if weights * prod(shape) <= _QUICK else "meta"
    try:
        with torch.inference_mode():
            tried = module if device == "cpu" else copy.deepcopy(module).to(device)
            answer = tried(torch.zeros(shape, device=device))
    except NotImplementedError:
        return  # an operation that needs numbers: the first batch will tell
    except RuntimeError as error:
        if "meta" in str(error):
            return
        raise ModelError(
            f"{card} and window {checkpoint.window}, the network refuses a batch of {shape}: "
            f"{error}; correct the card"
        ) from error
    if checkpoint.output == "whole":
        _check_whole(answer, card, checkpoint.channels[1])
    elif isinstance(answer, Tensor):
        try:
            check_answer(tuple(answer.shape), shape, checkpoint.channels[1])
        except ModelError as error:
            raise ModelError(f"{card}, but {error}") from error


def _check_whole(answer: object, card: str, channels: int) -> None:
    found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
    if found != (1, channels):
        raise ModelError(
            f"{card}, but the network answered {found} to one window, expected {(1, channels)}; "
            "say output: whole only of a network that answers a window as a whole"
        )


def ready_module(module: nn.Module, running: Running) -> nn.Module:
    """Bring a module to its device, in place where it is there already.

    Parameters
    ----------
    module : torch.nn.Module
        Any.
    running : Running
        Without ``auto``.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, float32, in the layout of the device.
    """
    inside = module.modules()
    if not any(isinstance(part, torch.fx.GraphModule) for part in inside):  # which has no modes
        module.eval().float()
    module = module.to(running.device)
    if running.device != "mps":
        lay_out(module)
    plain = (running.device, running.precision) == ("cpu", "float32")
    return use_onednn(module) if plain else module


def lay_out(module: nn.Module) -> None:
    """Put channels last, in place; weights of 2-D layers, which slices go through, too.

    Layers whose gradients oneDNN cannot make of channels last learn another way.

    Parameters
    ----------
    module : torch.nn.Module
        Any; what has neither four nor five axes stays as it is.
    """
    layouts = {5: torch.channels_last_3d, 4: torch.channels_last}
    for value in (*module.parameters(), *module.buffers()):
        if value.dim() in layouts:
            value.data = value.data.contiguous(memory_format=layouts[value.dim()])
    slice_strides(module)


def module_digest(module: nn.Module) -> str:
    """Digest what a module is and holds.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    str
        Of its layers, by name and number, and its state.
    """
    digest = hashlib.sha256(repr(module).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
