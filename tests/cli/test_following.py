"""The command to go on with can be pasted, also where paths have blanks and URLs have signs."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from volkit.cli.following import next_command

Says = Callable[..., str]


def pasted(said: str) -> list[str]:
    """What a shell makes of the last line, without the name of the program."""
    [line] = [line for line in said.splitlines() if line.startswith("next: volkit ")]
    return shlex.split(line.removeprefix("next: "))[1:]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with blanks and a sign that a shell would not leave alone."""
    folder = tmp_path / "my data; echo"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    truth = np.full((8, 24, 24), 2, np.uint32)
    truth[:, 2:6, 2:10] = 1
    np.save(folder / "true cells.npy", truth)
    truth[:, 2:6, 6:10] = 3
    np.save(folder / "cut cells.npy", truth)
    return folder


def test_a_path_is_short_also_as_the_value_of_a_key(lab: Path) -> None:
    command = next_command("volkit run a.yaml", "--set", f"input.manifest={lab}/manifest.csv")
    assert command == "volkit run a.yaml --set 'input.manifest=my data; echo/manifest.csv'"
    assert next_command("volkit run a.yaml", "--set", "a=/b") == "volkit run a.yaml --set a=/b"


def test_what_is_written_is_planned(lab: Path, says: Says) -> None:
    said = says("init", lab / "true cells.npy", "--output", lab / "my plan.yaml")
    assert pasted(said) == ["plan", "my data; echo/my plan.yaml"]
    assert "blocks of" in says(*pasted(said))
    assert "#   volkit plan 'my plan.yaml' # what" in (lab / "my plan.yaml").read_text()


def test_what_is_copied_is_looked_at(lab: Path, says: Says) -> None:
    said = says("mirror", lab / "true cells.npy", lab / "my copy.zarr")
    assert "8 x 24 x 24" in says(*pasted(said), "--no-rate")
    assert pasted(says("pyramid", lab / "my copy.zarr", "--levels", "2")) == pasted(said)


def test_the_worst_object_is_looked_at(lab: Path, says: Says) -> None:
    pred, truth = lab / "cut cells.npy", lab / "true cells.npy"
    said = pasted(says("evaluate", pred, truth, "--output", lab / "scores"))
    places = ["my data; echo/cut cells.npy", "my data; echo/true cells.npy"]
    assert said == ["evaluate", *places, "--box", "0:8,2:6,2:10"]


def test_signs_of_urls_and_values_are_kept_from_the_shell() -> None:
    assert next_command("volkit info", "s3://lab/em.zarr?endpoint=a&b") == (
        "volkit info 's3://lab/em.zarr?endpoint=a&b'"
    )
    assert next_command("volkit run a.yaml --set checkpoint=", Path("my net.yaml")) == (
        "volkit run a.yaml --set checkpoint='my net.yaml'"
    )
    assert next_command("volkit promote", "my run", "v2") == "volkit promote 'my run' v2"
