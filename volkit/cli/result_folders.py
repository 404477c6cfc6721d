"""Result folders: a name for what a command makes, that other inputs and settings do not take."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any


def result_folder(kind: str, tree: Mapping[str, Any], inputs: Sequence[str], *, named: int) -> str:
    """Name a folder.

    Parameters
    ----------
    kind : str
        What is made, which the name begins with.
    tree : mapping
        Settings of the command; where it runs, ``cluster``, does not count.
    inputs : sequence of str
        Keys of the tree that hold paths or URLs.
    named : int
        How many of the inputs the name shows.

    Returns
    -------
    str
        The same for the same inputs and settings, wherever a path is written from.

    Examples
    --------
    >>> result_folder("diff", {"old": "s3://b/a.zarr/", "new": "s3://b/c"}, ["old", "new"], named=2)
    'diff-a-zarr-c-43d60d'
    """
    sides = [tree[key] for key in inputs]
    names = [re.sub(r"[^\w@-]+", "-", side.rstrip("/").rpartition("/")[2]) for side in sides]
    whole = [side if "://" in side else os.path.abspath(side) for side in sides]  # noqa: PTH100
    rest = {key: tree[key] for key in sorted(tree) if key not in (*inputs, "cluster")}
    digest = hashlib.sha256(repr((whole, rest)).encode()).hexdigest()[:6]
    return "-".join([kind, *names[:named], digest])
