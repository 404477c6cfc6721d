"""Who holds the graph of fragments: one machine, or boxes of blocks; labels are the same."""

from typing import Literal, get_args

from volkit.errors import ConfigError
from volkit.kernels.linkage_rule import Linkage

Held = Literal["auto", "whole", "boxes"]
"""Who holds the graph of fragments: one machine, boxes of blocks, or what its size asks for."""

Holder = Literal["whole", "boxes"]
"""The same where nothing is left open."""

NODE_BYTES = 16 * 2**30
"""What one machine should hold of a graph while it is merged, where its memory is not known."""

_CONTACT_BYTES = 400  # of a contact while it is merged: 241 in rows and copies, the rest in queues
_VALUE_BYTES = 120  # of an affinity that is kept beside: rows of three numbers, in five copies
_VOXELS_PER_CONTACT = 100  # of basins: 101 in a FIB-SEM map of 1e6 voxels, the fewest measured


def graph_bytes(voxels: int, linkage: Linkage | None = None, *, edges: int = 1) -> int:
    """Estimate the memory that a graph of fragments may need at most while it is merged.

    Parameters
    ----------
    voxels : int
        Of the domain: the number of fragments is not known before.
    linkage : Linkage, optional
        What a score is: the k largest affinities of every contact are held, too.
    edges : int
        How many there are for one contact.

    Returns
    -------
    int

    Examples
    --------
    >>> graph_bytes(1000), graph_bytes(1000, Linkage("max_k", k=10))
    (4000, 16000)
    """
    values = linkage.k if linkage is not None and linkage.kind == "max_k" else 0
    return voxels // _VOXELS_PER_CONTACT * edges * (_CONTACT_BYTES + values * _VALUE_BYTES)


def held_by(
    voxels: int,
    *,
    memory_bytes: int | None = None,
    linkage: Linkage | None = None,
    edges: int = 1,
) -> Holder:
    """Choose who holds the graph of fragments, by the size of their volume.

    Parameters
    ----------
    voxels : int
        Of the domain.
    memory_bytes : int, optional
        What one machine can hold of it; None is ``NODE_BYTES``.
    linkage : Linkage, optional
        What a score is.
    edges : int
        How many there are for one contact.

    Returns
    -------
    {'whole', 'boxes'}
        Boxes where all contacts could take more.

    Examples
    --------
    >>> held_by(1024**3), held_by(2048**3), held_by(1024**3, memory_bytes=2**31)
    ('whole', 'boxes', 'boxes')
    """
    most = NODE_BYTES if memory_bytes is None else memory_bytes
    return "boxes" if graph_bytes(voxels, linkage, edges=edges) > most else "whole"


def holder_advice(
    voxels: int,
    *,
    holder: Holder,
    memory_bytes: int | None = None,
    linkage: Linkage | None = None,
    edges: int = 1,
) -> str:
    """Say who holds the graph of fragments, and what that may need, for a person.

    Parameters
    ----------
    voxels : int
        Of the domain.
    holder : {'whole', 'boxes'}
        Who.
    memory_bytes : int, optional
        What one machine can hold of it; None where nobody knows.
    linkage : Linkage, optional
        What a score is.
    edges : int
        How many there are for one contact.

    Examples
    --------
    >>> holder_advice(2048**3, holder="boxes").partition(":")[0]
    'boxes of blocks hold the graph of fragments'
    """
    who = "one machine holds" if holder == "whole" else "boxes of blocks hold"
    most = graph_bytes(voxels, linkage, edges=edges) / 2**30
    room = (
        f"one machine should hold {NODE_BYTES / 2**30:g} GiB"
        if memory_bytes is None
        else f"a worker has {memory_bytes / 2**30:.2g} GiB for it"
    )
    return (
        f"{who} the graph of fragments: up to {most:.2g} GiB may be needed for that of "
        f"{voxels / 1e9:.2g} gigavoxels, and {room}"
    )


def who_holds(held: Held, voxels: int, *, edges: int = 1) -> Holder:
    """Answer who holds the graph of fragments, where that may be left open.

    Parameters
    ----------
    held : {'auto', 'whole', 'boxes'}
        What was asked for; auto counts on ``NODE_BYTES``.
    voxels : int
        Of the domain.
    edges : int
        How many there are for one contact.

    Raises
    ------
    ConfigError
        If nobody knows who that is.
    """
    check_held(held)
    return held_by(voxels, edges=edges) if held == "auto" else held


def check_held(held: str) -> None:
    """Refuse an answer that is none to who holds a graph.

    Raises
    ------
    ConfigError
        If it is not one of ``Held``.
    """
    if held not in get_args(Held):
        raise ConfigError(f"held is {held!r}; choose one of {', '.join(get_args(Held))}")
