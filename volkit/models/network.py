"""Networks of torch as predictors: batches go in, checked probabilities come out."""

import copy
import hashlib
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.batch_limit import BatchLimit
from volkit.models.card import Activation, Checkpoint
from volkit.models.device_input import sent
from volkit.models.forward import Forward, forward_of
from volkit.models.lanes import is_shareable, side_by_side
from volkit.models.module_loading import module_digest, read_module, ready_module
from volkit.models.onnx_program import OnnxProgram
from volkit.models.predictor import Batch, Floats, ScaleLike, check_answer, not_finite
from volkit.models.running import Running
from volkit.models.scaling import UNSCALED, Scale
from volkit.models.turns import turn

_LOADED: dict[tuple[str, Running], "NetworkPredictor"] = {}
_LOADING = threading.Lock()
_OF_A_THREAD = 2**15  # values: torch parts more among threads


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
    running : Running
        How it is run; without ``auto``.
    checkpoint : Checkpoint or None
        Where it comes from; a predictor with one travels between processes as its card.
    """

    module: nn.Module = field(repr=False)
    channels: tuple[int, int] | None
    activation: Activation
    running: Running
    checkpoint: Checkpoint | None = None
    limit: BatchLimit = field(init=False, repr=False)
    _forward: Forward = field(init=False, repr=False)
    _in_lanes: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        on_cuda = torch.device(self.device).type == "cuda"
        object.__setattr__(self, "limit", BatchLimit(on_cuda or self.running.compile))
        object.__setattr__(self, "_forward", _forward(self.module, self.running))
        object.__setattr__(self, "_in_lanes", _in_lanes(self.module, self.running))

    @property
    def device(self) -> str:
        """Where it is."""
        return self.running.device

    @property
    def precision(self) -> str:
        """What its convolutions compute in."""
        return self.running.precision

    @property
    def identity(self) -> str | None:
        """Digest of all that decides the answer, precision included."""
        known = self.checkpoint.identity if self.checkpoint else module_digest(self.module)
        facts = sorted(self.running.facts.items())
        return hashlib.sha256(f"{known} {self.activation} {facts}".encode()).hexdigest()

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
            If channels or shapes do not fit, or one window is too much for the memory.
        NonFiniteError
            If the answer holds NaN or infinity, unless these are to be marked; it names the
            windows.
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
            On the device, in any memory order; finite, unless NaN is to be marked.

        Raises
        ------
        ModelError
            As when called.
        """
        with torch.inference_mode():
            x = sent(batch, Scale(*scale), device=self.device)
            if self.channels and x.shape[1] != self.channels[0]:
                raise ModelError(
                    f"the network takes {self.channels[0]} channels, the volume has {x.shape[1]}; "
                    "choose another checkpoint, or the channels it was trained on"
                )
            with self.turn():
                answer = self.limit.run(self.answered, x)
                check_answer(
                    tuple(answer.shape), tuple(x.shape), self.channels and self.channels[1]
                )
                if self.running.nonfinite == "fail":
                    _check_finite(answer, x)
                return answer

    def answered(self, x: Tensor) -> Tensor:
        """Answer a batch on the device as it is: neither divided, nor filled up, nor checked.

        Parameters
        ----------
        x : Tensor of float32, shape (B, C, z, y, x)
            Scaled.

        Returns
        -------
        Tensor of float32, shape (B, C', z, y, x)
            Probabilities.

        Raises
        ------
        ModelError
            If the network answers anything but one tensor.
        """
        return side_by_side(self._answered, x) if self._in_lanes else self._answered(x)

    def _answered(self, x: Tensor) -> Tensor:
        if self.device != "mps":  # which knows no channels_last_3d
            x = x.contiguous(memory_format=torch.channels_last_3d)
        try:
            answer = self._forward(x)
        except AssertionError as error:  # so exported networks refuse what they were not made for
            raise ModelError(
                f"the network refuses {len(x)} windows of {tuple(x.shape[1:])} (c, z, y, x): "
                f"{error}; take the window and the batch that it was exported for"
            ) from error
        if not isinstance(answer, Tensor):
            raise ModelError(
                f"the network answered {type(answer).__name__}, expected one tensor; "
                "wrap it in a module that returns the map wanted"
            )
        answer = answer.float()
        if self.activation == "sigmoid":
            return _sigmoid(answer)
        return answer.softmax(1) if self.activation == "softmax" else answer

    def turn(self) -> AbstractContextManager[None]:
        """Wait until a pass may begin; windows in lanes wait by themselves."""
        return nullcontext() if self._in_lanes else turn(self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.checkpoint:
            return load_network, (self.checkpoint, self.running)
        given = self.module.cpu() if self.device == "cpu" else copy.deepcopy(self.module).cpu()
        return wrap_module, (given, self.activation, self.running)


def load_network(checkpoint: Checkpoint, running: Running) -> NetworkPredictor:
    """Load a checkpoint, once per process; see `volkit.models.checkpoint.load`."""
    if checkpoint.output == "whole":
        raise ModelError(
            f"the network of {checkpoint.uri} answers a window as a whole, not voxel by voxel; "
            "take it for clips and stall tables, and one that segments here"
        )
    here = running.resolved()
    key = (checkpoint.identity, here)
    with _LOADING:
        if key not in _LOADED:
            module = ready_module(read_module(checkpoint), here)
            _LOADED[key] = NetworkPredictor(
                module, checkpoint.channels, checkpoint.activation, here, checkpoint
            )
        return _LOADED[key]


def wrap_module(module: nn.Module, activation: Activation, running: Running) -> NetworkPredictor:
    """Make a predictor of a copy of a module; see `volkit.models.predictor.as_predictor`."""
    here = running.resolved()
    ready = ready_module(copy.deepcopy(module), here)
    return NetworkPredictor(ready, None, activation, here)


def _forward(module: nn.Module, running: Running) -> Forward:
    if programs := [part for part in module.modules() if isinstance(part, OnnxProgram)]:
        if running.precision != "float32" or running.compile:
            raise ModelError(
                f"a network of ONNX computes in float32 and is not compiled; it was asked for "
                f"{running.precision}, compile={running.compile}: leave both out"
            )
        for program in programs:
            program.run_on(running.providers)
        return module
    if running.backend == "onnxruntime":
        from volkit.models.onnx_forward import OnnxForward

        return OnnxForward(module, running.providers)
    return forward_of(
        module, device=running.device, precision=running.precision, compile=running.compile
    )


def _in_lanes(module: nn.Module, running: Running) -> bool:
    if running.compile or running.backend != "torch" or torch.device(running.device).type != "cpu":
        return False
    foreign = any(isinstance(part, OnnxProgram) for part in module.modules())  # has its own threads
    return not foreign and is_shareable(module)


def _sigmoid(answer: Tensor) -> Tensor:
    if answer.device.type != "cpu":
        return answer.sigmoid()
    # Torch rounds otherwise at the ends of what it gives to a thread; so little it gives to one.
    return torch.cat([part.sigmoid() for part in answer.flatten().split(_OF_A_THREAD)]).view(
        answer.shape
    )


def _check_finite(answer: Tensor, batch: Tensor) -> None:
    finite = torch.isfinite(answer).all(dim=(1, 2, 3, 4))
    if not bool(finite.all()):  # the one place where the host waits for the device
        windows = torch.nonzero(~finite).flatten().tolist()
        raise not_finite(bool(torch.isfinite(batch[windows]).all()), windows=tuple(windows))
