"""First workflows: from data to a file that is planned, and carried out."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from volkit.cli import main
from volkit.errors import ConfigError
from volkit.io.open import create_volume, open_volume
from volkit.io.volume import Volume
from volkit.ops.multiscale import pyramid
from volkit.pipelines.proposal.choice import block_shape, nearest_level, training_window
from volkit.pipelines.proposal.look import look_at, tomogram_files
from volkit.pipelines.proposal.write import Wishes, write_workflow
from volkit.pipelines.registry import read_workflow
from volkit.pipelines.segment_affinities_inputs import open_inputs as affinity_inputs
from volkit.pipelines.segment_chain import open_inputs as neuron_inputs
from volkit.testing.workflows import identity_checkpoint, voronoi_cells

SHAPE = (24, 48, 40)
FIB_NM = (10.0, 10.0, 10.0)


def store(path: Path, values: NDArray, size_nm: tuple[float, ...] | None = FIB_NM) -> Volume:
    lead = {"channels": values.shape[0]} if values.ndim == 4 else {}
    scale = {} if size_nm is None else {"voxel_size_nm": size_nm}
    volume = create_volume(path, shape=values.shape[-3:], dtype=values.dtype, **lead, **scale)
    volume.write(volume.domain, values)
    return volume


@pytest.fixture(scope="module")
def cells() -> tuple[NDArray, NDArray]:
    return voronoi_cells(SHAPE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: tuple[NDArray, NDArray]) -> Path:
    """A folder with an image, its truth, maps and classes, in which one works."""
    monkeypatch.chdir(tmp_path)
    truth, boundary = cells
    grey = (255 * (1 - boundary)).astype(np.uint8)
    store(tmp_path / "em.zarr", grey)
    store(tmp_path / "image.zarr", boundary)
    store(tmp_path / "truth.zarr", truth)
    store(tmp_path / "boundary_prob.zarr", boundary)
    store(tmp_path / "grey.zarr", (grey / 255 * 0.8 + 0.05).astype(np.float32))
    store(tmp_path / "affinities.zarr", np.stack([1 - boundary] * 3))
    store(tmp_path / "tissue.zarr", (truth % 4).astype(np.uint8), (1170.0,) * 3)
    return tmp_path


def runs(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("em.zarr", "image"),
        ("image.zarr", "boundaries"),
        ("grey.zarr", "image"),
        ("truth.zarr", "labels"),
        ("boundary_prob.zarr", "boundaries"),
        ("affinities.zarr", "affinities"),
        ("tissue.zarr", "classes"),
        ("specimen://em?shape=8,16,16&seed=1", "image"),
        ("specimen://tomogram?shape=8,32,32&seed=1", "tomogram"),
    ],
)
def test_kinds_are_seen(here: Path, name: str, kind: str) -> None:
    assert look_at(name).kind == kind


def test_what_is_seen_is_right(here: Path, cells: tuple[NDArray, NDArray]) -> None:
    classes = look_at("tissue.zarr")
    assert classes.values == (0, 1, 2, 3)
    values = cells[0] % 4
    assert classes.zeros == pytest.approx((values == 0).mean())
    assert classes.says == (
        "labels of classes: 24 x 48 x 40 voxels, 1170 x 1170 x 1170 nm, uint8 from 0 to 3, "
        f"{(values == 0).mean():.0%} zero"
    )
    image = look_at("image.zarr")
    assert image.span == pytest.approx(tuple(np.percentile(cells[1], (0.5, 99.5))))


def test_an_image_and_its_truth_are_segmented_and_scored(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity_checkpoint(here / "identity.yaml")
    runs("init", "image=image.zarr", "truth.zarr", "--checkpoint", "identity.yaml", "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["pipeline"], said["file"], said["following"]) == (
        "segment_neurons",
        "image.yaml",
        "plan",
    )
    text = (here / "image.yaml").read_text()
    assert "#   image.zarr: an image: 24 x 48 x 40 voxels, 10 x 10 x 10 nm, float32" in text
    assert '  truth: "truth.zarr" # the result is scored against it' in text
    runs("plan", "image.yaml")
    runs("run", "image.yaml", "--local", "--json")
    out = capsys.readouterr().out
    done = json.loads(out[out.index("{") :])
    assert done["files"]["labels"] == str(here / "runs" / "image" / "labels.zarr")
    assert next(row["value"] for row in done["scores"] if row["name"] == "Rand F") > 0.8


@pytest.mark.parametrize(
    ("names", "pipeline"),
    [
        (["boundary_prob.zarr", "truth.zarr"], "segment_boundaries"),
        (["affinities.zarr"], "segment_affinities"),
        (["tissue.zarr"], "statistics"),
        (["truth.zarr"], "statistics"),
    ],
)
def test_what_is_written_is_planned_and_runs(
    here: Path, names: list[str], pipeline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    runs("init", *names, "--output", "sub/first.yaml")
    assert f"({pipeline})" in capsys.readouterr().out
    runs("plan", "sub/first.yaml")
    runs("run", "sub/first.yaml", "--local")
    assert (here / "sub" / "runs" / "first").is_dir()


def test_a_network_that_ships_is_proposed_for_the_level_that_it_knows(here: Path) -> None:
    fine = store(here / "fine.zarr", np.zeros((64, 64, 64), np.uint8) + 7, (5.0, 5.0, 5.0))
    pyramid(fine, levels=3)
    found = write_workflow(["fine.zarr"])
    config = read_workflow(found.file).config
    assert (config.checkpoint, config.input.level) == ("builtin:boundaries-fib25", 1)
    assert config.segment.threshold == 0.7
    assert "  level: 1 # of 3: 10 x 10 x 10 nm; the network knows 10 x 10 x 10 nm" in (
        found.file.read_text()
    )
    assert found.notes == ()
    part = found.file.read_text().replace("  # box:", "  box:")
    found.file.write_text(part)
    runs("plan", found.file)
    assert read_workflow(found.file).config.input.box.shape == config.block_shape


def test_data_unlike_those_of_the_network_are_warned_of(here: Path) -> None:
    store(here / "coarse.zarr", np.zeros((8, 16, 16), np.uint8) + 7, (40.0, 8.0, 8.0))
    [note] = write_workflow(["coarse.zarr"]).notes
    assert "was trained on voxels of 10 x 10 x 10 nm, these are 40 x 8 x 8 nm" in note
    assert "volkit init IMAGE LABELS --pipeline train_boundaries" in note


def test_a_volume_without_a_voxel_size_is_told_of(here: Path) -> None:
    store(here / "bare.zarr", np.zeros((8, 16, 16), np.uint8) + 7, None)
    [note] = write_workflow(["bare.zarr"]).notes
    assert note.startswith("bare.zarr does not say how large its voxels are")
    assert note.endswith("say it with --voxel-size z,y,x (nm)")


@pytest.mark.parametrize(
    ("names", "pipeline"),
    [
        (["em.npy", "truth.npy"], "segment_neurons"),
        (["boundary_prob.npy", "truth.npy"], "segment_boundaries"),
        (["affinities.npy"], "segment_affinities"),
        (["truth.npy"], "statistics"),
        (["tomogram=em.npy"], "pick_particles"),
    ],
)
def test_a_voxel_size_that_is_given_is_written_and_read(
    here: Path, names: list[str], pipeline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names:
        file = name.partition("=")[2] or name
        np.save(file, open_volume(file.replace(".npy", ".zarr")).read())
    runs("init", *names, "--voxel-size", "8", "--output", "own.yaml")
    assert "does not say how large" not in capsys.readouterr().out
    workflow = read_workflow(here / "own.yaml")
    assert workflow.pipeline.name == pipeline
    assert workflow.config.input.voxel_size_nm == (8.0, 8.0, 8.0)
    assert "8 x 8 x 8 nm" in (here / "own.yaml").read_text()


def test_a_given_voxel_size_is_that_of_all_that_is_opened(here: Path) -> None:
    for name in ("boundary_prob", "truth"):
        np.save(f"{name}.npy", open_volume(f"{name}.zarr").read())
    wishes = Wishes(voxel_size_nm=(40.0, 4.0, 4.0))
    names = ["boundary_prob.npy", "truth.npy"]
    mapped = affinity_inputs(read_workflow(write_workflow(names, wishes=wishes).file).config)
    names[0] = f"image={names[0]}"
    found = write_workflow(names, Path("image.yaml"), wishes=wishes)
    seen = neuron_inputs(read_workflow(found.file).config)
    opened = (mapped.stored, mapped.truth, seen.image, seen.truth)
    assert [volume.voxel_size_nm for volume in opened] == [(40, 4, 4)] * 4


def test_nan_and_empty_space_are_told_of(here: Path) -> None:
    values = np.zeros((16, 16, 16), np.float32)
    values[:8] = np.linspace(1, 2, 8 * 256).reshape(8, 16, 16)
    values[0, 0, :3] = np.nan
    store(here / "holes.zarr", values)
    found = write_workflow(["holes.zarr"])
    assert found.notes == (
        "holes.zarr: 0.07% of what was read is NaN or infinite, which kernels refuse: replace "
        "these voxels first",
    )
    text = found.file.read_text()
    assert "# 50% of the image is 0.  Where that is empty space, leave it out:" in text
    skipping = text.replace("  # skip: {empty", "  skip: {empty")
    found.file.write_text(skipping)
    assert read_workflow(found.file).config.infer.skip.empty.statistic == "value"


def test_tomograms_are_picked(here: Path) -> None:
    uris = [f"specimen://tomogram?shape=16,64,64&seed={seed}" for seed in (1, 2)]
    found = write_workflow(uris, Path("picks.yaml"))
    config = read_workflow(found.file).config
    assert found.pipeline == "pick_particles"
    assert config.input.tomograms == tuple(uris)
    assert config.checkpoint == "builtin:particles-specimen"
    runs("plan", "picks.yaml")


def test_a_folder_of_tomograms(here: Path) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    (here / "tomograms").mkdir()
    for name in ("b.mrc", "a.mrc"):
        with mrcfile.new(here / "tomograms" / name) as file:
            file.set_data(np.random.default_rng(0).normal(size=(16, 32, 32)).astype(np.float32))
            file.voxel_size = 10.0
    assert [path.name for path in tomogram_files("tomograms")] == ["a.mrc", "b.mrc"]
    found = write_workflow(["tomograms"])
    assert read_workflow(found.file).config.input.folder == str(here / "tomograms")
    assert "synthetic tomograms alone" in found.notes[0]
    runs("plan", found.file)


def test_a_network_of_ones_own_is_trained(here: Path) -> None:
    identity = {"steps": 2, "warmup": 1}
    found = write_workflow(["em.zarr", "truth.zarr"], wishes=Wishes(pipeline="train_boundaries"))
    assert found.following == "train"
    config = read_workflow(found.file).config
    learnt, judged = config.volumes[0], config.validation.volumes[0]
    assert (learnt.stop[1], judged.start[1], judged.stop[1]) == (24, 24, 48)  # the longest axis
    assert config.window == (24, 48, 40)
    assert config.patches.shape == (24, 24, 40)
    assert config.card.voxel_size_nm == FIB_NM
    tree = yaml.safe_load(found.file.read_text())
    tree |= {"optimisation": identity, "arguments": {"widths": [2], "blocks": [1]}}
    tree["patches"] = {"shape": [8, 8, 8], "batch": 1}
    tree["validation"] |= {"window": [8, 16, 16], "thresholds": [0.5]}
    found.file.write_text(yaml.safe_dump(tree))
    runs("train", found.file)
    assert (here / "runs" / "em" / "boundaries.yaml").exists()


@pytest.mark.parametrize(
    ("names", "wishes", "message"),
    [
        (["em.zarr", "grey.zarr"], {}, "em.zarr and grey.zarr both look like an image; a work"),
        (["em.zarr", "tissue_small.zarr"], {}, "em.zarr covers .*, tissue_small.zarr .*same vox"),
        (["em.zarr"], {"pipeline": "train_boundaries"}, "train_boundaries needs its labels; give"),
        (["em.zarr"], {"pipeline": "mirror"}, "init writes workflows of segment_neurons, .*, not"),
        (["tissue.zarr"], {"checkpoint": "x.yaml"}, "statistics of these data runs no network"),
        (["specimen://tomogram?shape=8,32,32&seed=1", "em.zarr"], {}, "fit no pipeline together"),
    ],
)
def test_what_fits_nothing_is_refused(
    here: Path, names: list[str], wishes: dict[str, str], message: str
) -> None:
    store(here / "tissue_small.zarr", np.arange(512, dtype=np.uint8).reshape(8, 8, 8) % 3)
    with pytest.raises(ConfigError, match=message):
        write_workflow(names, wishes=Wishes(**wishes))
    assert list(here.glob("*.yaml")) == []


def test_a_file_is_not_replaced_unless_told(here: Path) -> None:
    (here / "tissue.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="tissue.yaml is there already; give --output, or --rep"):
        write_workflow(["tissue.zarr"])
    assert (here / "tissue.yaml").read_text() == "mine"
    write_workflow(["tissue.zarr"], replace=True)
    assert read_workflow(here / "tissue.yaml").pipeline.name == "statistics"


def test_choices_are_arithmetic(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volkit.pipelines.proposal.choice.processors", lambda: 2)
    assert block_shape((24, 48, 40)) == (24, 48, 40)
    assert block_shape((96, 256, 256)) == (96, 128, 128)
    assert block_shape((5000, 5000, 5000)) == (128, 256, 256)
    assert training_window((20, 100, 7), 64) == (16, 64, 8)
    fine = store(here / "many.zarr", np.ones((32, 64, 64), np.uint8), (40.0, 4.0, 4.0))
    made = pyramid(fine, levels=3, factors=(1, 2, 2))
    assert nearest_level(made, (40.0, 9.0, 9.0), levels=3) == 1
    assert nearest_level(made, (40.0, 9.0, 9.0), levels=1) == 0
