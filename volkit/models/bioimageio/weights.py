"""Weights of a model description: which of the forms in it is taken, and how it is built."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from volkit.errors import ModelError
from volkit.models import location
from volkit.models.card import EXPORTED
from volkit.models.trust import LIBRARY, SOURCE, is_foreign

_MONAI = "monai.networks.nets"
_OWN = ("volkit.models.architectures", "build")
Part = dict[str, Any]
"""Keys of a card: ``weights``, ``sha256``, ``format``, ``architecture`` and ``arguments``."""


def chosen_weights(said: Mapping[str, Any], uri: str) -> Part:
    """Choose a form of the weights that volkit can run.

    Parameters
    ----------
    said : mapping
        ``weights`` of the description.
    uri : str
        Where the description lies.

    Returns
    -------
    dict
        Keys of a card.

    Raises
    ------
    ModelError
        If there is none, or only such that would run code that is not trusted.
    """
    forms: list[tuple[Part, bool]] = []
    faults: list[ModelError] = []
    for name, understood in _FORMS.items():
        if entry := said.get(name):
            try:
                forms.append(understood(entry, uri))
            except ModelError as error:  # another form may do
                faults.append(error)
    safe = [part for part, needs_trust in forms if not needs_trust]
    if safe:
        return _with_digest(safe[0], uri)
    if faults and not forms:
        raise faults[0]
    if not forms:
        raise ModelError(
            f"{uri} has its weights as {', '.join(said) or 'nothing'}; volkit runs "
            "pytorch_state_dict, onnx and torchscript: convert them"
        )
    if not uri.startswith(location.TRUSTED):
        what = ", ".join(
            "TorchScript" if part["format"] == "torchscript" else f"code ({part['architecture']})"
            for part, _ in forms
        )
        raise ModelError(
            f"{uri} brings {what}, which would run as you; take a package with ONNX weights, or, "
            f"where you know and trust who made it, give the address {location.TRUSTED}{uri}"
        )
    return _with_digest(forms[0][0], uri)


def _onnx(entry: Mapping[str, Any], uri: str) -> tuple[Part, bool]:
    if entry.get("external_data"):
        raise ModelError(f"{uri}: ONNX with external data is not read; put it into one file")
    return {**_file(entry, uri, "onnx"), "architecture": EXPORTED}, False


def _torchscript(entry: Mapping[str, Any], uri: str) -> tuple[Part, bool]:
    return {**_file(entry, uri, "torchscript"), "architecture": EXPORTED}, True


def _file(entry: Mapping[str, Any], uri: str, form: str) -> Part:
    return {"weights": _name(entry.get("source"), uri), "sha256": entry.get("sha256"),
            "format": form}  # fmt: skip


def _name(source: Any, uri: str) -> str:
    """Name a file beside the description."""
    name = str(source).removeprefix("./")
    if source is None or "://" in name or "/" in name or "\\" in name or ".." in name:
        raise ModelError(
            f"{uri} has its weights at {source}, not beside it; give the package, which holds all "
            "of its files (bioimageio package, or the download button of bioimage.io)"
        )
    return name


def _state_dict(entry: Mapping[str, Any], uri: str) -> tuple[Part, bool]:
    """Find how an architecture is built, and whether that runs code of others."""
    told = entry.get("architecture")
    if isinstance(told, Mapping):  # 0.5
        arguments = dict(told.get("kwargs") or {})
        called = str(told.get("callable"))
        package, file = told.get("import_from"), told.get("source")
        digest = told.get("sha256")
    else:  # 0.4: "file.py:Class" or "package.module.Class"
        arguments = dict(entry.get("kwargs") or {})
        file, _, called = str(told).rpartition(":")
        package = None
        digest = entry.get("architecture_sha256")
        if not file:
            package, _, called = called.rpartition(".")
    part = {**_file(entry, uri, "state_dict"), "arguments": arguments}
    if package is not None and (str(package), called) == _OWN and "name" in arguments:
        name = arguments.pop("name")
        return {**part, "architecture": str(name)}, is_foreign(str(name))
    if package is not None and (package == _MONAI or str(package).startswith(f"{_MONAI}.")):
        return {**part, "architecture": f"monai:{called}"}, False
    if package is not None:
        return {**part, "architecture": f"{LIBRARY}{package}:{called}"}, True
    name = _name(file, uri)
    known = digest or _digest(location.beside(uri, name))
    return {**part, "architecture": f"{SOURCE}{name}:{called}:{known}"}, True


_FORMS: Mapping[str, Callable[[Mapping[str, Any], str], tuple[Part, bool]]] = {
    "pytorch_state_dict": _state_dict,
    "onnx": _onnx,
    "torchscript": _torchscript,
}
"""Forms that volkit runs, the first choice first: keys of a card, and whether it takes trust."""


def _with_digest(part: Part, uri: str) -> Part:
    """Take the digest of the file itself where the description says none."""
    if part["sha256"]:
        return part
    return {**part, "sha256": _digest(location.beside(uri, part["weights"]))}


def _digest(uri: str) -> str:
    try:
        return hashlib.sha256(location.read_bytes(uri)).hexdigest()
    except FileNotFoundError as error:
        raise ModelError(f"{uri} is not there, the description names it; fetch it") from error
