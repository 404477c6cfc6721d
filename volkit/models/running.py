"""Running: where a network computes, in what, and by whom."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal, get_args

from volkit.errors import ModelError, missing_extra

Precision = Literal["float32", "bfloat16", "float16"]
Backend = Literal["torch", "onnxruntime"]
NonFinite = Literal["fail", "mark"]

USUAL_PROVIDER = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Running:
    """How a network is run.

    Parameters
    ----------
    device : str
        ``auto`` takes CUDA, then MPS, then the CPU; or a device of torch.
    precision : str
        ``float32``, ``bfloat16`` or ``float16``; ``auto`` is float32, whose answers repeat.
    backend : {"torch", "onnxruntime"}
        Who computes; ONNX Runtime in float32 only, from arrays on the CPU.
    compile : bool
        Whether torch compiles the network when it meets the first batch (a minute or so), and
        on CUDA records its kernels; where that fails, it runs as it is, with a warning.
    nonfinite : {"fail", "mark"}
        Whether NaN and infinity in an answer are an error, or returned as they are.
    providers : tuple of str
        Execution providers of ONNX Runtime, the preferred one first; none is its CPU's.
    """

    device: str = "auto"
    precision: str = "auto"
    backend: Backend = "torch"
    compile: bool = False
    nonfinite: NonFinite = "fail"
    providers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "providers", tuple(self.providers))

    @property
    def facts(self) -> Mapping[str, Any]:
        """What changes the answers, if only by rounding; the usual way is not spoken of."""
        told: dict[str, Any] = {"precision": self.precision}
        if self.backend != "torch":
            told["backend"] = self.backend
        if self.compile:
            told["compile"] = True
        if set(self.providers) - {USUAL_PROVIDER}:
            told["providers"] = list(self.providers)
        return told

    def resolved(self) -> "Running":
        """Find out what ``auto`` is here, and whether the rest can be had.

        Returns
        -------
        Running
            Without ``auto``.

        Raises
        ------
        ModelError
            If a name is unknown, the device is not here, or choices exclude each other.
        MissingExtraError
            If the backend is not installed.
        """
        for name, value, known in (
            ("precision", self.precision, ("auto", *get_args(Precision))),
            ("backend", self.backend, get_args(Backend)),
            ("nonfinite", self.nonfinite, get_args(NonFinite)),
        ):
            if value not in known:
                raise ModelError(f"{name} {value!r} is unknown; use one of {', '.join(known)}")
        precision = "float32" if self.precision == "auto" else self.precision
        if self.backend == "torch":
            if self.providers:
                raise ModelError(
                    f"providers {', '.join(self.providers)} are those of backend 'onnxruntime', "
                    "this one is 'torch'; choose that backend, or leave providers out"
                )
            return replace(self, device=found_device(self.device), precision=precision)
        device = "cpu" if self.device == "auto" else found_device(self.device)
        if (device, precision, self.compile) != ("cpu", "float32", False):
            raise ModelError(
                f"backend 'onnxruntime' computes on the CPU in float32 and is not compiled; it was "
                f"asked for {device}, {precision}, compile={self.compile}: use backend 'torch'"
            )
        for package in ("onnxruntime", "onnxscript"):
            if find_spec(package) is None:
                raise missing_extra(package, "onnx")
        if self.providers:
            from volkit.models.onnx_forward import check_providers

            check_providers(self.providers)
        return replace(self, device=device, precision=precision)


def found_device(wanted: str) -> str:
    """Find a device.

    Parameters
    ----------
    wanted : str
        ``auto``, or a device of torch.

    Returns
    -------
    str
        A device that is here.

    Raises
    ------
    ModelError
        If it is unknown or not here.
    """
    import torch

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
