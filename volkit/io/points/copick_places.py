"""Places of a copick project: its overlay and its static root, seen as one folder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from volkit.errors import SourceError
from volkit.io.objects.protocol import open_objects, split_object
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

_RUNS = "ExperimentRuns"


@dataclass(frozen=True, slots=True)
class CopickRoots:
    """The folders of a project; what lies in the overlay goes before what lies in the other.

    Parameters
    ----------
    overlay : str
        Where picks are written.
    static : str or None
        What never changes; None where there is one root.
    options : OpenOptions or None
        Credentials and patience.
    """

    overlay: str
    static: str | None = None
    options: OpenOptions | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """The overlay, then the other."""
        return (
            (self.overlay,)
            if self.static in (None, self.overlay)
            else (
                self.overlay,
                str(self.static),
            )
        )

    def children(self, folder: str) -> tuple[str, ...]:
        """List what lies in a folder of either root, sorted."""
        names: set[str] = set()
        for root in self.all:
            names.update(_children(root, folder, self.options))
        return tuple(sorted(name for name in names if not name.startswith(".")))

    def place(self, path: str) -> str:
        """Give the URI of a folder, in the first root that has it."""
        folder, _, name = path.rpartition("/")
        for root in self.all:
            if name in _children(root, folder, self.options):
                return f"{root.rstrip('/')}/{path}"
        raise SourceError(f"{self.overlay} has no {path}; it was there a moment ago: list it again")

    def get(self, path: str) -> tuple[str, bytes]:
        """Read a file, and say where it lies."""
        for root in self.all:
            data = open_objects(root, self.options).get(path)
            if data is not None:
                return f"{root.rstrip('/')}/{path}", data
        raise SourceError(f"{self.overlay} has no {path}; it was there a moment ago: list it again")


def find_roots(uri: str, options: OpenOptions | None) -> tuple[CopickRoots, dict[str, Any]]:
    """Find the roots of a project, and its configuration.

    Parameters
    ----------
    uri : str
        The configuration, or a folder.
    options : OpenOptions or None
        Credentials and patience.

    Returns
    -------
    roots : CopickRoots
        Where it keeps what.
    config : dict
        JSON; empty where a folder was given.

    Raises
    ------
    SourceError
        If it is no project.
    """
    if uri.lower().endswith((".json", ".config")):
        return _configured(uri, options)
    base = uri.rstrip("/")
    if _children(base, _RUNS, options):
        return CopickRoots(base, None, options), {}
    roots = CopickRoots(f"{base}/overlay", f"{base}/static", options)
    if not roots.children(_RUNS):
        raise SourceError(
            f"{uri} is no copick project: it has no {_RUNS}, static/{_RUNS} or overlay/{_RUNS}; "
            "give its folder or its JSON configuration"
        )
    return roots, {}


def _configured(uri: str, options: OpenOptions | None) -> tuple[CopickRoots, dict[str, Any]]:
    place, name = split_object(uri)
    data = open_objects(place, options).get(name)
    if data is None:
        raise SourceError(f"{uri} does not exist; check the path")
    try:
        config = json.loads(data)
        overlay = _root(uri, place, str(config["overlay_root"]))
        static = config.get("static_root")
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{uri} is no configuration of copick ({error!r}); expected JSON with overlay_root and "
            "pickable_objects"
        ) from error
    if config.get("config_type", "filesystem") != "filesystem":
        raise SourceError(
            f"{uri} is of type {config['config_type']!r}; volkit reads projects of type filesystem:"
            " download the tomograms, or read them by their s3:// address"
        )
    other = None if static is None else _root(uri, place, str(static))
    return CopickRoots(overlay, other, options), config


def _root(uri: str, place: str, root: str) -> str:
    """Turn a root of fsspec into a URI; a relative one begins at the configuration's folder."""
    scheme, mark, rest = root.partition("://")
    if not mark or scheme in ("local", "file"):
        path = Path(rest if mark else root)
        folder = local_path(place)
        if path.is_absolute() or folder is None:
            return str(path)
        return str(folder / path)
    if scheme in ("ssh", "smb", "sftp"):
        raise SourceError(f"{uri} keeps data at {root}; mount it, or copy it here or to a bucket")
    return root.rstrip("/")


def _children(root: str, folder: str, options: OpenOptions | None) -> set[str]:
    path = local_path(root)
    if path is not None:
        inside = path / folder
        return {each.name for each in inside.iterdir()} if inside.is_dir() else set()
    prefix = f"{folder}/"
    keys = open_objects(root, options).keys(prefix)
    return {key[len(prefix) :].split("/", 1)[0] for key in keys}
