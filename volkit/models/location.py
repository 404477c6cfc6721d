"""Where cards and weights lie: local paths, fsspec URLs and the package itself."""

import lzma
import zlib
from importlib.resources import files
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

import fsspec

from volkit.errors import ModelError

BUILTIN = "builtin:"
TRUSTED = "trusted:"
"""Before an address: code that comes with the weights may be run."""

_ZIP = "zip://"
_ZOO = "volkit.models.zoo"


def absolute(uri: str | Path) -> str:
    """Write a location so that it means the same in another process."""
    text = str(uri)
    if text.startswith(TRUSTED):
        return TRUSTED + absolute(text.removeprefix(TRUSTED))
    if text.startswith(BUILTIN) or "://" in text:
        return text
    return str(Path(text).expanduser().absolute())


def beside(uri: str, name: str) -> str:
    """Name a file in the folder of another."""
    if uri.startswith(TRUSTED):
        return TRUSTED + beside(uri.removeprefix(TRUSTED), name)
    if uri.startswith(BUILTIN):
        return BUILTIN + name
    if uri.startswith(_ZIP):
        inner, _, outer = uri.removeprefix(_ZIP).partition("::")
        return zipped(str(PurePosixPath(inner).with_name(name)), outer)
    if "://" in uri:
        return f"{uri.rsplit('/', 1)[0]}/{name}"
    return str(Path(uri).with_name(name))


def zipped(name: str, archive: str) -> str:
    """Name a file in a zip archive.

    Examples
    --------
    >>> zipped("rdf.yaml", "nets/unet.zip"), beside("zip://rdf.yaml::nets/unet.zip", "unet.pt")
    ('zip://rdf.yaml::nets/unet.zip', 'zip://unet.pt::nets/unet.zip')
    """
    return f"{_ZIP}{name}::{archive}"


def plain(uri: str) -> str:
    """Leave out of a location that it is trusted."""
    return uri.removeprefix(TRUSTED)


def stem(uri: str) -> tuple[str, str]:
    """Split a location into file name without suffix, and suffix."""
    name = PurePosixPath(plain(uri).removeprefix(BUILTIN).partition("::")[0])
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
    uri = plain(uri)
    try:
        if uri.startswith(_ZIP):
            return _unzipped(uri)
        if uri.startswith(BUILTIN):
            return (files(_ZOO) / uri.removeprefix(BUILTIN)).read_bytes()
        if "://" in uri:
            with fsspec.open(uri, "rb") as stream:
                return bytes(stream.read())
        return Path(uri).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(uri) from None
    except (OSError, ValueError, ImportError, BadZipFile) as error:
        raise ModelError(f"{uri} cannot be read: {error}; check the address and access") from error


def _unzipped(uri: str) -> bytes:
    inner, _, outer = uri.removeprefix(_ZIP).partition("::")
    with fsspec.open(outer, "rb") as stream, ZipFile(stream) as archive:
        try:
            return archive.read(inner)
        except KeyError:
            raise FileNotFoundError(uri) from None
        # Behind a password, packed in an unknown way, or damaged: each way of packing has its own.
        except (RuntimeError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(str(error) or "it ends too early") from error


def builtin_names() -> list[str]:
    """List the checkpoints that ship with volkit."""
    names = (PurePosixPath(item.name) for item in files(_ZOO).iterdir())
    return sorted(name.stem for name in names if name.suffix in (".yaml", ".json"))
