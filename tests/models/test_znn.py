import h5py
import numpy as np
import pytest
import torch
from scipy.signal import convolve
from torch import nn

from volkit.errors import ModelError
from volkit.models.checkpoint import load
from volkit.models.dense import DenseNetwork
from volkit.models.em_networks import N4, VD2D, VD2D3D
from volkit.models.streams import SummedStreams
from volkit.models.znn import convert_znn, read_znn


class Tiny(nn.Sequential):
    """Two streams that are summed, a pool, a kernel in space, an output."""

    def __init__(self) -> None:
        first = nn.Sequential()
        first.add_module("conv1c", nn.Conv3d(1, 3, (1, 3, 2)))
        second = nn.Sequential()
        second.add_module("conv1c_r", nn.Conv3d(1, 3, (1, 3, 2), bias=False))
        super().__init__()
        self.streams = SummedStreams([first, second], [1, 1])
        self.act = nn.ReLU()
        self.pool = nn.MaxPool3d((1, 2, 2), stride=(1, 1, 1))
        self.conv2a = nn.Conv3d(3, 4, (2, 3, 3))
        self.act2 = nn.ReLU()
        self.convx = nn.Conv3d(4, 2, 1)


NODES = {"conv1c": "nconv1c", "conv2a": "nconv2a", "convx": "output"}


def write(path, network: nn.Module, nodes, seed: int = 1) -> dict[str, np.ndarray]:
    """Write random weights as ZNN lays them out, and return them."""
    rng = np.random.default_rng(seed)
    stored: dict[str, np.ndarray] = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv3d):
            place = name.rpartition(".")[2]
            out, into, *sides = layer.weight.shape
            edge = place.replace("_", "-")
            stored[f"{edge}/filters"] = rng.normal(size=(into, out, *sides))
            if layer.bias is not None:
                stored[f"{nodes[place]}/biases"] = rng.normal(size=out)
    with h5py.File(path, "w") as file:
        for key, values in stored.items():
            file[key] = values
        file["conv2a/size"] = np.array([1, 2, 3])  # ZNN writes the options of a layer too
    return stored


