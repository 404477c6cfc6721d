"""Views as a browser asks for them: runs, evaluations, thresholds, ports, tokens and mistakes."""

import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from volkit.cli import main
from volkit.engine.columns import read_columns
from volkit.errors import ConfigError, SourceError
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.io.points.files import write_points
from volkit.io.points.table import points_frame
from volkit.kernels.agglomerate import agglomerate_mean
from volkit.kernels.relabel import renamed
from volkit.testing.workflows import tiny_workflow
from volkit.viewer.public import public_source, public_url
from volkit.viewer.view import View, ViewOptions, public_view

VOLKIT = [sys.executable, "-c", "from volkit.cli import main; main()"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A run and an evaluation of its fragments."""
    folder = tmp_path_factory.mktemp("project")
    workflow = tiny_workflow(folder)
    commands = (
        ("run", workflow, "--local"),
        ("evaluate", folder / "run" / "fragments.zarr", folder / "truth.zarr", "--output",
         folder / "scored", "--set", f"image={folder / 'image.zarr'}"),
    )  # fmt: skip
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in command])
        assert ended.value.code == 0
    return folder


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def sources(state) -> dict[str, str]:
    found = {}
    for layer in state["layers"]:
        source = layer["source"]
        found[layer["name"]] = source if isinstance(source, str) else source["url"]
    return found


def test_a_run_is_shown_whole(project) -> None:
    with View.of([str(project / "run")]) as view:
        shown = {layer["name"]: layer for layer in view.state["layers"]}
        kinds = {name: layer["type"] for name, layer in shown.items()}
        assert kinds["image"] == kinds["prob"] == "image"
        assert kinds["labels"] == kinds["fragments"] == kinds["truth"] == "segmentation"
        off = {name for name, layer in shown.items() if layer.get("visible") is False}
        assert off == {"fragments", "truth", "seed_parts", "seeds", "labels at a threshold"}
        assert next(iter(shown)) == "image"
        assert view.state["position"] == [20, 24, 12]
        assert view.state["dimensions"]["z"] == [1e-8, "m"]
        url = sources(view.state)["labels"].removeprefix("precomputed://")
        data = get(f"{url}/0/0-40_0-48_0-24")
        labels = open_volume(project / "run" / "labels.zarr").read()
        assert np.array_equal(np.frombuffer(data, "<u8").reshape(labels.shape), labels)


def test_a_version_is_shown_with_what_it_shares(tmp_path) -> None:
    workflow = tiny_workflow(tmp_path)
    for command in (
        ("run", workflow, "--local"),
        ("reprocess", tmp_path / "run", "--set", "segment.threshold=0.4"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in command])
        assert ended.value.code == 0
    for uri, threshold in ((f"{tmp_path / 'run'}@v2", 0.4), (f"{tmp_path / 'run'}@v1", 0.6)):
        with View.of([uri]) as view:
            assert {"image", "prob", "fragments", "labels"} <= set(sources(view.state))
            assert view.found.cut.threshold == threshold


def test_labels_follow_the_threshold(project) -> None:
    graph = read_columns(Place.at(project / "run").inside("region_graph.npz"))
    fragments = open_volume(project / "run" / "fragments.zarr").read()
    with View.of([str(project / "run")]) as view:
        assert view.found.cut.threshold == 0.6
        for threshold in (0.2, 0.9):
            request = urllib.request.Request(f"{view.url}threshold", json.dumps(threshold).encode())
            assert json.loads(urllib.request.urlopen(request).read()) == {"threshold": threshold}
            url = sources(view.state)["labels at a threshold"].removeprefix("precomputed://")
            found = np.frombuffer(get(f"{url}/0/0-40_0-48_0-24"), "<u8").reshape(fragments.shape)
            columns = [graph[name] for name in ("u", "v", "boundary_sum", "count")]
            old, new = agglomerate_mean(*columns, threshold=threshold)
            assert np.array_equal(found, renamed(fragments, old, new))
        assert len(np.unique(found)) < len(np.unique(fragments))
        visible = {one["name"]: one.get("visible", True) for one in view.state["layers"]}
        assert visible["labels at a threshold"]
        assert not visible["labels"]
        wrong = {b"2": "threshold is 2.0; give a number from 0 to 1", b"NaN": "threshold is nan;"}
        wrong |= {b"[]": "the threshold is '[]', which is no number", b"": "the threshold is ''"}
        for sent, message in wrong.items():
            request = urllib.request.Request(f"{view.url}threshold", sent)
            with pytest.raises(urllib.error.HTTPError, match="400") as refused:
                urllib.request.urlopen(request)
            assert message in refused.value.read().decode()


def test_a_run_that_is_half_written_is_shown_as_far_as_it_is(project, tmp_path) -> None:
    run = shutil.copytree(project / "run", tmp_path / "run")
    shutil.rmtree(run / "report")
    for gone in ("labels.ledger", "contingency.ledger", "region_graph.ledger"):
        shutil.rmtree(run / gone)
    (run / "region_graph.npz").write_bytes(b"PK half")
    done = run / "fragments.ledger" / "done"
    done.write_bytes(done.read_bytes()[: 24 * 5 + 7])  # five blocks and a torn record
    with View.of([str(run)]) as view:
        names = [layer["name"] for layer in view.state["layers"]]
        assert names[0] == "image"
        assert {"prob", "fragments"} < set(names)
        assert not {"labels", "labels at a threshold"} & set(names)
        assert any(
            "fragments is not finished: 5 of 12 blocks are there" in message
            for message in view.found.messages
        )
        assert view.found.cut is None
        assert "not shown: cannot read the table" in view.found.messages[-1]
        assert b"5 of 12 blocks" in get(view.url)
    for ledger in run.glob("*.ledger"):
        (ledger / "done").write_bytes(b"")
    moved = [(project / f"{name}.zarr", project / f"{name}.moved") for name in ("image", "truth")]
    for here, there in moved:
        here.rename(there)
    try:
        with pytest.raises(ConfigError, match=r"image is not shown: .*; .* has no volume yet"):
            View.of([str(run)])
    finally:
        for here, there in moved:
            there.rename(here)


def test_errors_of_an_evaluation_are_listed_worst_first(project) -> None:
    with View.of([str(project / "scored")]) as view:
        shown = {layer["name"]: layer for layer in view.state["layers"]}
        assert list(shown) == ["image", "truth", "pred", "split objects", "merges"]
        boxes = shown["split objects"]["annotations"]
        scores = json.loads((project / "scored" / "scores.json").read_text())
        assert scores["kind"] == "labels"
        split = [prop["id"] for prop in shown["split objects"]["annotationProperties"]].index(
            "split"
        )
        worst = [box["props"][split] for box in boxes]
        assert worst == sorted(worst, reverse=True)
        assert worst[0] > 0
        assert all(a < b for a, b in zip(boxes[0]["pointA"], boxes[0]["pointB"], strict=True))


def test_points_lie_on_the_voxels_that_they_name(project, tmp_path) -> None:
    frame = points_frame([[120.0, 200.0, 310.0]], "ribosome", scores=[0.5])
    write_points(tmp_path / "p.csv", frame)
    (tmp_path / "n.swc").write_text("1 1 0.1 0.1 0.1 0.01 -1\n2 1 0.2 0.1 0.1 0.01 1\n")
    uris = [str(project / "image.zarr"), str(tmp_path / "p.csv"), str(tmp_path / "n.swc")]
    with View.of(uris, options=ViewOptions(at=(3, 5, 7))) as view:
        assert view.state["position"] == [7, 5, 3]
        shown = {layer["name"]: layer for layer in view.state["layers"]}
        (point,) = shown["p.csv"]["annotations"]
        assert point["point"] == [31.5, 20.5, 12.5]  # centre of voxel (12, 20, 31)
        assert shown["n.swc"]["segments"] == ["1"]
    with pytest.raises(SourceError, match="does not exist"):
        View.of([str(tmp_path / "nothing.zarr")])


def test_whoever_does_not_know_the_token_sees_nothing(project) -> None:
    with View.of([str(project / "image.zarr")]) as view:
        layer = sources(view.state)["image.zarr"].removeprefix("precomputed://")
        assert json.loads(get(f"{layer}/info"))["data_type"] == "float32"
        token = view.server.token
        assert len(token) == 40
        for url in (f"{layer}/info", view.url, f"{view.server.origin}/v/{token}/"):
            assert get(url)
            for wrong in ("0" * 40, "x"):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    get(url.replace(token, wrong))
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{layer}x/info")
        address = view.server._server.http_server._sockets
        assert {sock.getsockname()[0] for sock in address.values()} == {"127.0.0.1"}
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(view.url)


def test_a_port_that_is_taken_is_named(project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"port {port} of 127.0.0.1 .* choose another --port"
        ):
            View.of([str(project / "image.zarr")], port=port)
    with View.of([str(project / "image.zarr")], port=port) as view:
        assert f":{port}/" in view.url
    with pytest.raises(ConfigError, match="port 99999: ports go from 1 to 65535"):
        View.of([str(project / "image.zarr")], port=99999)


def test_a_damaged_chunk_is_an_error_of_its_own_request(project, tmp_path, caplog) -> None:
    values = np.arange(4 * 32 * 32, dtype=np.uint8).reshape(4, 32, 32)
    volume = create_volume(
        tmp_path / "em.zarr", shape=values.shape, dtype="uint8", voxel_size_nm=(8, 8, 8)
    )
    volume.write(volume.domain, values)
    with View.of([str(tmp_path / "em.zarr")]) as view:
        url = sources(view.state)["em.zarr"].removeprefix("precomputed://")
        files = [p for p in (tmp_path / "em.zarr").rglob("*") if p.is_file() and "/c/" in str(p)]
        for file in files:
            file.write_bytes(b"damaged" + file.read_bytes()[7:])
        with pytest.raises(urllib.error.HTTPError, match="502"):
            get(f"{url}/0/0-32_0-32_0-4")
        assert get(f"{url}/info")
    assert "0/0-32_0-32_0-4 of layer 0" in caplog.text


def test_public_addresses_name_public_places_and_are_short_enough(project) -> None:
    with pytest.raises(ConfigError, match="lies on this machine, where nobody else can see it"):
        public_view([str(project / "image.zarr")])
    with pytest.raises(ConfigError, match="lies on this machine"):
        public_source("precomputed://file:///data/layer")
    with pytest.raises(ConfigError, match="does not read ftp://"):
        public_source("ftp://host/em.zarr")
    url = public_url({"layers": [{"name": "a b", "source": "precomputed://gs://b/l"}]})
    assert url == (
        "https://neuroglancer-demo.appspot.com/#!%7B%22layers%22:%5B%7B%22name%22:%22a%20b%22,"
        "%22source%22:%22precomputed://gs://b/l%22%7D%5D%7D"
    )
    many = {"layers": [{"name": "points", "annotations": [[n] * 9 for n in range(9000)]}]}
    with pytest.raises(ConfigError, match=r"would have .* characters, .* beyond 60,000; show less"):
        public_url(many, names=["points"])


def test_a_public_zarr_is_named_as_the_viewer_does(project) -> None:
    from volkit.testing.servers.files import FileServer

    with FileServer(project) as server:
        url = public_view([f"{server.url}/image.zarr"])
        state = json.loads(urllib.parse.unquote(url.partition("#!")[2]))
        assert sources(state) == {"image.zarr": f"zarr3://{server.url}/image.zarr"}


def test_the_command_serves_until_it_is_interrupted(project) -> None:
    command = [*VOLKIT, "view", str(project / "image.zarr"), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert b"image.zarr" in get(url)
        assert "Ctrl-C ends it" in process.stdout.readline()
        process.send_signal(2)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--at", "1,2"], "--at 1,2: write three numbers, z,y,x"),
        (["--voxel-size", "a"], "--voxel-size a: write three numbers"),
        (["--at", "3,5,40"], "voxel 3,5,40 (z, y, x) is outside"),
        (["--public"], "lies on this machine"),
    ],
)
def test_mistakes_end_in_one_message(project, capsys, arguments, said) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["view", str(project / "image.zarr"), *arguments])
    assert ended.value.code == 1
    assert said in " ".join(capsys.readouterr().err.split())
