"""Training on particles by a workflow file."""

from pathlib import Path

import yaml

from volkit.models.checkpoint import read_checkpoint
from volkit.pipelines.registry import read_workflow

ROOT = Path(__file__).parents[2]
URI = "specimen://tomogram?shape=16,64,64&seed=2"
KEYS = {
    "pipeline": "train_particles",
    "checkpoint": "net.yaml",
    "volumes": [{"image": URI, "points": URI}, {"image": URI, "points": URI}],
    "kinds": [{"name": "ribosome", "radius_nm": 15.0}],
    "fold": 0,
    "arguments": {"widths": [4], "blocks": [1], "depth_pools": [2], "decoder_widths": []},
    "scaling": {"kind": "none"},
    "crops": {"shape": [16, 32, 32], "batch": 1},
    "optimisation": {"steps": 2, "warmup": 1},
    "validation": {"every": 2},
}


def test_training_writes_a_checkpoint_and_tells_of_its_scores(tmp_path: Path) -> None:
    file = tmp_path / "train.yaml"
    file.write_text(yaml.safe_dump(KEYS))
    workflow = read_workflow(file)
    steps, told = [], []
    outcome = workflow.pipeline.run(
        workflow, on_progress=steps.append, on_message=told.append, replace_stale=False
    )
    assert [(state.stage, state.done, state.total) for state in steps] == [
        ("train", 1, 2),
        ("train", 2, 2),
    ]
    assert outcome.files == (("checkpoint", tmp_path / "net.yaml"),)
    assert read_checkpoint(tmp_path / "net.yaml").classes == ("ribosome",)
    assert [name for name, _, _ in outcome.scores] == ["weighted F4", "F4 ribosome"]
    assert told[0].startswith("step 2: loss ")


def test_the_workflow_that_ships_is_complete() -> None:
    config = read_workflow(ROOT / "workflows/particles/train.yaml").config
    assert [kind.name for kind in config.kinds][:2] == ["apo-ferritin", "beta-amylase"]
    assert not {v.image for v in config.learnt} & {v.image for v in config.unseen}
