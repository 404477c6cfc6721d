"""Export: packages that bioimage.io accepts, and that volkit reads back as the same network."""

import errno
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from volkit.cli import main
from volkit.errors import ConfigError, ModelError
from volkit.models.architectures import build
from volkit.models.bioimageio.export import export_package
from volkit.models.checkpoint import load, read_checkpoint, save_checkpoint, write_card
from volkit.models.scaling import Scaling

# The package leaves the files open that it looks at.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning"
)


def noise(shape=(2, 1, 8, 16, 16)) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)


def call(*arguments: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == code


def validated(path: Path):
    """Let bioimage.io's own package check a description and its files; its import takes seconds."""
    spec = pytest.importorskip("bioimageio.spec", reason="the extra bioimageio is not installed")
    found = spec.load_description(path, perform_io_checks=True)
    assert not isinstance(found, spec.InvalidDescr), found.validation_summary.display()
    return found


@pytest.mark.parametrize("name", ["package", "package.zip"])
def test_a_package_is_valid_and_answers_the_same(name, card, tmp_path) -> None:
    path = export_package(card, tmp_path / name, name="Network of tests")
    found = validated(path)
    assert (found.type, found.name) == ("model", "Network of tests")
    assert found.format_version.startswith("0.5")
    back = read_checkpoint(path)
    same = ("channels", "window", "margin", "arguments", "architecture", "scaling", "activation",
            "classes", "voxel_size_nm", "description", "licence", "training_data")  # fmt: skip
    assert {key: getattr(back, key) for key in same} == {key: getattr(card, key) for key in same}
    np.testing.assert_array_equal(load(back, "cpu")(noise()), load(card, "cpu")(noise()))


def test_the_test_tensors_are_what_the_package_says(card, tmp_path) -> None:
    """Computed here from the description alone: its steps, its architecture, its weights."""
    path = export_package(card, tmp_path / "package")
    said = yaml.safe_load((path / "rdf.yaml").read_text())
    image = np.load(path / said["inputs"][0]["test_tensor"]["source"])
    answer = np.load(path / said["outputs"][0]["test_tensor"]["source"])
    assert (image.shape, answer.shape) == ((1, 1, 8, 16, 16), (1, 2, 8, 16, 16))
    step = said["inputs"][0]["preprocessing"][0]
    assert step["id"] == "fixed_zero_mean_unit_variance"
    scaled = (image - step["kwargs"]["mean"]) / step["kwargs"]["std"]
    entry = said["weights"]["pytorch_state_dict"]
    how = entry["architecture"]
    namespace = {}
    exec(f"from {how['import_from']} import {how['callable']} as made", namespace)
    network = namespace["made"](**how["kwargs"]).eval()
    network.load_state_dict(torch.load(path / entry["source"], weights_only=True))
    with torch.inference_mode():
        expected = network(torch.from_numpy(scaled.astype(np.float32))).sigmoid().numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    halos = [axis.get("halo", 0) for axis in said["outputs"][0]["axes"][2:]]
    assert halos == [0, 2, 2]


@pytest.mark.parametrize(
    "scaling",
    [
        Scaling(),
        Scaling("fixed", divide=-2.0),
        Scaling("quantile", low=0.02, high=0.98),
        Scaling("quantile", low=0.0, high=1.0, clip=False, epsilon=0.01),
        Scaling("moments"),
    ],
    ids=lambda scaling: f"{scaling.kind}-{scaling.epsilon}",
)
def test_every_scaling_comes_back_as_the_same_numbers(scaling, card, tmp_path) -> None:
    path = export_package(replace(card, scaling=scaling), tmp_path / "package")
    validated(path)
    back = read_checkpoint(path).scaling
    values, counts = np.unique(noise(), return_counts=True)
    shown = np.arange(0, 256, 5)
    np.testing.assert_allclose(
        back.resolve(values, counts).apply(shown),
        scaling.resolve(values, counts).apply(shown),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("name", ["package", "package.zip"])
def test_a_package_that_cannot_be_written_leaves_nothing(card, tmp_path, monkeypatch, name) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space left"):
        export_package(card, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_onnx_goes_along_and_answers_alike(card, tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    path = export_package(card, tmp_path / "package", onnx=True)
    validated(path)
    said = yaml.safe_load((path / "rdf.yaml").read_text())
    assert said["weights"]["onnx"]["parent"] == "pytorch_state_dict"
    del said["weights"]["pytorch_state_dict"], said["weights"]["onnx"]["parent"]
    (path / "rdf.yaml").write_text(yaml.safe_dump(said))
    back = read_checkpoint(path)
    assert back.format == "onnx"
    np.testing.assert_allclose(load(back, "cpu")(noise()), load(card, "cpu")(noise()), atol=1e-5)
    again = export_package(back, tmp_path / "again")  # a program has no other form
    assert read_checkpoint(again).sha256 == back.sha256


def test_a_network_that_ships_with_volkit_becomes_a_package(tmp_path, capsys) -> None:
    target = tmp_path / "boundaries.zip"
    call("checkpoint", "export", "builtin:boundaries-specimen", target)
    assert "package:" in capsys.readouterr().out
    validated(target)
    back, own = read_checkpoint(target), read_checkpoint("builtin:boundaries-specimen")
    assert (back.window, back.channels, back.offsets) == (own.window, own.channels, own.offsets)
    shape = (1, own.channels[0], *own.window)
    np.testing.assert_array_equal(load(back, "cpu")(noise(shape)), load(own, "cpu")(noise(shape)))
    call("checkpoint", "show", target)
    assert f"architecture: {own.architecture}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("architecture", "arguments", "extra"),
    [
        ("meshnet", {"out_channels": 2, "channels": 2}, "torch"),
        ("high_res_net", {"out_channels": 2}, "models"),  # volkit's name of a network of MONAI
    ],
)
def test_a_package_asks_for_the_extra_that_its_network_needs(
    architecture, arguments, extra, tmp_path
) -> None:
    own = save_checkpoint(
        build(architecture, **arguments).state_dict(),
        tmp_path / "net.yaml",
        {"architecture": architecture, "arguments": arguments, "channels": [1, 2],
         "window": [8, 8, 8]},
    )  # fmt: skip
    path = export_package(own, tmp_path / "package")
    needed = yaml.safe_load((path / "environment.yaml").read_text())["dependencies"]
    assert needed[-1] == {"pip": [f"volkit[{extra}]"]}


def test_a_card_is_shown_as_a_page(card, tmp_path, capsys) -> None:
    page = tmp_path / "card.html"
    write_card(replace(card, description="a <b> & c", licence="unknown"), card.uri)
    call("checkpoint", "show", card.uri, "--html", page, "--json")
    assert '"architecture": "monai:UNet"' in capsys.readouterr().out
    text = page.read_text()
    assert "a &lt;b&gt; &amp; c" in text
    assert "Its card does not say: licence." in text
    assert "(x - 10) / 255" in text


def test_what_no_description_can_say_is_refused(card, tmp_path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(ConfigError, match=r"taken is there already; choose another name"):
        export_package(card, taken)
    with pytest.raises(ModelError, match=r"answers every 2 voxels and is evaluated between them"):
        export_package(
            replace(card, stride=(1, 2, 2), output="valid", margin=(1, 2, 2)), tmp_path / "p"
        )
    with pytest.raises(ModelError, match=r"answers windows as a whole"):
        export_package(replace(card, output="whole", margin=(0, 0, 0)), tmp_path / "p")
    with pytest.raises(ModelError, match=r"quantile 0.01; bioimage.io knows none up to 0.01"):
        export_package(
            replace(card, scaling=Scaling("quantile", low=0.0, high=0.01)), tmp_path / "p"
        )
    with pytest.raises(ModelError, match=r"adds the epsilon 0.5; bioimage.io knows none over 0.1"):
        export_package(replace(card, scaling=Scaling("moments", epsilon=0.5)), tmp_path / "p")
    assert not (tmp_path / "p").exists()
    call("checkpoint", "export", card.uri, tmp_path / "p.yaml", code=1)
