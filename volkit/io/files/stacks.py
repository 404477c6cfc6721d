"""Stacks: the files of a folder or a pattern, in the order that people mean."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from volkit.io.array_source import file_stamp


def listed_files(path: Path) -> list[Path]:
    """List the files of a folder, or of a pattern such as ``slices/*.tif``.

    Hidden files are left out: desktops and copies leave such behind.

    Returns
    -------
    list of Path
        By name, ``z2`` before ``z10``.
    """
    folder, pattern = (path.parent, path.name) if "*" in path.name else (path, "*")
    found = [p for p in folder.glob(pattern) if not p.name.startswith(".") and p.is_file()]
    return sorted(found, key=natural_key)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Make what orders names as people do, numbers by their value.

    Examples
    --------
    >>> [p.name for p in sorted([Path("z10.tif"), Path("z2.tif")], key=natural_key)]
    ['z2.tif', 'z10.tif']
    """
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def stack_stamp(files: Sequence[Path]) -> str:
    """Tell the content of files by their names, times and sizes, in one short text."""
    if len(files) == 1:
        return file_stamp(*files)
    told = "\n".join(f"{path.name} {file_stamp(path)}" for path in files)
    return f"files:{hashlib.sha256(told.encode()).hexdigest()}"
