"""Addresses of model packages: an ``rdf.yaml``, the folder that holds it, or a zip of both."""

from pathlib import Path

from volkit.errors import ModelError
from volkit.models import location

PREFIX = "bioimageio:"
"""Before an address that does not look like one of a package."""

NAMES = ("rdf.yaml", "bioimageio.yaml", "rdf.yml", "bioimageio.yml", "model.yaml")
_ENDINGS = tuple(f".{name}" for name in NAMES[:4])


def package_uri(uri: str | Path) -> str | None:
    """Find the description of a model package.

    Parameters
    ----------
    uri : str or Path
        Its ``rdf.yaml`` or ``bioimageio.yaml``, a folder that holds one, or a zip; after
        ``bioimageio:`` anything is taken for one of these.  ``trusted:`` may stand before it all.

    Returns
    -------
    str or None
        Where the description lies; None where the address is of something else.

    Raises
    ------
    ModelError
        If there is no description where one must be.
    """
    text = str(uri)
    trust = location.TRUSTED if text.startswith(location.TRUSTED) else ""
    rest = location.plain(text)
    said = rest.startswith(PREFIX)
    rest = rest.removeprefix(PREFIX)
    found = _found(location.absolute(rest), said)
    return None if found is None else trust + found


def _found(uri: str, said: bool) -> str | None:
    name = uri.replace("\\", "/").rstrip("/").rpartition("/")[2].partition("::")[0].lower()
    if uri.startswith("zip://") or name in NAMES[:4] or name.endswith(_ENDINGS):
        return uri
    if name.endswith(".zip"):
        return _first([location.zipped(inner, uri) for inner in NAMES], uri)
    if "://" not in uri and not uri.startswith(location.BUILTIN) and Path(uri).is_dir():
        inside = [str(Path(uri) / inner) for inner in NAMES]
        there = [path for path in inside if Path(path).is_file()]
        if said and not there:
            raise _no_description(uri)
        return there[0] if there else None
    if said and not name.endswith((".yaml", ".yml")):
        return _first([f"{uri.rstrip('/')}/{inner}" for inner in NAMES], uri)
    return uri if said else None


def _first(candidates: list[str], uri: str) -> str:
    for candidate in candidates:
        try:
            location.read_bytes(candidate)
        except FileNotFoundError:
            continue
        return candidate
    raise _no_description(uri)


def _no_description(uri: str) -> ModelError:
    return ModelError(
        f"{uri} is no model package of bioimage.io: it holds no {' or '.join(NAMES[:2])}; give the "
        "package as it was downloaded, or its rdf.yaml"
    )
