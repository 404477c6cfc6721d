"""Packages of bioimage.io: what they describe is computed, and what is not exact is refused."""

import hashlib
import pickle
import shutil
import warnings
import zipfile

import numpy as np
import pytest
import torch
import yaml

from volkit.errors import ModelError
from volkit.models.bioimageio.address import package_uri
from volkit.models.bioimageio.export import export_package
from volkit.models.card import as_card
from volkit.models.checkpoint import load, read_checkpoint
from volkit.models.module_loading import read_module
from volkit.models.onnx_forward import exported
from volkit.models.scaling import Scaling
from volkit.models.weights import stored_bytes
from volkit.testing.model_packages import old_description, state_entry, write_package


def noise(shape=(2, 1, 8, 16, 16)) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)


def entry_of(unet, **changes) -> tuple[dict, dict[str, bytes]]:
    return state_entry(**changes), {"weights.pt": stored_bytes(unet.state_dict(), "state_dict")}


STEP = {"kwargs": {"axes": "czyx", "mode": "per_sample"}}


def standardised(image: np.ndarray, eps: float) -> torch.Tensor:
    """What bioimage.io computes: mean and deviation of the sample, and a small number."""
    plain = image.astype(np.float64)
    return torch.from_numpy(((plain - plain.mean()) / (plain.std() + eps)).astype(np.float32))


def test_a_package_of_0_4_answers_as_it_is_described(unet, tmp_path) -> None:
    entry, files = entry_of(unet)
    folder = write_package(
        tmp_path / "package", old_description({"pytorch_state_dict": entry}), files
    )
    found = read_checkpoint(folder)
    assert (found.channels, found.window, found.margin) == ((1, 2), (64, 64, 64), (0, 4, 4))
    assert found.architecture == "monai:UNet"
    assert found.scaling == Scaling("moments", epsilon=0.001)
    assert found.activation == "sigmoid"
    assert (found.description, found.licence) == ("Finds nothing.", "MIT")
    assert found.attribution == "A. Tester; 10.1000/xyz"
    assert found.sha256 == hashlib.sha256(files["weights.pt"]).hexdigest()
    image = noise()
    scale = found.scaling.resolve(*np.unique(image, return_counts=True))
    with torch.inference_mode():
        expected = unet(standardised(image, 0.001)).sigmoid().numpy()
    np.testing.assert_allclose(load(found, "cpu")(image, scale=scale), expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["folder", "file", "zip", "prefix", "prefixed zip"])
def test_a_package_is_found_wherever_it_lies(kind, unet, tmp_path) -> None:
    entry, files = entry_of(unet)
    folder = write_package(tmp_path / "net", old_description({"pytorch_state_dict": entry}), files)
    packed = tmp_path / "net.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    addresses = {
        "folder": folder,
        "file": folder / "rdf.yaml",
        "zip": packed,
        "prefix": f"bioimageio:{folder}",
        "prefixed zip": f"bioimageio:{packed}",
    }
    found = read_checkpoint(addresses[kind])
    assert found == read_checkpoint(folder)
    assert read_checkpoint(found.uri).uri == found.uri  # the address travels to workers
    again = pickle.loads(pickle.dumps(found))
    answer = load(again, "cpu")(noise())
    np.testing.assert_array_equal(answer, load(read_checkpoint(folder), "cpu")(noise()))


