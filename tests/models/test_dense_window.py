import pytest
from torch import nn

from volkit.models.architectures import build
from volkit.models.card import parse_card
from volkit.models.dense_cost import dense_cost
from volkit.models.dense_window import has_free_windows, is_position_free, larger_window
from volkit.models.em_networks import N4
from volkit.models.meshnet import MeshNet

STORED = {"weights": "net.safetensors", "sha256": "ab" * 32}
N4_CARD = STORED | {
    "architecture": "n4",
    "channels": [1, 2],
    "window": [1, 110, 110],
    "margin": [0, 47, 47],
    "output": "valid",
    "stride": [1, 16, 16],
}
MESH_CARD = STORED | {
    "architecture": "meshnet",
    "arguments": {"out_channels": 2, "dilations": [1, 2]},
    "channels": [1, 2],
    "window": [10, 10, 10],
    "margin": [3, 3, 3],
}


@pytest.mark.parametrize(
    ("module", "margin", "free"),
    [
        (nn.Conv3d(1, 1, 3), (1, 1, 1), True),
        (nn.Conv3d(1, 1, 3), (1, 1, 0), False),
        (nn.Conv3d(1, 1, 3, padding="same"), (2, 2, 2), True),
        (nn.Conv3d(1, 1, (1, 1, 3), padding=(0, 0, 1)), (0, 0, 1), True),
        (nn.Conv3d(1, 1, 2), (1, 1, 1), False),
        (nn.Sequential(nn.Conv3d(1, 1, 3), nn.Conv3d(1, 1, 3, padding=1)), (2, 2, 2), False),
        (nn.Sequential(nn.Conv3d(1, 1, 3, stride=2, padding=1)), (1, 1, 1), False),
        (nn.Sequential(nn.Conv3d(1, 1, 3), nn.InstanceNorm3d(1)), (1, 1, 1), False),
        (N4(), (0, 47, 47), True),
        (N4(), (0, 46, 47), False),
        (MeshNet(dilations=[1, 2]), (3, 3, 3), True),
        (build("residual_unet3d"), (32, 32, 32), False),
    ],
)
def test_where_windows_end_matters_or_not(module, margin, free) -> None:
    assert is_position_free(module, margin) is free


def test_an_attribute_named_chain_proves_nothing() -> None:
    class Skips(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.chain = nn.Sequential(nn.Conv3d(1, 1, 1))

        def forward(self, batch):
            return self.chain(batch) + batch.mean()

    assert not is_position_free(Skips(), (9, 9, 9))


def test_cards_tell() -> None:
    assert has_free_windows(parse_card(N4_CARD))
    assert has_free_windows(parse_card(MESH_CARD))
    assert not has_free_windows(parse_card(MESH_CARD | {"margin": [2, 3, 3]}))
    program = {"architecture": "exported", "format": "export", "arguments": {}}
    assert not has_free_windows(parse_card(MESH_CARD | program))
    assert larger_window(parse_card(MESH_CARD | program), 10**9) == (10, 10, 10)


@pytest.mark.parametrize("memory_bytes", [10**7, 4 * 10**7, 3 * 10**8])
@pytest.mark.parametrize("batch", [1, 4])
def test_it_fits_the_memory_and_costs_less(memory_bytes, batch) -> None:
    card = parse_card(N4_CARD)
    window = larger_window(card, memory_bytes, batch=batch)

    def cost(window):
        return dense_cost(N4(), window, batch=batch)

    def work(window):
        return cost(window).work / ((window[1] - 94) * (window[2] - 94))

    assert window[0] == 1  # there is nothing to save along z
    assert cost(window).memory_bytes <= memory_bytes or window == card.window
    assert work(window) < work(card.window) or window == card.window
    if memory_bytes > 10**8:
        assert work(window) < work(card.window) / 5
        assert cost((1, window[1] + 48, window[2] + 48)).memory_bytes * 1.25 > memory_bytes


def test_too_little_memory_leaves_the_window() -> None:
    assert larger_window(parse_card(N4_CARD), 1) == (1, 110, 110)


def test_no_window_answers_more_than_the_domain() -> None:
    """20 x 300 voxels: y in one window, x in as few as the memory allows, all alike."""
    mesh = parse_card(MESH_CARD)
    assert larger_window(mesh, 10**9, domain=(4, 20, 300)) == (10, 26, 306)
    z, y, x = larger_window(mesh, 600_000, domain=(4, 20, 300))
    count = -(-300 // (x - 6))
    assert (z, y) == (10, 26)
    assert 1 < count < 75
    assert x - 6 == -(-300 // count)


def test_a_domain_smaller_than_the_window_changes_nothing() -> None:
    assert larger_window(parse_card(MESH_CARD), 10**9, domain=(2, 3, 1)) == (10, 10, 10)


def test_position_dependent_networks_keep_their_window() -> None:
    card = MESH_CARD | {"architecture": "residual_unet3d", "arguments": {}, "channels": [1, 1]}
    assert larger_window(parse_card(card | {"window": [16] * 3}), 10**9) == (16, 16, 16)
