import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from volkit.errors import ConfigError, ModelError
from volkit.models.card import parse_card
from volkit.models.ensemble import Ensemble, EnsembleOptions, read_model
from volkit.pipelines.config import located, validate
from volkit.pipelines.provenance_tables import references
from volkit.pipelines.report import described_model
from volkit.testing.networks import identity

PLAIN = {
    "weights": "net.safetensors",
    "sha256": "ab" * 32,
    "architecture": "meshnet",
    "channels": [1, 2],
    "window": [8, 8, 8],
}


def card(uri, **keys):
    return parse_card(PLAIN | keys, uri)


def write(folder, name, **keys):
    path = folder / name
    path.write_text(json.dumps(PLAIN | keys))
    return str(path)


def test_members_count_alike_unless_told() -> None:
    assert Ensemble((identity, identity, identity)).shares == (1.0, 1.0, 1.0)
    assert Ensemble((identity, identity), (2, 1)).shares == (2, 1)


def test_an_ensemble_travels_and_its_identity_follows_order_and_weights() -> None:
    a, b = card("a.yaml"), card("b.yaml", sha256="cd" * 32)
    ensemble = Ensemble((a, b), (1.0, 2.0))
    assert pickle.loads(pickle.dumps(ensemble)) == ensemble
    others = [
        Ensemble((b, a), (1.0, 2.0)),
        Ensemble((a, b), (2.0, 1.0)),
        Ensemble((a, b)),
        Ensemble((a, b), combine="max"),
        Ensemble((a, b), (1.0, 2.0), deviation=True),
    ]
    assert len({ensemble.identity, *(other.identity for other in others)}) == 6
    assert ensemble.sha256 == others[1].sha256 != others[0].sha256


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": ()}, "an ensemble without members"),
        ({"weights": (1,)}, "1 weights for 2 members; give one to each"),
        ({"weights": (1, 0)}, r"weights \[1, 0\] are not all greater than 0"),
        ({"weights": (1, float("nan"))}, "not all greater than 0"),
        ({"weights": (1, 2), "combine": "max"}, "'max' knows no weights"),
        ({"combine": "median"}, "combine 'median' is unknown; choose one of mean, max"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Ensemble(**({"members": (identity, identity)} | arguments))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"channels": [1, 3]}, r"differ in channels: a.yaml \[1, 2\]; b.yaml \[1, 3\]; choose"),
        ({"channels": [2, 2]}, "differ in channels"),
        ({"classes": ["x", "y"]}, r"differ in classes: a.yaml none; b.yaml \['x', 'y'\]"),
        ({"offsets": [[0, 0, 1], None]}, r"differ in offsets: a.yaml none; b.yaml \[\(0, 0, 1\)"),
        ({"vectors": [[None, 0, 1]]}, "differ in vectors"),
    ],
)
def test_members_must_mean_the_same_and_are_named(keys, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Ensemble((card("nets/a.yaml"), card("nets/b.yaml", **keys)))


def test_the_largest_component_is_no_vector() -> None:
    flows = card("a.yaml", vectors=[[None, 0, 1]])
    with pytest.raises(ConfigError, match="combine vectors by 'mean'"):
        Ensemble((flows, flows), combine="max")


def test_a_workflow_names_one_card_or_many(tmp_path) -> None:
    a, b = write(tmp_path, "a.json"), write(tmp_path, "b.json", sha256="cd" * 32)
    assert read_model(a).uri == a
    assert read_model([a]) == read_model(a)
    pair = read_model((a, b))
    assert [member.uri for member in pair.members] == [a, b]
    options = EnsembleOptions(members=(a, b), weights=(1.0, 3.0), deviation=True)
    assert read_model(options) == Ensemble(pair.members, (1.0, 3.0), deviation=True)
    with pytest.raises(ModelError, match="there is no card"):
        read_model([a, str(tmp_path / "c.json")])


def test_trees_of_workflows_name_them_too(tmp_path) -> None:
    a, b = write(tmp_path, "a.json"), write(tmp_path, "b.json", sha256="cd" * 32)
    assert read_model({"members": [a, b], "combine": "max"}).combine == "max"
    with pytest.raises(ConfigError, match="is no ensemble .*; give members, and where wanted"):
        read_model({"members": [a, b], "weigths": [1, 2]})
    with pytest.raises(ConfigError, match="an ensemble without members"):
        read_model([])


@dataclass(frozen=True, slots=True)
class Keys:
    checkpoint: str | tuple[str, ...] | EnsembleOptions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.yaml", "nets/a.yaml"),
        (["a.yaml", "s3://b/c.yaml"], ("nets/a.yaml", "s3://b/c.yaml")),
        (
            {"members": ["a.yaml"], "deviation": True},
            EnsembleOptions(members=("nets/a.yaml",), deviation=True),
        ),
    ],
)
def test_a_workflow_takes_one_card_a_list_or_a_mapping(given, expected) -> None:
    tree = located({"checkpoint": given}, {"checkpoint", "members"}, Path("nets"))
    assert validate(tree, Keys, where="em.yaml").checkpoint == expected


def test_a_report_names_every_member(tmp_path) -> None:
    a, b = card("nets/a.yaml"), card("nets/b.yaml", sha256="cd" * 32)
    said = described_model(Ensemble((a, b), (1.0, 2.0)))
    assert said["uri"] == "ensemble of a.yaml, b.yaml"
    assert said["weights"] == [1.0, 2.0]
    assert [found["uri"] for _, found in references({"checkpoint": said})] == [a.uri, b.uri]
    assert [found for _, found in references({"checkpoint": described_model(a)})] == [
        described_model(a)
    ]


def test_options_are_checked_as_keys_of_a_workflow() -> None:
    tree = {"members": ["a.yaml", "b.yaml"], "weights": [1, 2.5], "combine": "mean"}
    found = validate(tree, EnsembleOptions, where="here")
    assert found == EnsembleOptions(members=("a.yaml", "b.yaml"), weights=(1.0, 2.5))
    with pytest.raises(ConfigError, match="weigths: unknown key; did you mean weights"):
        validate({"members": [], "weigths": []}, EnsembleOptions, where="here")


def test_numbers_of_weights_may_be_of_numpy() -> None:
    assert np.isclose(sum(Ensemble((identity,) * 4, tuple(np.full(4, 0.25))).shares), 1)
