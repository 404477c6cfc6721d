"""T1-weighted heads: many scans at once beside one after the other; training beside a bare loop."""

from collections.abc import Iterator

from volkit.bench.harness import Case
from volkit.bench.t1w_preprocessing import preprocessing_cases
from volkit.bench.t1w_training import training_cases


def cases(*, quick: bool) -> Iterator[Case]:
    """Make the cases of this bench.

    Parameters
    ----------
    quick : bool
        Smaller heads, and fewer.
    """
    yield from preprocessing_cases(quick=quick)
    yield from training_cases(quick=quick)
