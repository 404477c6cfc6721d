"""The bench harness: ours and a peer in turns, several rounds, medians and their spread.

Rounds go A B A B, so that a machine that slows down slows both; the value of a case is formed
within each round, and the median of the rounds is reported.  Targets are stated with the cases; a
target that does not hold is reported, never raised.
"""

import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib import import_module
from statistics import median
from typing import Any, Literal

from volkit.bench.machine import Machine
from volkit.bench.rest import rest
from volkit.errors import ConfigError, MissingExtraError

Measure = Callable[[Callable[[], Any]], float]

BENCHES = {
    name: f"volkit.bench.{name}"
    for name in (
        *("kernels", "engine", "scale", "io", "inference"),
        *("segmentation", "particles", "statistics", "stalls", "t1w"),
    )
}
"""Modules with ``cases(*, quick)``, or with ``report(machine, *, quick, run) -> Report``."""

_ROUNDS, _QUICK_ROUNDS = 5, 3


def wall_seconds(call: Callable[[], Any]) -> float:
    """Measure the time a call takes by the clock."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Measure the processor time of a call, all threads together.

    It hardly changes when others use the machine too.
    """
    begun = time.process_time()
    call()
    return time.process_time() - begun


def peak_megabytes(call: Callable[[], Any]) -> float:
    """Measure the most memory that Python and NumPy hold during a call, 10^6 bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def told(call: Callable[[], Any]) -> float:
    """Take what a call returns as its measurement: a count, or what another process measured."""
    return float(call())


def speedup(ours: float, peer: float) -> float:
    """Tell how many times less we take than the peer."""
    return peer / ours


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    Parameters
    ----------
    name : str
        What is measured; names the peer too.
    ours, peer : callable
        Get what ``setup`` yields.  Without a peer the value is our own measurement.
    setup : callable
        Makes a context manager that yields the input; not measured.  It raises a
        MissingExtraError where the peer is not installed: the case is then skipped.
    measure : callable
        Measures one call: :func:`wall_seconds`, :func:`cpu_seconds`, :func:`peak_megabytes`,
        :func:`told`.
    value : callable
        Makes the value of a round from the measurements of ours and the peer.
    unit : str
        Of the value.
    target : float, optional
        What the value should reach.
    better : {"higher", "lower"}
        On which side of the target.
    agree : callable, optional
        Tells whether the results of ours and the peer are the same.
    most_rounds, least_rounds : int
        How often at most, where one takes minutes; at least, where rounds differ much.
    """

    name: str
    ours: Callable[[Any], Any]
    peer: Callable[[Any], Any] | None = None
    setup: Callable[[], AbstractContextManager[Any]] = nullcontext
    measure: Measure = cpu_seconds
    value: Callable[[float, float], float] = speedup
    unit: str = "x"
    target: float | None = None
    better: Literal["higher", "lower"] = "higher"
    agree: Callable[[Any, Any], bool] | None = None
    most_rounds: int | None = None
    least_rounds: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of a case.

    Parameters
    ----------
    name, unit, better : str
        From the case.
    value : float or None
        Median over the rounds; None where skipped.
    spread : float or None
        Largest minus smallest value of a round.
    target : float or None
        From the case.
    holds : bool or None
        Whether the value reaches the target; None without one, or where skipped.
    ours, peer : float or None
        Medians of the measurements.
    rounds : int
        How many.
    agrees : bool or None
        Whether both results were the same, where that was looked at.
    skipped : str
        Why nothing was measured.
    """

    name: str
    unit: str
    better: str
    value: float | None = None
    spread: float | None = None
    target: float | None = None
    holds: bool | None = None
    ours: float | None = None
    peer: float | None = None
    rounds: int = 0
    agrees: bool | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of a bench, and where they were measured."""

    bench: str
    quick: bool
    rows: tuple[Row, ...]
    machine: Machine

    def to_json(self) -> str:
        """Write the report as JSON."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    @property
    def header(self) -> tuple[str, ...]:
        """Name the columns of :meth:`as_table`."""
        return "case", "value", "spread", "target", "holds", "agrees"

    def as_table(self) -> list[tuple[str, ...]]:
        """List the rows as strings, for printing."""
        return [_printed(row) for row in self.rows]


def run_bench(
    name: str,
    *,
    quick: bool = False,
    on_row: Callable[[Row], None] | None = None,
    run: str | None = None,
) -> Report:
    """Run a bench.

    Parameters
    ----------
    name : str
        One of :data:`BENCHES`.
    quick : bool
        Smaller inputs and fewer rounds.
    on_row : callable, optional
        Told each row as soon as it is measured.
    run : str, optional
        Folder of a run that tells how long blocks take, for ``scale``.

    Returns
    -------
    Report

    Raises
    ------
    ConfigError
        If there is no such bench, or it has no use for a run.
    """
    if name not in BENCHES:
        raise ConfigError(f"there is no bench {name!r}; choose one of {', '.join(sorted(BENCHES))}")
    machine = Machine.here()
    module = import_module(BENCHES[name])
    if hasattr(module, "report"):
        made: Report = module.report(machine, quick=quick, run=run)
        return made
    if run is not None:
        raise ConfigError(f"bench {name} measures, and has no use for the run {run}; leave it out")
    rows = []
    for case in module.cases(quick=quick):
        rounds = _QUICK_ROUNDS if quick else max(_ROUNDS, case.least_rounds)
        rows.append(run_case(case, rounds=rounds))
        if on_row is not None:
            on_row(rows[-1])
    return Report(name, quick, tuple(rows), machine)


def run_case(case: Case, *, rounds: int) -> Row:
    """Measure one case.

    Both sides are called once before the rounds, so that compiling and first reads do not count.

    Parameters
    ----------
    case : Case
        What to measure.
    rounds : int
        How often.

    Returns
    -------
    Row
    """
    try:
        with case.setup() as data:
            return _measured(case, data, min(rounds, case.most_rounds or rounds))
    except MissingExtraError as error:
        return Row(case.name, case.unit, case.better, target=case.target, skipped=str(error))
    except Exception as error:
        error.add_note(f"volkit: in the bench case {case.name!r}")
        raise


def _measured(case: Case, data: Any, rounds: int) -> Row:
    result = case.ours(data)
    expected = case.peer(data) if case.peer is not None else None
    agrees = bool(case.agree(result, expected)) if case.agree is not None else None
    del result, expected
    ours, peer, values = [], [], []
    for _ in range(rounds):
        rest()
        ours.append(case.measure(lambda: case.ours(data)))
        if case.peer is not None:
            rest()
            peer.append(case.measure(lambda: case.peer(data)))  # type: ignore[misc]
        values.append(case.value(ours[-1], peer[-1]) if peer else ours[-1])
    value = median(values)
    return Row(
        name=case.name,
        unit=case.unit,
        better=case.better,
        value=value,
        spread=max(values) - min(values),
        target=case.target,
        holds=_holds(case, value),
        ours=median(ours),
        peer=median(peer) if peer else None,
        rounds=rounds,
        agrees=agrees,
    )


def _holds(case: Case, value: float) -> bool | None:
    if case.target is None:
        return None
    return value >= case.target if case.better == "higher" else value <= case.target


def _printed(row: Row) -> tuple[str, ...]:
    if row.value is None:
        return row.name, f"skipped: {row.skipped}", "", "", "", ""
    sign = "≥" if row.better == "higher" else "≤"
    yes_no = {True: "yes", False: "no", None: ""}
    return (
        row.name,
        f"{row.value:.3g} {row.unit}",
        f"{row.spread:.2g}",
        "" if row.target is None else f"{sign} {row.target:g} {row.unit}",
        yes_no[row.holds],
        yes_no[row.agrees],
    )
