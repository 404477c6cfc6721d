"""Rest: what a call leaves behind in other threads ends before the next one is measured."""

import time

_LOOK, _LOOKS = 0.02, 50  # seconds, and how often at most


def rest() -> None:
    """Wait until the threads of this process are at rest, a second at most.

    Those of a BLAS look out for more work after a call, a tenth of a second of a processor, which
    would be counted as that of whoever comes next.
    """
    for _ in range(_LOOKS):
        spent = time.process_time()
        time.sleep(_LOOK)
        if time.process_time() - spent < _LOOK / 2:
            return
