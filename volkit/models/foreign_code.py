"""Foreign code: architectures that come as source or lie in any package, built where trusted."""

import hashlib
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import nn

from volkit.errors import ModelError
from volkit.models import location
from volkit.models.card import Checkpoint
from volkit.models.trust import LIBRARY, SOURCE, check_trusted


def build_foreign(checkpoint: Checkpoint) -> nn.Module:
    """Build the architecture of a checkpoint from foreign code.

    Parameters
    ----------
    checkpoint : Checkpoint
        Whose architecture :func:`is_foreign`.

    Returns
    -------
    torch.nn.Module
        With weights that are not trained.

    Raises
    ------
    ModelError
        If it is not trusted, is not what the card says, or makes no module.
    """
    check_trusted(checkpoint, f"an architecture of its own ({checkpoint.architecture})")
    name = checkpoint.architecture
    try:
        if name.startswith(SOURCE):
            file, called, digest = name.removeprefix(SOURCE).split(":")
            made = getattr(_module(checkpoint, file, digest), called)
        else:
            package, called = name.removeprefix(LIBRARY).split(":")
            made = getattr(import_module(package), called)
        network = made(**checkpoint.arguments)
    except ModelError:
        raise
    except (ImportError, AttributeError, TypeError, ValueError, SyntaxError) as error:
        raise ModelError(
            f"architecture {name} of {checkpoint.uri} cannot be built: {error}; install what it "
            "needs, or take another form of its weights"
        ) from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"architecture {name} made {type(network).__name__}, not a torch module")
    return network


def _module(checkpoint: Checkpoint, file: str, digest: str) -> Any:
    """Run a file of Python that lies beside a card."""
    source = location.beside(checkpoint.uri, file)
    try:
        data = location.read_bytes(source)
    except FileNotFoundError as error:
        raise ModelError(
            f"{source}, the architecture of {checkpoint.uri}, is not there; fetch the whole package"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise ModelError(
            f"{source} has sha256 {found}, the package says {digest}; it was changed: fetch it "
            "again"
        )
    module = ModuleType(f"volkit_trusted_{digest[:8]}")
    exec(compile(data, location.plain(source), "exec"), module.__dict__)
    return module
