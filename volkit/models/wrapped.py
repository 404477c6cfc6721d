"""Wrapped models: callables as predictors, known by what they are and not by where they lie.

A model that travels to a worker is another object in every task; its digest is the same.
"""

import hashlib
import pickle
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from volkit.errors import ModelError
from volkit.models.predictor import Predictor, as_predictor
from volkit.models.running import Running
from volkit.models.stable_pickle import stable_pickle

_KEPT = 8  # modules; each holds its weights
_WRAPPED: OrderedDict[tuple[str, Running], Predictor] = OrderedDict()
_WRAPPING = threading.Lock()


def callable_digest(model: Callable[..., Any]) -> str:
    """Digest a callable as it would travel to a worker.

    Parameters
    ----------
    model : callable
        A function, or an object with all that it holds.

    Returns
    -------
    str
        Hexadecimal.

    Raises
    ------
    ModelError
        If it is no model, or cannot travel.
    """
    name = getattr(model, "__qualname__", type(model).__name__)
    if not callable(model) or isinstance(model, type):
        raise ModelError(
            f"{name} is {'a class' if isinstance(model, type) else 'no model'}; give a checkpoint "
            "or its address, a torch module, or a function from (B, C, z, y, x) to (B, C', z, y, x)"
        )
    try:
        return hashlib.sha256(stable_pickle(model)).hexdigest()
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"the model {name} cannot be pickled ({error}), so it cannot reach the workers; build "
            "what it holds open (files, locks, sessions) inside the function when it is first "
            "called, or save the network with save_checkpoint"
        ) from error


def wrapped(model: Callable[..., Any], digest: str, running: Running) -> Predictor:
    """Make a predictor of a callable; of the same module only once per process.

    Parameters
    ----------
    model : callable
        A function, predictor or torch module.
    digest : str
        From `callable_digest`.
    running : Running
        How a module is run.

    Returns
    -------
    Predictor
        Of a module, a copy is kept, on its device, for the last eight modules.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        return _predictor(model, running)  # costs nothing, and a function may count its calls
    key = (digest, running)
    with _WRAPPING:
        if key not in _WRAPPED:
            _WRAPPED[key] = _predictor(model, running)
            if len(_WRAPPED) > _KEPT:
                _WRAPPED.popitem(last=False)
        _WRAPPED.move_to_end(key)
        return _WRAPPED[key]


def _predictor(model: Callable[..., Any], running: Running) -> Predictor:
    return as_predictor(
        model,
        device=running.device,
        precision=running.precision,
        backend=running.backend,
        compile=running.compile,
        nonfinite=running.nonfinite,
        providers=running.providers,
    )
