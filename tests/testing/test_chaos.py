"""The chaos harness: faults at random moments leave the bytes of an undisturbed run."""

import random
from pathlib import Path

import pytest

from volkit.testing.chaos import checks
from volkit.testing.chaos.checks import Executed
from volkit.testing.chaos.kinds import KINDS
from volkit.testing.chaos.trials import Trial, prepare, run_trial

# One of each family here; all of them, many times, by `python -m volkit.testing.chaos`.
QUICK = ("all", "two clients")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    base = tmp_path_factory.mktemp("chaos")
    return base, prepare(base)


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_a_run_ends_with_the_bytes_of_an_undisturbed_one(
    undisturbed: tuple[Path, dict[str, bytes]], tmp_path: Path, kind: str
) -> None:
    base, expected = undisturbed
    trial = Trial(tmp_path / "trial", base, expected, random.Random(8))  # one kill of all
    result = run_trial(kind, KINDS[kind], trial)
    assert result.wrong == ()
    assert result.faults > 0


def test_an_undisturbed_run_holds_what_it_should(
    undisturbed: tuple[Path, dict[str, bytes]],
) -> None:
    base, expected = undisturbed
    assert {name.split("/")[0] for name in expected} >= {"sums.zarr", "ranks.zarr", "counts.npz"}
    assert not [name for name in expected if ".ledger/" in name]
    assert checks.differences(expected, expected) == []
    torn = {**expected, "counts.npz": b"x", "more": b""}
    del torn["counts.json"]
    assert [line.split(": ")[0] for line in checks.differences(torn, expected)] == [
        "counts.json",
        "counts.npz",
        "more",
    ]
    executed = checks.read_log(base)
    assert (len(executed), checks.repeated(executed)) == (192, 0)


def test_blocks_that_are_computed_again_without_need_are_named() -> None:
    executed = [Executed("sums", 3, 10.0, 7), Executed("sums", 4, 10.0, 8)]
    done = {"sums": {3, 4}}
    assert checks.needless(executed, done, {8}) == ["sums 3 was computed again"]
    assert checks.needless(executed, {"sums": {5}}, set()) == []
