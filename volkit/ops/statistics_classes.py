"""Classes: which label means what, in names that are printed with every result."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from volkit.engine.op import Columns
from volkit.errors import ConfigError

Unknown = Literal["error", "other"]
OTHER = "other"


def check_classes(classes: Mapping[str, int]) -> None:
    """Refuse a mapping in which two names share a label, or none is there.

    Raises
    ------
    ConfigError
        If so.

    Examples
    --------
    >>> check_classes({"vessel": 1, "cell": 2})
    """
    if not classes or len(set(classes.values())) < len(classes) or min(classes.values()) < 0:
        raise ConfigError(
            f"classes are {dict(classes)}; give every class its own label, 0 or more, such as "
            "{vessel: 1, cell: 2, axon: 3}"
        )
    wrong = [name for name in classes if not name.isidentifier() or name == OTHER]
    if wrong:
        raise ConfigError(
            f"classes: {', '.join(wrong)}: names become names of columns; use letters, digits and "
            f"_, and another name than {OTHER}"
        )


def named_counts(counts: Columns, classes: Mapping[str, int], *, unknown: Unknown) -> Columns:
    """Check the labels of a table of counts against their names.

    Background (0) needs no name.

    Parameters
    ----------
    counts : dict of ndarray
        With ``label`` and ``voxels``.
    classes : mapping of str to int
        Labels by name.
    unknown : {'error', 'other'}
        What becomes of labels without a name.

    Returns
    -------
    dict of ndarray
        The same table.

    Raises
    ------
    ConfigError
        If there are such labels, and they are an error.
    """
    known = np.array([0, *classes.values()], np.uint64)
    strange = ~np.isin(counts["label"], known)
    if strange.any() and unknown == "error":
        labels = np.unique(counts["label"][strange])
        shown = ", ".join(str(x) for x in labels[:8]) + (" …" if len(labels) > 8 else "")
        raise ConfigError(
            f"{int(counts['voxels'][strange].sum()):,} voxels have labels that no class has: "
            f"{shown}; classes are {printed(classes)}: name them, or let them count as tissue "
            "(unknown: other)"
        )
    return counts


def printed(classes: Mapping[str, int]) -> str:
    """Write the mapping in one line.

    Examples
    --------
    >>> printed({"vessel": 1, "cell": 2})
    'vessel = 1, cell = 2'
    """
    return ", ".join(f"{name} = {label}" for name, label in classes.items())
