import json
import pickle

import pytest
import yaml

from volkit.errors import ConfigError
from volkit.models.card import as_card, parse_card
from volkit.models.scaling import Scaling

CARD = {
    "weights": "net.safetensors",
    "sha256": "ab" * 32,
    "architecture": "meshnet",
    "arguments": {"out_channels": 2},
    "channels": [1, 2],
    "window": [32, 32, 16],
    "margin": [2, 2, 2],
    "scaling": {"kind": "fixed", "divide": 255},
    "activation": "softmax",
    "classes": ["background", "membrane"],
    "voxel_size_nm": [40, 8, 8.5],
    "licence": "CC0-1.0",
    "training_data": "a crop",
}


def test_a_card_is_read_and_written_unchanged() -> None:
    checkpoint = parse_card(CARD, "nets/net.yaml")
    assert checkpoint.window == (32, 32, 16)
    assert checkpoint.scaling == Scaling("fixed", shift=0.0, divide=255.0)
    assert parse_card(as_card(checkpoint), "nets/net.yaml") == checkpoint
    assert parse_card(yaml.safe_load(yaml.safe_dump(as_card(checkpoint)))) == checkpoint
    assert parse_card(json.loads(json.dumps(as_card(checkpoint)))) == checkpoint


def test_thresholds_are_a_key_of_the_card_where_there_are_some() -> None:
    told = {"background": 0.5, "membrane": 0.25}
    assert parse_card({**CARD, "thresholds": told}).thresholds == told
    assert as_card(parse_card({**CARD, "thresholds": told}))["thresholds"] == told
    assert "thresholds" not in as_card(parse_card(CARD))


def test_weights_lie_beside_their_card() -> None:
    assert parse_card(CARD, "nets/net.yaml").weights_uri == "nets/net.safetensors"
    assert parse_card(CARD, "s3://nets/a/net.yaml").weights_uri == "s3://nets/a/net.safetensors"
    assert parse_card(CARD, "builtin:net.yaml").weights_uri == "builtin:net.safetensors"


def test_a_checkpoint_travels_and_is_a_key() -> None:
    checkpoint = parse_card(CARD, "nets/net.yaml")
    assert pickle.loads(pickle.dumps(checkpoint)) == checkpoint
    assert {checkpoint: 1}[parse_card(CARD, "elsewhere.yaml")] == 1


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"description": "other words"}, True),
        ({"thresholds": {"background": 0.5, "membrane": 0.25}}, True),
        ({"sha256": "cd" * 32}, False),
        ({"activation": "none"}, False),
        ({"scaling": {"kind": "moments"}}, False),
    ],
)
def test_identity_follows_what_decides_the_answer(change, same) -> None:
    identity = parse_card(CARD).identity
    assert (parse_card(CARD | change).identity == identity) is same


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"windw": [1, 1, 1]}, r"card net\.yaml: windw: unknown key"),
        ({"uri": "x"}, "found the key uri, which is not one"),
        ({"scaling": {"kind": "fixed", "divid": 2}}, r"scaling\.divid: unknown key"),
        ({"scaling": {"kind": "fixed", "divide": 0}}, "scaling: scaling of kind 'fixed' needs"),
        ({"channels": [1, "two"]}, r"channels\.1: Input should be a valid integer"),
        ({"channels": [1, 0]}, "channels and window are at least 1"),
        ({"thresholds": {"membrane": 0.5}}, "thresholds are of membrane, the classes are backgr"),
        ({"thresholds": {"background": 0.5, "membrane": float("nan")}}, "give finite numbers"),
        ({"classes": ["membrane"]}, "name 1 output channels, channels says 2"),
        ({"margin": [8, 8, 8]}, "leaves nothing of a window"),
        ({"activation": "relu"}, "activation: Input should be 'sigmoid', 'softmax' or 'none'"),
        ({"weights": "../../secret"}, "is not the name of a file beside the card"),
        ({"weights": "a/b.safetensors"}, "is not the name of a file beside the card"),
        ({"sha256": "AB" * 32}, "is not 64 lower-case hexadecimal digits"),
        ({"format": "export"}, "do not go together"),
        ({"voxel_size_nm": [0, 1, 1]}, "is not positive"),
    ],
)
def test_a_wrong_card_is_refused_by_the_name_of_its_key(change, message) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_card(CARD | change, "net.yaml")


@pytest.mark.parametrize("key", ["weights", "sha256", "architecture", "channels", "window"])
def test_a_missing_key_is_named(key) -> None:
    with pytest.raises(ConfigError, match=f"{key}: missing"):
        parse_card({k: v for k, v in CARD.items() if k != key})


def test_something_else_than_a_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a mapping"):
        parse_card(["weights"], "net.yaml")
