"""Training on clips by a workflow file: the one that ships, on a few generated clips."""

from pathlib import Path

import yaml

from volkit.models.checkpoint import read_checkpoint
from volkit.models.module_loading import read_module
from volkit.pipelines.registry import read_workflow
from volkit.testing.stall_clips import write_clips

ROOT = Path(__file__).parents[2]
FILE = ROOT / "workflows/stalls/train.yaml"


def test_the_workflow_that_ships_trains_on_generated_clips(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", seeds=[1, 9, 13], stalled=0.5)
    settings = {
        "checkpoint": tmp_path / "net.yaml",
        "data.metadata": tmp_path / "clips" / "train_metadata.csv",
        "data.labels": tmp_path / "clips" / "train_labels.csv",
        "data.clips": tmp_path / "clips" / "clips",
        "network.size": "{stem: 4, growth: 4, blocks: [1, 1]}",
        "window": "[8, 16, 16]",
        "folds": "{count: 2}",
        "stages": "[{metric: mcc, epochs: 1}, {metric: auc, tier1: true, epochs: 1}]",
        "optimisation": "{batch: 2, batches: 2, accumulate: 2}",
        # Maps of 2 x 4 x 4 voxels: there torch 2.13's weight gradients in bfloat16 on the CPU read
        # memory that nobody wrote, and are at times not finite.
        "precision": "float32",
    }
    workflow = read_workflow(FILE, [f"{key}={value}" for key, value in settings.items()])
    steps, told = [], []
    outcome = workflow.pipeline.run(
        workflow, on_progress=steps.append, on_message=told.append, replace_stale=False
    )
    assert [(state.stage, state.done, state.total) for state in steps] == [
        ("train", n, 4) for n in (1, 2, 3, 4)
    ]
    assert told[3].startswith("fold 1, stage 1, epoch 1: loss ")
    assert [name for name, _, _ in outcome.scores] == ["fold 0", "fold 1"]
    cards = [path for kind, path in outcome.files if kind == "checkpoint"]
    assert cards == [tmp_path / "net-fold0.yaml", tmp_path / "net-fold1.yaml"]
    card = read_checkpoint(cards[1])
    assert card.classes == ("stalled",)
    assert card.output == "whole"
    assert read_module(card).head[0].out_features == 64
    judged = [path for kind, path in outcome.files if kind == "judged clips"]
    names = [{line.split(",")[0] for line in path.read_text().splitlines()[1:]} for path in judged]
    assert not names[0] & names[1]
    assert len(names[0] | names[1]) == 29


def test_the_workflow_that_ships_is_complete() -> None:
    config = read_workflow(FILE).config
    assert config.folds.chosen == (0,)
    assert [stage.metric for stage in config.stages] == ["mcc", "auc", "auc"]
    assert config.data.without_outline == "refuse"


def test_left_out_keys_make_the_published_training(tmp_path: Path) -> None:
    tree = yaml.safe_load(FILE.read_text())
    for name in ("network", "window", "scaling", "folds", "stages", "optimisation", "precision"):
        del tree[name]
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(tree))
    config = read_workflow(tmp_path / "train.yaml").config
    assert config.window == (96, 128, 128)
    assert (config.optimisation.batch, config.optimisation.accumulate) == (6, 20)
    assert config.optimisation.learning_rate == 1e-4
    assert config.folds.chosen == (0, 1, 2, 3, 4)
    rows = [(s.metric, s.negatives, s.tier1, s.drop_planes) for s in config.stages]
    assert rows == [("mcc", 1, False, False), ("auc", 4, False, False), ("auc", 10, True, True)]
    assert {(s.epochs, s.patience) for s in config.stages} == {(150, 15)}
