"""Checkpoints: reading and writing a card with its weights, and loading them.

Nothing here needs torch until weights are read or written.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from volkit.errors import ConfigError, ModelError, missing_extra
from volkit.models import location
from volkit.models.bioimageio.address import package_uri
from volkit.models.bioimageio.reader import read_package
from volkit.models.card import Checkpoint as Checkpoint
from volkit.models.card import Format, as_card, parse_card
from volkit.models.running import Backend, NonFinite, Running

if TYPE_CHECKING:
    from volkit.models.network import NetworkPredictor

_CARD_SUFFIXES = (".yaml", ".yml", ".json")
_WEIGHT_SUFFIXES = {"safetensors": ".safetensors", "state_dict": ".pt", "export": ".pt2"}
_OF_WEIGHTS = {"weights", "sha256", "format"}


def read_checkpoint(uri: str | Path) -> Checkpoint:
    """Read the card of a checkpoint; its weights stay where they are.

    Parameters
    ----------
    uri : str or Path
        The card (``.yaml``, ``.json``), its weights, or both without suffix: a local path, an
        fsspec URL, or ``builtin:NAME`` for one that ships with volkit.  Or a model package of
        bioimage.io: its ``rdf.yaml``, folder or zip; ``bioimageio:`` may stand before it.
        ``trusted:`` before an address lets code run that comes with the weights.

    Returns
    -------
    Checkpoint
        Checked, with its address.

    Raises
    ------
    ModelError
        If there is no card, or it cannot be read.
    ConfigError
        If it is not a card; the message names the key.
    """
    package = package_uri(uri)
    if package is not None:
        return read_package(package)
    given = location.absolute(uri)
    name, suffix = location.stem(given)
    known = {*_CARD_SUFFIXES, ".safetensors", ".pt", ".pth", ".pt2"}
    base = name if suffix in known else name + suffix
    tried = [given]
    if suffix not in _CARD_SUFFIXES:
        tried = [location.beside(given, base + ending) for ending in _CARD_SUFFIXES]
    for candidate in tried:
        with suppress(FileNotFoundError):
            return parse_card(_parsed(location.read_bytes(candidate), candidate), candidate)
    hint = "write one with volkit.models.checkpoint.save_checkpoint"
    if given.startswith(location.BUILTIN):
        hint = f"volkit ships {', '.join(location.builtin_names()) or 'none'}"
    raise ModelError(f"there is no card at {' or '.join(tried)}; {hint}")


def _parsed(data: bytes, uri: str) -> Any:
    try:
        return json.loads(data) if uri.endswith(".json") else yaml.safe_load(data)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"card {uri} is not YAML or JSON: {error}; mend it by hand") from error


def save_checkpoint(
    state: Any, target: str | Path, card: Mapping[str, Any], *, format: Format = "safetensors"
) -> Checkpoint:
    """Write weights, then the card that names them.

    The file of weights carries its digest in its name, so that a card never meets weights
    that are not its own, whenever the process is killed; the weights of a card that was
    there before are removed last.

    Parameters
    ----------
    state : mapping of str to Tensor, or torch.export.ExportedProgram
        Weights by name (``module.state_dict()``); a program for the format ``export``.
    target : str or Path
        The card, a local path that ends in ``.yaml`` or ``.json``.
    card : mapping
        Keys of `Checkpoint` without ``weights``, ``sha256`` and ``format``.
    format : {"safetensors", "state_dict", "export"}
        How to store the weights.

    Returns
    -------
    Checkpoint
        As `read_checkpoint` would read it.

    Raises
    ------
    ConfigError
        If the card is wrong; nothing is written then.
    MissingExtraError
        If torch is not installed.
    """
    _need_torch()
    from volkit.models.weights import stored_bytes

    path = Path(location.absolute(target))
    if path.suffix not in _CARD_SUFFIXES:
        raise ConfigError(f"card {path} ends in {path.suffix!r}; choose a name that ends in .yaml")
    if format not in _WEIGHT_SUFFIXES:
        raise ConfigError(
            f"format {format!r} is read and not written; choose {', '.join(_WEIGHT_SUFFIXES)}"
        )
    if taken := sorted(_OF_WEIGHTS & set(card)):
        raise ConfigError(
            f"card {path}: {', '.join(taken)} follow from the weights; leave them out"
        )
    data = stored_bytes(state, format)
    digest = hashlib.sha256(data).hexdigest()
    name = f"{path.stem}-{digest[:8]}{_WEIGHT_SUFFIXES[format]}"
    checkpoint = parse_card(
        {**card, "weights": name, "sha256": digest, "format": format}, str(path)
    )
    before = _weights_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path.with_name(name), data)
    write_card(checkpoint, path)
    if before not in (None, name):
        path.with_name(str(before)).unlink(missing_ok=True)
    return checkpoint


def write_card(checkpoint: Checkpoint, target: str | Path) -> None:
    """Write the card of a checkpoint, whole or not at all.

    Parameters
    ----------
    checkpoint : Checkpoint
        What to write; its weights are not touched.
    target : str or Path
        A local path: JSON where it ends in ``.json``, else YAML.
    """
    path, card = Path(location.absolute(target)), as_card(checkpoint)
    text = (
        json.dumps(card, indent=2)
        if path.suffix == ".json"
        else yaml.safe_dump(card, sort_keys=False, allow_unicode=True, default_flow_style=None)
    )
    _replace(path, text.encode())


def load(
    checkpoint: Checkpoint | str | Path,
    device: str = "auto",
    precision: str = "auto",
    *,
    backend: Backend = "torch",
    compile: bool = False,
    nonfinite: NonFinite = "fail",
    providers: tuple[str, ...] = (),
) -> "NetworkPredictor":
    """Load a checkpoint, once per process.

    Parameters
    ----------
    checkpoint : Checkpoint, str or Path
        A checkpoint, or where its card lies.
    device : str
        ``auto`` takes CUDA, then MPS, then the CPU; or a device of torch.
    precision : {"auto", "float32", "bfloat16", "float16"}
        What convolutions compute in; ``auto`` is float32, whose answers repeat.
    backend, compile, nonfinite, providers
        See `volkit.models.running.Running`.

    Returns
    -------
    NetworkPredictor
        The same object for the same weights and the same way of running.

    Raises
    ------
    ModelError
        If the weights are absent, damaged, hold code, or do not fit the card.
    MissingExtraError
        If torch is not installed.
    """
    _need_torch()
    from volkit.models.network import load_network

    found = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint)
    running = Running(device, precision, backend, compile, nonfinite, providers)
    return load_network(found, running)


def _need_torch() -> None:
    for package in ("torch", "safetensors"):
        if find_spec(package) is None:
            raise missing_extra(package, "torch")


def _weights_of(path: Path) -> str | None:
    """Name the weights that an earlier card at this path wrote, if there is one."""
    with suppress(ModelError, ConfigError):
        name = read_checkpoint(path).weights
        if name.startswith(f"{path.stem}-"):
            return name
    return None


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
