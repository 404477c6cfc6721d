"""Skull stripping: every way to a mask, beside the mask that the head was drawn with."""

import stat
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import ConfigError, ContractError
from volkit.ops.skull_strip import StripOptions, check_program, find_brain
from volkit.ops.tissue_network import TissueOptions
from volkit.testing.heads import Head, head
from volkit.testing.heads_drawing import Anatomy
from volkit.testing.heads_network import threshold_meshnet

pytest.importorskip("nibabel")
torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def scan() -> Head:
    return head(Anatomy.drawn(1), 0.4, seed=3)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bin") / "strip"
    path.write_text(
        f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent}/synthstrip.py "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def values(scan: Head) -> np.ndarray:
    return scan.image.astype(np.float32)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_a_mask_from_outside_is_taken_as_it_is(scan: Head) -> None:
    found = find_brain(values(scan), scan.affine, StripOptions(), given=scan.brain)
    np.testing.assert_array_equal(found.mask, scan.brain > 0)
    with pytest.raises(ContractError, match="names no mask in column brain"):
        find_brain(values(scan), scan.affine, StripOptions())
    with pytest.raises(ContractError, match="the brain mask is empty"):
        find_brain(values(scan), scan.affine, StripOptions(), given=0 * scan.brain)


def test_the_fallback_finds_brains_by_a_tissue_network(scan: Head, tmp_path: Path) -> None:
    card = str(threshold_meshnet(tmp_path / "net.yaml"))
    network = TissueOptions(checkpoint=card, axes="LIA", extent=60)
    options = StripOptions(method="meshnet_fallback", network=network)
    found = find_brain(values(scan), scan.affine, options)
    assert dice(found.mask, scan.brain > 0) >= 0.93
    assert found.tissues is not None
    assert found.tissues.classes == ("background", "white_matter", "grey_matter")
    scalp = found.tissues.labels > 0
    scalp[:, 8:-8, 8:-8] = False
    assert scalp.sum() > 1000  # which the network takes for tissue too


def test_stripped_heads_need_nobody(scan: Head) -> None:
    stripped = np.where(scan.brain > 0, values(scan) + 1, 0)
    found = find_brain(stripped, scan.affine, StripOptions(method="nonzero"))
    assert dice(found.mask, scan.brain > 0) >= 0.999


def test_a_program_is_run_with_its_weights(
    scan: Head, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, weights = tmp_path / "log", tmp_path / "synthstrip.pt"
    monkeypatch.setenv("STRIP_LOG", str(log))
    weights.touch()
    options = StripOptions(method="synthstrip", command=program, weights=str(weights))
    found = find_brain(values(scan), scan.affine, options)
    assert dice(found.mask, scan.brain > 0) >= 0.93
    assert [line.split()[1] for line in log.read_text().splitlines()] == ["synthstrip.pt"]


def test_a_program_that_fails_is_told_with_what_it_said(
    scan: Head, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = StripOptions(method="synthstrip", command=program)
    with pytest.raises(ContractError, match="ended with 1 and no mask: out of memory, as it were"):
        find_brain(values(scan) + 2e6, scan.affine, options)
    monkeypatch.setenv("SLOW_STRIP", "30")
    slow = StripOptions(method="synthstrip", command=program, seconds=0.05)
    with pytest.raises(ContractError, match="took more than 0.05 s"):
        find_brain(values(scan), scan.affine, slow)


def test_what_a_program_began_ends_with_it(scan: Head, tmp_path: Path) -> None:
    """A wrapper, as those of containers are, is not all that runs."""
    wrapper, begun = tmp_path / "wrapper", tmp_path / "begun"
    wrapper.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {begun}\nwait\n")
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    slow = StripOptions(method="synthstrip", command=str(wrapper), seconds=1.0)
    with pytest.raises(ContractError, match="took more than 1 s"):
        find_brain(values(scan), scan.affine, slow)
    number = begun.read_text().strip()
    deadline = time.monotonic() + 30
    while running(number):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(number: str) -> bool:
    """Tell whether a process works; one that nobody has buried yet does not."""
    stat_of = Path("/proc", number, "stat")
    return stat_of.exists() and stat_of.read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_is_not_installed_is_refused_before(tmp_path: Path) -> None:
    absent = StripOptions(method="synthstrip", command="no-such-synthstrip")
    with pytest.raises(ConfigError, match="no-such-synthstrip is not installed; install"):
        check_program(absent)
    missing = str(tmp_path / "weights.pt")
    with pytest.raises(ConfigError, match="weights.pt does not exist"):
        check_program(StripOptions(method="synthstrip", command="sh", weights=missing))
    assert Path(check_program(StripOptions(method="synthstrip", command="sh"))).is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "bet"}, "strip.method is 'bet'; choose mask, synthstrip"),
        ({"method": "meshnet_fallback"}, "needs strip.network.checkpoint"),
        ({"seconds": 0.0}, "strip.seconds"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        StripOptions(**given)
