"""Notebooks: one bar for every stage, in an output that changes in its place."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from volkit.errors import missing_extra
from volkit.markup import Html, element

if TYPE_CHECKING:
    from volkit.engine import base

_SECONDS = 0.2  # between two changes: each is a message to the browser


@contextmanager
def progress() -> "Iterator[Callable[[base.Progress], None]]":
    """Show how far an engine is: bars in a notebook or a terminal, lines elsewhere.

    Yields
    ------
    callable
        To be given to an engine as ``on_progress``.

    Examples
    --------
    >>> from volkit.engine.base import Progress
    >>> with progress() as show:
    ...     show(Progress("prob", 8, 8, 4096, 0, 2.0))
    prob                 8/8 blocks, done in 0:02
    """
    from volkit.cli.progress import shown
    from volkit.cli.work import terminal

    with shown(terminal()) as show:
        yield show


@dataclass(slots=True)
class NotebookBars:
    """Bars that are HTML.

    Parameters
    ----------
    handle : object
        Of the output, with ``update``.
    """

    handle: Any
    _states: "dict[str, base.Progress]" = field(default_factory=dict)
    _when: float = 0.0

    @classmethod
    def begin(cls) -> Self:
        """Make room for them in the output of the cell that runs.

        Raises
        ------
        MissingExtraError
            If there is no IPython, and so no notebook.
        """
        try:
            from IPython.display import HTML, display
        except ImportError as error:
            raise missing_extra("ipython", "notebook") from error
        return cls(display(HTML(""), display_id=True))

    def __call__(self, state: "base.Progress") -> None:
        """Show a state."""
        from volkit.cli.progress import worth_showing

        if not worth_showing(state.stage, state.total):
            return
        self._states[state.stage] = state
        now = time.monotonic()
        if state.done >= state.total or now - self._when > _SECONDS:
            self._when = now
            self.handle.update({"text/html": bars(self._states), "text/plain": ""}, raw=True)


def bars(states: "dict[str, base.Progress]") -> str:
    """Write bars as HTML.

    Parameters
    ----------
    states : dict of str to Progress
        By stage, in the order in which they began.

    Examples
    --------
    >>> from volkit.engine.base import Progress
    >>> text = bars({"a<b": Progress("a<b", 1, 4, 100, 0, 2.0)})
    >>> "a&lt;b" in text, 'value="1"' in text, "1 of 4" in text
    (True, True, True)
    """
    return str(element("table", [_row(state) for state in states.values()]))


def _row(state: "base.Progress") -> Html:
    from volkit.cli.progress import pace

    count = f"{state.done:,} of {state.total:,}"
    bar = element("progress", count, max=max(1, state.total), value=state.done,
                  aria_label=f"{state.stage} done")  # fmt: skip
    cells = (state.stage, bar, count, pace(state))
    return element("tr", [element("td", cell) for cell in cells])
