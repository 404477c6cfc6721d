"""Versions: which one counts, which are there, and what may be cleared away."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from volkit.engine.attendance import attended
from volkit.errors import ConfigError, RunLockedError, SourceError
from volkit.pipelines.current_version import current_version, promote, read_history, rollback
from volkit.pipelines.reprocess import Changes, prepare
from volkit.pipelines.version_gc import collect
from volkit.pipelines.version_stages import stage_volume, version_stages
from volkit.pipelines.versions import read_version, read_versions, version_folder

TREE = "segment.fragments.seeds.threshold=0.4"
CUT = "segment.threshold=0.95"


@pytest.fixture(scope="module")
def three(finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v2 has other seeds, v3 another threshold on top of them."""
    run = Path(shutil.copytree(finished.folder, tmp_path_factory.mktemp("three") / "run"))
    for settings, base in (([TREE], 1), ([CUT], 2)):
        workflow = prepare(run, Changes(settings=settings, base=base)).workflow
        workflow.pipeline.run(
            workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
        )
    return run


@pytest.fixture
def run(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(three, tmp_path / "run"))


def lies_in(run: Path, number: int) -> dict[str, int | None]:
    return {stage.name: stage.lies_in for stage in version_stages(run, number)}


def test_each_version_says_what_it_shares(run) -> None:
    assert [version.number for version in read_versions(run)] == [1, 2, 3]
    assert read_version(run, 3).changes == ("segment.threshold: 0.6 became 0.95",)
    found = lies_in(run, 3)
    assert (found["prob"], found["fragments"], found["labels"]) == (1, 2, 3)
    recorded = read_version(run, 3).stages
    assert {name: stage["lies_in"] for name, stage in recorded.items()} == found


def test_promote_and_roll_back(run) -> None:
    assert current_version(run) == 1
    with pytest.raises(ConfigError, match="there is nothing to go back to"):
        rollback(run)
    promote(run, 2)
    promote(run, 3)
    assert current_version(run) == 3
    assert rollback(run) == 2
    assert rollback(run) == 1
    assert [(step.how, step.version) for step in read_history(run)] == [
        ("promote", 2),
        ("promote", 3),
        ("rollback", 2),
        ("rollback", 1),
    ]
    assert json.loads((run / "current.json").read_text())["current"] == 1


@pytest.mark.parametrize(
    ("number", "message"),
    [(1, "v1 is current"), (9, "there is no v9 in .*; there are v1, v2, v3")],
)
def test_what_cannot_be_promoted(run, number, message) -> None:
    with pytest.raises(ConfigError, match=message):
        promote(run, number)


def test_an_unfinished_version_is_not_promoted(run) -> None:
    shutil.rmtree(run / "versions" / "v2" / "report")
    with pytest.raises(SourceError, match=r"v2 of .* is not finished; finish it first"):
        promote(run, 2)


def files(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


def test_nothing_that_is_used_is_removed(run) -> None:
    promote(run, 3)
    before, labels = files(run), stage_volume(run, 3, "labels").read()
    told = collect(run, dry_run=True)
    assert files(run) == before
    freed = collect(run)
    assert freed == told
    assert {(each.version, each.stage) for each in freed} >= {(1, "labels"), (2, "labels")}
    # The network's answers are v1's, the fragments v2's.
    found = lies_in(run, 3)
    assert (found["prob"], found["fragments"], found["labels"]) == (1, 2, 3)
    assert None not in found.values()
    assert (stage_volume(run, 3, "labels").read() == labels).all()
    assert [version.state for version in read_versions(run)] == ["removed", "removed", "finished"]
    assert (run / "versions" / "v2" / "report" / "run.json").exists()
    assert collect(run) == []
    with pytest.raises(SourceError, match="v2 of .* was removed by volkit gc"):
        promote(run, 2)
    assert all((run / name).exists() for name in ("prob.zarr", "prob.ledger", "report"))
    # What is left can go on: a version of the version that is left computes what is new alone.
    workflow = prepare(run, Changes(settings=["score.pred_zero=ignore"])).workflow
    workflow.pipeline.run(
        workflow, on_progress=None, on_message=lambda text: None, replace_stale=False
    )
    assert set(lies_in(run, 4).values()) == {1, 2, 3}


def test_newer_versions_are_kept_unless_others_are_named(run) -> None:
    assert collect(run) == []
    freed = collect(run, keep=[2])
    assert {each.version for each in freed} == {3}
    with pytest.raises(ConfigError, match="--keep v7: .* has v1, v2, v3"):
        collect(run, keep=[7])


def test_an_unfinished_version_keeps_what_it_may_need(run) -> None:
    file = run / "versions" / "v3" / "version.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "state": "begun"}))
    assert collect(run, keep=[3], dry_run=True) == []


def test_what_is_worked_on_is_not_removed(run) -> None:
    with attended(version_folder(run, 3)), pytest.raises(RunLockedError, match="worked on by"):
        collect(run, keep=[1])


def test_stages_that_others_share_are_not_replaced(run, finished) -> None:
    config = replace(finished.workflow.config, output=str(run))
    moved = replace(finished.workflow, config=config)
    with pytest.raises(SourceError, match="v2 of .* shares stages with v1.*volkit reprocess"):
        moved.pipeline.run(moved, on_progress=None, on_message=print, replace_stale=True)


def test_a_version_that_lost_what_it_shares_is_named(run) -> None:
    shutil.rmtree(run / "prob.zarr")
    assert lies_in(run, 3)["prob"] is None
    with pytest.raises(SourceError, match="v3 of .* shares prob with a version that does not have"):
        stage_volume(run, 3, "prob")
    with pytest.raises(SourceError, match="v3 of .* shares prob with"):
        promote(run, 3)
