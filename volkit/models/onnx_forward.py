"""ONNX forward: a module run by ONNX Runtime (needs the extra onnx)."""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from volkit.errors import ModelError, missing_extra
from volkit.models.running import USUAL_PROVIDER

_SESSIONS_KEPT = 2  # each holds the weights once more


class OnnxForward:
    """A module as a session of ONNX Runtime.

    It is exported when it meets the first window of an extent; batches may be of any size.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, float32, in evaluation mode.
    providers : sequence of str
        Execution providers, the preferred one first; none is the CPU's.

    Raises
    ------
    MissingExtraError
        If ONNX Runtime or the exporter is not installed.
    """

    def __init__(self, module: nn.Module, providers: Sequence[str] = ()) -> None:
        self._module, self._providers = module, providers
        self._runtime = runtime()
        _need_exporter()
        self._refusals = refusals(self._runtime)
        self._sessions: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._making = threading.Lock()

    def __call__(self, batch: Tensor) -> Tensor:
        """Answer a batch, shape (B, C, z, y, x).

        Raises
        ------
        ModelError
            If the module cannot be exported, or ONNX Runtime refuses it.
        """
        session = self._session(batch)
        given = {session.get_inputs()[0].name: batch.contiguous().numpy()}
        try:
            return torch.from_numpy(session.run(None, given)[0])
        except self._refusals as error:
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            raise _unusable(error) from error

    def _session(self, batch: Tensor) -> Any:
        shape = tuple(batch.shape[1:])
        with self._making:
            if shape not in self._sessions:
                self._sessions[shape] = self._made(batch)
                if len(self._sessions) > _SESSIONS_KEPT:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(shape)
            return self._sessions[shape]

    def _made(self, batch: Tensor) -> Any:
        try:
            return open_session(self._runtime, exported(self._module, batch), self._providers)
        except ModelError:
            raise
        except (RuntimeError, ValueError) as error:
            raise _unusable(error) from error
        except self._refusals as error:
            raise _unusable(error) from error


def open_session(onnxruntime: Any, data: bytes, providers: Sequence[str]) -> Any:
    """Open a model of ONNX.

    Parameters
    ----------
    onnxruntime : module
        From `runtime`.
    data : bytes
        The model.
    providers : sequence of str
        Execution providers, the preferred one first; none is the CPU's.

    Raises
    ------
    ModelError
        If ONNX Runtime goes on without one of them, as where its libraries are absent.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    wanted = list(providers) or [USUAL_PROVIDER]
    session = onnxruntime.InferenceSession(data, options, providers=wanted)
    check_taken(wanted, session.get_providers())
    return session


def check_providers(wanted: Sequence[str]) -> None:
    """Refuse execution providers that the ONNX Runtime which is installed was not built with.

    Raises
    ------
    ModelError
        If one is not there; it says which are.
    MissingExtraError
        If ONNX Runtime is not installed.
    """
    onnxruntime = runtime()
    has = onnxruntime.get_available_providers()
    if lacking := [name for name in wanted if name not in has]:
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} has no {', '.join(lacking)}; it has "
            f"{', '.join(has)}: choose of these, or install a package of it that has what is "
            "asked for"
        )


def check_taken(wanted: Sequence[str], taken: Sequence[str]) -> None:
    """Refuse a session that goes on without an execution provider which was asked for.

    Raises
    ------
    ModelError
        If it does: another one would compute, more slowly and under a wrong name.

    Examples
    --------
    >>> check_taken(["CPUExecutionProvider"], ["CPUExecutionProvider"])
    """
    if lacking := [name for name in wanted if name not in taken]:
        raise ModelError(
            f"ONNX Runtime could not begin with {', '.join(lacking)} and would go on with "
            f"{', '.join(taken)}; install the libraries that it needs, or leave it out"
        )


def exported(module: nn.Module, batch: Tensor) -> bytes:
    """Export a module to ONNX.

    Parameters
    ----------
    module : torch.nn.Module
        On the CPU, in evaluation mode.
    batch : Tensor, shape (B, C, z, y, x)
        An example; its size does not matter.

    Returns
    -------
    bytes
        A model whose batches may be of any size.
    """
    size = torch.export.Dim("size", min=1, max=4096)
    # An example of one would be taken for a constant.
    example = torch.zeros((2, *batch.shape[1:]))
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter speaks of its own insides
        program = torch.onnx.export(
            module, (example,), dynamo=True, dynamic_shapes=({0: size},), verbose=False
        )
    if program is None:
        raise RuntimeError("the exporter returned nothing")
    return program.model_proto.SerializeToString()


def _unusable(error: Exception) -> ModelError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(
        f"the network cannot be run by ONNX Runtime ({first[:300]}); use backend 'torch'"
    )


def runtime() -> Any:
    """Import ONNX Runtime.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra(error.name or "onnxruntime", "onnx") from error
    return onnxruntime


def refusals(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """List the exceptions by which ONNX Runtime refuses a model or a batch."""
    inner = onnxruntime.capi.onnxruntime_pybind11_state
    return (
        inner.Fail,
        inner.InvalidArgument,
        inner.InvalidGraph,
        inner.InvalidProtobuf,
        inner.NotImplemented,
        inner.RuntimeException,
    )


def _need_exporter() -> None:
    if find_spec("onnxscript") is None:  # the exporter of torch needs it
        raise missing_extra("onnxscript", "onnx")
