"""Training on clips: what is learnt, what is kept, and the same bytes after an interruption."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from volkit.errors import ConfigError
from volkit.kernels.binary_scores import best_threshold, roc_area
from volkit.models.module_loading import read_module
from volkit.models.stall_networks import StallNetwork
from volkit.testing.stall_clips import write_clips
from volkit.training.stall_batches import drawn_batch, drawn_rows, judged_batches
from volkit.training.stall_config import ClipFiles, Inflation, StallTrainConfig
from volkit.training.stall_fold import FoldRun
from volkit.training.stall_options import Folds, Stage, StallOptimisation
from volkit.training.stall_run import train_stalls
from volkit.training.stall_set import divide, open_clips

NETWORK = {"size": {"stem": 4, "growth": 4, "blocks": (1, 1)}, "units": 8}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), seeds=[1, 2, 5, 6, 9, 10], stalled=0.4)


@pytest.fixture
def config(folder, tmp_path) -> StallTrainConfig:
    files = ClipFiles(
        str(folder / "train_metadata.csv"),
        str(folder / "clips"),
        str(folder / "train_labels.csv"),
        cache=str(folder / "cut"),
    )
    return StallTrainConfig(
        str(tmp_path / "net.yaml"),
        files,
        network=NETWORK,
        window=(8, 16, 16),
        folds=Folds(count=2, train=(1,)),
        stages=(
            Stage("mcc", negatives=1, drop_planes=False, epochs=2),
            Stage("auc", negatives=2, tier1=True, epochs=2),
        ),
        optimisation=StallOptimisation(batch=4, batches=3, accumulate=2, learning_rate=1e-3),
        device="cpu",
        seed=4,
    )


def weights(card: Path) -> dict[str, torch.Tensor]:
    return load_file(next(card.parent.glob(f"{card.stem}-*.safetensors")))


def test_a_run_goes_through_its_stages_and_keeps_the_best(config) -> None:
    told = []
    (result,) = train_stalls(config, on_progress=told.append)
    assert [(p.stage, p.scores.epoch, p.done) for p in told] == [
        (0, 1, 1),
        (0, 2, 2),
        (1, 1, 3),
        (1, 2, 4),
    ]
    assert all(p.total == 4 and p.fold == 1 for p in told)
    first, second = told[0].scores, told[2].scores
    assert first.clips == 2 * first.stalled  # as many flowing ones
    clips = open_clips(config.data)
    mine = divide(clips, config.folds, seed=config.seed) == 1
    assert first.stalled == clips.stalled[mine].sum()
    assert second.stalled == (clips.stalled & clips.tier1)[mine].sum()
    assert result.best == max((p.scores for p in told[2:]), key=lambda s: s.auc)
    assert result.checkpoint.thresholds == {"stalled": result.best.threshold}
    assert result.checkpoint.uri == config.checkpoint


def test_what_is_written_is_what_the_stored_network_says(config) -> None:
    (result,) = train_stalls(config)
    with result.judged.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    clips = open_clips(config.data)
    fold = divide(clips, config.folds, seed=config.seed)
    judged = clips.chosen(fold == 1)
    assert [row["filename"] for row in rows] == judged.names.tolist()
    assert {row["project_id"] for row in rows} & set(clips.project[fold == 0]) == set()
    network = read_module(result.checkpoint).eval()
    scale = config.scaling.resolve()
    batches = judged_batches(judged, config.window, scale=scale, channels=3, batch=8)
    with torch.inference_mode():
        said = torch.cat([network(torch.from_numpy(batch)) for batch in batches])[:, 0].sigmoid()
    found = np.array([float(row["probability"]) for row in rows])
    np.testing.assert_allclose(found, said, atol=1e-5)
    sure = judged.tier1
    chosen = found[sure & judged.stalled], found[sure & ~judged.stalled]
    # The best epoch was judged on all stalled clips that are sure, and on drawn flowing ones.
    assert len(chosen[0]) == result.best.stalled
    everything, truth = found[sure], judged.stalled[sure]
    if len(everything) == result.best.clips:
        assert roc_area(everything, truth) == pytest.approx(result.best.auc)
        assert best_threshold(everything, truth).mcc == pytest.approx(result.best.mcc)


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_resumed_run_ends_with_the_same_bytes(config, tmp_path, kept) -> None:
    train_stalls(config)
    whole = weights(Path(config.checkpoint))
    again = replace(config, checkpoint=str(tmp_path / "again" / "net.yaml"))

    class StopError(Exception):
        pass

    def stop(progress) -> None:
        if progress.done == kept:
            raise StopError

    with pytest.raises(StopError):
        train_stalls(again, on_progress=stop)
    told = []
    train_stalls(again, on_progress=told.append)
    assert [p.done for p in told] == list(range(kept + 1, 5))
    resumed = weights(Path(again.checkpoint))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    train_stalls(again, on_progress=told.append)
    assert len(told) == 4 - kept  # nothing is left to do


def test_folds_do_not_depend_on_each_other(config) -> None:
    train_stalls(config)
    alone = weights(Path(config.checkpoint))
    both = replace(
        config,
        checkpoint=config.checkpoint.replace("net", "both"),
        folds=replace(config.folds, train=()),
    )
    results = train_stalls(both)
    assert [result.fold for result in results] == [0, 1]
    card = Path(results[1].checkpoint.uri)
    assert card.name == "both-fold1.yaml"
    together = weights(card)
    assert all(torch.equal(alone[name], together[name]) for name in alone)


def test_another_configuration_does_not_go_on(config) -> None:
    train_stalls(config)
    other = replace(config, seed=5)
    with pytest.raises(ConfigError, match="belongs to a run of another configuration"):
        train_stalls(other)


def test_accumulated_gradients_are_those_of_the_large_batch(config) -> None:
    """The network has no normalisation here, whose statistics are those of each batch alone."""
    optimisation = StallOptimisation(batch=4, batches=2, accumulate=2, learning_rate=1e-3)
    still = replace(
        config,
        optimisation=optimisation,
        network={**NETWORK, "dropout": 0.0},
        stages=(Stage("auc", negatives=0, epochs=1),),
    )
    clips = open_clips(config.data)
    fold = divide(clips, config.folds, seed=config.seed)
    run = FoldRun(still, clips, fold, 1)
    for part in [run.network, *run.network.modules()]:
        if isinstance(part, torch.nn.BatchNorm3d):
            part.forward = lambda x: x  # type: ignore[method-assign]
    reference = StallNetwork(**still.network)
    reference.load_state_dict(run.network.state_dict())
    for part in reference.modules():
        if isinstance(part, torch.nn.BatchNorm3d):
            part.forward = lambda x: x  # type: ignore[method-assign]
    images, truth = [], []
    for batch in range(2):
        rng = np.random.default_rng([still.seed, 1, 0, 0, batch])
        rows = drawn_rows(run.learnt.stalled, 4, rng, positive=0.25)
        drawn = drawn_batch(
            run.learnt,
            rows,
            still.window,
            rng,
            scale=still.scaling.resolve(),
            channels=3,
            options=still.augmentation,
        )
        images.append(torch.from_numpy(drawn[0]))
        truth.append(torch.from_numpy(drawn[1]))
    logits = reference(torch.cat(images))[:, 0]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.cat(truth))
    loss.backward()
    assert run._learn(still.stages[0]) == pytest.approx(loss.item(), rel=1e-5)
    pairs = zip(run.network.parameters(), reference.parameters(), strict=True)
    compared = [(a.grad, b.grad) for a, b in pairs if b.grad is not None]
    assert len(compared) >= 8
    for mine, theirs in compared:
        largest = float(theirs.abs().max())
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5 * largest + 1e-9)


def test_the_rate_falls_where_nothing_gets_better(config, monkeypatch) -> None:
    optimisation = StallOptimisation(
        batch=2, batches=1, accumulate=1, learning_rate=1e-3, factor=0.5, patience=1
    )
    stages = (Stage("auc", negatives=0, epochs=9, patience=4),)
    stuck = replace(config, optimisation=optimisation, stages=stages)
    monkeypatch.setattr(FoldRun, "probabilities", lambda self, clips: np.linspace(0, 1, len(clips)))
    told = []
    train_stalls(stuck, on_progress=told.append)
    rates = [p.scores.learning_rate for p in told]
    # The first epoch is the best; every second one after it halves the rate; four end the stage.
    assert rates == [1e-3, 1e-3, 1e-3, 5e-4, 5e-4]


def test_a_network_starts_from_inflated_weights(config, tmp_path) -> None:
    torch.manual_seed(8)
    flat = StallNetwork(dims=2, **NETWORK)
    save_file(flat.state_dict(), tmp_path / "flat.safetensors")
    given = Inflation(str(tmp_path / "flat.safetensors"), "centre")
    clips = open_clips(config.data)
    fold = divide(clips, config.folds, seed=config.seed)
    run = FoldRun(replace(config, inflate=given), clips, fold, 1)
    kernel = run.network.backbone.features.conv0.weight
    assert torch.equal(kernel[:, :, 3], flat.backbone.features.conv0.weight)
    plain = FoldRun(config, clips, fold, 1)
    assert plain.facts["inflate"] == ""
    assert run.facts["inflate"] != ""


def test_what_cannot_be_learnt_is_refused(config, folder, tmp_path) -> None:
    with pytest.raises(ConfigError, match="network .* cannot be built: .*'width'"):
        train_stalls(replace(config, network={"width": 3}))
    with pytest.raises(ConfigError, match="3 colours, or 1 grey"):
        replace(config, network={"in_channels": 2})
    with pytest.raises(ConfigError, match="depends on a whole volume"):
        replace(config, scaling=type(config.scaling)("moments"))
    with pytest.raises(ConfigError, match="stages is empty"):
        replace(config, stages=())
    with pytest.raises(ConfigError, match=r"must end in \.yaml"):
        replace(config, checkpoint="net.pt")
    unsure = tmp_path / "metadata.csv"
    text = (folder / "train_metadata.csv").read_text().replace(",True,", ",False,")
    unsure.write_text(text)
    shutil.copy(folder / "train_labels.csv", tmp_path / "labels.csv")
    files = replace(config.data, metadata=str(unsure))
    with pytest.raises(ConfigError, match="0 clips of high confidence that are learnt from, 0"):
        train_stalls(replace(config, data=files))
