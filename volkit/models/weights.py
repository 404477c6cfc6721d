"""Weights as bytes: safetensors, state dicts and exported programs, read without running code."""

import io
import json
import pickle
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import safetensors
import safetensors.torch
import torch

from volkit.errors import ModelError
from volkit.models.card import Format

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
        return _stored_program(state)
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


def _stored_program(program: Any) -> bytes:
    if not isinstance(program, torch.export.ExportedProgram):
        raise ModelError(
            f"format 'export' stores a program, it was given {type(program).__name__}; "
            "give torch.export.export(module, (batch,))"
        )
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
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
            raise _damaged(source, error) from error
    state = _unpickled(data, source)
    if not isinstance(state, Mapping) or not _only_tensors(state):
        inside = list(state)[:_SHOWN] if isinstance(state, Mapping) else type(state).__name__
        raise ModelError(
            f"{source} does not hold tensors by name but {inside}; load it where you trust it, "
            "take the state_dict of the module out of it, and write that with save_checkpoint"
        )
    return dict(state)


def _unpickled(data: bytes, source: str) -> Any:
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{source} is a pickle that holds more than tensors, and was not run; where you "
            "trust it, write its state_dict again with save_checkpoint (safetensors)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise _damaged(source, error) from error


def _only_tensors(state: Mapping[Any, Any]) -> bool:
    return all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items())


def _damaged(source: str, error: Exception) -> ModelError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return ModelError(
        f"{source} cannot be read as weights ({first}); it is damaged, cut short or of another "
        "format: fetch it again, or correct the key format of its card"
    )


def read_program(data: bytes, *, source: str) -> torch.nn.Module:
    """Read a program of ``torch.export``.

    Archives with compiled libraries or with pickles that hold more than tensors are refused.
    The program itself is still a program: take it from people you trust.

    Parameters
    ----------
    data : bytes
        A ``.pt2`` archive.
    source : str
        Where it came from, for messages.

    Returns
    -------
    torch.nn.Module
        On the CPU, as it was exported.

    Raises
    ------
    ModelError
        If it is damaged or holds code.
    """
    try:
        reader = torch.PyTorchFileReader(io.BytesIO(data))
        records = {name: reader.get_record(name) for name in reader.get_all_records()}
        _refuse_code(records, source)
        return torch.export.load(io.BytesIO(data)).module()
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, AssertionError) as error:
        if isinstance(error, ModelError):
            raise
        raise _damaged(source, error) from error


def _refuse_code(records: Mapping[str, bytes], source: str) -> None:
    """Find what ``torch.export.load`` would run: it unpickles some records without restraint."""
    for name, record in records.items():
        path = PurePosixPath(name)
        if "aotinductor" in path.parts or path.suffix in (".so", ".cpp", ".o"):
            raise ModelError(
                f"{source} holds compiled code ({name}); export it without AOTInductor"
            )
        if path.name.startswith(("custom_obj", "opaque_obj")):
            raise ModelError(f"{source} holds objects ({name}); export a program of tensors only")
        if "sample_inputs" in path.parts or record[:2] in (b"PK", b"\x80\x02", b"\x80\x04"):
            _unpickled(record, f"{source} ({name})")
        if path.suffix == ".json" and path.name.endswith("config.json"):
            _check_pickled(name, json.loads(record), records, source)


def _check_pickled(
    name: str, config: Mapping[str, Any], records: Mapping[str, bytes], source: str
) -> None:
    for item in config.get("config", {}).values():
        if item.get("use_pickle"):
            for stored in [r for r in records if PurePosixPath(r).name == item["path_name"]]:
                _unpickled(records[stored], f"{source} ({stored} of {name})")


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
