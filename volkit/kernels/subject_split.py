"""Subject splits: scans dealt out by whole subjects, so that no test knows a head from training."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

_SHOWN = 3


def deal_subjects(
    subject: NDArray[Any], label: NDArray[Any], shares: Sequence[float], *, seed: int = 0
) -> NDArray[np.int64]:
    """Deal subjects to parts, class by class, so that each part gets its share of the scans.

    Subjects with most scans are dealt first, each to the part that lacks most of its target; among
    equals the order is shuffled.

    Parameters
    ----------
    subject : ndarray, shape (N,)
        Whose scan it is.
    label : ndarray, shape (N,)
        Its class.
    shares : sequence of float
        Of the scans of every class, one for each part; they are made to sum to one.
    seed : int
        Of the shuffle.

    Returns
    -------
    ndarray of int64, shape (N,)
        Number of the part of every scan; it does not depend on the order of the scans.

    Raises
    ------
    ContractError
        If a subject has scans of two classes, a share is not above 0, or a class has fewer
        subjects than there are parts.

    Notes
    -----
    A part misses its target by less than the scans of one subject.

    Examples
    --------
    >>> subject = np.array(["a", "a", "b", "c", "d", "d", "e", "f"])
    >>> label = np.array(["AD"] * 4 + ["CN"] * 4)
    >>> part = deal_subjects(subject, label, [0.5, 0.5])
    >>> sorted(np.bincount(part).tolist()), len(set(zip(subject, part)))
    ([4, 4], 6)
    """
    if not shares or min(shares) <= 0:
        raise ContractError(f"shares {list(shares)}: each part needs one above 0")
    mixed = subjects_in_two_classes(subject, label)
    if mixed:
        raise ContractError(
            f"{len(mixed)} subject{'s have' if len(mixed) > 1 else ' has'} scans of two classes: "
            f"{', '.join(map(str, mixed[:_SHOWN]))}; correct the table, or leave them out"
        )
    part = np.full(len(subject), -1)
    for kind in np.unique(label):
        scans = Counter(subject[label == kind].tolist())
        if len(scans) < len(shares):
            raise ContractError(
                f"class {kind} has {len(scans)} subjects for {len(shares)} parts; every part needs "
                "one of its own: give more subjects, or fewer parts"
            )
        for name, number in _dealt(scans, shares, seed).items():
            part[subject == name] = number
    return part


def _dealt(scans: Counter[Any], shares: Sequence[float], seed: int) -> dict[Any, int]:
    names = sorted(scans)
    order = np.random.default_rng(seed).permutation(len(names))
    shuffled = sorted((names[n] for n in order), key=lambda name: -scans[name])
    targets = np.array(shares, float) / sum(shares) * sum(scans.values())
    held = np.zeros(len(shares))
    dealt: dict[Any, int] = {}
    left = len(shuffled)
    for name in shuffled:
        lack = targets - held
        empty = np.array([part not in dealt.values() for part in range(len(shares))])
        if left == empty.sum():  # as many are left as parts have nobody
            lack[~empty] = -np.inf
        dealt[name] = int(np.argmax(lack))
        held[dealt[name]] += scans[name]
        left -= 1
    return dealt


def subjects_in_two_classes(subject: NDArray[Any], label: NDArray[Any]) -> list[Any]:
    """List subjects with scans of more than one class, in order.

    Examples
    --------
    >>> subjects_in_two_classes(np.array(["a", "b", "a"]), np.array([0, 0, 1]))
    ['a']
    """
    pairs = set(zip(subject.tolist(), label.tolist(), strict=True))
    counts = Counter(name for name, _ in pairs)
    return sorted(name for name, n in counts.items() if n > 1)
