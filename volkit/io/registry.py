"""Registry: which kind of source a URI names, and the sources that a process has open."""

import importlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

from volkit.errors import MissingExtraError, SourceError
from volkit.io.sources import Opener, OpenOptions, Source
from volkit.io.uris import local_path, split_query, split_scheme
from volkit.plugins import Plugin, callable_fault, first_working, plugins, skipped

_ZARR = "volkit.io.zarr.source:open_zarr"
_STACK = "volkit.io.files.image_stack:open_stack"
_PRECOMPUTED = "volkit.io.precomputed.source:open_precomputed"
_N5 = "volkit.io.precomputed.n5:open_n5"
_DICOM = "volkit.io.files.dicom:open_dicom"

_SCHEMES = {"bossdb": "volkit.io.bossdb.source:open_bossdb", "precomputed": _PRECOMPUTED}
_CREATORS = {
    "bossdb": "volkit.io.bossdb.create:create_channel",
    "precomputed": "volkit.io.precomputed.create:create_precomputed",
}
_SUFFIXES = {
    ".zarr": _ZARR,
    ".n5": _N5,
    ".h5": "volkit.io.files.hdf5:open_hdf5",
    ".hdf5": "volkit.io.files.hdf5:open_hdf5",
    ".hdf": "volkit.io.files.hdf5:open_hdf5",
    ".npy": "volkit.io.files.numpy_file:open_numpy",
    ".npz": "volkit.io.files.numpy_file:open_numpy",
    ".tif": _STACK,
    ".tiff": _STACK,
    ".png": _STACK,
    ".mrc": "volkit.io.files.mrc:open_mrc",
    ".map": "volkit.io.files.mrc:open_mrc",
    ".rec": "volkit.io.files.mrc:open_mrc",
    ".ccp4": "volkit.io.files.mrc:open_mrc",
    ".nii": "volkit.io.files.nifti:open_nifti",
    ".hdr": "volkit.io.files.nifti:open_nifti",
    ".img": "volkit.io.files.nifti:open_nifti",
    ".dcm": _DICOM,
    ".mp4": "volkit.io.files.video:open_video",
    ".avi": "volkit.io.files.video:open_video",
    ".mov": "volkit.io.files.video:open_video",
    ".mkv": "volkit.io.files.video:open_video",
    ".webm": "volkit.io.files.video:open_video",
}
_REMOTE = (_ZARR, _N5)  # formats that are many objects; files are read from local paths
_PACKED = (".gz", ".bz2")  # behind the suffix that counts, as in em.nii.gz
_READ_PACKED = (".mrc", ".map", ".rec", ".ccp4", ".nii", ".hdr", ".img")
_MARKERS = (  # what lies in a folder of each kind
    ("zarr.json", _ZARR),
    (".zgroup", _ZARR),
    (".zarray", _ZARR),
    (".zattrs", _ZARR),
    ("info", _PRECOMPUTED),
    ("attributes.json", _N5),
)
Creator = Callable[..., None]

ENTRY_POINTS = "volkit.sources"
_OPEN_AT_ONCE = 256  # sources kept in a process; they hold metadata, hardly memory


def opened(uri: str, level: int, options: OpenOptions) -> Source:
    """Open a source, once in a process; a local file that was replaced is opened again.

    Raises
    ------
    SourceError
        If there is nothing that can be understood.
    """
    return _opened(uri, level, options, _stamp(uri))


def forget_opened() -> None:
    """Open everything anew from here on; chunks that were kept are fetched again, too."""
    from volkit.io.cache.memory import forget_chunks

    _opened.cache_clear()
    forget_chunks()


def find_opener(uri: str) -> Opener:
    """Find what opens a URI, by its scheme, its suffix, or what lies in its folder.

    Third parties add an entry point in the group ``volkit.sources``.  Its name is a scheme
    (``brain``) or a suffix (``.xyz``), its object a callable ``(uri, level) -> Source``.  One that
    cannot be loaded is skipped.

    Parameters
    ----------
    uri : str
        ``scheme://…`` or a local path, with ``::name`` for a dataset inside a file.

    Returns
    -------
    callable
        ``(uri, level, options) -> Source``.

    Raises
    ------
    SourceError
        If the scheme or the suffix is not known, or nothing is at a local path.
    MissingExtraError
        If the scheme needs a package that is not installed.
    """
    scheme, place = split_scheme(uri)
    if scheme not in ("", "file"):
        return _scheme_opener(uri, scheme)
    if not place.partition("::")[0]:
        raise SourceError(f"{uri!r} names no file or folder; give a path, or . for this folder")
    path = Path(place.partition("::")[0])
    if "*" not in path.name and not path.exists():
        parents = [p for p in path.parents if p.suffix in (".zarr", ".n5") and p.exists()]
        inside = f", but {parents[-1]} does: is the name inside it right?" if parents else ""
        what = uri if uri == str(path) else f"{uri}: {path}"
        raise SourceError(f"{what} does not exist{inside or '; check the path'}")
    return _plugin(_suffix(path)) or _load(_path_target(uri, path))


def find_creator(uri: str) -> Creator:
    """Find what creates a volume at a URI: zarr, but where the scheme says otherwise.

    Returns
    -------
    callable
        ``(uri, layout, options, *, overwrite, attributes)``.

    Raises
    ------
    SourceError
        If the suffix names a format of files, which are read only.
    """
    suffix = _suffix(Path(split_query(uri)[0].rstrip("/")))
    if split_scheme(uri)[0] not in _CREATORS and suffix in _SUFFIXES and suffix != ".zarr":
        raise SourceError(
            f"{uri}: {suffix} is read only; volumes are created as zarr, or as precomputed://…: "
            "name it .zarr"
        )
    target = _CREATORS.get(split_scheme(uri)[0], "volkit.io.zarr.create:create_zarr")
    module, _, name = target.partition(":")
    creator: Creator = getattr(importlib.import_module(module), name)
    return creator


