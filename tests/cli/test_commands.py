"""The command line, as a process: what it prints, how it ends, what it leaves behind."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import volkit
from volkit.bench import harness
from volkit.cli import main
from volkit.errors import ConfigError
from volkit.io.open import open_volume
from volkit.testing.workflows import tiny_workflow

Says = Callable[..., str]
VOLKIT = ("-c", "from volkit.cli import main; main()")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_workflow(tmp_path_factory.mktemp("cli"))


def kill_after(warm_python, tiny: Path, line: str) -> None:
    """Run the workflow, and kill it as soon as it has printed a line that begins so."""
    with warm_python.begin(*VOLKIT, "run", tiny) as process:

        def said_so() -> bool:
            lines = process.out.read_text().splitlines()
            return any(" ".join(printed.split()).startswith(line) for printed in lines)

        process.wait_for(said_so)
        os.kill(process.pid, signal.SIGKILL)
    ended = process.wait()
    assert ended.returncode == -signal.SIGKILL, ended.stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name != "index.html"  # tells when
        and not any(part.endswith(".ledger") or part == "lock" for part in path.parts)
    }


def test_killed_runs_end_with_the_same_bytes(tiny: Path, says: Says, warm_python) -> None:
    folder = tiny.parent / "run"
    kill_after(warm_python, tiny, "prob 1/12")
    assert "finished" not in says("status", folder).splitlines()[1]
    kill_after(warm_python, tiny, "fragments 1/12")
    assert [line.split()[-1] for line in says("status", folder).splitlines()[1:4]] == [
        "finished"
    ] * 3
    ended = warm_python(*VOLKIT, "run", tiny)
    assert ended.returncode == 0, ended.stderr
    assert "prob                12/12 blocks, was done" in ended.stdout
    resumed = contents(folder)
    (folder.rename(tiny.parent / "first"))
    says("run", tiny)
    whole = contents(folder)
    assert resumed.keys() == whole.keys()
    assert [name for name in whole if whole[name] != resumed[name]] == []


def test_run_prints_scores_times_and_what_to_type_next(tiny: Path, says: Says) -> None:
    said = says("run", tiny)
    assert "Rand F" in said
    assert "contingency" in said or "was done" in said
    assert f"report: {tiny.parent / 'run' / 'report'}" in said
    assert f"next: volkit info {tiny.parent / 'run' / 'labels.zarr'}" in said
    volume = says("info", tiny.parent / "run" / "labels.zarr")
    assert "24 x 48 x 40" in volume
    assert "uint64" in volume
    assert "10 x 10 x 10 nm" in volume
    assert "contingency" in says("status", tiny.parent / "run")


def test_plan_prints_what_it_costs_and_refuses_what_cannot_fit(tiny: Path, says: Says) -> None:
    said = says("plan", tiny)
    assert "domain [0:24, 0:48, 0:40], 12 blocks of 12 x 16 x 20" in said
    prob = next(line for line in said.splitlines() if line.startswith("prob"))
    assert prob.split()[:4] == ["prob", "12", "100", "1.00"]
    said = says("run", tiny, "--set", "cluster.memory_gib=0.1", code=2)
    assert "needs 0." in said
    assert "choose a smaller block_shape" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing.yaml"], "error: cannot read the workflow nothing.yaml"),
        (["run", "TINY", "--set", "infer.bach=1"], "infer.bach: unknown key; did you mean batch?"),
        (["plan", "TINY", "--set", "input.image=nothing.zarr"], "nothing.zarr does not exist"),
        (["run", "TINY", "--set", "infer.stride=[99, 1, 1]"], "leave gaps; choose a stride from 1"),
        (["status", "FOLDER"], "there is no run in"),
        (["info", "nothing://x"], "nothing"),
        (["bench", "nothing"], "there is no bench 'nothing'; choose one of"),
        (["train", "TINY", "--set", "pipeline=nothing"], "pipeline 'nothing' is unknown"),
    ],
)
def test_errors_are_one_message_and_a_code(
    tiny: Path, tmp_path: Path, says: Says, arguments: list[str], message: str
) -> None:
    places = {"TINY": tiny, "FOLDER": tmp_path}
    said = says(*(places.get(x, x) for x in arguments), code=1)
    assert said.startswith("error: ")
    assert message in said


def test_a_failing_block_is_named_and_the_finished_ones_are_kept(
    tmp_path: Path, says: Says
) -> None:
    tiny = tiny_workflow(tmp_path)
    image = open_volume(tmp_path / "image.zarr")
    values = image.read()
    values[20, 40, 30] = np.nan
    image.write(image.domain, values)
    said = says("run", tiny, code=1)
    assert "1 voxels are NaN or infinite; replace them" in said
    assert "block (" in said
    status = says("status", tmp_path / "run")
    name, done, total, failed = status.splitlines()[1].split()[:4]
    assert (name, total, failed) == ("prob", "12", "2")
    assert 0 < int(done) < 12
    assert "NaN or infinite" in status


def test_debug_raises_what_happened() -> None:
    with pytest.raises(ConfigError, match="cannot read the workflow"):
        main(["run", "nothing.yaml", "--debug"])


def test_training_from_the_command_line(tiny: Path, says: Says) -> None:
    file = tiny.with_name("train.yaml")
    file.write_text(
        "checkpoint: net.yaml\n"
        "volumes: [{image: image.zarr, labels: truth.zarr}]\n"
        "arguments: {widths: [2], blocks: [1]}\n"
        "window: [8, 8, 8]\n"
        "patches: {shape: [8, 8, 8], batch: 1}\n"
        "optimisation: {steps: 3, warmup: 1}\n"
        "precision: float32\n"
    )
    said = says("train", file)
    assert "3/3" in said
    assert f"checkpoint: {tiny.parent / 'net.yaml'}" in said
    assert (tiny.parent / "net.yaml").exists()


def test_bench_writes_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Says) -> None:
    module = ModuleType("tiny_bench")
    case = harness.Case("nothing at all", ours=lambda data: data, unit="s", target=1.0)
    monkeypatch.setattr(module, "cases", lambda *, quick: [case], raising=False)
    monkeypatch.setitem(sys.modules, "tiny_bench", module)
    monkeypatch.setitem(harness.BENCHES, "tiny", "tiny_bench")
    target = tmp_path / "rows.json"
    assert "nothing at all" in says("bench", "tiny", "--quick", "--json", target)
    assert json.loads(target.read_text())["rows"][0]["rounds"] == 3


def test_version_is_told(says: Says) -> None:
    assert says("--version").strip() == volkit.__version__


def test_an_interrupt_ends_in_one_message(tmp_path: Path, warm_python) -> None:
    command = (*VOLKIT, "run", tiny_workflow(tmp_path), "--workers", "1")
    with warm_python.begin(*command) as process:
        process.wait_for(lambda: "\nprob" in f"\n{process.out.read_text()}")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to workers, too
    ended = process.wait()
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        "error: interrupted; what is finished is kept: the same command goes on from there"
    )


def test_train_refuses_a_workflow_that_trains_nothing(tiny: Path, says: Says) -> None:
    assert "piece by piece as a run; use volkit run" in says("train", tiny, code=1)


def test_output_that_is_a_file(tiny: Path, says: Says, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    said = says("run", tiny, "--set", f"output={tmp_path / 'run'}", code=1)
    assert "cannot make the folder of the run" in said
    assert "choose another output" in said
