"""Trust: what is run only where the address of a card begins with ``trusted:``.

A package of a model may bring a file of Python, name any function of any package, or be a program
of TorchScript: to load it is to run what somebody else wrote.  A card cannot say of itself that it
is trusted; whoever gives its address does.
"""

from volkit.errors import ModelError
from volkit.models import location
from volkit.models.card import Checkpoint

SOURCE = "source:"
"""Architecture ``source:FILE:CALLABLE:SHA256``: a file beside the card."""

LIBRARY = "library:"
"""Architecture ``library:MODULE:CALLABLE``: of an installed package."""


def is_foreign(architecture: str) -> bool:
    """Tell whether building an architecture runs code that volkit does not know."""
    return architecture.startswith((SOURCE, LIBRARY))


def check_trusted(checkpoint: Checkpoint, what: str) -> None:
    """Refuse to run what came with a checkpoint, unless its address says so.

    Raises
    ------
    ModelError
        If it does not.
    """
    if not checkpoint.uri.startswith(location.TRUSTED):
        raise ModelError(
            f"{checkpoint.uri} brings {what}, which would run as you; where you know and trust who "
            f"made it, give the address {location.TRUSTED}{checkpoint.uri}"
        )
