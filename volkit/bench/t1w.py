"""T1-weighted heads: many scans at once beside one after the other."""

from collections.abc import Iterator

from volkit.bench.harness import Case
from volkit.bench.t1w_preprocessing import preprocessing_cases


def cases(*, quick: bool) -> Iterator[Case]:
    """Make the cases of this bench.

    Parameters
    ----------
    quick : bool
        Smaller heads, and fewer.
    """
    yield from preprocessing_cases(quick=quick)
