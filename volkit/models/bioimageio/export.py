"""Export: a checkpoint as a model package of bioimage.io, a folder or a zip."""

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from volkit.errors import ConfigError, ModelError
from volkit.io.png import png_bytes
from volkit.io.preview import grey_pixels
from volkit.models import location
from volkit.models.bioimageio.description import Rdf, described
from volkit.models.card import PROGRAMS, Checkpoint
from volkit.models.card_facts import card_facts
from volkit.models.module_loading import bare_module
from volkit.models.onnx_forward import exported
from volkit.models.plane_network import PlaneNetwork
from volkit.models.trust import is_foreign
from volkit.models.weights import stored_bytes

Floats = NDArray[np.float32]

RDF = "rdf.yaml"
_EXPORT_SEED = 20  # of the image that the network is tested with
_BRIGHTEST = 255.0
_OPSET = 18  # what the exporter of torch writes at least


def export_package(
    checkpoint: Checkpoint, target: str | Path, *, onnx: bool = False, name: str | None = None
) -> Path:
    """Write a checkpoint as a model package of bioimage.io.

    The package holds the description (``rdf.yaml``, version 0.5), the weights, an image to test
    with, what the network answers to it, and the card in words.  volkit reads it back as a
    checkpoint that answers the same; any other program needs volkit for the architecture, or the
    weights as ONNX.

    Parameters
    ----------
    checkpoint : Checkpoint
        That answers voxels: one of classes of whole windows is refused.
    target : str or Path
        A folder that is not there yet, or a path that ends in ``.zip``.
    onnx : bool
        Whether to add the weights as ONNX, too, for windows of the card's extent.
    name : str, optional
        Of the model, for people; that of its card if not given.

    Returns
    -------
    Path
        The folder or zip.

    Raises
    ------
    ModelError
        If it cannot be said exactly in a description, or the weights cannot be read.
    ConfigError
        If something lies at the target.
    """
    path = Path(target).expanduser().absolute()
    if path.exists():
        raise ConfigError(f"{path} is there already; choose another name, or remove it")
    _check_sayable(checkpoint)
    module = bare_module(checkpoint)
    image, answer, lost = _tested(checkpoint, module)
    files: dict[str, bytes] = {
        "test_input.npy": _npy(image),
        "test_output.npy": _npy(answer),
        "README.md": _documentation(checkpoint).encode(),
        "cover.png": png_bytes(_cover(image, answer)),
    }
    weights, stored = _weights(checkpoint, module, onnx=onnx)
    told = {"test_input": "test_input.npy", "test_output": "test_output.npy",
            "documentation": "README.md", "cover": "cover.png"}  # fmt: skip
    rdf = described(checkpoint, name or _name(checkpoint), weights, lost=lost, files=told)
    _write(path, rdf, {**files, **stored})
    return path


def _check_sayable(card: Checkpoint) -> None:
    if card.output == "whole":
        raise ModelError(
            f"{card.uri} answers windows as a whole; a package of volkit is of networks that "
            "answer voxels"
        )
    if max(card.stride) > 1:
        raise ModelError(
            f"{card.uri} answers every {max(card.stride)} voxels and is evaluated between them by "
            "volkit; no description says so: export a program of it first"
        )
    if is_foreign(card.architecture) or card.format == "torchscript":
        raise ModelError(
            f"{card.uri} brings code of its own; pass the package on from which it was read"
        )


def _tested(
    card: Checkpoint, module: torch.nn.Module
) -> tuple[Floats, Floats, tuple[int, int, int]]:
    """Make an image, let the network answer, and see how many voxels that lacks."""
    noise = np.random.default_rng(_EXPORT_SEED).random((1, card.channels[0], *card.window))
    image = np.rint(noise * _BRIGHTEST).astype(np.float32)
    values, counts = np.unique(image, return_counts=True)
    scaled = torch.from_numpy(card.scaling.resolve(values, counts).apply(image))
    with torch.inference_mode():
        found = module(scaled)
        if not isinstance(found, torch.Tensor) or found.ndim != image.ndim:
            raise ModelError(f"{card.uri} does not answer one tensor; it cannot be described")
        if card.activation == "sigmoid":
            found = found.sigmoid()
        elif card.activation == "softmax":
            found = found.softmax(1)
    answer = found.numpy().astype(np.float32)
    z, y, x = (int(a - b) for a, b in zip(image.shape[2:], answer.shape[2:], strict=True))
    if card.planes:  # what a description has no axis for
        return image[:, :, 0], answer[:, :, 0], (0, y, x)
    return image, answer, (z, y, x)


