"""Who made a stage is kept beside its ledger, and in nothing that is compared."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from volkit.engine.base import Progress
from volkit.engine.job import JobEngine
from volkit.engine.op import Op, Reduction
from volkit.engine.origin import Origin, read_origin
from volkit.engine.owner import Owner
from volkit.geometry import Block, Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.io.volume import Volume


def add(block: Block, image: NDArray[np.uint8], *, amount: int) -> NDArray[np.uint8]:
    return image + np.uint8(amount)


def count(block: Block, image: NDArray[np.uint8]) -> dict[str, NDArray[np.int64]]:
    return {"sum": np.array([image.sum()], np.int64)}


def total(parts: Sequence[dict[str, NDArray[np.int64]]]) -> dict[str, NDArray[np.int64]]:
    return {"sum": np.sum([part["sum"] for part in parts], axis=0)}


@pytest.fixture
def image(tmp_path: Path) -> Volume:
    volume = create_volume(tmp_path / "em.zarr", shape=(4, 4, 12), dtype="uint8")
    volume.write(volume.domain, np.arange(192, dtype=np.uint8).reshape(4, 4, 12))
    return volume


def grid(image: Volume) -> Grid:
    return Grid(image.domain, (4, 4, 4))


def origin_of(root: Place | Path, stage: str) -> Origin:
    found = read_origin(Place.at(root).inside(f"{stage}.ledger"))
    assert found is not None
    return found


def test_a_stage_says_who_made_it_of_what(image: Volume, tmp_path: Path) -> None:
    op = Op(add, dtype=np.uint8, params={"amount": 1})
    part = image.cutout(image.domain)
    JobEngine(tmp_path / "run").map(op, part, grid=grid(image), name="more")
    found = origin_of(tmp_path / "run", "more")
    header = json.loads((tmp_path / "run" / "more.ledger" / "header.json").read_text())
    assert found.fingerprint == header["fingerprint"]
    assert found.inputs[0]["uri"] == str(tmp_path / "em.zarr")
    assert [found.inputs[0]["identity"]] == header["facts"]["inputs"]
    assert found.inputs[0]["region"] == [[0, 0, 0], [4, 4, 12]]
    (session,) = found.sessions
    here = Owner.here()
    assert (session.user, session.host, session.hosts) == (here.user, here.host, (here.host,))
    assert session.blocks == 3
    assert session.versions["numpy"] == np.__version__
    assert session.started <= session.until


@pytest.mark.parametrize("remote", [False, True])
def test_every_attempt_that_computed_is_a_session(
    image: Volume, tmp_path: Path, *, remote: bool
) -> None:
    root = Place("memory://origin" if remote else str(tmp_path / "run"))
    op = Op(add, dtype=np.uint8, params={"amount": 2})

    def stop(state: Progress) -> None:
        if state.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        JobEngine(root, on_progress=stop).map(op, image, grid=grid(image), name="more")
    for _ in range(2):  # the second time there is nothing to do, and nothing is said
        JobEngine(root).map(op, image, grid=grid(image), name="more")
    assert [session.blocks for session in origin_of(root, "more").sessions] == [1, 2]


def test_tables_say_it_too(image: Volume, tmp_path: Path) -> None:
    found = JobEngine(tmp_path).reduce(Reduction(count, total), image, grid=grid(image), name="n")
    op = Op(lambda block, image, table: image, dtype=np.uint8)
    JobEngine(tmp_path).map(op, image, grid=grid(image), name="same", shared=(found,))
    assert origin_of(tmp_path, "n").sessions[0].blocks == 3
    about = json.loads((tmp_path / "n.json").read_text())
    (table,) = origin_of(tmp_path, "same").shared
    assert table["sha256"] == about["sha256"]


def test_a_stage_made_anew_forgets_who_made_the_one_before(image: Volume, tmp_path: Path) -> None:
    for amount in (1, 2):
        op = Op(add, dtype=np.uint8, params={"amount": amount})
        engine = JobEngine(tmp_path / "run", replace_stale=True)
        engine.map(op, image, grid=grid(image), name="more")
    assert len(origin_of(tmp_path / "run", "more").sessions) == 1


def test_results_do_not_depend_on_the_origin(
    image: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    op = Op(add, dtype=np.uint8, params={"amount": 1})
    for name in ("a", "b"):
        monkeypatch.setattr(sys, "argv", ["volkit", "run", name])
        JobEngine(tmp_path / name).map(op, image, grid=grid(image), name="more")
    a, b = (
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file() and not path.parent.name.endswith(".ledger")
        }
        for name in ("a", "b")
    )
    assert a == b


def test_secrets_are_left_out(
    image: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hunter2hunter2"
    command = ["/bin/volkit", "run", "--set", f"boss.token={secret}", "--password", secret]
    monkeypatch.setattr(sys, "argv", command)
    op = Op(add, dtype=np.uint8, params={"amount": 1})
    JobEngine(tmp_path / "run").map(op, image, grid=grid(image), name="more")
    (session,) = origin_of(tmp_path / "run", "more").sessions
    assert session.command == "volkit run --set boss.token=*** --password ***"
    for path in (tmp_path / "run").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_what_cannot_be_understood_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "origin.json").write_text("{")
    assert read_origin(Place.at(tmp_path)) is None
