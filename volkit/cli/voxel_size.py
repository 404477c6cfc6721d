"""The option ``--voxel-size``: what a person says of volumes that do not say it themselves."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated

import typer

from volkit.cli.boxes import parse_vector
from volkit.cli.options import with_option

if TYPE_CHECKING:
    from volkit.geometry.scale import Vector

_SAID: "ContextVar[Vector | None]" = ContextVar("voxel_size", default=None)
_OPTION = Annotated[
    str | None,
    typer.Option(
        "--voxel-size", help="z,y,x in nm, or one number, of a volume that does not say it."
    ),
]


def sized(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command take ``--voxel-size``.

    Parameters
    ----------
    function : callable
        Of the command; `voxel_size_nm` tells it.

    Returns
    -------
    callable
        To be registered.
    """
    option = Parameter("voxel_size", Parameter.KEYWORD_ONLY, default=None, annotation=_OPTION)
    return with_option(
        function, option, _SAID, partial(parse_vector, name="--voxel-size", one=True)
    )


def voxel_size_nm() -> "Vector | None":
    """Tell the voxel size that was given to the command that runs, (z, y, x), nanometres."""
    return _SAID.get()
