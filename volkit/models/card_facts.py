"""Card facts: what a card says, in the words of a page, a notebook or a terminal."""

from collections.abc import Sequence

from volkit.models.card import Checkpoint
from volkit.models.scaling import Scaling

_MOST_NAMES = 12


def card_facts(card: Checkpoint) -> list[tuple[str, str]]:
    """Say what a model is.

    Parameters
    ----------
    card : Checkpoint
        Any.

    Returns
    -------
    list of (str, str)
        Names and values; empty where the card says nothing.
    """
    inputs, outputs = card.channels
    arguments = ", ".join(f"{name}={value!r}" for name, value in card.arguments.items())
    return [
        ("what it is", card.description),
        ("card", card.uri),
        ("version", card.version),
        ("licence", card.licence),
        ("attribution", card.attribution),
        ("trained on", card.training_data),
        ("architecture", f"{card.architecture}({arguments})" if arguments else card.architecture),
        ("channels", f"{inputs} in, {outputs} out"),
        ("classes", _listed(card.classes)),
        ("affinities", _listed([str(offset) for offset in card.offsets])),
        ("thresholds", ", ".join(f"{name} {value:g}" for name, value in card.thresholds.items())),
        ("window (z, y, x)", f"{_times(card.window)} voxels{_margin(card)}"),
        ("input", scaling_said(card.scaling)),
        ("answer", _answer(card)),
        ("voxel size", f"{_times(card.voxel_size_nm)} nm" if card.voxel_size_nm else ""),
        ("weights", f"{card.weights} ({card.format}), sha256 {card.sha256}"),
    ]


def scaling_said(scaling: Scaling) -> str:
    """Say how the input is scaled.

    Examples
    --------
    >>> scaling_said(Scaling("fixed", divide=255.0)), scaling_said(Scaling())
    ('(x - 0) / 255', 'as it is')
    >>> scaling_said(Scaling("quantile", low=0.02, high=0.98))
    'quantiles 0.02 and 0.98 of the volume become 0 and 1, clipped'
    """
    if scaling.kind == "fixed":
        return f"(x - {scaling.shift:g}) / {scaling.divide:g}"
    if scaling.kind == "quantile":
        ends = ", clipped" if scaling.clip else ""
        return f"quantiles {scaling.low:g} and {scaling.high:g} of the volume become 0 and 1{ends}"
    if scaling.kind == "moments":
        return "mean of the volume subtracted, divided by its deviation"
    return "as it is"


def _answer(card: Checkpoint) -> str:
    shape = {"same": "every voxel", "valid": "voxels within the margin", "whole": "the window"}
    after = {"none": "", "sigmoid": ", after a sigmoid", "softmax": ", after a softmax"}
    return f"for {shape[card.output]}{after[card.activation]}"


def _margin(card: Checkpoint) -> str:
    return f", margin {_times(card.margin)}" if any(card.margin) else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{v:g}" for v in values)
