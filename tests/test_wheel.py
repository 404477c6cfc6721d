"""The wheel in empty environments: installed by pip, imported, its demo run, each extra used.

These tests build environments from a package index, which takes minutes: ``-m 'slow and network'``.
"""

import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

USES = ROOT / "tests" / "extras_in_use.py"

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*command, str(folder), str(ROOT)], check=True, capture_output=True)
    (found,) = folder.glob("volkit-*.whl")
    return found


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that has volkit without extras, and nothing else."""
    return environment(tmp_path_factory.mktemp("bare"), str(wheel))


def environment(folder: Path, *wanted: str) -> Path:
    venv.create(folder, with_pip=True)
    commands = folder / "bin"
    run(folder, commands / "python", "-m", "pip", "install", "--quiet",
        "--no-compile", "--disable-pip-version-check", "-c", ROOT / "constraints.txt",
        *wanted)  # fmt: skip
    return commands


def run(folder: Path, *command: str | Path, code: int = 0) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**clean, "COLUMNS": "120", "VOLKIT_DOCS": str(ROOT / "docs" / "site" / "mkdocs.yml")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout[-4000:]
    return done.stdout


def test_without_extras_it_works_and_names_what_is_missing(bare: Path, tmp_path: Path) -> None:
    assert run(tmp_path, bare / "volkit", "--version").strip()
    said = run(tmp_path, bare / "volkit", "demo", "--workers", "2")
    assert "volkit[torch]" in said
    assert "Rand" in said
    assert (tmp_path / "volkit-demo" / "runs" / "demo" / "report" / "index.html").exists()
    workflow = Path("volkit-demo", "workflows", "segment_neurons.yaml")
    assert "pip install 'volkit[torch]'" in run(tmp_path, bare / "volkit", "run", workflow, code=1)


def test_every_module_is_there_or_names_its_extra(bare: Path, tmp_path: Path) -> None:
    program = shutil.copy(USES, tmp_path)  # away from the checkout, whose modules it would find
    said = run(tmp_path, bare / "python", program, "bare").splitlines()
    unexplained = [line for line in said if "volkit[" not in line]
    # Networks are nothing without torch, and what leads to them asks for it first; the contracts
    # of volkit.testing are tests, and those who run them have pytest.
    known = ("'torch", "'safetensors'", "'pytest'")
    assert [line for line in unexplained if not any(word in line for word in known)] == []
    assert len(said) - len(unexplained) > 10


def test_with_torch_the_demo_runs_a_network(wheel: Path, tmp_path: Path) -> None:
    """The CPU's torch is the one of the index where that has it, else whatever comes."""
    commands = environment(tmp_path / "with", f"{wheel}[torch]")
    said = run(tmp_path, commands / "volkit", "demo", "--workers", "2")
    assert "Rand F" in said
    assert "was done" in run(tmp_path, commands / "volkit", "demo", "--workers", "2")


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_an_extra_installs_alone_and_is_of_use(extra: str, wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "environment"
    program = shutil.copy(USES, tmp_path)
    try:
        commands = environment(folder, f"{wheel}[{extra}]")
        assert "No broken requirements" in run(tmp_path, commands / "python", "-m", "pip", "check")
        run(tmp_path, commands / "python", program, extra)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # together they would fill most disks
