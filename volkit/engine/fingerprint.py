"""Fingerprints: a digest of everything that decides a result."""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import partial
from typing import Any

import cloudpickle
import numpy as np

from volkit.engine.columns import StoredColumns
from volkit.engine.op import Op, Reduction
from volkit.geometry import Grid
from volkit.io.volume import Volume
from volkit.version import __version__

Facts = dict[str, Any]

_DIGEST = re.compile(r"\b[0-9a-f]{32,}\b")


def facts(
    work: Op | Reduction, inputs: Sequence[Volume], grid: Grid, shared: Sequence[object] = ()
) -> Facts:
    """Collect what decides the result of a stage, as JSON that a person can read.

    Parameters
    ----------
    work : Op or Reduction
        What is computed.
    inputs : sequence of Volume
        From what; identified by content, not by place.
    grid : Grid
        In which blocks.
    shared : sequence
        Values that every block gets.

    Returns
    -------
    dict
        JSON.
    """
    return {
        "volkit": ".".join(__version__.split(".")[:2]),
        "kernel": kernel_identity(work.kernel),
        "version": work.version,
        "params": _plain(work.params),
        "halo": list(work.halo),
        **(
            {"dtype": np.dtype(work.dtype).str, "channels": work.channels}
            if isinstance(work, Op)
            else {"combine": kernel_identity(work.combine)}
        ),
        "inputs": [volume.identity for volume in inputs],
        "domain": [list(grid.domain.start), list(grid.domain.stop)],
        "block_shape": list(grid.block_shape),
        "shared": {str(n): _value_facts(value) for n, value in enumerate(shared)},
    }


def fingerprint(what: Facts) -> str:
    """Digest facts into a sha256."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def changes(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """Name what differs between two collections of facts.

    Examples
    --------
    >>> changes({"params": {"t": 1, "u": 2}}, {"params": {"t": 3, "u": 2}})
    ['params.t: 1 became 3']
    """
    found: list[str] = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += changes(a, b, f"{path}{key}.")
        elif a != b:
            found.append(f"{path}{key}: {_brief(a)} became {_brief(b)}")
    return found


def _brief(value: object) -> object:
    """Shorten digests, which nobody compares by eye."""
    return _DIGEST.sub(lambda found: f"{found[0][:8]}…", value) if isinstance(value, str) else value


def kernel_identity(kernel: Callable[..., object]) -> Any:
    """Name a function so that two different ones are told apart.

    Functions of volkit are known by name, since their results change with ``version`` or with
    volkit's own; all others by their source too.
    """
    if isinstance(kernel, partial):
        arguments = {"args": list(kernel.args), **kernel.keywords}
        return {"function": kernel_identity(kernel.func), "arguments": _plain(arguments)}
    name = f"{kernel.__module__}.{kernel.__qualname__}"
    if kernel.__module__.split(".")[0] == "volkit":
        return name
    return {"function": name, "sha256": _source_digest(kernel)}


def _source_digest(kernel: Callable[..., object]) -> str:
    try:
        source = inspect.getsource(kernel).encode()
    except (OSError, TypeError):
        # A function typed into an interpreter has no source; its pickle holds its code.
        source = cloudpickle.dumps(kernel)
    return hashlib.sha256(source).hexdigest()


def _value_facts(value: object) -> Any:
    """Say what a shared value is: by its own ``facts`` where it has them, else by a digest."""
    if isinstance(value, StoredColumns):
        return {"table": value.sha256}
    own = getattr(value, "facts", None)
    if isinstance(own, Mapping):
        return dict(own)
    return {type(value).__name__: hashlib.sha256(cloudpickle.dumps(value)).hexdigest()}


def _plain(params: Mapping[str, Any]) -> Any:
    """Bring params into the form that they have after a trip through JSON."""
    return json.loads(json.dumps(dict(params), default=_fields))


def _fields(value: object) -> Any:
    """Write a dataclass as its fields; anything else has no place in a fingerprint."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} {value!r} is no JSON and no dataclass")
