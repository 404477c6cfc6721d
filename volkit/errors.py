"""Errors that volkit raises; each is also the builtin that a caller would expect.

A message says what was given, what was expected and what to do.
"""


class VolkitError(Exception):
    """Base of every error that volkit raises on purpose."""


class GeometryError(VolkitError, ValueError):
    """Boxes, blocks or shapes that do not fit together."""


class ContractError(VolkitError, ValueError):
    """Values of the wrong kind: what a kernel returned, or voxels that no kernel can use."""


class ConfigError(VolkitError, ValueError):
    """A workflow or an option that cannot be understood."""


class SourceError(VolkitError, OSError):
    """A volume or table that cannot be opened, read or written."""


class MissingChunkError(SourceError):
    """A stored object that should hold voxels and is not there."""


class StaleLedgerError(VolkitError, RuntimeError):
    """A ledger that records another computation than the one asked for."""


class RunLockedError(VolkitError, RuntimeError):
    """A run that another client is working on."""


class BlockFailedError(VolkitError, RuntimeError):
    """Blocks that failed in a job whose other blocks are finished."""


class ModelError(VolkitError, RuntimeError):
    """A checkpoint that is damaged, incomplete or does not fit its card."""


class NonFiniteError(ModelError):
    """A network that answered NaN or infinity.

    Attributes
    ----------
    windows : tuple of int
        Which windows of the batch, counted from 0.
    """

    windows: tuple[int, ...] = ()


class MissingExtraError(VolkitError, ImportError):
    """An optional dependency that is not installed."""


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """Name the extra that installs a package.

    Parameters
    ----------
    package : str
        The module that could not be imported.
    extra : str
        The extra of volkit that brings it.

    Returns
    -------
    MissingExtraError
        To be raised by the caller.

    Examples
    --------
    >>> str(missing_extra("torch", "torch"))
    "this needs the package torch, which is not installed: pip install 'volkit[torch]'"
    """
    return MissingExtraError(
        f"this needs the package {package}, which is not installed: pip install 'volkit[{extra}]'"
    )