def _suffix(path: Path) -> str:
    """Give the suffix that says what a file is: ``.nii`` of ``T1.nii.gz``."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in _PACKED else suffix


def _path_target(uri: str, path: Path) -> str:
    suffix = _suffix(path)
    if path.is_dir():
        for name, target in _MARKERS:
            if (path / name).exists():
                return target
        if suffix in (".zarr", ".n5"):
            return _SUFFIXES[suffix]
        if any(parent.suffix == ".n5" for parent in path.parents):
            return _N5
        return _DICOM if _holds_dicom(path) else _STACK
    if path.suffix.lower() in _PACKED and suffix in _SUFFIXES and suffix not in _READ_PACKED:
        raise SourceError(
            f"{uri}: a packed {suffix} is not read, since it has no random access; unpack it"
        )
    if suffix in _SUFFIXES and suffix != ".zarr":
        return _SUFFIXES[suffix]
    known = sorted({*_SUFFIXES, *(n for n in _plugins() if n.startswith("."))} - {suffix})
    raise SourceError(
        f"{uri}: suffix {suffix!r} is not known; known are {', '.join(known)}, and folders of "
        f"planes{_skipped(suffix)}"
    )


def _holds_dicom(folder: Path) -> bool:
    """Tell a series: files named .dcm, or others that begin as DICOM does."""
    if next(folder.glob("*.[dD][cC][mM]"), None):
        return True
    known = (p for p in folder.iterdir() if p.is_file() and p.suffix.lower() not in _SUFFIXES)
    with suppress(OSError):
        for path in islice(known, 8):
            with path.open("rb") as file:
                if file.read(132)[128:] == b"DICM":
                    return True
    return False


def _scheme_opener(uri: str, scheme: str) -> Opener:
    plugin = _plugin(scheme)
    if plugin is not None:
        return plugin
    if scheme in _SCHEMES:
        return _load(_SCHEMES[scheme])
    if scheme == "array":
        raise SourceError(f"{uri} names an array in memory; open the array itself")
    _check_reachable(uri, scheme)
    suffix = _suffix(Path(split_query(uri)[0].partition("::")[0]))
    target = _SUFFIXES.get(suffix, _ZARR)
    if target not in _REMOTE:
        raise SourceError(
            f"{uri}: {suffix} is read from local paths only; copy the file, or use zarr"
        )
    inside = [p for p in split_query(uri)[0].split("/") if p.endswith(".n5")]
    return _load(_N5 if inside else target)


def _check_reachable(uri: str, scheme: str) -> None:
    """Refuse schemes that neither obstore nor fsspec knows."""
    import fsspec

    if scheme in ("s3", "gs", "az", "http", "https", "memory"):
        return
    if scheme not in fsspec.available_protocols():
        own = sorted({*_SCHEMES, *(n for n in _plugins() if not n.startswith("."))} - {scheme})
        raise SourceError(
            f"{uri}: scheme {scheme!r} is not known; known are file, {', '.join(own)}, and for "
            f"zarr memory, http, https, s3, gs, az and those of fsspec{_skipped(scheme)}"
        )
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        # No extra of ours: fsspec knows dozens of them, and says which package each needs.
        raise MissingExtraError(f"{uri}: {scheme} needs another package: {error}") from error


def _load(target: str) -> Opener:
    module, _, name = target.partition(":")
    opener: Opener = getattr(importlib.import_module(module), name)
    return opener


def own_sources() -> Mapping[str, str]:
    """List what volkit itself opens: by scheme or suffix, ``module:opener``."""
    return {**_SCHEMES, **_SUFFIXES}


@cache
def _plugins() -> Mapping[str, tuple[Plugin, ...]]:
    found: dict[str, tuple[Plugin, ...]] = {}
    for plugin in plugins(ENTRY_POINTS):
        found[plugin.name] = (*found.get(plugin.name, ()), plugin)
    return found


def _plugin(name: str) -> Opener | None:
    opener = first_working(_plugins().get(name, ()), callable_fault)
    if opener is None:
        return None

    def open_plugin(uri: str, level: int, options: OpenOptions) -> Source:
        if options.axes is not None:
            raise SourceError(f"{uri} knows its axes; open it without axes={options.axes!r}")
        source: Source = opener(uri, level)
        return source

    return open_plugin


def _skipped(name: str) -> str:
    wrong = skipped(ENTRY_POINTS, name, callable_fault)
    return f"; {wrong}" if wrong else ""


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _opened(uri: str, level: int, options: OpenOptions, stamp: tuple[int, ...]) -> Source:
    """Open a source once in a process; ``stamp`` makes a file that was replaced a new one."""
    del stamp
    source = find_opener(uri)(uri, level, options)
    if options.cache is None:
        return source
    from volkit.io.cache.source import CachedSource

    told = f"{level}|{options.axes}|{options.missing}"  # decides voxels, as the identity does
    return CachedSource.around(source, options.cache, variant=told)


def _stamp(uri: str) -> tuple[int, ...]:
    for place in _stamped(uri):
        try:
            found = os.stat(place)  # noqa: PTH116 (each property of a Volume comes here)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return found.st_mtime_ns, found.st_size, found.st_ino
    return ()


@lru_cache(maxsize=_OPEN_AT_ONCE)
def _stamped(uri: str) -> tuple[str, ...]:
    """List the files whose times tell whether a source is still the one that was opened."""
    path = local_path(uri.removeprefix("precomputed://"))
    return () if path is None else tuple(str(p) for p in (path / "zarr.json", path / "info", path))
