"""Batch limit: how many windows of an extent go through a network together.

Where memory runs out the batch is halved and the run goes on; what fitted is remembered.  Where
shapes are to stay the same (kernels chosen by shape, compiled or recorded ones), short batches
are filled up, so that an answer does not depend on who shares its batch.
"""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from volkit.errors import ModelError

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]
Forward = Callable[[Tensor], Tensor]

# Of torch on the CPU and on Windows, cuDNN, cuBLAS, oneDNN.
_SAID = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "STATUS_ALLOC_FAILED",
    "could not create a memory object",
)


@dataclass(slots=True)
class BatchLimit:
    """What is known of the batches that a network takes, by the shape (C, z, y, x) of a window.

    Parameters
    ----------
    fixed : bool
        Whether short batches are filled up with zeros.
    full : int
        Windows of a full batch; 0 takes the largest batch so far.
    best : dict
        Sizes found by `volkit.models.batch_size.best_batch`.
    """

    fixed: bool = False
    full: int = 0
    best: dict[Shape, int] = field(default_factory=dict)
    _fitting: dict[Shape, int] = field(default_factory=dict)
    _largest: dict[Shape, int] = field(default_factory=dict)

    def fitting(self, shape: Shape) -> int | None:
        """Tell how many windows fitted after memory ran out; None if it never did."""
        return self._fitting.get(shape)

    def run(self, forward: Forward, batch: Tensor) -> Tensor:
        """Answer a batch, in parts where it does not fit as a whole.

        Parameters
        ----------
        forward : callable
            Takes and returns a batch.
        batch : Tensor, shape (B, C, z, y, x)
            On the device.

        Returns
        -------
        Tensor, shape (B, C', z, y, x)
            As from ``forward``.

        Raises
        ------
        ModelError
            If memory does not suffice for one window.
        """
        answers: list[Tensor] = []
        first = 0
        while first < len(batch):
            size = self._size(batch)
            part = batch[first : first + size]
            if (answer := self._tried(forward, self._filled(part, size))) is None:
                self._halve(batch, size)
                continue
            answers.append(answer[: len(part)] if self.fixed else answer)
            first += size
        return answers[0] if len(answers) == 1 else torch.cat(answers)

    def _size(self, batch: Tensor) -> int:
        shape = tuple(batch.shape[1:])
        largest = self._largest[shape] = max(self._largest.get(shape, 1), self.full, len(batch))
        wanted = largest if self.fixed else len(batch)
        return min(wanted, self._fitting.get(shape, wanted))

    def _filled(self, part: Tensor, size: int) -> Tensor:
        missing = size - len(part)
        if not self.fixed or not missing:
            return part
        return torch.cat([part, part.new_zeros((missing, *part.shape[1:]))])

    def _tried(self, forward: Forward, batch: Tensor) -> Tensor | None:
        """Answer; None where memory ran out, after all that the attempt held has been let go."""
        try:
            return forward(batch)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if len(batch) == 1:
                raise ModelError(
                    f"one window of {tuple(batch.shape[1:])} does not fit into the memory of "
                    f"{batch.device}; choose a smaller window, a lower precision or another device"
                ) from error
        return None

    def _halve(self, batch: Tensor, size: int) -> None:
        shape = tuple(batch.shape[1:])
        self._fitting[shape] = size // 2
        logger.warning(
            "%d windows of %s do not fit into the memory of %s; going on with %d at once",
            size,
            shape,
            batch.device,
            size // 2,
        )
        gc.collect()
        if batch.device.type == "cuda":
            torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out.

    Parameters
    ----------
    error : exception
        Of torch or numpy.

    Returns
    -------
    bool

    Examples
    --------
    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("wrong shape"))
    (True, False)
    """
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(said in text for said in _SAID)
