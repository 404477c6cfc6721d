"""Forward passes: a module as it is, compiled, or recorded as a CUDA graph."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.batch_limit import out_of_memory
from volkit.models.half_precision import is_emulated

logger = logging.getLogger(__name__)

Forward = Callable[[Tensor], Tensor]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_GRAPHS_KEPT = 2  # each holds the memory of all its activations
_REHEARSALS = 3  # libraries choose and allocate in the first passes, which cannot be recorded


def forward_of(module: nn.Module, *, device: str, precision: str, compile: bool) -> Forward:
    """Choose how a module is run.

    Parameters
    ----------
    module : torch.nn.Module
        On the device, in evaluation mode.
    device : str
        Where it is.
    precision : str
        What its convolutions compute in; where the device emulates it, that is said.
    compile : bool
        Whether to compile it, and to record it on CUDA.

    Returns
    -------
    callable
        From a batch in the layout of the device to what the module answers.
    """
    kind = torch.device(device).type
    if is_emulated(precision, device):
        logger.warning(
            "this processor has no instructions for %s and emulates it, a hundred times more "
            "slowly: choose precision float32",
            precision,
        )
    if not compile:
        return _autocast(module, kind, precision)
    forward: Forward = Fallback(
        _autocast(_compiled(module), kind, precision),
        _autocast(module, kind, precision),
        "compiled",
    )
    if kind != "cuda":
        return forward
    return Fallback(GraphedForward(forward), forward, "recorded")


def _compiled(module: nn.Module) -> Forward:
    made: list[Forward] = []

    def forward(batch: Tensor) -> Tensor:
        if not made:  # not before: there may be no compiler, and importing one takes seconds
            made.append(torch.compile(module, dynamic=False))
        return made[0](batch)

    return forward


def _autocast(module: Callable[[Tensor], Tensor], kind: str, precision: str) -> Forward:
    dtype = _DTYPES[precision]
    if dtype == torch.float32:
        return module

    def forward(batch: Tensor) -> Tensor:
        with torch.autocast(kind, dtype=dtype):
            return module(batch)

    return forward


class Fallback:
    """A fast way to run a network, and the plain one where the fast one fails.

    Parameters
    ----------
    fast, plain : callable
        From a batch to its answer.
    what : str
        What the network cannot be, for the warning.
    """

    def __init__(self, fast: Forward, plain: Forward, what: str) -> None:
        self._fast: Forward | None = fast
        self._plain = plain
        self._what = what

    def __call__(self, batch: Tensor) -> Tensor:
        """Answer a batch; once the fast way has failed it is not tried again."""
        if self._fast is not None:
            try:
                return self._fast(batch)
            except ModelError:
                raise
            except (RuntimeError, ImportError, OSError) as error:  # of compilers and toolchains
                if out_of_memory(error):
                    raise
                first = (str(error).strip() or type(error).__name__).splitlines()[0]
            answer = self._plain(batch)  # if this fails too, the network itself is at fault
            logger.warning(
                "the network cannot be %s and runs as it is (%s)", self._what, first[:200]
            )
            self._fast = None
            return answer
        return self._plain(batch)


class GraphedForward:
    """A forward pass whose kernels were recorded once for each shape, and are replayed.

    Parameters
    ----------
    forward : callable
        From a batch on CUDA to its answer; the same kernels for the same shape.
    """

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._graphs: OrderedDict[tuple[int, ...], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = (
            OrderedDict()
        )
        self._turn = threading.Lock()  # inputs and answers of a graph have one place

    def __call__(self, batch: Tensor) -> Tensor:
        """Answer a batch."""
        with self._turn:
            shape = tuple(batch.shape)
            if shape not in self._graphs:
                self._graphs[shape] = self._recorded(batch)
                if len(self._graphs) > _GRAPHS_KEPT:
                    self._graphs.popitem(last=False)
            self._graphs.move_to_end(shape)
            graph, given, answer = self._graphs[shape]
            given.copy_(batch)
            graph.replay()
            return answer.clone()

    def _recorded(self, batch: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        given = batch.clone()
        stream = torch.cuda.Stream(batch.device)
        stream.wait_stream(torch.cuda.current_stream(batch.device))
        with torch.cuda.stream(stream):
            for _ in range(_REHEARSALS):
                self._forward(given)
        torch.cuda.current_stream(batch.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads of a worker may copy and allocate meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            answer = self._forward(given)
        if not isinstance(answer, Tensor):
            raise RuntimeError("it does not answer one tensor")
        return graph, given, answer
