"""Processing of a model description, mapped exactly to a scaling and an activation, or refused.

What bioimage.io computes over a sample, volkit computes over the whole volume: that is the sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from volkit.errors import ConfigError, ModelError
from volkit.models.bioimageio.tensors import Tensor
from volkit.models.card import Activation
from volkit.models.scaling import Scaling

_FLOATS = ("float32", "float64")
_LETTERS = {"batch": "b", "channel": "c", "x": "x", "y": "y", "z": "z"}
_ADVICE = (
    "take its weights out of the package and write a card for them that says what is wanted "
    "(volkit.models.checkpoint.write_card)"
)
_EPSILON = 1e-6  # what the description means where it says none


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    kwargs: Mapping[str, Any]
    first: bool


@dataclass(frozen=True, slots=True)
class _Linear:
    """What has been done so far by fixed numbers: ``(x - shift) / divide``."""

    shift: float = 0.0
    divide: float = 1.0

    def then(self, gain: float, offset: float) -> "_Linear":
        """Multiply and add."""
        return _Linear(self.shift - offset * self.divide / gain, self.divide / gain)


def input_scaling(given: Tensor) -> Scaling:
    """Turn the preprocessing of an input into a scaling.

    Parameters
    ----------
    given : Tensor
        The input.

    Returns
    -------
    Scaling
        That computes the same, up to rounding.

    Raises
    ------
    ModelError
        If it has a step that no scaling does.
    """
    linear, found = _Linear(), None
    for step in _steps(given):
        if step.name == "ensure_dtype":
            _check_type(step, given)
        elif step.name == "clip" and found is not None:
            found = _clipped(step, found, given)
        elif found is not None:
            raise _refused(given, step, "comes after a step that looks at the volume")
        elif step.name in ("scale_linear", "fixed_zero_mean_unit_variance") or (
            step.name == "zero_mean_unit_variance" and step.kwargs.get("mode") == "fixed"
        ):
            linear = _moved(step, linear, given)
        elif step.name in ("zero_mean_unit_variance", "scale_range"):
            if linear != _Linear():
                raise _refused(given, step, "comes after a fixed one")
            found = _measured(step, given)
        else:
            raise _refused(given, step, "is none that volkit does before a network")
    if found is not None:
        return found
    if linear == _Linear():
        return Scaling()
    return Scaling("fixed", shift=linear.shift, divide=linear.divide)


def output_activation(answer: Tensor) -> Activation:
    """Turn the postprocessing of an output into an activation.

    Parameters
    ----------
    answer : Tensor
        The output.

    Returns
    -------
    {"sigmoid", "softmax", "none"}

    Raises
    ------
    ModelError
        If it has a step that no activation does.
    """
    found: Activation = "none"
    for step in _steps(answer):
        if step.name == "ensure_dtype":
            _check_type(step, answer)
        elif step.name == "sigmoid" and found == "none":
            found = "sigmoid"
        elif step.name == "softmax" and found == "none":
            if _letter(step.kwargs.get("axis", "channel")) != "c":
                raise _refused(answer, step, f"goes along {step.kwargs['axis']}, not channels")
            found = "softmax"
        elif step.name == "binarize":
            raise _refused(answer, step, "would be blended over windows; threshold the result")
        else:
            raise _refused(answer, step, "is none that volkit does after a network")
    return found


def _steps(tensor: Tensor) -> list[_Step]:
    steps = []
    for number, said in enumerate(tensor.steps):
        name = said.get("id") or said.get("name")
        steps.append(_Step(str(name), said.get("kwargs") or {}, first=number == 0))
    return steps


def _check_type(step: _Step, tensor: Tensor) -> None:
    """Refuse a type that would round, but for that of the image itself."""
    dtype = step.kwargs.get("dtype")
    if dtype not in _FLOATS and not step.first:
        raise _refused(tensor, step, f"rounds to {dtype}, and volkit's networks see float32")


def _moved(step: _Step, linear: _Linear, given: Tensor) -> _Linear:
    if step.name == "scale_linear":
        gain = _number(step, "gain", 1.0, given)
        if gain == 0:
            raise _refused(given, step, "multiplies by 0")
        return linear.then(gain, _number(step, "offset", 0.0, given))
    # The epsilon that 0.4 has here is not added by bioimage.io either.
    mean, deviation = (_number(step, key, None, given) for key in ("mean", "std"))
    if deviation == 0:
        raise _refused(given, step, "divides by 0")
    return linear.then(1 / deviation, -mean / deviation)


def _number(step: _Step, key: str, unsaid: float | None, given: Tensor) -> float:
    """Read a number, or a list in which all are the same."""
    said = step.kwargs.get(key, unsaid)
    values = list(said) if isinstance(said, Sequence) and not isinstance(said, str) else [said]
    if len({*values}) != 1 or not isinstance(values[0], int | float):
        raise _refused(given, step, f"has the {key} {said!r}, not one for all channels")
    return float(values[0])


def _measured(step: _Step, given: Tensor) -> Scaling:
    """Read a step that looks at the values of the image."""
    _check_joint(step, given)
    other = step.kwargs.get("reference_tensor")
    if other not in (None, given.name):
        raise _refused(given, step, f"looks at another tensor, {other}")
    epsilon = float(step.kwargs.get("eps", _EPSILON))
    try:
        if step.name == "zero_mean_unit_variance":
            return Scaling("moments", epsilon=epsilon)
        low = float(step.kwargs.get("min_percentile", 0.0)) / 100
        high = float(step.kwargs.get("max_percentile", 100.0)) / 100
        return Scaling("quantile", low=low, high=high, clip=False, epsilon=epsilon)
    except ConfigError as error:
        raise _refused(given, step, f"cannot be: {error}") from error


def _check_joint(step: _Step, given: Tensor) -> None:
    """Refuse values that are looked at for parts of a volume by themselves."""
    said = step.kwargs.get("axes")
    joint = {*given.axes} if said is None else {_letter(axis) for axis in said}
    if step.kwargs.get("mode") == "per_dataset":
        joint.add("b")
    wanted = {*given.space} | ({"c"} if given.channels > 1 else set())
    if given.space == "yx":
        wanted.add("b")  # a plane is a sample by itself, a volume all of them
    if missing := sorted(wanted - joint):
        names = {"b": "plane", "c": "channel"}
        each = " and ".join(names.get(axis, f"section along {axis}") for axis in missing)
        raise _refused(given, step, f"looks at each {each} by itself, volkit at the whole volume")


def _clipped(step: _Step, found: Scaling, given: Tensor) -> Scaling:
    low, high = step.kwargs.get("min"), step.kwargs.get("max")
    if found.kind != "quantile" or found.clip or (low, high) != (0, 1):
        raise _refused(given, step, f"clips to {low} and {high}; only 0 and 1 after scale_range do")
    return replace(found, clip=True)


def _letter(axis: Any) -> str:
    return _LETTERS.get(str(axis), str(axis))


def _refused(tensor: Tensor, step: _Step, why: str) -> ModelError:
    return ModelError(f"step {step.name} of tensor {tensor.name} {why}; {_ADVICE}")
