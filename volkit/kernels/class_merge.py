"""Class merges: the codes of a source become the classes of a task, 0, 1, 2 and so on.

Sources of the same kind of data order their codes differently, and tasks merge some of them, so
that the mapping is always given and never guessed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError

Classes = Mapping[str, Sequence[int]]
_MOST = 4096  # codes: what lies beyond are ids of objects


def check_codes(classes: Classes) -> None:
    """Refuse classes that share a code, or have none.

    Parameters
    ----------
    classes : mapping of str to sequence of int
        Codes of every class, in the order of the classes.

    Raises
    ------
    ConfigError
        If so.

    Examples
    --------
    >>> check_codes({"background": (0, 3), "vessel": (1,), "cell": (2,)})
    """
    codes = [code for several in classes.values() for code in several]
    if len(classes) < 2 or not all(map(len, classes.values())) or len({*codes}) < len(codes):
        raise ConfigError(
            f"classes are {dict(classes)}; give two or more, each with codes of its own, such as "
            "{background: [0, 3], vessel: [1], cell: [2]}"
        )
    if min(codes) < 0 or max(codes) >= _MOST:
        raise ConfigError(f"codes {codes} are not from 0 to {_MOST - 1}; they are ids of classes")


def merged_classes(labels: NDArray[Any], classes: Classes) -> NDArray[np.uint8]:
    """Give every voxel the number of its class.

    Parameters
    ----------
    labels : ndarray of int or bool
        Codes of the source.
    classes : mapping of str to sequence of int
        Codes of every class; the first class is 0.

    Returns
    -------
    ndarray of uint8, same shape
        Numbers of classes.

    Raises
    ------
    ContractError
        If labels are not integers, or hold a code of no class.

    Examples
    --------
    >>> codes = np.array([0, 1, 2, 3, 3])
    >>> merged_classes(codes, {"background": (0, 3), "vessel": (1,), "cell": (2,)}).tolist()
    [0, 1, 2, 0, 0]
    """
    if labels.dtype.kind not in "uib":
        raise ContractError(
            f"labels are {labels.dtype}, which are no codes of classes; give integers, for example "
            "labels.astype(np.uint8) where every value is a whole number"
        )
    table = np.full(_MOST, 255, np.uint8)
    for number, codes in enumerate(classes.values()):
        table[list(codes)] = number
    if labels.size and (int(labels.min()) < 0 or int(labels.max()) >= _MOST):
        raise _unknown(labels, classes, (labels < 0) | (labels >= _MOST))
    found = table[labels.astype(np.intp)]
    if labels.size and int(found.max()) == 255:
        raise _unknown(labels, classes, found == 255)
    return found


def _unknown(labels: NDArray[Any], classes: Classes, strange: NDArray[np.bool_]) -> ContractError:
    codes = np.unique(labels[strange])
    shown = ", ".join(str(x) for x in codes[:8]) + (" …" if len(codes) > 8 else "")
    told = {name: list(several) for name, several in classes.items()}
    return ContractError(
        f"{int(strange.sum()):,} voxels have codes of no class: {shown}; classes are {told}: give "
        "each code to a class, as the source orders them"
    )
