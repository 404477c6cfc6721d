"""Stable pickles: the same bytes for the same model, in every process.

What pickle writes of a tensor holds an address in memory, of a notebook's class a random number,
and of its functions the lines of a file that has another name in the next session.  A digest of
that would be another one whenever a job is run again.
"""

import io
import sys
from types import CodeType
from typing import Any

import cloudpickle

_NOTED = ("__firstlineno__", "__static_attributes__")
_SKELETONS = ("_make_skeleton_class", "_make_skeleton_enum")


def stable_pickle(model: Any) -> bytes:
    """Write down what a model is and holds.

    Parameters
    ----------
    model : callable
        A function, or an object with all that it holds.

    Returns
    -------
    bytes
        To be compared only, never to be loaded.

    Raises
    ------
    Exception
        Whatever pickle raises for what cannot travel.
    """
    written = io.BytesIO()
    _StablePickler(written).dump(model)
    return written.getvalue()


class _StablePickler(cloudpickle.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, CodeType):
            return _told, ("code", *_code(obj))
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(obj, torch.Tensor) and _is_plain(obj):
            values = obj.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            kind = f"{type(obj).__name__} {obj.dtype} {tuple(obj.shape)}"
            return _told, (kind, values.tobytes())
        if torch is not None and isinstance(obj, torch.nn.Module):
            return _in_order(obj.__reduce_ex__(4))
        found = super().reducer_override(obj)
        if isinstance(found, tuple) and found[0].__name__ in _SKELETONS:
            *args, _, last = found[1]  # the one left out is random
            return found[0], (*args, last), _placeless(found[2]), *found[3:]
        return found


def _placeless(state: Any) -> Any:
    """Leave out what Python 3.13 notes in classes: where one begins, and a set in random order."""
    attributes, *others = state
    return {k: v for k, v in attributes.items() if k not in _NOTED}, *others


def _told(*facts: Any) -> None:
    """Stand for what is written down; nobody loads it."""


def _is_plain(tensor: Any) -> bool:
    return bool(tensor.layout == sys.modules["torch"].strided) and not (
        tensor.is_meta or tensor.is_quantized or tensor.is_complex()
    )


def _code(code: CodeType) -> tuple[Any, ...]:
    """Take of code what it does, and not where it was written."""
    return (
        code.co_code,
        code.co_consts,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags),
    )


def _in_order(reduced: Any) -> Any:
    """Leave out whether a module trains, since none does here; and put sets in order."""
    if not isinstance(reduced, tuple) or len(reduced) < 3 or not isinstance(reduced[2], dict):
        return reduced
    state = {
        name: sorted(value, key=repr) if isinstance(value, set) else value
        for name, value in reduced[2].items()
        if name != "training"
    }
    return *reduced[:2], state, *reduced[3:]
