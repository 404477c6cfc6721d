"""Networks of torch as predictors: loading, device, precision and the forward pass."""

import copy
import hashlib
import platform
import threading
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models import location
from volkit.models.architectures import build
from volkit.models.card import Activation, Checkpoint
from volkit.models.onednn import use_onednn
from volkit.models.predictor import (
    Batch,
    Floats,
    ScaleLike,
    check_answer,
    not_finite,
    scaled_batch,
)
from volkit.models.programs import read_program
from volkit.models.scaling import UNSCALED, Scale
from volkit.models.weights import check_state, read_state

Precision = Literal["float32", "bfloat16", "float16"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_LOADED: dict[tuple[str, str, str], "NetworkPredictor"] = {}
_LOADING = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class NetworkPredictor:
    """A network on its device, ready to answer batches.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, on the device.
    channels : tuple of int or None
        Channels in and out; None is not checked.
    activation : {"sigmoid", "softmax", "none"}
        Applied to its answer, in float32.
    device : str
        Where it is.
    precision : {"float32", "bfloat16", "float16"}
        What its convolutions compute in.
    checkpoint : Checkpoint or None
        Where it comes from; a predictor with one travels between processes as its card.
    """

    module: nn.Module = field(repr=False)
    channels: tuple[int, int] | None
    activation: Activation
    device: str
    precision: Precision
    checkpoint: Checkpoint | None = None

    @property
    def identity(self) -> str | None:
        """Digest of all that decides the answer, precision included."""
        known = self.checkpoint.identity if self.checkpoint else _digest(self.module)
        return hashlib.sha256(f"{known} {self.activation} {self.precision}".encode()).hexdigest()

    @property
    def bounded(self) -> bool:
        """Whether every answer lies within [0, 1], as after sigmoid and softmax."""
        return self.activation != "none"

    def __call__(self, batch: Batch, *, scale: ScaleLike = UNSCALED) -> Floats:
        """Answer a batch of windows.

        Parameters
        ----------
        batch : ndarray of real, shape (B, C, z, y, x) or (B, z, y, x)
            Voxels as stored.
        scale : Scale or tuple of four
            ``(shift, divide, low, high)``, in the unit of the voxels.

        Returns
        -------
        ndarray of float32, shape (B, C', z, y, x)
            Probabilities.

        Raises
        ------
        ModelError
            If channels or shapes do not fit, or the answer holds NaN or infinity.
        """
        return self.on_device(batch, scale=scale).contiguous().cpu().numpy()

    def on_device(self, batch: Batch, *, scale: ScaleLike = UNSCALED) -> Tensor:
        """Answer a batch of windows, and leave the answer where it is.

        Parameters
        ----------
        batch, scale
            As when called.

        Returns
        -------
        Tensor of float32, shape (B, C', z, y, x)
            Finite, on the device, in any memory order.

        Raises
        ------
        ModelError
            As when called.
        """
        x = scaled_batch(batch, Scale(*scale))
        if self.channels and x.shape[1] != self.channels[0]:
            raise ModelError(
                f"the network takes {self.channels[0]} channels, the volume has {x.shape[1]}; "
                "choose another checkpoint, or the channels it was trained on"
            )
        with torch.inference_mode():
            answer = self._forward(self._sent(x))
            check_answer(tuple(answer.shape), x.shape, self.channels and self.channels[1])
            if not bool(torch.isfinite(answer).all()):
                raise not_finite(bool(torch.from_numpy(x).isfinite().all()))
            return answer

    def _sent(self, x: Floats) -> Tensor:
        host = torch.from_numpy(x)
        if torch.device(self.device).type == "cuda":
            # Pages that stay where they are: the copy runs while the device computes.
            return host.pin_memory().to(self.device, non_blocking=True)
        return host.to(self.device)

    def _forward(self, x: Tensor) -> Tensor:
        if self.device != "mps":  # which knows no channels_last_3d
            x = x.contiguous(memory_format=torch.channels_last_3d)
        dtype = _DTYPES[self.precision]
        with torch.autocast(
            torch.device(self.device).type, dtype=dtype, enabled=dtype != torch.float32
        ):
            answer = self.module(x)
        if not isinstance(answer, Tensor):
            raise ModelError(
                f"the network answered {type(answer).__name__}, expected one tensor; "
                "wrap it in a module that returns the map wanted"
            )
        answer = answer.float()
        if self.activation == "sigmoid":
            return answer.sigmoid()
        return answer.softmax(1) if self.activation == "softmax" else answer

    def __reduce__(self) -> tuple[Any, ...]:
        if self.checkpoint:
            return load_network, (self.checkpoint, self.device, self.precision)
        given = (self.module.cpu() if self.device == "cpu" else copy.deepcopy(self.module).cpu(),)
        return wrap_module, (*given, self.activation, self.device, self.precision)


def load_network(checkpoint: Checkpoint, device: str, precision: str) -> NetworkPredictor:
    """Load a checkpoint, once per process; see `volkit.models.checkpoint.load`."""
    place, numbers = _device(device), _precision(precision)
    key = (checkpoint.identity, place, numbers)
    with _LOADING:
        if key not in _LOADED:
            module = _ready(_read(checkpoint), place, numbers)
            _LOADED[key] = NetworkPredictor(
                module, checkpoint.channels, checkpoint.activation, place, numbers, checkpoint
            )
        return _LOADED[key]


def wrap_module(
    module: nn.Module,
    activation: Activation = "none",
    device: str = "auto",
    precision: str = "auto",
) -> NetworkPredictor:
    """Make a predictor of a copy of a module; see `volkit.models.predictor.as_predictor`."""
    place, numbers = _device(device), _precision(precision)
    ready = _ready(copy.deepcopy(module), place, numbers)
    return NetworkPredictor(ready, None, activation, place, numbers)


def _read(checkpoint: Checkpoint) -> nn.Module:
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
    if checkpoint.format == "export":
        return read_program(data, source=source)
    module = build(checkpoint.architecture, **checkpoint.arguments)
    state = read_state(data, checkpoint.format, source=source)
    check_state(state, module.state_dict(), source=source)
    module.load_state_dict(state)
    _check_channels(module.eval(), checkpoint)
    return module


def _check_channels(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Push a window without numbers through the network."""
    shape = (1, checkpoint.channels[0], *checkpoint.window)
    card = f"card {checkpoint.uri} gives channels {checkpoint.channels}"
    try:
        with torch.inference_mode():
            answer = copy.deepcopy(module).to("meta")(torch.empty(shape, device="meta"))
    except NotImplementedError:
        return  # an operation that needs numbers: the first batch will tell
    except RuntimeError as error:
        if "meta" in str(error):
            return
        raise ModelError(
            f"{card} and window {checkpoint.window}, the network refuses a batch of {shape}: "
            f"{error}; correct the card"
        ) from error
    if isinstance(answer, Tensor):
        try:
            check_answer(tuple(answer.shape), shape, checkpoint.channels[1])
        except ModelError as error:
            raise ModelError(f"{card}, but {error}") from error


def _ready(module: nn.Module, device: str, precision: Precision) -> nn.Module:
    if not isinstance(module, torch.fx.GraphModule):  # an exported program has no modes
        module.eval().float()
    module = module.to(device)
    if device != "mps":
        module = module.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return use_onednn(module) if (device, precision) == ("cpu", "float32") else module


def _device(wanted: str) -> str:
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(wanted).type
    except RuntimeError as error:
        raise ModelError(f"device {wanted!r} is unknown; use auto, cpu, cuda or mps") from error
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind, True):
        raise ModelError(f"device {wanted!r} is not here; use auto or cpu")
    return wanted


def _precision(wanted: str) -> Precision:
    if wanted in ("auto", *_DTYPES):
        return cast(Precision, "float32" if wanted == "auto" else wanted)
    raise ModelError(f"precision {wanted!r} is unknown; use auto or one of {list(_DTYPES)}")


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256(repr(module).encode())
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
