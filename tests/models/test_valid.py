import numpy as np
import pytest
import torch
from torch import nn

from volkit.errors import ConfigError, ModelError
from volkit.models.card import as_card, parse_card
from volkit.models.checkpoint import load, read_checkpoint, save_checkpoint
from volkit.models.dense import DenseNetwork
from volkit.models.em_networks import N4
from volkit.models.valid import ValidNetwork

CARD = {
    "architecture": "n4",
    "arguments": {"activation": "tanh"},
    "channels": [1, 2],
    "window": [1, 104, 100],
    "margin": [0, 47, 47],
    "output": "valid",
    "stride": [1, 16, 16],
    "activation": "softmax",
}
STORED = {"weights": "net.safetensors", "sha256": "ab" * 32}


@pytest.fixture
def n4():
    torch.manual_seed(1)
    return N4(activation="tanh").eval()


def test_a_card_keeps_what_it_says_of_its_output() -> None:
    checkpoint = parse_card(CARD | STORED)
    assert (checkpoint.output, checkpoint.stride) == ("valid", (1, 16, 16))
    assert parse_card(as_card(checkpoint)) == checkpoint


def test_output_and_stride_decide_the_answer_and_are_unsaid_where_they_are_plain() -> None:
    plain = {key: value for key, value in CARD.items() if key not in ("output", "stride")}
    cards = [
        parse_card(plain | STORED | change)
        for change in (
            {},
            {"output": "same", "stride": [1, 1, 1]},
            {"output": "valid"},
            {"output": "valid", "stride": [1, 16, 16]},
        )
    ]
    assert "output" not in as_card(cards[1])
    assert "stride" not in as_card(cards[2])
    identities = [card.identity for card in cards]
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "same"}, r"a network of stride \(1, 16, 16\) does not answer every voxel"),
        ({"output": "cropped"}, "output: Input should be 'same', 'valid' or 'whole'"),
        ({"stride": [0, 1, 1]}, r"stride \(0, 1, 1\) cannot be; it is at least 1"),
        (
            {"architecture": "exported", "format": "export"},
            "a program cannot be evaluated between its answers",
        ),
    ],
)
def test_cards_that_do_not_fit_together_are_refused(change, message) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_card(CARD | STORED | change)


def test_the_inner_part_of_a_window_is_answered(n4, tmp_path) -> None:
    save_checkpoint(n4.state_dict(), tmp_path / "n4.yaml", CARD)
    predictor = load(tmp_path / "n4.yaml", device="cpu")
    window = np.random.default_rng(2).normal(size=(2, 1, 1, 104, 100)).astype(np.float32)
    answer = predictor(window)
    assert answer.shape == (2, 2, 1, 104, 100)
    with torch.inference_mode():
        expected = DenseNetwork(n4)(torch.from_numpy(window)).softmax(1).numpy()
    np.testing.assert_allclose(answer[..., 47:-47, 47:-47], expected, rtol=0, atol=1e-5)
    wider = np.pad(window, ((0, 0), (0, 0), (0, 0), (0, 6), (3, 3)))
    np.testing.assert_allclose(
        predictor(wider)[..., 47:57, 50:56], answer[..., 47:57, 47:53], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": [1, 8, 8]}, r"gives stride \(1, 8, 8\), the network has \(1, 16, 16\)"),
        (
            {"margin": [0, 47, 40]},
            r"gives a margin of \(0, 47, 40\), the network sees \(0, 47, 47\) voxels on each side",
        ),
        (
            {"stride": [1, 1, 1]},
            r"missing on axis y, .*margin of 47 allows for 94; say stride: \[1, 16, 16\] in the "
            r"card, and margin: \[0, 47, 47\]",
        ),
        ({"output": "same", "stride": [1, 1, 1]}, r"or say in the card .*\(output: valid\)"),
        ({"window": [1, 95, 96], "arguments": {}, "channels": [1, 3]}, r"expected \(1, 3, 1, 95"),
    ],
)
def test_networks_that_do_not_fit_their_card_are_refused(n4, tmp_path, change, message) -> None:
    save_checkpoint(n4.state_dict(), tmp_path / "n4.yaml", CARD | change)
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "n4.yaml", device="cpu")


def test_the_first_batch_of_a_program_tells(tmp_path) -> None:
    """A program is not pushed through when it is loaded."""
    valid = nn.Sequential(nn.Conv3d(1, 1, 3), nn.ReLU())
    program = torch.export.export(valid, (torch.zeros(1, 1, 6, 6, 6),))
    card = {"architecture": "exported", "channels": [1, 1], "window": [6, 6, 6], "output": "valid"}
    window = np.ones((1, 1, 6, 6, 6), np.float32)
    save_checkpoint(program, tmp_path / "a.yaml", card | {"margin": [1, 1, 1]}, format="export")
    answer = load(tmp_path / "a.yaml", device="cpu")(window)
    with torch.inference_mode():
        expected = valid(torch.from_numpy(window)).numpy()
    np.testing.assert_allclose(answer[..., 1:5, 1:5, 1:5], expected, rtol=1e-5)
    save_checkpoint(program, tmp_path / "b.yaml", card | {"margin": [1, 0, 1]}, format="export")
    with pytest.raises(ModelError, match="2 are missing on axis y, its card's margin of 0 allows"):
        load(tmp_path / "b.yaml", device="cpu")(window)


def test_a_dense_network_can_be_exported(n4, tmp_path) -> None:
    window = torch.randn(1, 1, 1, 100, 97)
    program = torch.export.export(DenseNetwork(n4), (window,))
    with torch.inference_mode():
        expected = DenseNetwork(n4)(window)
        torch.testing.assert_close(program.module()(window), expected, rtol=0, atol=2e-5)


def test_one_file_serves_two_margins(n4, tmp_path) -> None:
    """A margin above half the field of view only distrusts more."""
    window = np.ones((1, 1, 1, 104, 104), np.float32)
    answers = []
    for margin in (47, 49):
        card = CARD | {"margin": [0, margin, margin]}
        save_checkpoint(n4.state_dict(), tmp_path / f"{margin}.yaml", card)
        answers.append(load(tmp_path / f"{margin}.yaml", device="cpu")(window))
    np.testing.assert_array_equal(*answers)
    assert read_checkpoint(tmp_path / "49.yaml").margin == (0, 49, 49)


def test_asymmetric_answers_are_refused() -> None:
    even = ValidNetwork(nn.Conv3d(1, 1, (1, 2, 3)), (1, 1, 1))
    with pytest.raises(ModelError, match="1 are missing on axis y, which do not part evenly"):
        even(torch.zeros(1, 1, 1, 4, 4))
    with pytest.raises(ModelError, match=r"a field of view of \(1, 2, 2\) voxels is even"):
        _ = DenseNetwork(nn.Sequential(nn.MaxPool3d((1, 2, 2)))).reach.margin


def test_a_larger_answer_is_refused() -> None:
    larger = ValidNetwork(nn.Conv3d(1, 1, 1, padding=1), (1, 1, 1))
    with pytest.raises(ModelError, match="-2 are missing on axis z.* say margin"):
        larger(torch.zeros(1, 1, 1, 4, 4))


def test_other_answers_are_left_to_the_predictor() -> None:
    two = ValidNetwork(nn.Sequential(nn.Flatten()), (1, 1, 1))
    assert two(torch.zeros(1, 1, 2, 2, 2)).shape == (1, 8)
