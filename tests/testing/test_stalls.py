"""Specimens of blood: the truth is in the voxels, the same in every box, and clips show it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.errors import ConfigError, SourceError
from volkit.geometry import Box, Grid
from volkit.io.clip_tables import read_clip_table
from volkit.io.clips import read_frames
from volkit.io.open import open_volume
from volkit.kernels.clips import PUBLISHED_OUTLINE, OutlineRule, cut_clip
from volkit.testing.stall_clips import clip_frames, main, write_clips, write_film
from volkit.testing.stalls import stall_specimen

SHAPE = (64, 80, 80)


def test_a_box_is_drawn_as_in_the_whole() -> None:
    made = stall_specimen(SHAPE, seed=4, segments=7)
    domain = Box.from_shape(SHAPE)
    image, mask = made.image(domain), made.mask(domain)
    assert image.dtype == np.uint8
    for block in Grid(domain, (17, 40, 64)):
        np.testing.assert_array_equal(made.image(block.write), image[block.write.slices])
        np.testing.assert_array_equal(made.mask(block.write), mask[block.write.slices])
    again = stall_specimen(SHAPE, seed=4, segments=7)
    np.testing.assert_array_equal(again.image(domain), image)
    other = stall_specimen(SHAPE, seed=5, segments=7).image(domain)
    assert (other != image).mean() > 0.5


def test_vessels_are_bright_and_cells_are_dark() -> None:
    made = stall_specimen(SHAPE, seed=4, segments=7, noise=0, motion=0)
    domain = Box.from_shape(SHAPE)
    image, mask = made.image(domain), made.mask(domain)
    assert image[~mask].mean() < 75
    inside = image[mask].astype(int)
    assert (inside > 140).mean() > 0.2
    assert (inside < 90).mean() > 0.2


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_blood_that_stands_is_alike_in_neighbouring_planes_and_flowing_blood_is_not(noise) -> None:
    """Without a network: correlation of what two planes show at the same place of a vessel."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(1, 9):
        made = stall_specimen(seed=seed, stalled=0.5, noise=noise, motion=0)
        domain = Box.from_shape(made.shape)
        labels, image = made.tree.labels(domain), made.image(domain).astype(float)
        for number, stands in enumerate(made.stalled.tolist(), start=1):
            both = (labels[1:] == number) & (labels[:-1] == number)
            pair = np.corrcoef(image[1:][both], image[:-1][both])[0, 1]
            found[stands].append(float(pair))
    assert min(len(values) for values in found.values()) > 20
    standing, flowing = np.array(found[True]), np.array(found[False])
    wins = (standing[:, None] > flowing[None, :]).mean()
    assert wins > 0.9
    assert np.median(standing) > np.median(flowing) + 0.2


def test_the_truth_lists_every_segment_with_its_box() -> None:
    made = stall_specimen(seed=2, stalled=0.4)
    frame = pd.DataFrame(made.truth())
    labels = made.tree.labels(Box.from_shape(made.shape))
    assert frame["segment"].tolist() == list(range(1, len(made.tree.segments) + 1))
    for row in frame.itertuples():
        place = np.argwhere(labels == row.segment)
        low, high = place.min(0), place.max(0) + 1
        assert (low >= (row.z0, row.y0, row.x0)).all()
        assert (high <= (row.z1, row.y1, row.x1)).all()
        assert (abs(row.speed) < 1) == row.stalled
        assert abs(row.speed) > 7 or row.stalled


def test_shares_are_drawn_as_asked() -> None:
    def share(stalled: float, seeds: int) -> float:
        drawn = [stall_specimen(seed=s, stalled=stalled, segments=7).stalled for s in range(seeds)]
        return float(np.concatenate(drawn).mean())

    assert share(0.0, 3) == 0
    assert share(1.0, 3) == 1
    assert share(0.3, 25) == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 150))
    with pytest.raises(ConfigError, match="stalled 1.5, noise"):
        stall_specimen(seed=1, stalled=1.5)


