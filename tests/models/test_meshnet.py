import pytest
import torch

from volkit.models.meshnet import MeshNet


def test_every_voxel_is_answered() -> None:
    network = MeshNet(2, 3, channels=4, dilations=[1, 2], batch_norm=True).eval()
    assert network(torch.zeros(2, 2, 5, 6, 7)).shape == (2, 3, 5, 6, 7)
    # 27*2*4+4 + 27*4*4+4 weights of convolutions, 2*2*4 of norms, 4*3+3 of the answer
    assert sum(p.numel() for p in network.parameters()) == 220 + 436 + 16 + 15


def test_nothing_beyond_the_margin_is_seen() -> None:
    network = MeshNet(1, 1, channels=2, dilations=[1, 3, 1])
    assert network.margin == (5, 5, 5)
    for weights in network.parameters():
        torch.nn.init.ones_(weights)  # so that no rectifier is dead
    image = torch.ones(1, 1, 15, 15, 15, requires_grad=True)
    network(image)[0, 0, 7, 7, 7].backward()
    seen = image.grad[0, 0].nonzero()
    assert seen.min(0).values.tolist() == [2, 2, 2]
    assert seen.max(0).values.tolist() == [12, 12, 12]


def test_a_crop_inside_the_receptive_field_is_the_whole() -> None:
    generator = torch.Generator().manual_seed(2)
    network = MeshNet(1, 3, dilations=[1, 2, 1]).eval()
    image = torch.rand((1, 1, 20, 20, 20), generator=generator)
    with torch.inference_mode():
        whole, crop = network(image), network(image[..., 3:, 2:, 4:])
    inside = crop[..., 4:-4, 4:-4, 4:-4]
    torch.testing.assert_close(inside, whole[..., 7:-4, 6:-4, 8:-4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dilations", [[], [1, 0]])
def test_dilations_are_checked(dilations) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        MeshNet(dilations=dilations)
