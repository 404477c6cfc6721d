"""Sets of clips: labels and tiers by rule, folds by project, films cut once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.errors import ConfigError, ContractError, SourceError
from volkit.io.clip_tables import read_clip_table
from volkit.kernels.clips import OutlineRule
from volkit.models.scaling import Scale
from volkit.testing.stall_clips import write_clips, write_film
from volkit.training.clip_store import ClipStore
from volkit.training.stall_batches import drawn_rows, judged_batches, judged_rows
from volkit.training.stall_config import ClipFiles
from volkit.training.stall_options import Folds, Stage, StallOptimisation
from volkit.training.stall_set import check_leaks, divide, labelled_rows, open_clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), seeds=[1, 9, 13], stalled=0.5)


@pytest.fixture
def files(folder) -> ClipFiles:
    return ClipFiles(
        str(folder / "train_metadata.csv"),
        str(folder / "clips"),
        str(folder / "train_labels.csv"),
    )


@pytest.mark.parametrize(
    ("row", "stalled", "tier1"),
    [  # crowd, tier1, expert, published label
        ((0.0, "", "", ""), False, True),
        ((0.05, "", "", ""), False, False),
        ((0.49, "", "", ""), False, False),
        ((0.5, "", "", ""), True, False),
        ((0.74, "", "", ""), True, False),
        ((0.75, "", "", ""), True, True),
        ((0.9, "false", "", ""), True, False),  # stated tiers are kept
        ((0.1, "true", "", ""), False, True),
        ((0.9, "", "0", ""), False, True),  # an expert is right
        ((0.1, "", "1", "0"), True, True),
        ((0.9, "", "", "0"), False, True),
        (("", "", "", "1"), True, False),
    ],
)
def test_labels_and_tiers_follow_the_published_rules(tmp_path, row, stalled, tier1) -> None:
    crowd, tier, expert, label = row
    (tmp_path / "m.csv").write_text(
        f"filename,project_id,crowd_score,tier1,expert\na.mp4,P,{crowd},{tier},{expert}\n"
    )
    (tmp_path / "l.csv").write_text(f"filename,stalled\na.mp4,{label}\n")
    table = read_clip_table(tmp_path / "m.csv", tmp_path / "l.csv" if label else None)
    found = labelled_rows(table).iloc[0]
    assert (bool(found["stalled"]), bool(found["tier1"])) == (stalled, tier1)


def test_clips_without_any_answer_are_left_out(tmp_path) -> None:
    (tmp_path / "m.csv").write_text("filename,project_id,crowd_score\na,P,\nb,P,0.3\n")
    assert labelled_rows(read_clip_table(tmp_path / "m.csv"))["filename"].tolist() == ["b"]


def test_a_set_is_what_its_tables_say(files, folder) -> None:
    clips = open_clips(files)
    labels = pd.read_csv(folder / "train_labels.csv").set_index("filename")["stalled"]
    assert clips.names.tolist() == sorted(labels.index)
    assert clips.stalled.tolist() == labels[clips.names].astype(bool).tolist()
    few = open_clips(replace(files, subset="micro"))
    assert all(name.endswith("_01.mp4") for name in few.names)
    assert len(few) == 3
    with pytest.raises(ConfigError, match=r"of 0 labelled clips .* \(subset nano\), 0 are stalled"):
        open_clips(replace(files, subset="nano"))


def test_absent_films_are_named(files, folder, tmp_path) -> None:
    with pytest.raises(SourceError, match=r"lacks \d+ clips of .*: s00001_01\.mp4, .*download"):
        open_clips(replace(files, clips=str(tmp_path)))


@pytest.fixture
def with_bare(files, folder, tmp_path) -> ClipFiles:
    """The set with one more film, in which nothing is outlined."""
    write_film(folder / "clips" / "bare.mp4", np.full((5, 16, 16, 3), 80, np.uint8))
    metadata = (folder / "train_metadata.csv").read_text() + "bare.mp4,,P9,5,0.0,True,False,False\n"
    (tmp_path / "m.csv").write_text(metadata)
    (tmp_path / "l.csv").write_text((folder / "train_labels.csv").read_text() + "bare.mp4,0\n")
    return replace(files, metadata=str(tmp_path / "m.csv"), labels=str(tmp_path / "l.csv"))


def test_films_without_an_outline_are_refused_left_out_or_taken_whole(with_bare) -> None:
    left = open_clips(with_bare)
    assert "bare.mp4" not in left.names
    with pytest.raises(ConfigError, match=r"no vessel is outlined in 1 clip: bare\.mp4; correct"):
        open_clips(replace(with_bare, without_outline="refuse"))
    whole = open_clips(replace(with_bare, without_outline="whole"))
    assert len(whole) == len(left) + 1
    assert whole.voxels(whole.names.tolist().index("bare.mp4")).shape == (3, 5, 16, 16)


def test_folds_keep_projects_together(files) -> None:
    clips = open_clips(files)
    fold = divide(clips, Folds(count=3), seed=0)
    assert len(set(zip(clips.project.tolist(), fold.tolist(), strict=True))) == 3
    mixed = divide(clips, Folds(count=3, by="clip", mixed_projects=True), seed=0)
    assert len(set(zip(clips.project.tolist(), mixed.tolist(), strict=True))) > 3
    with pytest.raises(ConfigError, match="projects are in two folds: P0.*animals it has seen"):
        check_leaks(mixed, clips.project, Folds(count=3))
    with pytest.raises(ConfigError, match="folds by clip put clips of one project into several"):
        Folds(by="clip")
    with pytest.raises(ContractError, match="cannot be divided into 5 folds"):
        divide(clips, Folds(), seed=0)


def test_a_cut_clip_is_kept_until_its_film_changes(folder, tmp_path) -> None:
    films, kept = tmp_path / "films", tmp_path / "kept"
    films.mkdir()
    source = folder / "clips" / "s00001_01.mp4"
    (films / "a.mp4").write_bytes(source.read_bytes())
    fresh = ClipStore(films).clip("a.mp4")
    first = ClipStore(films, cache=kept).clip("a.mp4")
    (written,) = kept.iterdir()
    again = ClipStore(films, cache=kept).clip("a.mp4")
    for made in (first, again):
        np.testing.assert_array_equal(made.voxels, fresh.voxels)
        assert (made.region, made.flags) == (fresh.region, fresh.flags)
    assert list(kept.iterdir()) == [written]
    other = ClipStore(films, OutlineRule(margin=0), kept).clip("a.mp4")
    assert other.voxels.shape != fresh.voxels.shape
    (films / "a.mp4").write_bytes((folder / "clips" / "s00001_02.mp4").read_bytes())
    changed = ClipStore(films, cache=kept).clip("a.mp4")
    np.testing.assert_array_equal(
        changed.voxels, ClipStore(folder / "clips").clip("s00001_02.mp4").voxels
    )
    assert len(list(kept.iterdir())) == 3


def test_a_quarter_of_the_drawn_clips_is_stalled() -> None:
    stalled = np.arange(500) < 5
    rows = drawn_rows(stalled, 40_000, np.random.default_rng(1), positive=0.25)
    share = stalled[rows].mean()
    assert abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 40_000)
    counts = np.bincount(rows, minlength=500)
    assert (counts > 0).all()  # with replacement, each as often
    assert np.ptp(counts[:5]) < 4 * np.sqrt(2 * 2000)


def test_judges_are_all_stalled_clips_and_so_many_flowing_ones() -> None:
    stalled, tier1 = np.arange(100) < 10, np.arange(100) % 2 == 0
    rows = judged_rows(stalled, tier1, negatives=4, sure=False, seed=3)
    assert stalled[rows].sum() == 10
    assert len(rows) == 50
    assert (np.diff(rows) > 0).all()
    sure = judged_rows(stalled, tier1, negatives=4, sure=True, seed=3)
    assert tier1[sure].all()
    assert (stalled[sure].sum(), len(sure)) == (5, 25)
    assert len(judged_rows(stalled, tier1, negatives=0, sure=True, seed=3)) == 50
    assert len(judged_rows(stalled, tier1, negatives=99, sure=False, seed=3)) == 100
    again = judged_rows(stalled, tier1, negatives=4, sure=False, seed=3)
    np.testing.assert_array_equal(rows, again)


def test_judged_batches_are_the_clips_resized_and_scaled(files) -> None:
    clips = open_clips(files)
    scale = Scale(shift=100.0, divide=50.0)
    made = list(judged_batches(clips, (6, 10, 10), scale=scale, channels=1, batch=4))
    assert [len(batch) for batch in made[:-1]] == [4] * (len(made) - 1)
    assert sum(map(len, made)) == len(clips)
    window = clips.store.clip(str(clips.names[5])).window((6, 10, 10))
    np.testing.assert_allclose(made[1][1, 0], (window.mean(0) - 100) / 50, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Folds(count=1), "give a count of 2"),
        (lambda: Folds(train=(5,)), r"folds \[5\] of 5 cannot be trained"),
        (lambda: Folds(train=(1, 1)), "each fold once"),
        (lambda: Stage(epochs=0), "a stage of 0 epochs"),
        (lambda: StallOptimisation(batch=0), "give 1 or more"),
        (lambda: StallOptimisation(positive=1.0), "a probability between 0 and 1"),
        (lambda: StallOptimisation(factor=1.5), "a factor of up to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(make, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
