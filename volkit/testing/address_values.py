"""Values in the addresses of specimens: texts become numbers."""

from typing import Any

from volkit.errors import ConfigError

_WHOLE = ("seed", "segments")


def parsed_value(name: str, text: str) -> Any:
    """Read a value of an address.

    Parameters
    ----------
    name : str
        Its key.
    text : str
        Numbers of ``shape`` and ``voxel_size_nm`` with commas between them, else one number.

    Returns
    -------
    int, float or tuple
        Whole numbers for ``shape``, ``seed`` and ``segments``.

    Raises
    ------
    ConfigError
        If ``shape`` or ``voxel_size_nm`` are not three numbers.
    ValueError
        If a text is no number.

    Examples
    --------
    >>> parsed_value("shape", "8,16,16"), parsed_value("seed", "7"), parsed_value("noise", "1")
    ((8, 16, 16), 7, 1.0)
    """
    if name not in ("shape", "voxel_size_nm"):
        return int(text) if name in _WHOLE else float(text)
    parts = text.split(",")
    values = tuple(map(int if name == "shape" else float, parts))
    if len(values) != 3:
        raise ConfigError(f"{name} {text!r} is not three numbers (z, y, x)")
    return values
