"""The I/O bench runs and agrees with its peers; counts are looked at, how fast anything is not."""

import os

import numpy as np
import pytest
import zarr

from volkit.bench import amplification, bossdb, io, mirror, peers, precomputed
from volkit.bench import zarr as zarr_bench
from volkit.bench.amplification import CountingSource, Pass
from volkit.bench.harness import BENCHES, run_case
from volkit.bench.precomputed import Layer
from volkit.errors import SourceError
from volkit.geometry import Box

LAYERS = [
    Layer("raw", "raw", False, (70, 80, 90), 3, (16, 16, 16)),
    Layer("sharded", "raw", True, (70, 80, 90), 3, (16, 16, 16)),
    Layer("segmentation", "compressed_segmentation", False, (70, 80, 90), 3, (16, 16, 16)),
]
ARRAYS = [
    zarr_bench.Work("sharded", None, (70, 80, 90), 3, (16, 16, 16)),
    zarr_bench.Work("in chunks", (32, 32, 32), (70, 80, 90), 3, (16, 16, 16)),
]


def check(case) -> None:
    row = run_case(case, rounds=1)
    if row.skipped:
        pytest.skip(row.skipped)
    assert row.agrees
    assert row.value > 0


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_precomputed_agrees_with_its_peers(layer) -> None:
    for case in precomputed.of_layer(layer):
        check(case)


@pytest.mark.parametrize("work", ARRAYS, ids=lambda work: work.name)
def test_zarr_agrees_with_its_peers_and_leaves_their_settings(work) -> None:
    before = zarr.config.get("codec_pipeline.path")
    for case in zarr_bench.of_work(work):
        check(case)
    assert zarr.config.get("codec_pipeline.path") == before


@pytest.mark.parametrize("what", ["all", "windows at half overlap"])
def test_bossdb_agrees_with_intern_and_leaves_the_environment(what) -> None:
    before = dict(os.environ)
    check(bossdb.of_shape(what, (130, 150, 530)))
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    "case",
    [next(part.cases(quick=True)) for part in (bossdb, precomputed, zarr_bench)],
    ids=lambda case: case.name,
)
def test_a_peer_that_is_not_installed_skips_its_case(case, monkeypatch) -> None:
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(peers, "import_module", absent)
    assert "which is not installed: pip install" in run_case(case, rounds=1).skipped


def test_a_counting_source_counts_whole_cuboids() -> None:
    source = CountingSource((32, 64, 64), (4, 16, 16))
    assert source.read(Box((3, 0, 15), (5, 16, 17))).shape == (2, 16, 2)
    assert source.asked == [2 * 1 * 2 * 4 * 16 * 16]
    with pytest.raises(SourceError, match="cannot be written"):
        source.write(Box.from_shape((4, 16, 16)), np.zeros((4, 16, 16), np.uint8))


def test_a_pass_without_cache_reads_cuboids_as_often_as_blocks_meet_them() -> None:
    # Blocks of 8 with a halo of 4 in cuboids of 8: 2, 3, 3 and 2 of 4 on every axis.
    work = Pass((32, 32, 32), (8, 8, 8), (8, 8, 8), (8, 8, 8), 8**3)
    assert amplification._counted(work, cached=False) == (10 / 4) ** 3


def test_a_cache_that_holds_all_fetches_every_voxel_once() -> None:
    work = Pass((32, 32, 32), (8, 8, 8), (8, 8, 8), (8, 8, 8), 32**3)
    assert amplification._counted(work, cached=True) == 1


def test_an_inference_pass_fetches_each_voxel_about_once() -> None:
    """With the options of the issue, shrunk eightfold: 2048³ voxels, 4 GiB of cache."""
    row, bare = [
        run_case(case, rounds=1)
        for case in amplification.of_pass(Pass((2048,) * 3).shrunk(8), "all", target=1.2)
    ]
    assert row.holds
    assert 1 <= row.value <= 1.2
    assert bare.value >= 7


def test_shrinking_a_pass_changes_no_count() -> None:
    counts = {
        amplification._counted(Pass((1024,) * 3).shrunk(factor), cached=False)
        for factor in (1, 2, 8)
    }
    assert len(counts) == 1


def test_every_part_has_its_cases() -> None:
    assert BENCHES["io"] == io.__name__
    names = [case.name for case in io.cases(quick=True)]
    assert len({*names}) == len(names)
    assert {name.split(",")[0].split(" ")[0] for name in names} >= {"bossdb", "precomputed", "zarr"}
    assert {case.name for case in io.cases(quick=False)} >= {*names}


def test_a_mirror_is_measured_in_a_process_of_its_own() -> None:
    shapes = {"small": (32, 64, 64)}
    with mirror._site(shapes, (32, 64, 64), once=True) as site:
        peak = site.peak_megabytes("small")
        assert peak > 0
        assert site.peak_megabytes("small") == peak
        assert [path.name for path in site.folder.iterdir()] == ["small.zarr"]
