import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from volkit.errors import ModelError
from volkit.models.checkpoint import load
from volkit.models.tfjs import convert_brainchop, read_tfjs


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def convolution(name, size, dilation):
    return layer(
        "Conv3D", name, kernel_size=[size] * 3, strides=[1] * 3, padding="same",
        dilation_rate=[dilation] * 3, activation="linear", use_bias=True,
    )  # fmt: skip


def write_network(folder: Path) -> dict[str, np.ndarray]:
    """Two dilated layers of two channels and an answer of three, as the converter writes them."""
    rng = np.random.default_rng(0)
    shapes = {
        "a/kernel": (3, 3, 3, 1, 2), "a/bias": (2,),
        "b/kernel": (3, 3, 3, 2, 2), "b/bias": (2,),
        "output/kernel": (1, 1, 1, 2, 3), "output/bias": (3,),
    }  # fmt: skip
    arrays = {name: rng.normal(size=shape).astype("<f4") for name, shape in shapes.items()}
    layers = [
        layer("InputLayer", "input"),
        convolution("a", 3, 1),
        layer("Activation", "ra", activation="relu"),
        convolution("b", 3, 2),
        layer("Activation", "rb", activation="relu"),
        convolution("output", 1, 1),
    ]
    data = b"".join(array.tobytes() for array in arrays.values())
    (folder / "one.bin").write_bytes(data[:100])
    (folder / "two.bin").write_bytes(data[100:])
    described = [{"name": n, "shape": list(a.shape), "dtype": "float32"} for n, a in arrays.items()]
    model = {
        "modelTopology": {"model_config": {"config": {"layers": layers}}},
        "weightsManifest": [{"paths": ["one.bin", "two.bin"], "weights": described}],
    }
    (folder / "tfjs_model.json").write_text(json.dumps(model))
    return arrays


def changed(folder: Path, change) -> None:
    path = folder / "tfjs_model.json"
    model = json.loads(path.read_text())
    change(model)
    path.write_text(json.dumps(model))


def test_shards_are_joined_and_cut_by_name(tmp_path) -> None:
    arrays = write_network(tmp_path)
    _, weights = read_tfjs(tmp_path / "tfjs_model.json")
    assert list(weights) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights[name], array)


def test_the_converted_network_convolves_as_written(tmp_path) -> None:
    arrays = write_network(tmp_path)
    checkpoint = convert_brainchop(tmp_path, tmp_path / "net.yaml")
    assert checkpoint.margin == (3, 3, 3)
    assert checkpoint.channels == (1, 3)
    image = np.random.default_rng(1).random((1, 1, 6, 7, 8), np.float32)
    x = torch.from_numpy(image)
    for name, dilation in (("a", 1), ("b", 2), ("output", 1)):
        kernel = torch.from_numpy(np.moveaxis(arrays[f"{name}/kernel"], (4, 3), (0, 1)).copy())
        bias = torch.from_numpy(arrays[f"{name}/bias"])
        x = functional.conv3d(x, kernel, bias, padding="same", dilation=dilation)
        x = x if name == "output" else x.relu()
    np.testing.assert_allclose(load(checkpoint)(image), x.softmax(1).numpy(), atol=1e-5)


def test_weights_cut_short_are_refused(tmp_path) -> None:
    write_network(tmp_path)
    (tmp_path / "two.bin").write_bytes(b"1234")
    with pytest.raises(ModelError, match=r"hold 104 bytes .*expected \d+ bytes of float32"):
        convert_brainchop(tmp_path, tmp_path / "net.yaml")
    (tmp_path / "two.bin").unlink()
    with pytest.raises(ModelError, match=r"cannot be read: .*two\.bin.*fetch them"):
        convert_brainchop(tmp_path, tmp_path / "net.yaml")


def test_quantised_weights_are_refused(tmp_path) -> None:
    write_network(tmp_path)

    def change(model):
        model["weightsManifest"][0]["weights"][0]["quantization"] = {"dtype": "uint8"}

    changed(tmp_path, change)
    with pytest.raises(ModelError, match="not quantised"):
        read_tfjs(tmp_path / "tfjs_model.json")


def test_other_networks_are_refused(tmp_path) -> None:
    write_network(tmp_path)

    def change(model):
        layers = model["modelTopology"]["model_config"]["config"]["layers"]
        layers.insert(2, layer("BatchNormalization", "norm"))

    changed(tmp_path, change)
    with pytest.raises(ModelError, match="is not a plain MeshNet: it has .*BatchNormalization"):
        convert_brainchop(tmp_path, tmp_path / "net.yaml")


def test_a_folder_or_file_without_a_network_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="holds 0 files"):
        convert_brainchop(tmp_path, tmp_path / "net.yaml")
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match=r"is no network of TensorFlow\.js"):
        read_tfjs(tmp_path / "model.json")


@pytest.fixture(scope="session")
def lia(shared_data):
    """Read a map of the MNI152 template as the network wants it: 256 voxels, axes LIA."""
    nibabel = pytest.importorskip("nibabel", reason="nibabel is not installed")
    turn = nibabel.orientations

    def read(name):
        path = shared_data / f"mri/mni152/mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
        image = nibabel.load(path)
        have = turn.io_orientation(image.affine)
        want = turn.axcodes2ornt("LIA")
        array = turn.apply_orientation(np.asarray(image.dataobj), turn.ornt_transform(have, want))
        before = [(256 - n) // 2 for n in array.shape]
        return np.pad(array, [(b, 256 - n - b) for b, n in zip(before, array.shape, strict=True)])

    return read


def dice(a, b) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.fixture
def real(shared_data, tmp_path):
    """The converted network for white and grey matter."""
    folder = tmp_path / "brainchop"
    shutil.copytree(shared_data / "models/brainchop/model5_gw_ae", folder)
    return convert_brainchop(folder, tmp_path / "meshnet.yaml")


def test_the_real_network_is_converted(real, lia) -> None:
    assert real.margin == (46, 46, 46)
    assert real.classes == ("background", "white_matter", "grey_matter")
    assert sum(p.numel() for p in load(real).module.parameters()) == 5598
    values, counts = np.unique(lia("t1"), return_counts=True)
    assert real.scaling.resolve(values, counts) == (0, 214, 0, 214)


@pytest.mark.slow  # in blocks the same is asserted by tests/ops/test_meshnet_on_t1.py
def test_tissue_of_the_real_head(shared_data, lia, real) -> None:
    """The whole forward pass equals the stored reference (about 15 s, 1 GB)."""
    head = lia("t1")
    values, counts = np.unique(head, return_counts=True)
    scale = real.scaling.resolve(values, counts)
    tissue = load(real)(head[None], scale=scale)[0].argmax(0)

    with np.load(shared_data / "mri/mni152/meshnet5_reference_seg_LIA256.npz") as stored:
        assert (tissue == stored["seg"]).mean() >= 0.999
    white_map, grey_map = lia("wm") / 255, lia("gm") / 255
    white = (white_map > grey_map) & (white_map > 0.3)
    assert dice(tissue == 1, white) >= 0.74
    assert dice(tissue == 2, ~white & (grey_map > 0.3)) >= 0.74
