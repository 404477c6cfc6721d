"""The training workflows of electron microscopy, on specimens and for a step or two."""

from pathlib import Path

import pytest

from volkit.models.checkpoint import read_checkpoint
from volkit.pipelines.registry import read_workflow

WORKFLOWS = Path(__file__).parents[2] / "workflows" / "em"
SPECIMEN = "specimen://em?shape=4,32,32&seed=3&part="
VOLUMES = f"[{{image: '{SPECIMEN}image', labels: '{SPECIMEN}truth'}}]"
DENSE = ("patches.shape=[1,2,2]", "validation.window=[4,16,16]")
U_NET = (
    "patches.shape=[8,16,16]",
    "patches.auxiliary=[[-4,0,0],[0,-9,0]]",
    "arguments={widths: [8, 16], blocks: [1, 1]}",
    "validation.window=[8,16,16]",
)


def carried_out(name: str, card: Path, *settings: str):
    """Run a workflow for one step on a specimen."""
    given = [
        f"checkpoint={card}",
        f"volumes={VOLUMES}",
        f"validation.volumes={VOLUMES}",
        "validation.thresholds=[0.5]",
        "optimisation.steps=1",
        *settings,
    ]
    workflow = read_workflow(WORKFLOWS / f"train_{name}.yaml", given)
    said = []
    outcome = workflow.pipeline.run(
        workflow, on_progress=None, on_message=said.append, replace_stale=False
    )
    assert outcome.files == (("checkpoint", card),)
    said.append(" ".join(str(part) for part in outcome.following))
    return read_checkpoint(card), said


def test_two_stages(tmp_path: Path) -> None:
    first, said = carried_out("vd2d", tmp_path / "first.yaml", *DENSE)
    assert (first.architecture, first.margin) == ("vd2d", (0, 54, 54))
    assert said[0].startswith("step 1: loss ")
    assert "; pixel error 0." in said[0]

    assert f"segment_boundaries.yaml --set checkpoint= {tmp_path}" in said[-1]

    settings = (*DENSE, f"recursion.checkpoint={tmp_path / 'first.yaml'}")
    second, said = carried_out("vd2d3d", tmp_path / "second.yaml", *settings)
    assert (second.channels, second.margin) == ((2, 2), (2, 42, 42))
    assert (second.stride, second.scaling.kind) == ((1, 8, 8), "none")
    assert "recursive_vd2d3d.yaml" in said[-1]
    assert said[-1].endswith(f"--set preliminary={tmp_path / 'first.yaml'} --set levels=[-1, 1]")


def test_the_network_to_compare_with(tmp_path: Path) -> None:
    card, _ = carried_out("n4", tmp_path / "n4.yaml", *DENSE)
    assert (card.margin, card.activation) == ((0, 47, 47), "softmax")


def test_affinities(tmp_path: Path) -> None:
    card, said = carried_out("affinities", tmp_path / "a.yaml", *U_NET)
    assert card.offsets == ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (-4, 0, 0), (0, -9, 0))
    assert "pixel error" not in said[0]


@pytest.mark.parametrize("name", ["vd2d", "vd2d3d", "n4", "affinities"])
def test_files_never_open_the_sections_of_the_report(name) -> None:
    config = read_workflow(WORKFLOWS / f"train_{name}.yaml", []).config
    boxes = [(v.start[0], v.stop[0]) for v in (*config.volumes, *config.validation.volumes)]
    assert boxes == [(0, 85), (85, 100)]