def _cover(image: Floats, answer: Floats) -> NDArray[np.uint8]:
    """Draw a square of the image and of its answer side by side."""
    pictures = []
    for values in (image[0, 0], answer[0, 0]):
        plane = values if values.ndim == 2 else values[len(values) // 2]
        side = min(image.shape[-2:])
        picture = np.zeros((side, side), np.uint8)
        found = grey_pixels(plane)[:side, :side]
        picture[: found.shape[0], : found.shape[1]] = found
        pictures.append(picture)
    return np.concatenate(pictures, axis=1)


def _weights(
    card: Checkpoint, module: torch.nn.Module, *, onnx: bool
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Store the weights, and say how."""
    said: dict[str, Any] = {}
    stored: dict[str, bytes] = {}
    inner = module.network if isinstance(module, PlaneNetwork) else module
    if card.format not in PROGRAMS:
        data = stored_bytes(inner.state_dict(), "state_dict")
        stored["weights.pt"] = data
        stored["environment.yaml"] = _environment(inner).encode()
        said["pytorch_state_dict"] = {
            "source": "weights.pt",
            "sha256": hashlib.sha256(data).hexdigest(),
            "architecture": {
                "import_from": "volkit.models.architectures",
                "callable": "build",
                "kwargs": {"name": card.architecture, **_plain(card.arguments)},
            },
            "pytorch_version": torch.__version__.partition("+")[0],
            "dependencies": {"source": "environment.yaml"},
        }
    if onnx or card.format in PROGRAMS:
        data = _onnx(card, inner)
        stored["weights.onnx"] = data
        said["onnx"] = {
            "source": "weights.onnx",
            "sha256": hashlib.sha256(data).hexdigest(),
            "opset_version": _OPSET,
            **({"parent": "pytorch_state_dict"} if said else {}),
        }
    return said, stored


def _onnx(card: Checkpoint, inner: torch.nn.Module) -> bytes:
    from volkit.models.onnx_program import OnnxProgram

    if isinstance(inner, OnnxProgram):
        return inner.data
    window = card.window[1:] if card.planes else card.window
    try:
        return exported(inner, torch.zeros((2, card.channels[0], *window)))
    except (RuntimeError, ValueError, TypeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ModelError(f"{card.uri} cannot be written as ONNX ({first})") from error


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in arguments.items()}


def _environment(module: torch.nn.Module) -> str:
    borrowed = any(type(part).__module__.startswith("monai.") for part in module.modules())
    extra = "models" if borrowed else "torch"
    return f"channels: [conda-forge]\ndependencies:\n  - pip\n  - pip: ['volkit[{extra}]']\n"


def _documentation(card: Checkpoint) -> str:
    rows = [f"* {name}: {value}" for name, value in card_facts(card) if value and name != "card"]
    return (
        f"# {_name(card)}\n\n{card.description}\n\n" + "\n".join(rows) + "\n\n# Validation\n\n"
        "Compare the answer to `test_input.npy` with `test_output.npy`, and score the network on "
        "labelled volumes of your own: `volkit evaluate`.\n"
    )


def _name(card: Checkpoint) -> str:
    stem = location.stem(card.uri)[0] or card.architecture
    kept = "".join(c if c.isalnum() or c in " -_()" else " " for c in stem)
    return f"{kept[:100]} (volkit)" if len(kept) < 5 else kept[:100]


def _npy(values: Floats) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _write(path: Path, rdf: Rdf, files: Mapping[str, bytes]) -> None:
    """Write everything beside, and give it the name when it is whole."""
    text = yaml.safe_dump(rdf, sort_keys=False, allow_unicode=True).encode()
    whole = {RDF: text, **files}
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in whole.items():
                    archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        else:
            scratch.mkdir()
            for name, data in whole.items():
                (scratch / name).write_bytes(data)
        scratch.rename(path)
    finally:
        if scratch.is_dir():
            rmtree(scratch)
        else:
            scratch.unlink(missing_ok=True)
