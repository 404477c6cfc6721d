"""What is installed: the wheel and its size, the extras, and the two files that name versions."""

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import volkit

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
MOST_BYTES = 15_000_000
CONDA_NAMES = {"dask-core": "dask", "pytorch": "torch", "python-build": "build"}
PYTHONS = ("3.11", "3.12", "3.13")


def pins() -> dict[str, str]:
    """The versions of constraints.txt, by the canonical names of packages."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = (line.partition("==") for line in lines if "==" in line and line[0] != "#")
    return {canonicalize_name(name): version.strip() for name, _, version in found}


def packages(extra: str) -> set[str]:
    """The packages of an extra, with those of the extras that it names."""
    found: set[str] = set()
    for text in EXTRAS[extra]:
        wanted = Requirement(text)
        if wanted.name == "volkit":
            for other in wanted.extras:
                found |= packages(other)
        else:
            found.add(canonicalize_name(wanted.name))
    return found


# --- the wheel and the source ----------------------------------------------------------------


def shipped() -> list[Path]:
    """The files that a wheel holds."""
    return [
        path
        for folder in ("volkit", "workflows")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


def test_a_wheel_stays_small() -> None:
    """Its files, packed as a wheel packs them; the slow test builds one."""
    size = sum(len(zlib.compress(path.read_bytes(), 6)) for path in shipped())
    assert size < MOST_BYTES, f"{size / 1e6:.1f} MB"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_a_wheel_holds_what_a_demo_needs(built: Path) -> None:
    (wheel,) = built.glob("volkit-*.whl")
    assert wheel.stat().st_size < MOST_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"volkit-{volkit.__version__}.dist-info/METADATA").decode()
    for path in shipped():
        place = path.relative_to(ROOT).as_posix()
        assert place.replace("workflows/", "volkit/workflows/", 1) in names or place in names
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|^tests/|^docs/", name)]
    assert f"Version: {volkit.__version__}" in metadata
    assert "Requires-Python: >=3.11" in metadata


@pytest.mark.slow
def test_the_source_holds_tests_and_docs_and_no_caches(built: Path) -> None:
    (source,) = built.glob("volkit-*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in ("pyproject.toml", "LICENSE", "tests/test_packaging.py", "docs/index.md"):
        assert wanted in names
    stray = r"__pycache__|\.pyc$|^\.git/|^\.venv|cache|^runs/|^build/|^dist/"
    allowed = {path.relative_to(ROOT).as_posix() for path in tracked()}
    assert [name for name in names - allowed if re.search(stray, name)] == []


def tracked() -> list[Path]:
    return [
        path
        for folder in ("volkit", "tests", "docs", "workflows")
        for path in (ROOT / folder).rglob("*")
        if "__pycache__" not in path.parts
    ]


def test_the_version_is_said_everywhere_alike() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from volkit.cli import main; main(['--version'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert said == volkit.__version__
    assert f"\n## {said}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# --- Pythons ---------------------------------------------------------------------------------


def test_pythons_are_named_alike() -> None:
    """Only the one that runs this is tried; the others are named, and their grammar is kept to."""
    wanted = SpecifierSet(PROJECT["project"]["requires-python"])
    named = [
        line.rpartition(" ")[2]
        for line in PROJECT["project"]["classifiers"]
        if re.search(r"Python :: 3\.\d+$", line)
    ]
    assert tuple(named) == PYTHONS
    assert all(f"{version}.0" in wanted for version in PYTHONS)
    assert "3.10.0" not in wanted
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + PYTHONS[0].replace(".", "")


def test_the_code_keeps_to_the_grammar_of_the_oldest() -> None:
    oldest = tuple(int(part) for part in PYTHONS[0].split("."))
    for path in sorted((ROOT / "volkit").rglob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=oldest)


# --- extras ----------------------------------------------------------------------------------


def blamed() -> list[tuple[str, ast.Call]]:
    """Every call that says which extra brings a package, with its file."""
    found = []
    for path in sorted((ROOT / "volkit").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", "")
            if isinstance(node, ast.Call) and name in ("missing_extra", "peer_module"):
                found.append((path.relative_to(ROOT).as_posix(), node))
    return found


# Where the package is a variable: what it may be.
VARIABLES = {
    "volkit/models/checkpoint.py": ("torch", "safetensors"),
    "volkit/models/running.py": ("onnxruntime", "onnxscript"),
    "volkit/models/onnx_forward.py": ("onnxruntime", "onnxscript", "torch"),
}
DISTRIBUTIONS = {
    "bioimageio": "bioimageio-spec",
    "cloudvolume": "cloud-volume",
    "skimage": "scikit-image",
}


def test_every_message_names_an_extra_that_brings_the_package() -> None:
    core = {canonicalize_name(Requirement(t).name) for t in PROJECT["project"]["dependencies"]}
    calls = blamed()
    assert len(calls) > 25
    for place, call in calls:
        package, extra = call.args[0], call.args[1]
        if place.startswith("volkit/bench/") and not isinstance(package, ast.Constant):
            continue  # hands on what its callers name, or a peer by its name in a table
        extra = ast.literal_eval(extra)
        assert extra in EXTRAS, f"{place}:{call.lineno} names the extra {extra}"
        given = [package.value] if isinstance(package, ast.Constant) else VARIABLES.get(place)
        assert given, f"{place}:{call.lineno}: say in VARIABLES which packages these may be"
        for name in (word for text in given for word in re.split(r",? and |, ", str(text))):
            module = name.partition("[")[0].partition(".")[0].replace("_", "-")
            wanted = canonicalize_name(DISTRIBUTIONS.get(module, module))
            brought = packages(extra) | core
            assert wanted in brought, f"{place}:{call.lineno}: {extra} lacks {wanted}"


def test_all_is_all() -> None:
    """But what developers need."""
    everything = set().union(*(packages(extra) for extra in EXTRAS if extra not in ("dev", "docs")))
    assert packages("all") == everything


def test_the_page_about_installing_knows_every_extra() -> None:
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    assert listed | {"dev"} == set(EXTRAS)


# --- versions --------------------------------------------------------------------------------


def test_constraints_are_of_versions_that_are_allowed() -> None:
    found = pins()
    texts = [*PROJECT["project"]["dependencies"], *(t for e in EXTRAS.values() for t in e)]
    missing = []
    for wanted in map(Requirement, texts):
        name = canonicalize_name(wanted.name)
        if name == "volkit":
            continue
        if name not in found:
            missing.append(name)
        else:
            assert wanted.specifier.contains(found[name], prereleases=True), f"{wanted}"
    assert sorted(set(missing)) == []


def test_conda_names_the_versions_of_the_constraints() -> None:
    environment = yaml.safe_load((ROOT / "conda-env.yml").read_text(encoding="utf-8"))
    lines: list[Any] = environment["dependencies"]
    pip = next(line["pip"] for line in lines if isinstance(line, dict))
    named: dict[str, str] = {}
    for line in [*(one for one in lines if isinstance(one, str)), *pip]:
        name, _, version = re.match(r"([\w.-]+)(={1,2})?(.*)", line).groups()  # type: ignore[union-attr]
        named[canonicalize_name(CONDA_NAMES.get(name, name))] = version
    found = pins()
    for name in set(named) & set(found):
        assert named[name] == found[name], f"{name}: write {found[name]}"
    core = {canonicalize_name(Requirement(t).name) for t in PROJECT["project"]["dependencies"]}
    assert core | packages("dev") <= set(named)
    assert "-e ." in pip
