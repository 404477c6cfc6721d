"""Predictors: anything that answers a batch of windows with probabilities.

Nothing here needs torch unless it is handed a module or a checkpoint.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from volkit.errors import ModelError, NonFiniteError
from volkit.models.checkpoint import Checkpoint, load
from volkit.models.running import Backend, NonFinite, Running
from volkit.models.scaling import UNSCALED, Scale

Floats = npt.NDArray[np.float32]
Batch = npt.NDArray[Any]
ScaleLike = Scale | tuple[float, float, float | None, float | None]

_BATCH_AXES = 5


@runtime_checkable
class Predictor(Protocol):
    """What inference needs of a model.

    ``identity`` is a digest that changes with the answers, or None where it is not known.
    """

    @property
    def identity(self) -> str | None:
        """Digest of all that decides the answer."""
        ...

    @property
    def bounded(self) -> bool:
        """Whether every answer lies within [0, 1]."""
        ...

    def __call__(self, batch: Batch, *, scale: ScaleLike = UNSCALED) -> Floats:
        """Answer a batch, shape (B, C, z, y, x), with probabilities (B, C', z, y, x)."""
        ...


@dataclass(frozen=True, slots=True)
class FunctionPredictor:
    """A plain function as a predictor.

    Parameters
    ----------
    function : callable
        Takes float32 of shape (B, C, z, y, x), scaled; returns (B, C', z, y, x).
    nonfinite : {"fail", "mark"}
        Whether NaN and infinity in an answer are an error, or returned as they are.

    Examples
    --------
    >>> double = FunctionPredictor(lambda batch: 2 * batch)
    >>> double(np.ones((1, 2, 2, 2), np.uint8), scale=(0, 4, None, None)).max()
    np.float32(0.5)
    """

    function: Callable[[Floats], npt.ArrayLike]
    nonfinite: NonFinite = "fail"

    @property
    def identity(self) -> str | None:
        """None: two functions cannot be told apart by their code alone."""
        return None

    @property
    def bounded(self) -> bool:
        """False: nobody knows what a function answers."""
        return False

    def __call__(self, batch: Batch, *, scale: ScaleLike = UNSCALED) -> Floats:
        """Answer a batch; see `volkit.models.network.NetworkPredictor`."""
        scaled = scaled_batch(batch, Scale(*scale))
        answer = np.ascontiguousarray(self.function(scaled), np.float32)
        if answer.ndim != _BATCH_AXES:
            raise wrong_shape(answer.shape, scaled.shape, None)
        check_answer(answer.shape, scaled.shape, None)
        if self.nonfinite == "fail":
            finite = np.isfinite(answer).all(axis=(1, 2, 3, 4))
            if not finite.all():
                windows = tuple(map(int, np.flatnonzero(~finite)))
                raise not_finite(bool(np.isfinite(scaled[~finite]).all()), windows=windows)
        return answer


def scaled_batch(batch: Batch, scale: Scale) -> Floats:
    """Copy a batch to float32, give it a channel axis, and scale it.

    Parameters
    ----------
    batch : ndarray of real, shape (B, C, z, y, x) or (B, z, y, x)
        Voxels as stored.
    scale : Scale
        Numbers in the unit of the voxels.

    Returns
    -------
    ndarray of float32, shape (B, C, z, y, x)
        The caller's array is left as it was.

    Raises
    ------
    ModelError
        If the array is of another rank or complex.
    """
    return scale.apply(check_batch(batch))


def check_batch(batch: Batch) -> Batch:
    """Check a batch, and give it a channel axis.

    Parameters
    ----------
    batch : ndarray of real, shape (B, C, z, y, x) or (B, z, y, x)
        Voxels as stored.

    Returns
    -------
    ndarray, shape (B, C, z, y, x)
        A view.

    Raises
    ------
    ModelError
        If the array is of another rank or complex.
    """
    given = np.asarray(batch)
    if given.ndim not in (_BATCH_AXES - 1, _BATCH_AXES) or given.dtype.kind not in "buif":
        raise ModelError(
            f"a batch of {given.dtype} {given.shape} was given; "
            "expected real numbers of shape (B, C, z, y, x) or (B, z, y, x)"
        )
    return given if given.ndim == _BATCH_AXES else given[:, None]


def check_answer(answer: tuple[int, ...], batch: tuple[int, ...], channels: int | None) -> None:
    """Compare the shape of an answer with its batch.

    Raises
    ------
    ModelError
        If windows, voxels or channels differ.
    """
    fits = len(answer) == _BATCH_AXES and (answer[0], *answer[2:]) == (batch[0], *batch[2:])
    if not fits or channels not in (None, answer[1]):
        raise wrong_shape(answer, batch, channels)


def wrong_shape(
    answer: tuple[int, ...], batch: tuple[int, ...], channels: int | None
) -> ModelError:
    """Say which shape an answer should have had."""
    expected = (batch[0], channels or "C", *batch[2:])
    return ModelError(
        f"the network answered {answer} to a batch of {batch}, expected "
        f"({', '.join(map(str, expected))}); use one that answers every voxel of its window, "
        "with the channels of its card, or say in the card that it does not (output: valid)"
    )


def not_finite(input_was_finite: bool, *, windows: tuple[int, ...]) -> NonFiniteError:
    """Say whether NaN came from the input or from the network, and in which windows."""
    if input_was_finite:
        error = NonFiniteError(
            "the network answered NaN or infinity to finite input; compute in float32 "
            "(precision='float32'), and check its scaling and its weights"
        )
    else:
        error = NonFiniteError(
            "the input holds NaN or infinity, and so does the answer; replace such voxels in the "
            "volume before inference"
        )
    error.windows = windows
    return error


def as_predictor(
    obj: Any,
    *,
    device: str = "auto",
    precision: str = "auto",
    backend: Backend = "torch",
    compile: bool = False,
    nonfinite: NonFinite = "fail",
    providers: tuple[str, ...] = (),
) -> Predictor:
    """Make a predictor of whatever a notebook holds.

    Parameters
    ----------
    obj : Predictor, torch.nn.Module, Checkpoint, str, Path or callable
        A predictor is returned as it is; a module is copied, its answer taken as
        probabilities; a text is where a card lies; a function takes and returns arrays.
    device, precision, backend, compile, providers
        See `volkit.models.running.Running`; for modules and checkpoints.
    nonfinite : {"fail", "mark"}
        Whether NaN and infinity in an answer are an error, or returned as they are.

    Returns
    -------
    Predictor
        Callable on batches.

    Raises
    ------
    ModelError
        If it is none of these.

    Examples
    --------
    >>> as_predictor(lambda batch: batch)(np.zeros((2, 3, 4, 5))).shape
    (2, 1, 3, 4, 5)
    """
    if isinstance(obj, (str, Path, Checkpoint)):
        return load(
            obj,
            device,
            precision,
            backend=backend,
            compile=compile,
            nonfinite=nonfinite,
            providers=providers,
        )
    torch = sys.modules.get("torch")  # nobody holds a module who has not imported it
    if torch is not None and isinstance(obj, torch.nn.Module):
        from volkit.models.network import wrap_module

        running = Running(device, precision, backend, compile, nonfinite, providers)
        return wrap_module(obj, "none", running)
    if isinstance(obj, Predictor):
        return obj
    if callable(obj):
        return FunctionPredictor(obj, nonfinite)
    raise ModelError(
        f"{type(obj).__name__} is no model; give a checkpoint or its address, a torch module, "
        "or a function from (B, C, z, y, x) to (B, C', z, y, x)"
    )
