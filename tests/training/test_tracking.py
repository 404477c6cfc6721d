"""Tracking: a table always, TensorBoard and Weights & Biases where they are asked for."""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from volkit.errors import ConfigError
from volkit.io.tables import read_table
from volkit.training.tracking import TrackingKeys, tracked

TOLD = [{"loss": 0.75, "learning_rate": 1e-3}, {"loss": 0.5, "learning_rate": 5e-4}]
IDENTITY = "ab" * 32


def tell(folder, keys, told, known=()) -> None:
    with tracked(folder, "fold0", keys, identity=IDENTITY, facts={"seed": 1}, known=known) as all_:
        for step, values in enumerate(told, start=len(known)):
            all_.log(step, values)


def test_the_table_holds_every_step_also_of_the_run_before(tmp_path) -> None:
    tell(tmp_path, TrackingKeys(), TOLD[:1])
    tell(tmp_path, TrackingKeys(), TOLD[1:], known=TOLD[:1])
    frame, schema, _ = read_table(tmp_path / "fold0.csv")
    assert schema.names == ("step", "loss", "learning_rate")
    assert frame["step"].tolist() == [0, 1]
    assert frame["loss"].tolist() == [0.75, 0.5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold0.csv", "fold0.csv.json"]


def test_what_the_run_before_could_not_tell_any_more_is_told(tmp_path) -> None:
    tell(tmp_path, TrackingKeys(), TOLD[:1])
    tell(tmp_path, TrackingKeys(), [], known=TOLD)
    assert read_table(tmp_path / "fold0.csv")[0]["loss"].tolist() == [0.75, 0.5]


def test_tensorboard_reads_what_was_told(tmp_path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    keys = TrackingKeys(tensorboard=True)
    tell(tmp_path, keys, [TOLD[0], {"loss": 9.0}])  # the last one of a run that was killed
    tell(tmp_path, keys, TOLD[1:], known=TOLD[:1])
    events = EventAccumulator(str(tmp_path / "tensorboard" / "fold0"))
    events.Reload()
    assert [(e.step, round(e.value, 6)) for e in events.Scalars("loss")] == [(0, 0.75), (1, 0.5)]
    tell(tmp_path, keys, TOLD[1:])  # of another training, that replaces it
    events.Reload()
    assert [(e.step, round(e.value, 6)) for e in events.Scalars("loss")] == [(0, 0.5)]


@pytest.fixture
def no_network(monkeypatch) -> None:
    """Let nothing leave this machine."""
    connect = socket.socket.connect

    def refused(self, address, *more):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] != "127.0.0.1":
            raise OSError(f"the test has no network, {address} was asked for")
        return connect(self, address, *more)

    monkeypatch.setattr(socket.socket, "connect", refused)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # for the helper process of wandb, too
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


def logged(data: bytes) -> Iterator[bytes]:
    """Read the records of a log of LevelDB, as wandb writes them behind a header of 7 bytes."""
    place, parts = 7, []
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # no header of a record goes over the end of a block
            place += 32768 - place % 32768
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if place > len(data):
            return  # it is still being written
        if kind in (1, 4):  # whole, or its last part
            yield b"".join(parts)
            parts = []


def finished(path: Path) -> list[Any]:
    """Read a log of wandb, whose helper process may end it a moment after the run."""
    from wandb.proto.wandb_internal_pb2 import Record

    until = time.monotonic() + 30
    while True:
        records = [Record.FromString(data) for data in logged(path.read_bytes())]
        if any(record.HasField("exit") for record in records):
            return records
        assert time.monotonic() < until, f"the run in {path} does not end"
        time.sleep(0.05)


def test_wandb_records_offline_what_was_told(tmp_path, no_network) -> None:
    pytest.importorskip("wandb")
    tell(tmp_path, TrackingKeys(wandb="offline", project="brains", name="heads"), TOLD)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert folder.name.endswith(IDENTITY[:16])
    records = finished(next(folder.glob("*.wandb")))
    runs = [(r.run.project, r.run.display_name) for r in records if r.HasField("run")]
    told = [
        {i.key or ".".join(i.nested_key): i.value_json for i in r.history.item}
        for r in records
        if r.HasField("history")
    ]
    losses = [float(items["loss"]) for items in told]
    assert losses == [0.75, 0.5]
    assert runs[0] == ("brains", "heads-fold0")


def test_a_run_needs_a_name() -> None:
    with pytest.raises(ConfigError, match="tracking needs a project and a name"):
        TrackingKeys(project="")
