"""Examples: workflows that ship, copied, and the demo with and without torch."""

from pathlib import Path

import pytest

from volkit.pipelines import examples
from volkit.pipelines.registry import read_workflow

ROOT = Path(__file__).parents[2]


def test_workflows_are_copied_as_they_are(tmp_path: Path) -> None:
    folder = examples.write_workflows(tmp_path)
    shipped = sorted((ROOT / "workflows").rglob("*.*"))
    copies = sorted(folder.rglob("*.*"))
    assert [path.relative_to(folder) for path in copies] == [
        path.relative_to(ROOT / "workflows") for path in shipped
    ]
    assert [path.read_bytes() for path in copies] == [path.read_bytes() for path in shipped]


def test_a_workflow_that_was_changed_is_kept(tmp_path: Path) -> None:
    changed = tmp_path / "workflows" / "segment_neurons.yaml"
    changed.parent.mkdir()
    changed.write_text("mine")
    examples.write_workflows(tmp_path)
    assert changed.read_text() == "mine"
    assert (changed.parent / "em" / "segment_boundaries.yaml").exists()


def test_results_go_beside_the_workflows(tmp_path: Path) -> None:
    found = examples.demo(tmp_path)
    assert found.remark == ""
    config = read_workflow(found.workflow, found.settings).config
    assert Path(config.output) == tmp_path / "runs" / "segment_neurons"


def test_without_torch_the_demo_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what `find_spec` says is changed; an environment without torch runs in test_wheel."""
    monkeypatch.setattr(examples, "find_spec", lambda name: None)
    found = examples.demo(tmp_path)
    assert "volkit[torch]" in found.remark
    workflow = read_workflow(found.workflow, found.settings)
    assert workflow.config.checkpoint is None
    assert Path(workflow.config.output) == tmp_path / "runs" / "demo"
