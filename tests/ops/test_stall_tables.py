"""Stall tables: typed, stable, read back as written; calls, queue, reviews and summary."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volkit.errors import ContractError, ModelError, SourceError
from volkit.kernels.stall_decision import DecisionRule, reason_names
from volkit.ops.stall_calibration import (
    cross_fitted,
    fit_held_out,
    read_calibrator,
    write_calibrator,
)
from volkit.ops.stall_calls import calibrated, called, review_queue
from volkit.ops.stall_ensemble import fingerprint_of
from volkit.ops.stall_files import read_stalls, write_parts, write_stalls
from volkit.ops.stall_review import (
    add_reviews,
    final_label,
    merged,
    no_reviews,
    read_reviews,
    write_form,
    write_reviews,
)
from volkit.ops.stall_schema import completed, stall_schema
from volkit.ops.stall_scores import stall_scores
from volkit.ops.stall_summary import stall_summary

HUGE = 2**63 + 5  # beyond what floats and int64 hold


def table(p=(0.95, 0.02, 0.68, 0.01), **more) -> pd.DataFrame:
    count = len(p)
    columns = {
        "volume_id": ["v"] * count,
        "segment_id": np.array([HUGE, 7, 3, 12][:count], np.uint64),
        "node_a": pd.array([HUGE, 0, None, 4][:count], dtype="UInt64"),
        "owner_chunk_z": [0, 0, 1, 1][:count],
        "owner_chunk_y": 0,
        "owner_chunk_x": [0, 0, 0, 2][:count],
        **{f"{axis}0": 0 for axis in "zyx"},
        **{f"{axis}1": 10 for axis in "zyx"},
        "n_frames": 10,
        "length_um": [100.0, 200.0, 300.0, np.nan][:count],
        "touches_border": False,
        "snr": 3.0,
        "p_fold_0": p,
        "p_fold_1": p,
        "p_stalled": p,
        "mc_n": 50,
        "mc_std": [0.01, 0.02, 0.1, 0.3][:count],
        "review_reason": 0,
        "needs_review": False,
        **more,
    }
    return completed(pd.DataFrame(columns), folds=2)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_reads_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    frame = called(table(), DecisionRule())
    stall_schema(2).check(frame)
    assert frame["segment_id"].tolist() == [3, 7, 12, HUGE]
    assert pd.isna(frame["length_um"][2])
    write_stalls(tmp_path / f"stalls.{suffix}", frame, {"made": "here"})
    found, made = read_stalls(tmp_path / f"stalls.{suffix}")
    pd.testing.assert_frame_equal(found, frame)
    assert made == {"made": "here"}


def test_what_was_not_computed_is_null_in_the_file(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_stalls(tmp_path / "stalls.parquet", table(), {})
    stored = pq.read_table(tmp_path / "stalls.parquet")
    assert stored.column("p_calibrated").null_count == 4
    assert stored.column("reviewer").null_count == 4
    assert stored.schema.field("length_um").metadata[b"unit"] == b"um"


def test_parts_by_owner_are_the_table(tmp_path: Path) -> None:
    write_stalls(tmp_path / "0009_0000_0000.parquet", table(), {})  # of an earlier run
    parts = write_parts(tmp_path, table(), {})
    names = ["0000_0000_0000", "0001_0000_0000", "0001_0000_0002"]
    assert [p.stem for p in parts] == names == sorted(p.stem for p in tmp_path.glob("*.parquet"))
    pd.testing.assert_frame_equal(read_stalls(tmp_path)[0], table())


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    twice = pd.concat([table(), table()[:1]])
    with pytest.raises(ContractError, match="segments are there twice: v/3, v/3"):
        completed(twice, folds=2)
    with pytest.raises(ContractError, match="unknown columns p_stall "):
        completed(table().rename(columns={"p_stalled": "p_stall"}), folds=2)
    with pytest.raises(ContractError, match="misses n_frames"):
        completed(table().drop(columns="n_frames"), folds=2)
    with pytest.raises(ContractError, match="have no prediction"):
        called(table(p=(0.5, np.nan, 0.1, 0.2)), DecisionRule())
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ContractError, match="is no stall table"):
        read_stalls(tmp_path / "other.parquet")
    with pytest.raises(SourceError, match="does not exist"):
        read_stalls(tmp_path / "none.parquet")


def test_calls_and_the_queue() -> None:
    frame = called(table(), DecisionRule(threshold=0.7, margin=0.1)).set_index("segment_id")
    assert frame["call"].to_dict() == {
        3: "undecided", 7: "flowing", 12: "undecided", HUGE: "stalled"}  # fmt: skip
    assert reason_names(frame["review_reason"][3]) == ("near_threshold",)
    assert reason_names(frame["review_reason"][12]) == ("high_mc_std",)
    assert review_queue(frame.reset_index())["segment_id"].tolist() == [3, 12]


def test_a_calibrator_is_of_one_model_and_holds_no_pickle(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.random(500)
    truth = rng.random(500) < p**2
    model = fingerprint_of(["b", "a"])
    assert model == fingerprint_of(["a", "b"])
    for method in ("isotonic", "platt", "temperature"):
        made = fit_held_out(p, truth, model=model, method=method)
        write_calibrator(tmp_path / "c.npz", made)
        found = read_calibrator(tmp_path / "c.npz", model=model)
        assert (found.fit(p) == made.fit(p)).all()
        assert found.identity == made.identity
        assert (found.examples, found.positives) == (500, int(truth.sum()))
    with np.load(tmp_path / "c.npz", allow_pickle=False) as stored:
        assert {"x", "y", "model"} <= set(stored.files)
    with pytest.raises(ModelError, match="these networks are other"):
        read_calibrator(tmp_path / "c.npz", model="other")
    (tmp_path / "torn.npz").write_bytes((tmp_path / "c.npz").read_bytes()[:200])
    with pytest.raises(SourceError, match="cannot read the table"):
        read_calibrator(tmp_path / "torn.npz")
    with pytest.raises(SourceError, match="volkit ships no calibrator for builtin:boundaries"):
        read_calibrator("builtin:boundaries-specimen")
    np.savez(tmp_path / "x.npz", x=np.zeros(2))
    with pytest.raises(ContractError, match="is no calibrator"):
        read_calibrator(tmp_path / "x.npz")
    with pytest.raises(ContractError, match="does not end in .npz"):
        write_calibrator(tmp_path / "c.pkl", made)


def test_calibrated_probabilities_are_moved_to_another_prior() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(2000)
    made = fit_held_out(p, rng.random(2000) < p, model="m", method="platt")
    same = calibrated(table(), made)
    assert same["prior_assumed"].unique().tolist() == [made.fit.prior]
    np.testing.assert_allclose(same["p_calibrated"], same["p_stalled"], atol=0.05)
    rare = calibrated(table(), made, prior=0.003)
    odds = rare["p_calibrated"] / (1 - rare["p_calibrated"])
    before = same["p_calibrated"] / (1 - same["p_calibrated"])
    shift = (0.003 / 0.997) / (made.fit.prior / (1 - made.fit.prior))
    np.testing.assert_allclose(odds, before * shift)
    assert (called(rare, DecisionRule())["call"] == "flowing").sum() == 3


def test_folds_are_calibrated_by_the_others() -> None:
    rng = np.random.default_rng(2)
    p, fold = rng.random(900), np.repeat([0, 1, 2], 300)
    truth = rng.random(900) < p**3
    found = cross_fitted(p, truth, fold)
    for n in range(3):
        others = fit_held_out(p[fold != n], truth[fold != n], model="m")
        assert (found[fold == n] == others.fit(p[fold == n])).all()
    with pytest.raises(ContractError, match="all examples are of fold 0"):
        cross_fitted(p, truth, np.zeros(900))


def answered(form: Path, answers: dict[int, tuple[str, str, str]]) -> Path:
    """Fill in a form as a person does, in a spreadsheet."""
    rows = pd.read_csv(form, dtype=str, keep_default_na=False)
    for segment, (reviewer, label, at) in answers.items():
        mine = rows["segment_id"] == str(segment)
        rows.loc[mine, ["reviewer", "review_label", "reviewed_at"]] = [reviewer, label, at]
    rows.to_csv(form, index=False)
    return form


def test_a_review_round_trip_loses_nothing(tmp_path: Path) -> None:
    frame = called(table(), DecisionRule())
    write_form(tmp_path / "form.csv", review_queue(frame))
    first = answered(tmp_path / "form.csv", {3: ("ana", "stalled", "2026-01-02T10:00")})
    history = add_reviews(no_reviews(), read_reviews(first))
    once = merged(frame, history)
    human = ["reviewer", "review_label", "reviewed_at", "expert_label"]
    pd.testing.assert_frame_equal(once.drop(columns=human), frame.drop(columns=human))
    row = once.set_index("segment_id").loc[3]
    assert row[human[:3]].tolist() == ["ana", "stalled", "2026-01-02T10:00"]
    assert row["call"] == "undecided"
    assert review_queue(once)["segment_id"].tolist() == [12]
    # Somebody else answers for the same segment, and an expert for another one.
    second = pd.DataFrame(
        {
            "volume_id": "v",
            "segment_id": [3, HUGE],
            "reviewer": ["ben", "eva"],
            "review_label": ["flowing", "flowing"],
            "reviewed_at": ["2026-01-03T09:00", "2026-01-01T09:00"],
            "expert": [False, True],
        }
    )
    second.to_csv(tmp_path / "second.csv", index=False)
    history = add_reviews(history, read_reviews(tmp_path / "second.csv"))
    assert history["reviewer"].tolist() == ["ana", "ben", "eva"]
    assert len(add_reviews(history, read_reviews(first))) == 3
    write_reviews(tmp_path / "reviews.parquet", history)
    pd.testing.assert_frame_equal(read_reviews(tmp_path / "reviews.parquet"), history)
    twice = merged(frame, history).set_index("segment_id")
    assert twice.loc[3, "review_label"] == "flowing"
    assert twice.loc[HUGE, "expert_label"] == "flowing"
    labels = final_label(twice).to_dict()
    assert labels == {3: "flowing", 7: "flowing", 12: "undecided", HUGE: "flowing"}
    write_stalls(tmp_path / "stalls.csv", merged(frame, history), {})
    pd.testing.assert_frame_equal(
        read_stalls(tmp_path / "stalls.csv")[0], completed(merged(frame, history), folds=2)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segment_id": "1.2E+15"}, "spreadsheets round long numbers"),
        ({"review_label": "blocked"}, "has the label 'blocked'; answers are stalled"),
        ({"reviewer": ""}, "without reviewer; fill it in"),
        ({"segment_id": "99"}, "1 answers are for segments that the table does not have"),
        ({"volume_id": "w"}, "such as 7 of w; give the answers for this table"),
    ],
)
def test_answers_that_fit_nothing_are_refused(tmp_path: Path, change, message) -> None:
    row = {
        "volume_id": "v", "segment_id": "7", "reviewer": "ana", "review_label": "stalled",
        "reviewed_at": "2026-01-02"}  # fmt: skip
    pd.DataFrame([{**row, **change}]).to_csv(tmp_path / "form.csv", index=False)
    with pytest.raises(ContractError, match=message):
        merged(table(), read_reviews(tmp_path / "form.csv"))


def test_two_answers_at_the_same_moment_are_refused() -> None:
    one = pd.DataFrame(
        {"volume_id": ["v"], "segment_id": np.array([7], np.uint64), "reviewer": ["ana"],
         "review_label": ["stalled"], "reviewed_at": ["2026-01-02"], "expert": [False]}
    )  # fmt: skip
    with pytest.raises(ContractError, match="ana gave two answers for segment 7 of v"):
        add_reviews(one, one.assign(review_label="flowing"))


def test_the_summary_says_what_can_be_counted_by_hand() -> None:
    frame = called(table(), DecisionRule())
    found = stall_summary(frame, tissue_mm3=0.5)
    assert (found.segments, found.stalled, found.flowing, found.undecided) == (4, 1, 1, 2)
    assert found.fraction == 0.5
    assert (found.fraction_low, found.fraction_high) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert found.expected == pytest.approx(0.95 + 0.02 + 0.68 + 0.01)
    assert found.per_mm3 == 2
    assert found.per_mm == pytest.approx(1 / 0.6)
    assert found.review_share == 0.5
    prevalence = 1.66 / 4
    right, wrong = 0.85 * prevalence, 0.007 * (1 - prevalence)
    assert found.predictive_value == pytest.approx(right / (right + wrong))
    assert found.corrected == pytest.approx((0.25 + 0.993 - 1) / (0.85 + 0.993 - 1))
    assert found.as_json()["calibrated"] is False
    assert "not calibrated" in {row[0]: row[2] for row in found.as_table()}["expected stalls"]
    rare = stall_summary(called(table(p=(0.003,) * 4), DecisionRule(most_mc_std=1)))
    told = {row[0]: row for row in rare.as_table()}["a call is right"]
    assert told[1] == "27 %"
    assert "2.7 of 10 calls" in told[2]
    with pytest.raises(ContractError, match="no segment"):
        stall_summary(frame[:0])


def test_scores_per_fold_and_pooled_with_intervals() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random(400) < 0.3
    p = np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0, 1)
    fold, group = np.arange(400) % 5, np.arange(400) % 20
    found = stall_scores(p, truth, fold=fold, group=group, threshold=0.5, draws=100)
    assert sorted(found["part"].unique()) == ["0", "1", "2", "3", "4", "all"]
    pooled = found[found["part"] == "all"].set_index(["score", "at"])
    assert pooled.loc[("mcc", "best"), "value"] >= pooled.loc[("mcc", "fixed"), "value"]
    for score in ("mcc", "auc", "sensitivity", "ap", "brier"):
        row = pooled.xs(score).iloc[0]
        assert row["low"] < row["value"] < row["high"], score
    assert found[found["part"] == "2"]["low"].isna().all()
    assert found[found["part"] == "2"]["examples"].unique().tolist() == [80]
    with pytest.raises(ContractError, match="group has 3 entries for 400"):
        stall_scores(p, truth, group=group[:3])
