"""RO-Crates: what RO-Crate 1.1 and Process Run Crate 0.5 ask for, checked on the JSON-LD."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.engine.op import Op
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.pipelines.provenance import trace
from volkit.pipelines.ro_crate import ro_crate, write_ro_crate

Entity = dict[str, Any]


@pytest.fixture(scope="module")
def crate(finished) -> dict[str, Entity]:
    """The entities of the crate of a run, by id, after a trip through the file."""
    chain = trace(str(finished.folder))
    file = write_ro_crate(
        str(finished.folder), chain, licence="https://creativecommons.org/licenses/by/4.0/"
    )
    found = json.loads(Path(file).read_text())
    Path(file).unlink()  # others compare the folder
    assert found["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in found["@graph"]}
    assert len(entities) == len(found["@graph"]), "an id stands twice"
    return entities


def values(entity: Entity, key: str) -> list[Any]:
    value = entity.get(key, [])
    return value if isinstance(value, list) else [value]


def of_type(crate: dict[str, Entity], name: str) -> list[Entity]:
    return [entity for entity in crate.values() if name in values(entity, "@type")]


def references(entity: Entity) -> Iterator[str]:
    for key in entity:
        yield from (v["@id"] for v in values(entity, key) if isinstance(v, dict))


def test_the_descriptor_and_the_root_are_as_the_specification_asks(crate) -> None:
    descriptor = crate["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert descriptor["about"] == {"@id": "./"}
    root = crate["./"]
    assert root["@type"] == "Dataset"
    assert root["name"]
    assert root["description"]
    assert datetime.fromisoformat(root["datePublished"])
    assert crate[root["license"]["@id"]]["name"]
    assert root["conformsTo"]["@id"] in crate


def test_the_graph_is_flat_and_every_reference_leads_somewhere(crate) -> None:
    outside = {"https://w3id.org/ro/crate/1.1"}
    for entity in crate.values():
        assert entity["@type"]
        assert set(references(entity)) <= set(crate) | outside, entity["@id"]
        for key in entity:
            for value in values(entity, key):
                assert not isinstance(value, dict) or value.keys() == {"@id"}, entity["@id"]
            assert not isinstance(entity[key], list) or len(entity[key]) > 1, entity["@id"]


def test_data_are_parts_and_are_there(crate, finished) -> None:
    parts = {part["@id"] for part in crate["./"]["hasPart"]}
    data = {e["@id"] for name in ("File", "Dataset") for e in of_type(crate, name)} - {"./"}
    assert parts == data
    assert {"./prob.zarr/", "./labels.zarr/", "region_graph.npz", "report/scores.csv"} <= data
    for key in data:
        assert not re.match(r"/|\.\./", key), "outside the crate an absolute URI is asked for"
        if "://" in key:
            assert Path(key.removeprefix("file://")).exists()
        else:
            assert (finished.folder / key).exists()
            assert (finished.folder / key).is_dir() == key.endswith("/")
        assert crate[key]["name"]


def test_every_stage_is_an_action_with_all_that_belongs_to_it(crate, finished) -> None:
    actions = of_type(crate, "CreateAction")
    assert {a["@id"] for a in actions} == {m["@id"] for m in crate["./"]["mentions"]}
    made = {result["@id"] for action in actions for result in values(action, "result")}
    stages = ("prob", "seed_parts", "seeds", "fragments", "labels")
    assert {f"./{name}.zarr/" for name in stages} | {"report/scores.csv"} <= made
    for action in actions:
        software, agent = crate[action["instrument"]["@id"]], crate[action["agent"]["@id"]]
        assert software["@type"] == "SoftwareApplication"
        assert (software["name"], bool(software["version"])) == ("volkit", True)
        assert (agent["@type"], bool(agent["name"])) == ("Person", True)
        assert datetime.fromisoformat(action["startTime"]) <= datetime.fromisoformat(
            action["endTime"]
        )
        assert action["name"]
        assert action["description"]
        assert action["object"]
    # One for the windows, and one for blocks whose strips were not there yet, if any.
    probs = [a for a in actions if a["result"] == {"@id": "./prob.zarr/"}]
    assert len(probs) in (1, 2)
    config = finished.workflow.config
    for prob in probs:
        objects = {o["@id"] for o in prob["object"]}
        assert Path(config.input.image).as_uri() + "/" in objects
        assert Path(config.checkpoint).as_uri() in objects
        told = {crate[k]["name"]: crate[k]["value"] for k in objects if k.startswith("#prob")}
        assert told["weights"] == "gaussian"
        assert told["block_shape"] == "[12, 16, 20]"


def test_a_checkpoint_states_its_digest(crate, finished) -> None:
    checkpoint = crate[Path(finished.workflow.config.checkpoint).as_uri()]
    assert re.fullmatch(r"[0-9a-f]{64}", checkpoint["sha256"])


def test_crates_of_object_stores_name_their_parts(tmp_path: Path) -> None:
    volume = create_volume("memory://crate/em.zarr", shape=(4, 4, 4), dtype="uint8")
    volume.write(volume.domain, np.ones((4, 4, 4), np.uint8))
    place = Place("memory://crate/run")
    op = Op(lambda block, image: image, dtype=np.uint8)
    JobEngine(place).map(op, volume, grid=Grid(volume.domain, (4, 4, 4)), name="same")
    chain = trace("memory://crate/run/same.zarr")
    found = ro_crate(chain, place)
    parts = {part["@id"] for part in found["@graph"][1]["hasPart"]}
    assert parts == {"./same.zarr/", "memory://crate/em.zarr/"}
    file = write_ro_crate("memory://crate/run", chain)
    assert file == "memory://crate/run/ro-crate-metadata.json"
    assert place.objects.get("ro-crate-metadata.json")