def test_onnx_runs_without_torch_code(unet, tmp_path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    data = exported(unet, torch.zeros(2, 1, 8, 16, 16))
    shape = {"shape": [1, 1, 8, 16, 16]}
    said = old_description({"onnx": {"source": "net.onnx"}})
    said["inputs"][0] |= shape
    folder = write_package(tmp_path / "package", said, {"net.onnx": data})
    found = read_checkpoint(folder)
    assert (found.format, found.architecture, found.window) == ("onnx", "exported", (8, 16, 16))
    with torch.inference_mode():
        expected = unet(torch.from_numpy(noise().astype(np.float32))).sigmoid().numpy()
    for backend in ("torch", "onnxruntime"):
        predictor = load(found, "cpu", backend=backend)
        np.testing.assert_allclose(predictor(noise()), expected, atol=1e-4)
    with pytest.raises(ModelError, match="ONNX computes in float32 and is not compiled"):
        load(found, "cpu", "bfloat16")
    with pytest.raises(ModelError, match=r"takes batches of .* it was given \(1, 1, 4, 16, 16\)"):
        load(found, "cpu")(noise((1, 1, 4, 16, 16)))
    (folder / "net.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="cannot be run by ONNX Runtime"):
        load(read_checkpoint(folder), "cpu")(noise())


def test_torchscript_is_refused_unless_it_is_trusted(unet, tmp_path) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch speaks of what may come after TorchScript
        script = torch.jit.trace(unet, torch.zeros(1, 1, 8, 16, 16), check_trace=False)
        torch.jit.save(script, tmp_path / "script.pt")
    data = (tmp_path / "script.pt").read_bytes()
    said = old_description({"torchscript": {"source": "script.pt"}})
    folder = write_package(tmp_path / "package", said, {"script.pt": data})
    with pytest.raises(ModelError, match=r"brings TorchScript, which would run as you; .*trusted:"):
        read_checkpoint(folder)
    found = read_checkpoint(f"trusted:{folder}")
    assert found.uri == f"trusted:{folder}/rdf.yaml"
    with torch.inference_mode():
        expected = unet(torch.from_numpy(noise().astype(np.float32))).sigmoid().numpy()
    np.testing.assert_allclose(load(found, "cpu")(noise()), expected, atol=1e-5)


SOURCE = """
import pathlib
import torch
pathlib.Path({mark!r}).write_text("it ran")
class Double(torch.nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = torch.nn.Parameter(torch.tensor(by))
    def forward(self, batch):
        return batch * self.by
"""


def source_package(folder, mark) -> dict:
    text = SOURCE.format(mark=str(mark)).encode()
    state = {"by": torch.tensor(3.0)}
    files = {"net.py": text, "weights.pt": stored_bytes(state, "state_dict")}
    entry = {"source": "weights.pt", "architecture": "net.py:Double", "kwargs": {"by": 2.0},
             "architecture_sha256": hashlib.sha256(text).hexdigest()}  # fmt: skip
    said = old_description({"pytorch_state_dict": entry})
    said["inputs"][0]["preprocessing"] = []
    offset = [0, 0.5, 0, 0, 0]
    shape = {"reference_tensor": "raw", "scale": [1, 0, 1, 1, 1], "offset": offset}
    said["outputs"][0] |= {"postprocessing": [], "shape": shape}
    write_package(folder, said, files)
    return said


def test_source_runs_where_it_is_trusted_and_nowhere_else(tmp_path) -> None:
    folder, mark = tmp_path / "package", tmp_path / "mark"
    source_package(folder, mark)
    with pytest.raises(ModelError, match=r"brings code \(source:net.py:Double:[0-9a-f]{64}\)"):
        read_checkpoint(folder)
    found = read_checkpoint(f"trusted:{folder}")
    assert not mark.exists()  # to read what it is runs nothing
    np.testing.assert_array_equal(load(found, "cpu")(noise()), 3.0 * noise())
    assert mark.read_text() == "it ran"
    (folder / "net.py").write_text((folder / "net.py").read_text() + "\n# changed")
    shutil.move(folder, tmp_path / "elsewhere")
    changed = read_checkpoint(f"trusted:{tmp_path / 'elsewhere'}")
    with pytest.raises(ModelError, match=r"net.py has sha256 .* it was changed"):
        read_module(changed)
    (tmp_path / "elsewhere" / "net.py").unlink()
    with pytest.raises(ModelError, match=r"net\.py, the architecture of .* is not there"):
        read_module(changed)


def test_a_card_cannot_say_of_itself_that_it_is_trusted(tmp_path) -> None:
    folder, mark = tmp_path / "package", tmp_path / "mark"
    source_package(folder, mark)
    found = as_card(read_checkpoint(f"trusted:{folder}"))
    (folder / "own.yaml").write_text(yaml.safe_dump(found))
    with pytest.raises(ModelError, match=r"brings an architecture of its own .*trusted:"):
        load(folder / "own.yaml", "cpu")
    assert not mark.exists()


def test_any_function_of_any_package_is_no_architecture(unet, tmp_path) -> None:
    mark = tmp_path / "mark"
    entry, files = entry_of(unet, architecture="os.mkdir", kwargs={"path": str(mark)})
    folder = write_package(
        tmp_path / "package", old_description({"pytorch_state_dict": entry}), files
    )
    with pytest.raises(ModelError, match=r"brings code \(library:os:mkdir\)"):
        read_checkpoint(folder)
    assert not mark.exists()


def test_what_may_run_is_taken_before_what_may_not(unet, tmp_path) -> None:
    entry, files = entry_of(unet)
    weights = {"torchscript": {"source": "script.pt"}, "pytorch_state_dict": entry}
    folder = write_package(tmp_path / "package", old_description(weights), files)
    assert read_checkpoint(folder).format == "state_dict"


def test_a_form_that_cannot_be_taken_hides_no_other(unet, tmp_path) -> None:
    entry, files = entry_of(unet)
    far = {"source": "https://somewhere/script.pt"}
    spread = {"source": "net.onnx", "external_data": {"source": "net.data"}}
    weights = {"pytorch_state_dict": entry, "onnx": spread, "torchscript": far}
    folder = write_package(tmp_path / "package", old_description(weights), files)
    assert read_checkpoint(folder).format == "state_dict"
    alone = old_description({"onnx": spread, "torchscript": far})
    folder = write_package(tmp_path / "alone", alone, files)
    with pytest.raises(ModelError, match="ONNX with external data is not read; put it into one"):
        read_checkpoint(folder)


def test_a_name_of_volkit_leads_to_no_code_of_others(unet, tmp_path) -> None:
    """``build`` of volkit is no way around trust."""
    entry, files = entry_of(
        unet,
        architecture="volkit.models.architectures.build",
        kwargs={"name": "library:os:mkdir", "path": str(tmp_path / "mark")},
    )
    said = old_description({"pytorch_state_dict": entry})
    folder = write_package(tmp_path / "package", said, files)
    with pytest.raises(ModelError, match=r"brings code \(library:os:mkdir\)"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("scale", "offset", "channels"), [(0, 1, 2), (1, 0, 1), (2, 0.5, 3), (None, 1.5, 3)]
)
def test_channels_may_follow_from_those_of_the_input(
    scale, offset, channels, unet, tmp_path
) -> None:
    entry, files = entry_of(unet)
    said = old_description({"pytorch_state_dict": entry})
    said["outputs"][0]["shape"] |= {"scale": [1, scale, 1, 1, 1], "offset": [0, offset, 0, 0, 0]}
    folder = write_package(tmp_path / "package", said, files)
    assert read_checkpoint(folder).channels == (1, channels)


def test_names_of_classes_are_kept_and_numbers_of_channels_are_not(card, tmp_path) -> None:
    for number, (names, kept) in enumerate(
        ((["cell1", "cell2"], ("cell1", "cell2")), (["channel0", "channel1"], ()))
    ):
        path = export_package(card, tmp_path / f"package{number}")
        said = yaml.safe_load((path / "rdf.yaml").read_text())
        said["outputs"][0]["axes"][1]["channel_names"] = names
        del said["config"]  # in which volkit keeps its own names
        (path / "rdf.yaml").write_text(yaml.safe_dump(said))
        assert read_checkpoint(path).classes == kept


def test_networks_of_planes_and_valid_convolutions(tmp_path) -> None:
    """A 3 x 3 box filter over pictures: an answer that can be checked by hand."""
    state = {"weight": torch.full((1, 1, 3, 3), 1 / 9)}
    kwargs = {"in_channels": 1, "out_channels": 1, "kernel_size": 3, "bias": False}
    entry = {"source": "w.pt", "architecture": "torch.nn.Conv2d", "kwargs": kwargs}
    said = old_description({"pytorch_state_dict": entry})
    said["inputs"][0] |= {"axes": "bcyx", "shape": [1, 1, 8, 8], "preprocessing": []}
    said["outputs"][0] |= {
        "axes": "bcyx", "halo": [0, 0, 0, 0], "postprocessing": [],
        "shape": {"reference_tensor": "raw", "scale": [1, 0, 1, 1], "offset": [0, 0.5, -1, -1]},
    }  # fmt: skip
    folder = write_package(tmp_path / "net", said, {"w.pt": stored_bytes(state, "state_dict")})
    found = read_checkpoint(f"trusted:{folder}")
    assert (found.window, found.margin, found.output, found.planes) == (
        (1, 8, 8), (0, 1, 1), "valid", True)  # fmt: skip
    image = np.arange(2 * 64, dtype=np.float32).reshape(1, 1, 2, 8, 8)
    answer = load(found, "cpu")(image)
    assert answer.shape == image.shape
    for plane in range(2):
        around = [image[0, 0, plane, 3 + dy, 4 + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        assert answer[0, 0, plane, 3, 4] == pytest.approx(np.mean(around))
    assert answer[0, 0, :, 0].max() == 0  # within the margin nothing is answered


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], Scaling()),
        (
            [("scale_linear", {"gain": 2.0, "offset": 1.0})],
            Scaling("fixed", shift=-0.5, divide=0.5),
        ),
        (
            [("zero_mean_unit_variance", {"mode": "fixed", "mean": 9.0, "std": 4.0})],
            Scaling("fixed", shift=9.0, divide=4.0),
        ),
        (
            [("scale_linear", {"gain": 0.5}), ("scale_linear", {"gain": 2.0, "offset": -3.0})],
            Scaling("fixed", shift=3.0, divide=1.0),
        ),
        (
            [
                (
                    "scale_range",
                    {
                        "axes": "czyx",
                        "mode": "per_sample",
                        "min_percentile": 1.0,
                        "max_percentile": 99.0,
                    },
                )
            ],
            Scaling("quantile", low=0.01, high=0.99, clip=False, epsilon=1e-6),
        ),
        (
            [
                ("scale_range", {"axes": "zyx", "mode": "per_dataset", "eps": 0.01}),
                ("clip", {"min": 0.0, "max": 1.0}),
            ],
            Scaling("quantile", low=0.0, high=1.0, clip=True, epsilon=0.01),
        ),
    ],
)
def test_preprocessing_is_mapped(steps, expected, unet, tmp_path) -> None:
    entry, files = entry_of(unet)
    said = old_description({"pytorch_state_dict": entry})
    said["inputs"][0]["preprocessing"] = [{"name": n, "kwargs": k} for n, k in steps]
    folder = write_package(tmp_path / "package", said, files)
    assert read_checkpoint(folder).scaling == expected


