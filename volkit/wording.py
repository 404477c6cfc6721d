"""Wording: numbers of things, as they are printed."""


def counted(number: int, noun: str) -> str:
    """Say how many there are; the noun takes an s unless it is one.

    Parameters
    ----------
    number : int
        Of things; thousands are set apart.
    noun : str
        One of them.

    Examples
    --------
    >>> counted(0, "cell"), counted(1, "cell"), counted(1234, "cell")
    ('0 cells', '1 cell', '1,234 cells')
    """
    return f"{number:,} {noun}" + "s" * (number != 1)
