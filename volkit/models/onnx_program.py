"""ONNX programs: networks that come as ONNX, run by ONNX Runtime (needs the extra onnx).

A file of ONNX holds numbers and operations of a fixed set, and no code.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from volkit.errors import ModelError
from volkit.models.onnx_forward import open_session, refusals, runtime


class OnnxProgram(nn.Module):
    """A program of ONNX as a module.

    Parameters
    ----------
    data : bytes
        The file.
    source : str
        Where it came from, for messages.
    """

    def __init__(self, data: bytes, source: str) -> None:
        super().__init__()
        self.data = data
        self._source = source
        self._runtime = runtime()
        self._providers: tuple[str, ...] = ()
        self._session: Any = None
        self._making = threading.Lock()

    def run_on(self, providers: Sequence[str]) -> None:
        """Let these execution providers compute from now on; none is the CPU's."""
        with self._making:
            self._providers, self._session = tuple(providers), None

    def forward(self, batch: Tensor) -> Tensor:
        """Answer a batch.

        Raises
        ------
        ModelError
            If the file is damaged, or made for windows of another extent.
        """
        session = self._made()
        told = session.get_inputs()[0]
        given = batch.detach().cpu().contiguous().numpy().astype(np.float32, copy=False)
        size = told.shape[0] if isinstance(told.shape[0], int) else len(given)
        try:  # some are made for one window at a time
            parts = [
                session.run(None, {told.name: given[n : n + size]})[0]
                for n in range(0, len(given), size)
            ]
        except refusals(self._runtime) as error:
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from error
            first = str(error).strip().splitlines()[0][:300]
            raise ModelError(
                f"{self._source} takes batches of {told.shape}, it was given {given.shape}: "
                f"{first}; choose the window that it was made for"
            ) from error
        return torch.from_numpy(np.concatenate(parts)).to(batch.device)

    def _made(self) -> Any:
        with self._making:
            if self._session is None:
                self._session = self._opened()
            return self._session

    def _opened(self) -> Any:
        try:
            session = open_session(self._runtime, self.data, self._providers)
        except ModelError:
            raise
        except _unusable(self._runtime) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            raise ModelError(
                f"{self._source} cannot be run by ONNX Runtime ({first}); fetch it again, or take "
                "another form of the weights"
            ) from error
        count = len(session.get_inputs()), len(session.get_outputs())
        if count != (1, 1):
            raise ModelError(
                f"{self._source} has {count[0]} inputs and {count[1]} outputs; a network of voxels "
                "has one of each"
            )
        return session


def _unusable(onnxruntime: Any) -> tuple[type[Exception], ...]:
    return (RuntimeError, ValueError, *refusals(onnxruntime))