def test_scale_range_with_a_clip_is_computed_as_it_is_described() -> None:
    """Compared with the formula of the description, on values beyond both percentiles."""
    values = np.random.default_rng(1).normal(100, 30, 4096).astype(np.float32)
    low, high = np.percentile(values, (5, 90))
    eps = 0.05
    expected = np.clip((values - low) / (high - low + eps), 0, 1)
    scaling = Scaling("quantile", low=0.05, high=0.9, clip=True, epsilon=eps)
    found = scaling.resolve(*np.unique(values, return_counts=True)).apply(values)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert found.max() == 1.0


@pytest.mark.parametrize(
    ("where", "steps", "match"),
    [
        (
            "in",
            [("binarize", {"threshold": 0.5})],
            r"step binarize of tensor raw is none that volkit",
        ),
        (
            "in",
            [("scale_range", {"axes": "yx", "mode": "per_sample"})],
            r"each section along z by",
        ),
        (
            "in",
            [("scale_range", {**STEP["kwargs"], "reference_tensor": "other"})],
            r"looks at another tensor, other",
        ),
        (
            "in",
            [("scale_linear", {"gain": 2.0}), ("zero_mean_unit_variance", STEP["kwargs"])],
            r"zero_mean_unit_variance of tensor raw comes after a fixed one",
        ),
        ("in", [("clip", {"min": 0, "max": 9})], r"step clip of tensor raw is none"),
        (
            "in",
            [("scale_range", STEP["kwargs"]), ("clip", {"min": 0.0, "max": 0.5})],
            r"clips to 0.0 and 0.5; only 0 and 1",
        ),
        (
            "in",
            [("scale_linear", {"gain": [1.0, 2.0], "axes": "zyx"})],
            r"has the gain \[1.0, 2.0\]",
        ),
        (
            "out",
            [("binarize", {"threshold": 0.5})],
            r"would be blended over windows",
        ),
        ("out", [("sigmoid", {}), ("sigmoid", {})], r"step sigmoid of tensor prob is none"),
        (
            "out",
            [("scale_range", STEP["kwargs"])],
            r"scale_range of tensor prob is none that volkit",
        ),
    ],
)
def test_processing_that_is_not_exact_is_refused(where, steps, match, unet, tmp_path) -> None:
    entry, files = entry_of(unet)
    said = old_description({"pytorch_state_dict": entry})
    told = [{"name": name, "kwargs": kwargs} for name, kwargs in steps]
    if where == "in":
        said["inputs"][0]["preprocessing"] = told
    else:
        said["outputs"][0]["postprocessing"] = told
    folder = write_package(tmp_path / "package", said, files)
    with pytest.raises(ModelError, match=match):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format_version": "0.3.2"}, r"describes a model in format 0.3.2; volkit reads models of"),
        ({"type": "dataset"}, r"describes a dataset in format"),
        ({"inputs": []}, r"it has 0 inputs; volkit's networks have 1"),
        ({"weights": {"keras_hdf5": {"source": "w.h5"}}}, r"has its weights as keras_hdf5; volkit"),
        ({"weights": {"onnx": {"source": "https://somewhere/w.onnx"}}}, r"not beside it; give the"),
        ({"weights": {"onnx": {"source": "../w.onnx", "sha256": "0" * 64}}}, r"not beside it"),
        ({"weights": {"onnx": {"source": "absent.onnx"}}}, r"absent.onnx is not there, the descr"),
        (
            {"outputs": [{"name": "p"}]},
            r"rdf.yaml: tensor tensor has the axes none",
        ),
    ],
)
def test_descriptions_that_are_no_model_of_ours_are_refused(changes, match, unet, tmp_path) -> None:
    entry, files = entry_of(unet)
    said = old_description({"pytorch_state_dict": entry}) | changes
    folder = write_package(tmp_path / "package", said, files)
    with pytest.raises(ModelError, match=match):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("tensor", "match"),
    [
        ({"axes": "bzyxc", "shape": [1, 8, 8, 8, 1]}, r"tensor raw has the axes bzyxc; volkit's"),
        (
            {"axes": "bcyx", "shape": [1, 1, 8, 8], "preprocessing": []},
            r"it turns bcyx into bczyx; volkit's networks answer",
        ),
        ({"shape": [1, 1, 8]}, r"has the shape \[1, 1, 8\], which is none for bczyx"),
    ],
)
def test_tensors_that_networks_of_voxels_do_not_see_are_refused(
    tensor, match, unet, tmp_path
) -> None:
    entry, files = entry_of(unet)
    said = old_description({"pytorch_state_dict": entry})
    said["inputs"][0] |= tensor
    folder = write_package(tmp_path / "package", said, files)
    with pytest.raises(ModelError, match=match):
        read_checkpoint(folder)


