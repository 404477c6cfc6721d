"""Weights as bytes: safetensors and state dicts, read without running code."""

import io
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch

from volkit.errors import ModelError
from volkit.models.card import Format
from volkit.models.pickles import damaged, unpickled
from volkit.models.programs import stored_program

_SHOWN = 6  # names in a message; the rest are counted


def stored_bytes(state: Any, format: Format) -> bytes:
    """Write weights.

    Parameters
    ----------
    state : mapping of str to Tensor, or torch.export.ExportedProgram
        What to store; the program for the format ``export``.
    format : {"safetensors", "state_dict", "export"}
        How.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ModelError
        If the state is not of that format.
    """
    if format == "export":
        return stored_program(state)
    if not isinstance(state, Mapping) or not _only_tensors(state):
        raise ModelError(
            f"format {format!r} stores tensors by name, it was given {type(state).__name__}; "
            "give module.state_dict()"
        )
    plain = {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}
    if format == "safetensors":
        return safetensors.torch.save(plain)
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    return buffer.getvalue()


def read_state(data: bytes, format: Format, *, source: str) -> dict[str, torch.Tensor]:
    """Read tensors by name.

    Parameters
    ----------
    data : bytes
        A file of safetensors, or one that ``torch.save`` wrote.
    format : {"safetensors", "state_dict"}
        Which.
    source : str
        Where it came from, for messages.

    Returns
    -------
    dict of str to Tensor
        On the CPU.

    Raises
    ------
    ModelError
        If the file is damaged, or its pickle holds more than tensors; that is never run.
    """
    if format == "safetensors":
        try:
            return safetensors.torch.load(data)
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise damaged(source, error) from error
    state = unpickled(data, source)
    if not isinstance(state, Mapping) or not _only_tensors(state):
        inside = list(state)[:_SHOWN] if isinstance(state, Mapping) else type(state).__name__
        raise ModelError(
            f"{source} does not hold tensors by name but {inside}; load it where you trust it, "
            "take the state_dict of the module out of it, and write that with save_checkpoint"
        )
    return dict(state)


def _only_tensors(state: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items())


def check_state(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], *, source: str
) -> None:
    """Compare weights with what an architecture expects.

    Parameters
    ----------
    state, expected : mapping of str to Tensor
        What was read, and ``module.state_dict()``.
    source : str
        Where the weights came from, for messages.

    Raises
    ------
    ModelError
        If names are missing or unexpected, or shapes differ; all are named.
    """
    faults = []
    if missing := sorted(expected.keys() - state.keys()):
        faults.append(f"misses {_listed(missing)}")
    if extra := sorted(state.keys() - expected.keys()):
        faults.append(f"holds {_listed(extra)}, which the architecture does not have")
    differing = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & state.keys())
        if state[name].shape != expected[name].shape
    ]
    if differing:
        faults.append(f"has {_listed(differing)}")
    if faults:
        raise ModelError(
            f"{source} {'; it '.join(faults)}; correct architecture and arguments in the card, "
            "or take the weights that belong to it"
        )


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
