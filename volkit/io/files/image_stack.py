"""Image stacks: a file, a folder of planes or a pattern such as ``slices/*.tif``."""

from pathlib import Path

from volkit.errors import SourceError
from volkit.io.array_source import ArraySource
from volkit.io.files.stacks import listed_files
from volkit.io.sources import OpenOptions
from volkit.io.uris import local_path

_KINDS = {".tif": "TIFF", ".tiff": "TIFF", ".png": "PNG"}


def open_stack(uri: str, level: int, options: OpenOptions) -> ArraySource:
    """Open planes of one kind, TIFF or PNG; a plane alone is a volume of one plane.

    Raises
    ------
    SourceError
        If there are no planes or kinds are mixed, or a file is damaged.
    """
    path = local_path(uri) or Path(uri)
    files = [path] if path.is_file() else listed_files(path)
    by_kind: dict[str, list[Path]] = {}
    for file in files:
        if file.suffix.lower() in _KINDS:
            by_kind.setdefault(_KINDS[file.suffix.lower()], []).append(file)
    if not by_kind:
        raise SourceError(
            f"{uri}: no .tif, .tiff or .png files are there, nor those of DICOM; check the path"
        )
    if len(by_kind) > 1:
        shown = " and ".join(f"{len(p)} {kind} ({p[0].name})" for kind, p in by_kind.items())
        raise SourceError(f"{uri} holds {shown}; say which by a pattern, such as {path.name}/*.tif")
    if "TIFF" in by_kind:
        from volkit.io.files.tiff import open_tiff

        return open_tiff(uri, by_kind["TIFF"], level, options)
    from volkit.io.files.png import open_png

    return open_png(uri, by_kind["PNG"], level, options)
