"""Where cards and weights lie: local paths, fsspec URLs and the package itself."""

from importlib.resources import files
from pathlib import Path, PurePosixPath

import fsspec

from volkit.errors import ModelError

BUILTIN = "builtin:"
_ZOO = "volkit.models.zoo"


def absolute(uri: str | Path) -> str:
    """Write a location so that it means the same in another process."""
    text = str(uri)
    if text.startswith(BUILTIN) or "://" in text:
        return text
    return str(Path(text).expanduser().absolute())


def beside(uri: str, name: str) -> str:
    """Name a file in the folder of another."""
    if uri.startswith(BUILTIN):
        return BUILTIN + name
    if "://" in uri:
        return f"{uri.rsplit('/', 1)[0]}/{name}"
    return str(Path(uri).with_name(name))


def stem(uri: str) -> tuple[str, str]:
    """Split a location into file name without suffix, and suffix."""
    name = PurePosixPath(uri.removeprefix(BUILTIN))
    return (name.stem, name.suffix) if len(name.suffix) > 1 else (name.name, "")


def read_bytes(uri: str) -> bytes:
    """Read a whole file.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ModelError
        If it is there and cannot be read.
    """
    try:
        if uri.startswith(BUILTIN):
            return (files(_ZOO) / uri.removeprefix(BUILTIN)).read_bytes()
        if "://" in uri:
            with fsspec.open(uri, "rb") as stream:
                return bytes(stream.read())
        return Path(uri).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(uri) from None
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"{uri} cannot be read: {error}; check the address and access") from error


def builtin_names() -> list[str]:
    """List the checkpoints that ship with volkit."""
    names = (PurePosixPath(item.name) for item in files(_ZOO).iterdir())
    return sorted(name.stem for name in names if name.suffix in (".yaml", ".json"))
