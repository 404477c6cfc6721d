"""Pickles of torch, read without running what they hold."""

import io
import pickle
import warnings
from typing import Any

import torch

from volkit.errors import ModelError


def unpickled(data: bytes, source: str) -> Any:
    """Read what ``torch.save`` wrote, tensors and plain containers only."""
    try:
        with warnings.catch_warnings():  # torch warns of protocols newer than its own
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{source} is a pickle that holds more than tensors, and was not run; where you "
            "trust it, write its state_dict again with save_checkpoint (safetensors)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise damaged(source, error) from error


def damaged(source: str, error: Exception) -> ModelError:
    """Say that a file cannot be read."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return ModelError(
        f"{source} cannot be read as weights ({first}); it is damaged, cut short or of another "
        "format: fetch it again, or correct the key format of its card"
    )