def true_convolution(maps: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Sum over the input of what scipy convolves: kernels reversed, no padding."""
    return np.stack(
        [
            sum(
                convolve(m, f, mode="valid", method="direct")
                for m, f in zip(maps, row, strict=True)
            )
            for row in filters.swapaxes(0, 1)
        ]
    )


def test_a_tiny_network_answers_as_true_convolutions_do(tmp_path) -> None:
    stored = write(tmp_path / "net.h5", Tiny(), NODES)
    network = Tiny().eval()
    network.load_state_dict(read_znn(tmp_path / "net.h5", network))
    window = np.random.default_rng(2).normal(size=(2, 3, 8, 9))

    def biased(maps, node):
        return maps + stored[f"{node}/biases"][:, None, None, None]

    maps = true_convolution(window[:1], stored["conv1c/filters"])
    maps = maps + true_convolution(window[1:], stored["conv1c-r/filters"])
    maps = np.maximum(biased(maps, "nconv1c"), 0)
    maps = np.maximum(maps[:, :, :-1], maps[:, :, 1:])
    maps = np.maximum(maps[..., :-1], maps[..., 1:])
    maps = np.maximum(biased(true_convolution(maps, stored["conv2a/filters"]), "nconv2a"), 0)
    expected = biased(true_convolution(maps, stored["convx/filters"]), "output")
    with torch.inference_mode():
        answer = network.double()(torch.from_numpy(window[None]))[0].numpy()
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)


def test_kernels_are_reversed_by_hand(tmp_path) -> None:
    network = nn.Sequential()
    network.add_module("conv1a", nn.Conv3d(2, 1, (1, 1, 3)))
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["conv1a/filters"] = np.arange(6.0).reshape(2, 1, 1, 1, 3)
        file["nconv1a/biases"] = [7.0]
    state = read_znn(tmp_path / "net.h5", network)
    assert state["conv1a.weight"].flatten().tolist() == [2, 1, 0, 5, 4, 3]
    assert state["conv1a.bias"].tolist() == [7]


def nodes_of(network: nn.Module) -> dict[str, str]:
    """Name the nodes as the published files of these networks do."""
    layers = [name.rpartition(".")[2] for name, m in network.named_modules() if hasattr(m, "bias")]
    if isinstance(network, N4):
        return {f"conv{i}": f"nl{2 * i - 1}" for i in range(1, 6)} | {"conv6": "output"}
    return {layer: f"n{layer.replace('_', '-')}" for layer in layers} | {"convx": "output"}


@pytest.mark.parametrize("network", [N4(), VD2D(), VD2D3D(), VD2D3D(recursive=False)])
def test_published_networks_are_read(network, tmp_path) -> None:
    stored = write(tmp_path / "net.h5", network, nodes_of(network))
    state = read_znn(tmp_path / "net.h5", network)
    network.load_state_dict(state)
    assert sum(v.size for v in stored.values()) == sum(p.numel() for p in network.parameters())
    last = "conv6" if isinstance(network, N4) else "convx"
    found = state[f"{last}.weight"][:, :, 0, 0, 0].numpy()
    np.testing.assert_allclose(found, stored[f"{last}/filters"][:, :, 0, 0, 0].T, rtol=1e-6)


def test_a_checkpoint_is_made(tmp_path) -> None:
    network = N4(activation="tanh").eval()
    write(tmp_path / "n4.h5", network, nodes_of(network))
    card = {
        "architecture": "n4",
        "arguments": {"activation": "tanh"},
        "channels": [1, 2],
        "window": [1, 96, 96],
        "activation": "softmax",
    }
    checkpoint = convert_znn(tmp_path / "n4.h5", tmp_path / "n4.yaml", card)
    assert (checkpoint.margin, checkpoint.stride) == ((0, 47, 47), (1, 16, 16))
    assert checkpoint.output == "valid"
    network.load_state_dict(read_znn(tmp_path / "n4.h5", network))
    window = np.random.default_rng(3).normal(size=(1, 1, 1, 96, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = DenseNetwork(network)(torch.from_numpy(window)).softmax(1).numpy()
    answer = load(checkpoint, device="cpu")(window)[..., 47:-47, 47:-47]
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-4)


def test_other_names_can_be_given(tmp_path) -> None:
    network = nn.Sequential()
    network.add_module("conv1a", nn.Conv3d(1, 1, 1))
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file["edges/first/filters"] = np.ones((1, 1, 1, 1, 1))
        file["nodes/first/biases"] = np.ones((1, 1))
    with pytest.raises(ModelError, match=r"no conv1a/filters for the layer conv1a; it holds edges"):
        read_znn(tmp_path / "net.h5", network)
    state = read_znn(tmp_path / "net.h5", network, names={"conv1a": ("edges/first", "nodes/first")})
    assert state["conv1a.bias"].tolist() == [1]


def test_files_that_do_not_fit_are_refused(tmp_path) -> None:
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(ModelError, match="is no HDF5 file that can be read"):
        read_znn(tmp_path / "text.h5", N4())
    write(tmp_path / "vd2d.h5", VD2D(), nodes_of(VD2D()))
    with pytest.raises(ModelError, match=r"conv1a/filters .* has shape \(24, 1, 1, 3, 3\), the"):
        read_znn(tmp_path / "vd2d.h5", VD2D(3))
    with pytest.raises(ModelError, match="holds no conv1/filters for the layer conv1"):
        read_znn(tmp_path / "vd2d.h5", N4())
    with pytest.raises(ModelError, match="1 is BatchNorm3d, which ZNN does not have"):
        read_znn(tmp_path / "vd2d.h5", nn.Sequential(nn.ReLU(), nn.BatchNorm3d(1)))
    with pytest.raises(ModelError, match="names no architecture; give n4, vd2d or vd2d3d"):
        convert_znn(tmp_path / "vd2d.h5", tmp_path / "net.yaml", {})
