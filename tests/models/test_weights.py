import hashlib
import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from volkit.errors import ModelError
from volkit.models.checkpoint import load, save_checkpoint, write_card
from volkit.models.weights import stored_bytes


class Evil:
    """A pickle that makes a file when it is run."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self):
        return Path.touch, (self.sentinel,)


def rewritten(checkpoint, data, **changes):
    """The same card with other weights."""
    Path(checkpoint.weights_uri).write_bytes(data)
    changed = replace(checkpoint, sha256=hashlib.sha256(data).hexdigest(), **changes)
    write_card(changed, checkpoint.uri)
    return changed


def pickled(obj) -> bytes:
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    return buffer.getvalue()


def test_a_wrong_hash_is_refused_with_both(saved) -> None:
    path = Path(saved.weights_uri)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    found = hashlib.sha256(data).hexdigest()
    with pytest.raises(ModelError, match=f"sha256 {found}, their card says {saved.sha256}"):
        load(saved)


def test_absent_weights_are_refused(saved) -> None:
    Path(saved.weights_uri).unlink()
    with pytest.raises(ModelError, match="are not there; put them beside the card"):
        load(saved)


@pytest.mark.parametrize("format", ["safetensors", "state_dict", "export"])
@pytest.mark.parametrize("length", [0, 7, 100, -40])
def test_weights_cut_short_are_refused(saved, network, format, length) -> None:
    given = torch.export.export(network, (torch.zeros(2, 1, 8, 8, 8),))
    state = given if format == "export" else network.state_dict()
    data = stored_bytes(state, format)
    short = data[:length]
    changes = {"format": format}
    if format == "export":
        changes |= {"architecture": "exported", "arguments": {}}
    with pytest.raises(ModelError, match="cannot be read as weights"):
        load(rewritten(saved, short, **changes))


def test_an_evil_pickle_is_refused_and_not_run(saved, tmp_path) -> None:
    sentinel = tmp_path / "sentinel"
    for data in (pickled({"w": Evil(sentinel)}), pickle.dumps(Evil(sentinel))):
        evil = rewritten(saved, data, format="state_dict")
        with pytest.raises(ModelError, match="holds more than tensors, and was not run"):
            load(evil)
    assert not sentinel.exists()


def test_a_whole_module_is_refused(saved, network) -> None:
    with pytest.raises(ModelError, match="holds more than tensors"):
        load(rewritten(saved, pickled(network), format="state_dict"))


def test_a_state_inside_other_things_is_refused(saved, network) -> None:
    data = pickled({"epoch": 3, "model": network.state_dict()})
    with pytest.raises(ModelError, match=r"does not hold tensors by name but \['epoch', 'model'\]"):
        load(rewritten(saved, data, format="state_dict"))


def test_missing_and_unexpected_names_are_listed(network, card, tmp_path) -> None:
    state = dict(network.state_dict())
    state["extra.weight"] = state.pop("output.bias")
    wrong = save_checkpoint(state, tmp_path / "net.yaml", card)
    with pytest.raises(ModelError, match=r"misses output\.bias; it holds extra\.weight, which"):
        load(wrong)


def test_other_shapes_are_listed(saved) -> None:
    wider = replace(saved, arguments={**saved.arguments, "channels": 4})
    with pytest.raises(ModelError, match=r"layers\.0\.bias \(3,\) instead of \(4,\)"):
        load(wider)


def test_something_else_is_not_stored(network) -> None:
    with pytest.raises(ModelError, match=r"it was given MeshNet; give module\.state_dict"):
        stored_bytes(network, "safetensors")
    with pytest.raises(ModelError, match=r"stores a program, it was given MeshNet"):
        stored_bytes(network, "export")


@pytest.fixture
def program(network, card, tmp_path):
    sizes = {0: torch.export.Dim("b"), **{i: torch.export.Dim(n) for i, n in ((2, "z"), (3, "y"))}}
    exported = torch.export.export(network, (torch.zeros(2, 1, 8, 8, 8),), dynamic_shapes=(sizes,))
    changed = card | {"architecture": "exported", "arguments": {}}
    return save_checkpoint(exported, tmp_path / "program.yaml", changed, format="export")


def test_a_program_answers_as_its_network(program, saved) -> None:
    x = torch.rand(3, 1, 8, 10, 8).numpy()
    torch.testing.assert_close(
        torch.from_numpy(load(program)(x)), torch.from_numpy(load(saved)(x)), rtol=1e-5, atol=1e-6
    )


def test_a_program_refuses_a_window_that_it_was_not_made_for(program) -> None:
    with pytest.raises(ModelError, match=r"refuses 1 windows of \(1, 8, 10, 9\).*was exported for"):
        load(program)(torch.zeros(1, 1, 8, 10, 9).numpy())


def repacked(checkpoint, change):
    """The program with one record changed."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(checkpoint.weights_uri) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new,
    ):
        for name in old.namelist():
            for stored, data in change(name, old.read(name)):
                new.writestr(stored, data)
    return rewritten(checkpoint, buffer.getvalue())


def test_a_program_with_an_evil_sample_is_refused_and_not_run(program, tmp_path) -> None:
    sentinel = tmp_path / "sentinel"
    evil = pickle.dumps(Evil(sentinel))

    def change(name, data):
        return [(name, evil if name.endswith("sample_inputs/model.pt") else data)]

    with pytest.raises(ModelError, match="holds more than tensors, and was not run"):
        load(repacked(program, change))
    assert not sentinel.exists()


def test_a_program_with_evil_weights_is_refused_and_not_run(program, tmp_path) -> None:
    sentinel = tmp_path / "sentinel"
    evil = pickle.dumps(Evil(sentinel))

    def change(name, data):
        if name.endswith("model_weights_config.json"):
            config = json.loads(data)
            for item in config["config"].values():
                item["use_pickle"] = True
            data = json.dumps(config).encode()
        return [(name, evil if "weights/weight_" in name else data)]

    with pytest.raises(ModelError, match="is refused, it holds a pickle"):
        load(repacked(program, change))
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("archive/data/aotinductor/model/model.so", "compiled code"),
        ("archive/data/constants/custom_obj_0", "objects that are not tensors"),
        ("archive/data/weights/model.pt", "a pickle"),
    ],
)
def test_a_program_with_other_records_is_refused(program, record, reason) -> None:
    def change(name, data):
        yield name, data
        if name.endswith("models/model.json"):
            yield record, b"anything"

    with pytest.raises(ModelError, match=f"is refused, it holds {reason}"):
        load(repacked(program, change))


def test_a_program_of_the_format_before_is_refused(program) -> None:
    def change(name, data):
        yield name, data
        if name.endswith("models/model.json"):
            yield "serialized_state_dict.pt", b"anything"

    with pytest.raises(ModelError, match="cannot be read as weights"):
        load(repacked(program, change))


def test_a_record_that_comes_twice_is_refused(program) -> None:
    def change(name, data):
        yield name, data
        if name.endswith("byteorder"):
            yield name.replace("byteorder", "archive_version"), b"1"

    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        pytest.raises(ModelError, match="cannot be read as weights"),
    ):
        load(repacked(program, change))