def test_statistics_of_each_plane_are_refused_and_of_all_are_not(unet, tmp_path) -> None:
    for number, (mode, fits) in enumerate((("per_sample", False), ("per_dataset", True))):
        entry, files = entry_of(unet)
        said = old_description({"pytorch_state_dict": entry})
        kwargs = {"axes": "cyx", "mode": mode}
        said["inputs"][0] |= {"axes": "bcyx", "shape": [1, 1, 16, 16], "preprocessing": [
            {"name": "zero_mean_unit_variance", "kwargs": kwargs}]}  # fmt: skip
        said["outputs"][0] |= {"axes": "bcyx", "halo": None, "shape": {
            "reference_tensor": "raw", "scale": [1, 0, 1, 1], "offset": [0, 1, 0, 0]}}  # fmt: skip
        folder = write_package(tmp_path / f"package{number}", said, files)
        if fits:
            assert read_checkpoint(folder).scaling == Scaling("moments", epsilon=1e-6)
        else:
            with pytest.raises(ModelError, match=r"looks at each plane by itself, volkit at the"):
                read_checkpoint(folder)


def test_other_addresses_are_left_alone(tmp_path) -> None:
    for address in ("builtin:boundaries-fib25", tmp_path / "net.yaml", "s3://nets/net.yaml"):
        assert package_uri(address) is None
    assert package_uri(tmp_path) is None  # a folder without a description
    with pytest.raises(ModelError, match=r"is no model package of bioimage.io: it holds no rdf"):
        read_checkpoint(f"bioimageio:{tmp_path}")
    (tmp_path / "rdf.yaml").write_text("{ not: [yaml")
    with pytest.raises(ModelError, match=r"rdf.yaml is not YAML"):
        read_checkpoint(tmp_path)
    (tmp_path / "x.zip").write_bytes(b"PK no zip")
    with pytest.raises(ModelError, match=r"rdf.yaml::.*x.zip cannot be read"):
        read_checkpoint(tmp_path / "x.zip")


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_that_is_damaged_inside_is_said_to_be(packing, tmp_path) -> None:
    whole = tmp_path / "x.zip"
    with zipfile.ZipFile(whole, "w", packing) as archive:
        archive.writestr("rdf.yaml", "\n".join(str(n**3) for n in range(2000)))
    data = bytearray(whole.read_bytes())
    data[100:2100] = bytes(2000)
    whole.write_bytes(data)
    with pytest.raises(ModelError, match=r"rdf.yaml::.*x.zip cannot be read: .+; check the addr"):
        read_checkpoint(whole)
