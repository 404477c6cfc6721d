"""Model packages of bioimage.io, small, as others write them: to read, and to change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

UNET: Mapping[str, Any] = {
    "in_channels": 1,
    "out_channels": 2,
    "spatial_dims": 3,
    "channels": [2, 4],
    "strides": [2],
}
"""Arguments of the network that :func:`old_description` is of: ``monai.networks.nets.UNet``."""

_SAMPLE = {"axes": "czyx", "mode": "per_sample", "eps": 0.001}
_AS_INPUT = {"reference_tensor": "raw"}


def write_package(folder: Path, said: Mapping[str, Any], files: Mapping[str, bytes]) -> Path:
    """Write a description with its files.

    Parameters
    ----------
    folder : Path
        Made.
    said : mapping
        The description, ``rdf.yaml``.
    files : mapping of str to bytes
        Beside it, by name.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "rdf.yaml").write_text(yaml.safe_dump(dict(said)), encoding="utf-8")
    return folder


def state_entry(**changes: Any) -> dict[str, Any]:
    """Describe weights of the network as version 0.4 does, in a file ``weights.pt``."""
    kwargs = dict(UNET)
    entry = {"source": "./weights.pt", "architecture": "monai.networks.nets.UNet"}
    return {**entry, "kwargs": kwargs, **changes}


def old_description(weights: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Describe a network as version 0.4 does, which most of bioimage.io's collection is in.

    Parameters
    ----------
    weights : mapping
        Forms of the weights.
    **changes
        Keys that are other than usual.
    """
    said = {
        "format_version": "0.4.10",
        "type": "model",
        "name": "UNet of tests",
        "description": "Finds nothing.",
        "license": "MIT",
        "authors": [{"name": "A. Tester"}],
        "cite": [{"text": "A. Tester", "doi": "10.1000/xyz"}],
        "inputs": [
            {
                "name": "raw",
                "axes": "bczyx",
                "data_type": "float32",
                "shape": {"min": [1, 1, 8, 16, 16], "step": [0, 0, 2, 2, 2]},
                "preprocessing": [{"name": "zero_mean_unit_variance", "kwargs": dict(_SAMPLE)}],
            }
        ],
        "outputs": [
            {
                "name": "prob",
                "axes": "bczyx",
                "data_type": "float32",
                "halo": [0, 0, 0, 4, 4],
                "shape": {**_AS_INPUT, "scale": [1, 0, 1, 1, 1], "offset": [0, 1, 0, 0, 0]},
                "postprocessing": [{"name": "sigmoid"}],
            }
        ],
        "test_inputs": ["test_input.npy"],
        "test_outputs": ["test_output.npy"],
        "weights": weights,
    }
    return said | changes