@pytest.mark.parametrize("quality", [18, 28])
def test_the_outline_survives_the_film(tmp_path: Path, quality: int) -> None:
    made = stall_specimen(seed=3)
    off = []
    for segment in range(1, len(made.stalled) + 1):
        frames, region = clip_frames(made, segment)
        write_film(tmp_path / "clip.mp4", frames, quality=quality)
        read = read_frames(tmp_path / "clip.mp4")
        assert read.shape == (3, *frames.shape[:3])
        clip = cut_clip(read, OutlineRule(margin=0))
        assert clip.flags in ((), ("border",))
        ends = zip(clip.region.start + clip.region.stop, region.start + region.stop, strict=True)
        off.append([abs(a - b) for a, b in ends])
    assert np.max(off) <= 2  # colours are stored at half the resolution
    assert np.mean(off) < 0.6


def test_published_and_robust_regions_part_where_compression_is_strong(tmp_path: Path) -> None:
    frames, region = clip_frames(stall_specimen(seed=3), 2)
    frames = frames.copy()
    frames[4, :4, :4] = (220, 100, 30)  # a stray spot in one frame
    write_film(tmp_path / "clip.mp4", frames)
    read = read_frames(tmp_path / "clip.mp4")
    published = cut_clip(read, PUBLISHED_OUTLINE).region
    robust = cut_clip(read, OutlineRule(margin=0)).region
    assert published.start == (0, 0, 0)
    assert all(abs(a - b) <= 2 for a, b in zip(robust.start, region.start, strict=True))


def test_sets_are_written_as_published(tmp_path: Path) -> None:
    main([str(tmp_path), "--first", "4", "--specimens", "2", "--stalled", "0.5"])
    table = read_clip_table(tmp_path / "train_metadata.csv", tmp_path / "train_labels.csv")
    truth = [stall_specimen(seed=seed, stalled=0.5).stalled for seed in (4, 5)]
    assert table["stalled"].astype(bool).tolist() == np.concatenate(truth).tolist()
    assert table["project_id"].unique().tolist() == ["P0000", "P0001"]
    for row in table.itertuples():
        assert read_frames(tmp_path / "clips" / row.filename).shape[1] == row.num_frames
    crowd = table["crowd_score"]
    assert (table["tier1"] == ((crowd == 0) | (crowd >= 0.75))).all()
    first = {p.name: p.read_bytes() for p in (tmp_path / "clips").iterdir()}
    write_clips(tmp_path / "again", seeds=[4, 5], stalled=0.5)
    assert {p.name: p.read_bytes() for p in (tmp_path / "again" / "clips").iterdir()} == first


def test_specimens_are_volumes_by_address() -> None:
    uri = "specimen://stalls?shape=64,80,80&seed=4&segments=7&stalled=0.5&voxel_size_nm=3000,1000,1000"
    made = stall_specimen(SHAPE, seed=4, segments=7, stalled=0.5)
    domain = Box.from_shape(SHAPE)
    labels = made.tree.labels(domain)
    standing = np.isin(labels, 1 + np.flatnonzero(made.stalled))
    assert 0 < standing.sum() < (labels > 0).sum()
    expected = {
        "image": made.image(domain),
        "mask": labels > 0,
        "segments": labels,
        "stalled": standing,
    }
    for part, values in expected.items():
        volume = open_volume(f"{uri}&part={part}")
        assert volume.scale.voxel_size_nm == (3000.0, 1000.0, 1000.0)
        np.testing.assert_array_equal(volume.read(domain), values)
        inner = Box((3, 5, 7), (30, 60, 61))
        np.testing.assert_array_equal(volume.read(inner), values[inner.slices])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("shape=8,8,8", "has no shape or no seed"),
        ("shape=40,64&seed=1", "not three numbers"),
        ("shape=40,64,64&seed=1&part=cells", "part 'cells' is unknown"),
        ("shape=40,64,64&seed=1&flow=3", "flow is unknown; known are shape, seed"),
        ("shape=40,64,64&seed=1&stalled=2", "stalled 2.0"),
        ("shape=8,8,8&seed=1", "no room"),
    ],
)
def test_addresses_that_cannot_be_are_refused(query: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_volume(f"specimen://stalls?{query}")
