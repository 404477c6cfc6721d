"""What holds for every command: help with examples, JSON, exit codes, errors, what is imported."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from rich.table import Table

from volkit.cli import main
from volkit.cli.app import app
from volkit.cli.commands import plain
from volkit.cli.work import terminal
from volkit.errors import ConfigError
from volkit.io.open import create_volume
from volkit.testing.workflows import tiny_workflow


def walk(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All commands by what one types, those of groups as well."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


COMMANDS: dict[str, Any] = dict(walk(typer.main.get_command(app), "volkit"))
COMMAND = [sys.executable, "-c", "from volkit.cli import main; main()"]
ROOT = Path(__file__).parents[2]

Ends = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ends(capsys: pytest.CaptureFixture[str]) -> Ends:
    """Run a command in this process: its exit code, and what it prints to both streams."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(str(ended.value.code)), captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_workflow(tmp_path_factory.mktemp("conventions"))


def examples(name: str) -> Iterator[list[str]]:
    """The command lines in the help of a command."""
    for paragraph in re.split(r"\n\s*\n", COMMANDS[name].help or ""):
        line = " ".join(paragraph.split())
        if line.startswith("volkit "):
            yield shlex.split(line.partition(" > ")[0])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_are_understood(name: str) -> None:
    found = list(examples(name))
    assert found, f"{name} --help shows no example"
    for words in found:
        typed = name.split()
        assert words[: len(typed)] == typed
        # Options and the number of arguments are checked here; nothing is carried out.
        COMMANDS[name].make_context(name, words[len(typed) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json(name: str) -> None:
    assert "--json" in {word for option in COMMANDS[name].params for word in option.opts}


def test_json_is_the_only_thing_on_standard_output(tiny: Path, ends: Ends) -> None:
    folder = tiny.parent / "run"
    code, out, err = ends("plan", tiny, "--json")
    plan = json.loads(out)
    assert (code, err) == (0, "")
    assert (plan["blocks"], plan["block_shape"]) == (12, [12, 16, 20])
    assert plan["stages"][0]["name"] == "prob"
    assert plan["problems"] == []

    code, out, err = ends("run", tiny, "--json")
    done = json.loads(out)
    assert code == 0
    assert done["files"]["labels"] == str(folder / "labels.zarr")
    rand = next(row["value"] for row in done["scores"] if row["name"] == "Rand F")
    assert 0.9 < rand <= 1
    assert done["next"] == f"volkit info {folder / 'labels.zarr'}"
    assert "prob" in err  # the progress

    for arguments, check in (
        (["info", folder / "labels.zarr"], lambda tree: tree["shape"] == [24, 48, 40]),
        (["status", folder], lambda tree: tree["stages"][0]["done"] == 12),
        (["logs", folder], lambda tree: tree == []),
        (["verify", folder], lambda tree: tree["stages"][0]["sound"] == 12),
        (["versions", folder], lambda tree: [v["number"] for v in tree] == [1]),
        (["gc", folder, "--dry-run"], lambda tree: tree["bytes"] == 0),
        (["provenance", folder / "labels.zarr"], lambda tree: tree["roots"]),
        (["report", folder], lambda tree: Path(tree["page"]).exists()),
        (["diff", folder, folder, "--output", tiny.parent / "diff"], lambda tree: tree["verdict"]),
    ):
        code, out, err = ends(*arguments, "--json")
        assert code == 0, err
        assert check(json.loads(out)), arguments


def test_a_plan_that_cannot_fit_is_json_and_refused(tiny: Path, ends: Ends) -> None:
    code, out, err = ends("plan", tiny, "--json", "--set", "cluster.memory_gib=0.1")
    assert code == 2
    assert "choose a smaller block_shape" in json.loads(out)["problems"][0]
    assert err.startswith("error: stage")


def test_strict_json() -> None:
    tree = {"a": float("inf"), "b": np.float32(2.5), "c": np.arange(2), "d": (Path("x"), True)}
    assert plain(tree) == {"a": None, "b": 2.5, "c": [0, 1], "d": ["x", True]}


def test_exit_codes(tiny: Path, tmp_path: Path, ends: Ends) -> None:
    assert ends("--version")[0] == 0
    assert ends("info", "nothing.zarr")[0] == 1
    assert ends("info")[0] == 2
    assert ends("info", tmp_path, "--no-such-option")[0] == 2
    assert ends("run", tiny, "--set", "cluster.memory_gib=0.1")[0] == 2
    for name, value in (("one", 1), ("two", 2)):
        volume = create_volume(tmp_path / f"{name}.zarr", shape=(4, 4, 4), dtype=np.uint8)
        volume.write(volume.domain, np.full((4, 4, 4), value, np.uint8))
    sides = tmp_path / "one.zarr", tmp_path / "two.zarr", "--output", tmp_path / "[diff]"
    code, out, _ = ends("diff", *sides)
    assert code == 0
    assert f"report: {tmp_path}/[diff]/" in out  # brackets are no colours
    assert ends("diff", *sides, "--exit-code")[0] == 3


def test_what_looks_like_a_colour_or_an_emoji_is_printed_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "pip install 'volkit[torch]', only [labels], rows 1:100:1"
    terminal().print(text, highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(text)
    terminal().print(table)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [text, text]


def test_codes_are_those_of_the_page(ends: Ends) -> None:
    from volkit.cli import compare, work

    page = (ROOT / "docs/reference/exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    known = {work.FAILED, work.REFUSED, compare.DIFFERENT, work.BROKEN, work.INTERRUPTED}
    assert documented == {0, *known}


def test_a_mistake_of_volkit_is_one_message_and_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ends: Ends
) -> None:
    def broken(folder: Path) -> None:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr("volkit.pipelines.status.read_status", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = ends("status", "run")
    assert (code, out) == (70, "")
    assert "Traceback" not in err
    found = re.search(
        r"error: volkit itself failed: ZeroDivisionError: a mistake \(test_conventions\.py, line "
        r"\d+\); please report it with (\S+), or see it here with --debug",
        err,
    )
    assert found
    assert "ZeroDivisionError: a mistake" in Path(found[1]).read_text()
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        main(["status", "run", "--debug"])


def test_an_error_of_the_data_has_no_traceback_but_with_debug(ends: Ends) -> None:
    code, out, err = ends("run", "nothing.yaml", "--json")
    assert (code, out) == (1, "")
    assert err.startswith("error: cannot read the workflow nothing.yaml")
    with pytest.raises(ConfigError, match="cannot read the workflow"):
        main(["run", "nothing.yaml", "--json", "--debug"])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["doctor", "--help"], ["view", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom volkit.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.splitlines()[-1].split())
    heavy = {  # pydantic is what typer itself takes to check arguments
        *("torch", "dask", "distributed", "zarr", "pandas", "xarray", "numba", "scipy", "numpy"),
        *("matplotlib", "yaml", "fsspec", "h5py", "tensorstore", "obstore", "pyarrow"),
    }
    assert imported & heavy == set()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("volkit ver", ["verify", "versions"]),
        ("volkit run em", ["em.yaml", "em/"]),
        ("volkit schema segment_b", ["segment_boundaries"]),
        ("volkit init em.zarr --pipeline pick", ["pick_particles"]),
        ("volkit init em.zarr --checkpoint builtin:part", ["builtin:particles-specimen"]),
    ],
)
def test_a_shell_is_told_how_to_go_on(words: str, offered: list[str], tmp_path: Path) -> None:
    (tmp_path / "em.yaml").touch()
    (tmp_path / "em.csv").touch()
    (tmp_path / "em").mkdir()
    asked = {
        "_VOLKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **asked},
    )
    assert sorted(done.stdout.split()) == offered, done.stderr
