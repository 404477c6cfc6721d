"""State: all that an interrupted run needs to end with the same bytes."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch

from volkit.errors import ConfigError, ModelError

State = dict[str, Any]


class Carded(Protocol):
    """The configuration of a training run, a frozen dataclass, as far as its state goes."""

    @property
    def checkpoint(self) -> str:
        """The card to write."""


def fingerprint(config: Carded, facts: Mapping[str, str] | None = None) -> str:
    """Digest what decides the weights.

    Parameters
    ----------
    config : Carded
        All of it counts but the card's text and place, and the device.
    facts : mapping of str to str, optional
        What else decides, such as the digests of other checkpoints.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    values = asdict(config)  # type: ignore[call-overload]
    for name in ("card", "checkpoint", "device"):
        del values[name]
    if facts:
        values["facts"] = dict(facts)
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=dict).encode()).hexdigest()


def state_path(config: Carded) -> Path:
    """Name the state file, beside the card."""
    return Path(config.checkpoint).with_suffix(".state.pt")


def save_state(state: State, path: Path) -> None:
    """Write a state, whole or not at all.

    Parameters
    ----------
    state : dict
        Tensors, numbers, texts, and lists and mappings of them.
    path : Path
        Where; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_state(path: Path, wanted: str) -> State | None:
    """Read the state of an earlier run of the same configuration; no code in it is run.

    Parameters
    ----------
    path : Path
        As `save_state` wrote it.
    wanted : str
        Fingerprint of what is to be trained now.

    Returns
    -------
    dict or None
        None where there is no state yet.

    Raises
    ------
    ConfigError
        If it belongs to another configuration.
    ModelError
        If it cannot be read.
    """
    if not path.exists():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
        found = state["fingerprint"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise ModelError(f"{path} cannot be read; delete it to train from the start") from error
    if found != wanted:
        raise ConfigError(
            f"{path} belongs to a run of another configuration; write to another checkpoint, or "
            "delete it to train from the start"
        )
    return state
