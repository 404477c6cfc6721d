"""Plug-ins: packages on the path, as an installer leaves them; broken ones break nothing."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from volkit.cli import main
from volkit.errors import ConfigError, ModelError, SourceError
from volkit.io import registry as sources
from volkit.io.open import open_volume
from volkit.models.architectures import build, names
from volkit.pipelines.registry import find_pipeline, pipeline_names, read_workflow
from volkit.pipelines.schema import workflow_schema
from volkit.plugins import plugins

Install = Callable[..., None]

GOOD = """
from dataclasses import dataclass

import numpy as np
from torch import nn

from volkit.io import OpenOptions
from volkit.io.memory import open_array
from volkit.pipelines.outcome import Outcome
from volkit.pipelines.registry import Pipeline


def open_ones(uri, level):
    return open_array(uri, np.ones((2, 3, 4 + level)), OpenOptions())


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


@dataclass(frozen=True)
class Keys:
    output: str


def run(workflow, **_):
    return Outcome((("text", workflow.config.output),), ("volkit info", "x"))


PIPELINE = Pipeline("say", Keys, run, None, frozenset({"output"}))
NOTHING = {}
"""
GOOD_POINTS = {
    "volkit.sources": {"ones": "good_parts:open_ones", ".one": "good_parts:open_ones"},
    "volkit.architectures": {"twice": "good_parts:Twice"},
    "volkit.pipelines": {"say": "good_parts:PIPELINE"},
}


def forget() -> None:
    sources._plugins.cache_clear()
    sources.forget_opened()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package into a folder on the path, as pip does."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def put(
        name: str,
        module: str,
        points: Mapping[str, Mapping[str, str]] | str,
        *,
        version: str = "0.1",
    ) -> None:
        (site / f"{name.replace('-', '_')}_parts.py").write_text(module)
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(about)
        if not isinstance(points, str):
            groups = (
                f"[{group}]\n" + "".join(f"{key} = {target}\n" for key, target in told.items())
                for group, told in points.items()
            )
            points = "\n".join(groups)
        (info / "entry_points.txt").write_text(points)
        importlib.invalidate_caches()
        forget()

    before = set(sys.modules)
    yield put
    for module in set(sys.modules) - before:
        if module.endswith("_parts"):
            del sys.modules[module]
    forget()


def test_a_package_adds_sources_architectures_and_pipelines(
    install: Install, tmp_path: Path
) -> None:
    install("good", GOOD, GOOD_POINTS)
    (tmp_path / "em.one").touch()
    assert open_volume("ones://any", level=2).shape == (2, 3, 6)
    assert open_volume(tmp_path / "em.one").read().sum() == 24
    assert "twice" in names()
    assert float(build("twice")(torch.ones(1, 1, 1, 1, 1))) == 2
    assert "say" in pipeline_names()
    (tmp_path / "say.yaml").write_text("pipeline: say\noutput: words.txt\n")
    found = read_workflow(tmp_path / "say.yaml")
    assert found.pipeline is find_pipeline("say")
    assert found.config.output == str(tmp_path / "words.txt")


@pytest.mark.parametrize(
    ("module", "target", "reason"),
    [
        ("import no_such_module", "bad_parts:x", "ModuleNotFoundError: No module named 'no_such"),
        ("1 / 0", "bad_parts:x", "ZeroDivisionError: division by zero"),
        ("", "bad_parts:gone", "AttributeError: module 'bad_parts' has no attribute 'gone'"),
        ("x = {}", "bad_parts:x", "it is dict, "),
        ("", "not a target", "AttributeError|ModuleNotFoundError|ValueError"),
    ],
)
def test_a_broken_plugin_is_named_and_breaks_no_other(
    install: Install, module: str, target: str, reason: str
) -> None:
    groups = ("volkit.sources", "volkit.architectures", "volkit.pipelines")
    install("bad", module, {group: {"lame": target} for group in groups}, version="3")
    install("good", GOOD, GOOD_POINTS)
    why = (
        rf"bad 3 offers it, but its plug-in is skipped \((?:{reason}).*\): update or uninstall bad"
    )
    with pytest.raises(SourceError, match=f"scheme 'lame' is not known; .*{why}"):
        open_volume("lame://any")
    with pytest.raises(ModelError, match=f"'lame' is unknown; known are .*twice.*{why}"):
        build("lame")
    with pytest.raises(ConfigError, match=f"'lame' is unknown; choose one of .*say.*{why}"):
        find_pipeline("lame")
    assert open_volume("ones://any").shape == (2, 3, 4)
    assert find_pipeline("say").name == "say"
    described = workflow_schema()["properties"]["pipeline"]["enum"]
    assert "say" in described
    assert "lame" not in described


def test_a_list_that_cannot_be_read_hides_no_other(install: Install) -> None:
    install("garbled", "", "[volkit.sources]\nthis line has no mark of equality\n")
    install("good", GOOD, GOOD_POINTS)
    assert open_volume("ones://any").shape == (2, 3, 4)
    [found] = [plugin for plugin in plugins("volkit.sources") if plugin.package == "garbled"]
    assert found.fault.startswith("its entry_points.txt cannot be read: ")


def test_of_one_name_the_first_that_works_counts(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("bad", "1 / 0", {"volkit.sources": {"ones": "bad_parts:x"}})
    install("good", GOOD, GOOD_POINTS)
    install(
        "other",
        GOOD.replace("4 + level", "5"),
        {"volkit.sources": {"ones": "other_parts:open_ones"}},
    )
    assert open_volume("ones://any").shape == (2, 3, 4)
    assert "plug-in ones of bad 0.1 is skipped: ZeroDivisionError" in caplog.text


def test_a_broken_reader_leaves_files_to_volkit_itself(install: Install, tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", np.ones((2, 3, 4)))
    install("bad", "1 / 0", {"volkit.sources": {".npy": "bad_parts:x"}})
    assert open_volume(tmp_path / "em.npy").read().sum() == 24


def test_plugins_are_listed_with_where_they_come_from(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("bad", "1 / 0", {"volkit.pipelines": {"lame": "bad_parts:x"}})
    install("good", GOOD, {**GOOD_POINTS, "volkit.pipelines": {"mirror": "good_parts:PIPELINE"}})
    with pytest.raises(SystemExit, match="0"):
        main(["plugins", "--json"])
    rows = {(row["kind"], row["name"]): row for row in json.loads(capsys.readouterr().out)}
    assert rows["source", "ones"] == {
        "kind": "source",
        "name": "ones",
        "package": "good",
        "version": "0.1",
        "target": "good_parts:open_ones",
        "state": "ok",
        "why": "",
        "built_in": False,
    }
    assert rows["architecture", "twice"]["state"] == "ok"
    assert rows["pipeline", "lame"]["state"] == "skipped"
    assert rows["pipeline", "lame"]["why"] == "ZeroDivisionError: division by zero"
    assert rows["pipeline", "mirror"]["state"] == "hidden"
    assert rows["pipeline", "mirror"]["why"] == "volkit has one of this name"
    with pytest.raises(SystemExit, match="0"):
        main(["plugins", "--all"])
    said = capsys.readouterr().out
    assert "segment_neurons" in said
    assert "good_parts:Twice" in said
