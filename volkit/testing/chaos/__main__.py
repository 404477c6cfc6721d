"""``python -m volkit.testing.chaos --kills 50 --seed 0``: trials up to so many faults."""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from volkit.testing.chaos.kinds import KINDS
from volkit.testing.chaos.trials import Result, Trial, prepare, run_trial


def trials(
    folder: Path, *, kills: int, seed: int, kinds: Sequence[str] = tuple(KINDS), keep: bool = False
) -> Iterator[Result]:
    """Run trials until there were so many faults; each kind comes as often as the others.

    Parameters
    ----------
    folder : Path
        Where they work; must be empty.
    kills : int
        Faults altogether, at least.
    seed : int
        Decides kinds and moments.
    kinds : sequence of str
        Of faults.
    keep : bool
        Keep the folders of trials that went well, too.

    Yields
    ------
    Result
        Of each trial.
    """
    rng = random.Random(seed)
    expected = prepare(folder)
    faults, number = 0, 0
    waiting: list[str] = []
    while faults < kills:
        waiting = waiting or rng.sample(list(kinds), len(kinds))
        kind = waiting.pop()
        trial = Trial(folder / f"trial-{number}", folder, expected, random.Random(rng.random()))
        result = run_trial(kind, KINDS[kind], trial, keep=keep)
        faults, number = faults + result.faults, number + 1
        yield result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trials and print a table; 1 where one went wrong."""
    parser = argparse.ArgumentParser(prog="python -m volkit.testing.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="faults altogether, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only these")
    parser.add_argument("--folder", type=Path, help="keep everything there")
    told = parser.parse_args(arguments)
    console, results = Console(), []
    with tempfile.TemporaryDirectory(prefix="volkit-chaos-") as scratch:
        folder = told.folder or Path(scratch)
        kinds = told.kind or tuple(KINDS)
        keep = told.folder is not None
        for result in trials(folder, kills=told.kills, seed=told.seed, kinds=kinds, keep=keep):
            results.append(result)
            verdict = "; ".join(result.wrong) or "identical"
            console.print(
                f"{len(results):3} {result.kind:<12} {result.faults} faults, {result.attempts} "
                f"attempts, {result.repeated} blocks again, {result.seconds:.1f} s: {verdict}",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )
    console.print(table(results))
    return int(any(result.wrong for result in results))


def table(results: Sequence[Result]) -> Table:
    """Add up results by kind."""
    found = Table(box=None, pad_edge=False)
    names = ("kind", "trials", "faults", "attempts", "blocks again", "seconds", "wrong")
    for name in names:
        found.add_column(name, justify="left" if name == "kind" else "right")
    rows = [(kind, [r for r in results if r.kind == kind]) for kind in KINDS]
    for name, of_kind in [*rows, ("together", list(results))]:
        if of_kind:
            found.add_row(
                name,
                str(len(of_kind)),
                str(sum(r.faults for r in of_kind)),
                str(sum(r.attempts for r in of_kind)),
                str(sum(r.repeated for r in of_kind)),
                f"{sum(r.seconds for r in of_kind):.0f}",
                str(sum(bool(r.wrong) for r in of_kind)),
            )
    return found


if __name__ == "__main__":
    sys.exit(main())
