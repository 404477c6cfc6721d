"""Free windows: networks that answer alike wherever a window lies, and however large it is."""

from collections.abc import Iterator

from volkit.geometry import Coord, Windows
from volkit.models.checkpoint import Checkpoint
from volkit.ops.network import Network


def are_free(network: Network) -> bool:
    """Tell whether windows of a network need not overlap.

    Parameters
    ----------
    network : Network
        What answers.

    Returns
    -------
    bool
        Whether all its members answer every voxel within their margin alike in all windows that
        hold it, as valid convolutions do.
    """
    if not any(network.margin) or not all(isinstance(m, Checkpoint) for m in network.members):
        return False  # without loading torch: what sees beyond a voxel has a margin
    from volkit.models.dense_window import has_free_windows

    return all(has_free_windows(m) for m in network.members if isinstance(m, Checkpoint))


def window_advice(
    network: Network, windows: Windows, memory_bytes: int | None, *, batch: int
) -> Iterator[str]:
    """Say where larger windows would cost less.

    Parameters
    ----------
    network : Network
        What answers.
    windows : Windows
        As they are laid.
    memory_bytes : int or None
        What the maps of a batch may take; None where nobody knows.
    batch : int
        Windows at once.

    Yields
    ------
    str
        For a person; nothing where windows are best as they are.
    """
    if memory_bytes is None or len(network.members) > 1 or not are_free(network):
        return
    from volkit.models.dense_window import larger_window

    (member,) = network.members
    if isinstance(member, Checkpoint):
        found = larger_window(member, memory_bytes, domain=windows.domain.shape, batch=batch)
        if _size(found) > _size(network.window):
            yield (
                f"this network answers alike in larger windows, which cost less for each voxel: "
                f"infer.window {list(found)} fits into the memory"
            )


def _size(window: Coord) -> int:
    z, y, x = window
    return z * y * x
