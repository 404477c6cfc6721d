import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from volkit.errors import ConfigError, MissingExtraError, ModelError
from volkit.models import checkpoint as module
from volkit.models.checkpoint import load, read_checkpoint, save_checkpoint, write_card


@pytest.mark.parametrize("format", ["safetensors", "state_dict"])
@pytest.mark.parametrize("name", ["net.yaml", "net.json"])
def test_round_trip(network, card, tmp_path, format, name) -> None:
    written = save_checkpoint(network.state_dict(), tmp_path / name, card, format=format)
    found = read_checkpoint(tmp_path / name)
    assert found == written
    assert found.sha256 == hashlib.sha256(Path(found.weights_uri).read_bytes()).hexdigest()
    state = load(found).module.state_dict()
    for key, value in network.state_dict().items():
        torch.testing.assert_close(state[key], value, rtol=0, atol=0)


def test_a_card_is_found_by_its_weights_or_without_suffix(saved, tmp_path) -> None:
    assert read_checkpoint(tmp_path / "net") == saved
    write_card(saved, tmp_path / "plain.json")
    os.link(saved.weights_uri, tmp_path / "plain.safetensors")
    assert read_checkpoint(str(tmp_path / "plain.safetensors")) == saved


def test_a_card_is_read_from_a_url(saved, tmp_path) -> None:
    found = read_checkpoint(f"file://{tmp_path}/net.yaml")
    assert found == saved
    assert load(found) is load(saved)


def test_a_relative_address_means_the_same_elsewhere(saved, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_checkpoint("net.yaml").uri == str(tmp_path / "net.yaml")


def test_saving_again_leaves_one_card_and_its_weights(saved, network, card, tmp_path) -> None:
    with torch.no_grad():
        network.output.bias += 1
    again = save_checkpoint(network.state_dict(), tmp_path / "net.yaml", card)
    assert again.sha256 != saved.sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([again.weights, "net.yaml"])


def test_a_crash_between_weights_and_card_leaves_the_old_checkpoint(
    saved, network, card, tmp_path, monkeypatch
) -> None:
    def crash(*_):
        raise KeyboardInterrupt

    with torch.no_grad():
        network.output.bias += 1
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_card", crash)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(network.state_dict(), tmp_path / "net.yaml", card)
    assert read_checkpoint(tmp_path / "net.yaml") == saved
    load(saved)


def test_a_wrong_card_writes_nothing(network, card, tmp_path) -> None:
    with pytest.raises(ConfigError, match="windw: unknown key"):
        save_checkpoint(network.state_dict(), tmp_path / "net.yaml", card | {"windw": 3})
    assert not list(tmp_path.iterdir())


def test_keys_that_follow_from_the_weights_are_not_taken(network, card, tmp_path) -> None:
    with pytest.raises(ConfigError, match="sha256 follow from the weights; leave them out"):
        save_checkpoint(network.state_dict(), tmp_path / "net.yaml", card | {"sha256": "0" * 64})
    with pytest.raises(ConfigError, match="choose a name that ends in"):
        save_checkpoint(network.state_dict(), tmp_path / "net.safetensors", card)


def test_an_absent_card_is_named(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"there is no card at .*absent\.yaml or .*absent\.json"):
        read_checkpoint(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"no card at builtin:nothing\.yaml .*volkit ships"):
        read_checkpoint("builtin:nothing")


def test_a_card_that_is_not_yaml_is_refused(tmp_path) -> None:
    (tmp_path / "net.yaml").write_text("weights: [1,")
    with pytest.raises(ConfigError, match=r"net\.yaml is not YAML or JSON"):
        read_checkpoint(tmp_path / "net.yaml")
    (tmp_path / "net.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigError, match=r"net\.json is not YAML or JSON"):
        read_checkpoint(tmp_path / "net.json")


def test_a_builtin_checkpoint_lies_in_the_package(saved, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("volkit.models.location.files", lambda _: tmp_path)
    found = read_checkpoint("builtin:net")
    assert found == saved
    assert found.uri == "builtin:net.yaml"
    assert load(found).channels == (1, 2)


def test_cards_are_read_without_torch(saved) -> None:
    code = (
        "import sys; from volkit.models.checkpoint import read_checkpoint; "
        f"read_checkpoint({saved.uri!r}); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_loading_without_torch_names_the_extra(saved, monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'volkit\[torch\]'"):
        load(saved)
