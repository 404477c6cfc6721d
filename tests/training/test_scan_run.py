"""Training on scans: what is learnt and kept, and the same bytes after an interruption."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from volkit.errors import ConfigError, ModelError, SourceError
from volkit.io.tables import read_table
from volkit.kernels.scan_greys import standardised
from volkit.models.module_loading import read_module
from volkit.models.video_resnet import VideoResNet
from volkit.testing.scan_sets import write_scan_set
from volkit.training.scan_augment import varied_scan
from volkit.training.scan_fold import FoldRun
from volkit.training.scan_options import (
    ScanAugmentation,
    ScanFold,
    ScanNetwork,
    ScanOptimisation,
    ScanTraining,
)
from volkit.training.scan_roles import scan_roles
from volkit.training.scan_run import train_fold
from volkit.training.scan_set import ScanSet

WINDOW = (16, 16, 16)
SMALL = {"widths": [2, 2, 4, 4]}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> ScanSet:
    manifest = write_scan_set(tmp_path_factory.mktemp("scans"), subjects=8, scans=2)
    return ScanSet(manifest, "AD", WINDOW)


@pytest.fixture
def fold(tmp_path) -> ScanFold:
    training = ScanTraining(
        WINDOW,
        ScanNetwork(arguments=SMALL),
        ScanAugmentation(0.05, 0.1),
        ScanOptimisation(epochs=3, batch=3, learning_rate=3e-3),
        seed=2,
    )
    return ScanFold(str(tmp_path / "net-fold0.yaml"), training, device="cpu")


def roles_of(scans, fold):
    return scan_roles(
        scans.manifest.rows,
        fold.number,
        aside=fold.training.optimisation.aside,
        seed=fold.training.seed,
    )


def weights(card: str | Path) -> dict[str, torch.Tensor]:
    path = Path(card)
    return load_file(next(path.parent.glob(f"{path.stem}-*.safetensors")))


def optimised(fold, **changes) -> ScanFold:
    options = replace(fold.training.optimisation, **changes)
    return replace(fold, training=replace(fold.training, optimisation=options))


def test_what_is_said_of_scans_is_what_the_stored_network_says(scans, fold) -> None:
    told = []
    found = train_fold(fold, scans, roles_of(scans, fold), on_epoch=told.append)
    assert [(p.done, p.total) for p in told] == [(1, 3), (2, 3), (3, 3)]
    assert found.epoch == 3
    assert not len(found.choosing)
    card = found.checkpoint
    assert (card.window, card.classes, card.activation) == (WINDOW, ("AD", "CN"), "softmax")
    assert scans.manifest.digest in card.training_data
    network = read_module(card).eval()
    judged = roles_of(scans, fold).judged
    images = torch.from_numpy(np.stack([standardised(scans.unit(n)) for n in judged])[:, None])
    with torch.inference_mode():
        said = network(images).double().softmax(1)[:, 0]
    np.testing.assert_allclose(found.judged, said, atol=1e-5)
    frame = read_table(Path(fold.checkpoint).parent / "tracking" / "net-fold0.csv")[0]
    assert frame["loss"].tolist() == [p.scores.loss for p in told]


@pytest.mark.parametrize("kept", [1, 2])
def test_a_resumed_training_ends_with_the_same_bytes(scans, fold, tmp_path, kept) -> None:
    roles = roles_of(scans, fold)
    first = train_fold(fold, scans, roles)
    again = replace(fold, checkpoint=str(tmp_path / "again" / "net-fold0.yaml"), threads=3)

    class StopError(Exception):
        pass

    def stop(progress) -> None:
        if progress.done == kept:
            raise StopError

    with pytest.raises(StopError):
        train_fold(again, scans, roles, on_epoch=stop)
    told = []
    second = train_fold(again, scans, roles, on_epoch=told.append)
    assert [p.done for p in told] == list(range(kept + 1, 4))
    np.testing.assert_array_equal(first.judged, second.judged)
    whole, resumed = weights(fold.checkpoint), weights(again.checkpoint)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    frame = read_table(tmp_path / "again" / "tracking" / "net-fold0.csv")[0]
    assert frame["step"].tolist() == [0, 1, 2]
    train_fold(again, scans, roles, on_epoch=told.append)
    assert len(told) == 3 - kept  # nothing is left to do


def test_what_a_killed_run_had_not_told_yet_is_told(scans, fold) -> None:
    """Between the state of the last epoch and its row in the table, there is nothing left to do."""
    run = FoldRun(fold, scans, roles_of(scans, fold))
    losses = [run.epoch().loss for _ in range(3)]
    assert run.finished
    train_fold(fold, scans, run.roles)
    frame = read_table(Path(fold.checkpoint).parent / "tracking" / "net-fold0.csv")[0]
    assert frame["step"].tolist() == [0, 1, 2]
    assert frame["loss"].tolist() == losses


NETWORKS = {
    "scan_resnet": {"widths": [2, 2, 4, 4]},
    "scan_densenet": {"stem": 8, "growth": 4, "blocks": [2, 2]},
    "scan_transformer": {"patch": 8, "width": 8, "hidden": 16, "layers": 2, "heads": 2},
    "section_net": {"sections": 3, "widths": [2, 4], "blocks": [1, 1]},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_trained_and_its_card_is_read(name, scans, fold) -> None:
    pytest.importorskip("monai")
    window = (32, 32, 32)
    training = replace(
        optimised(fold, epochs=1, warmup=0).training,
        network=ScanNetwork(name, NETWORKS[name]),
        window=window,
    )
    fold, scans = replace(fold, training=training), ScanSet(scans.manifest, "AD", window)
    found = train_fold(fold, scans, roles_of(scans, fold))
    images = np.stack([standardised(scans.unit(n)) for n in roles_of(scans, fold).judged])[:, None]
    with torch.inference_mode():
        said = read_module(found.checkpoint)(torch.from_numpy(images)).double().softmax(1)[:, 0]
    np.testing.assert_allclose(found.judged, said, atol=1e-5)


def test_a_state_of_other_scans_or_options_does_not_go_on(scans, fold) -> None:
    roles = roles_of(scans, fold)
    train_fold(fold, scans, roles)
    with pytest.raises(ConfigError, match="belongs to a run of another configuration"):
        train_fold(optimised(fold, learning_rate=1e-3), scans, roles)
    other = scan_roles(scans.manifest.rows, 1, aside=0, seed=2)
    with pytest.raises(ConfigError, match="belongs to a run of another configuration"):
        train_fold(fold, scans, other)


def test_the_class_is_learnt(tmp_path) -> None:
    manifest = write_scan_set(tmp_path, subjects=16, scans=2, signal=2.0, identity=0.1)
    scans = ScanSet(manifest, "AD", WINDOW)
    training = ScanTraining(
        WINDOW,
        ScanNetwork(arguments={"widths": [4, 4, 8, 8]}),
        ScanAugmentation(0.05, 0.1),
        ScanOptimisation(epochs=12, batch=4, learning_rate=3e-3),
    )
    fold = ScanFold(str(tmp_path / "net.yaml"), training, device="cpu")
    roles = roles_of(scans, fold)
    found = train_fold(fold, scans, roles)
    truth = scans.is_positive[roles.judged]
    assert ((found.judged >= 0.5) == truth).mean() >= 0.9


def test_frozen_parts_of_given_weights_keep_every_bit(scans, fold, tmp_path) -> None:
    torch.manual_seed(5)
    film = VideoResNet(in_channels=3, classes=7, **SMALL)
    save_file(film.state_dict(), tmp_path / "film.safetensors")
    torch.save(film.state_dict(), tmp_path / "film.pth")
    network = ScanNetwork(
        arguments=SMALL, weights=str(tmp_path / "film.safetensors"), train_from="layer4"
    )
    fold = replace(fold, training=replace(fold.training, network=network))
    train_fold(fold, scans, roles_of(scans, fold))
    found, given = weights(fold.checkpoint), film.state_dict()
    for name, value in given.items():
        kept = value.sum(1, keepdim=True) if name == "stem.0.weight" else value
        same = found[name].shape == kept.shape and torch.equal(found[name], kept)
        assert same == (not name.startswith(("layer4.", "fc."))), name
    other = replace(network, weights=str(tmp_path / "film.pth"))
    run = FoldRun(
        replace(fold, training=replace(fold.training, network=other)), scans, roles_of(scans, fold)
    )
    own = run.network.state_dict()
    assert torch.equal(own["layer4.0.conv1.0.weight"], given["layer4.0.conv1.0.weight"])
    assert own["fc.weight"].shape == (2, 4)


def test_where_weights_lie_does_not_count_but_what_they_are(scans, fold, tmp_path) -> None:
    def of(name: str, seed: int) -> ScanFold:
        torch.manual_seed(seed)
        save_file(VideoResNet(in_channels=3, classes=7, **SMALL).state_dict(), tmp_path / name)
        network = ScanNetwork(arguments=SMALL, weights=str(tmp_path / name))
        return replace(fold, training=replace(fold.training, network=network))

    roles, told = roles_of(scans, fold), []
    train_fold(of("film.safetensors", 5), scans, roles)
    train_fold(of("moved.safetensors", 5), scans, roles, on_epoch=told.append)
    assert told == []  # all was done already
    with pytest.raises(ConfigError, match="belongs to a run of another configuration"):
        train_fold(of("film.safetensors", 6), scans, roles)


def test_the_best_weights_are_chosen_by_scans_that_do_not_judge(tmp_path, fold) -> None:
    manifest = write_scan_set(tmp_path / "scans", subjects=16, scans=2)
    scans = ScanSet(manifest, "AD", WINDOW)
    fold = optimised(fold, choose="loss", aside=0.25, epochs=5, learning_rate=1e-2)
    roles = roles_of(scans, fold)
    assert len(roles.choosing) == 4
    told = []
    found = train_fold(fold, scans, roles, on_epoch=told.append)
    losses = [p.scores.aside_loss for p in told]
    assert found.epoch == 1 + int(np.argmin(losses))
    truth = scans.is_positive[roles.choosing]
    loss = -np.log(np.where(truth, found.choosing, 1 - found.choosing)).mean()
    assert loss == pytest.approx(min(losses), rel=1e-5)


def test_no_function_is_called_that_the_oldest_torch_lacks(scans, fold, monkeypatch) -> None:
    monkeypatch.delattr(torch.nn.utils, "get_total_norm")  # came with 2.6; 2.4 is asked for
    assert FoldRun(fold, scans, roles_of(scans, fold)).epoch().loss > 0


def test_a_loss_that_is_not_finite_names_batch_and_tensor(scans, fold) -> None:
    run = FoldRun(fold, scans, roles_of(scans, fold))
    torch.nn.init.constant_(run.network.layer3[0].conv1[0].weight, torch.inf)
    with pytest.raises(
        ModelError,
        match=r"fold 0, step 0: the loss is nan, and the first tensor with NaN or infinity is the "
        r"weight layer3\.0\.conv1\.0\.weight \(the batch of scans s\d\dv\d, s\d\dv\d, s\d\dv\d\)",
    ):
        run.epoch()
    assert not Path(fold.checkpoint).exists()


def test_the_layer_that_overflows_is_named_and_not_what_follows_from_it(scans, fold) -> None:
    run = FoldRun(fold, scans, roles_of(scans, fold))
    torch.nn.init.constant_(run.network.layer3[0].conv1[0].weight, 3e38)
    with pytest.raises(ModelError, match=r"is the answer of layer3\.0\.conv1\.0 "):
        run.epoch()


def test_the_gradient_that_is_not_finite_is_named(scans, fold) -> None:
    run = FoldRun(fold, scans, roles_of(scans, fold))
    run.network.fc.bias.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(ModelError, match=r"the loss is 0\.\d+, .* is the gradient of fc\.bias "):
        run.epoch()


def test_a_scan_that_changed_after_the_split_is_refused(tmp_path, fold) -> None:
    manifest = write_scan_set(tmp_path / "scans", subjects=4)
    path = tmp_path / "scans" / manifest.rows[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    scans = ScanSet(manifest, "AD", WINDOW)
    with pytest.raises(SourceError, match="it changed after the split"):
        train_fold(fold, scans, roles_of(scans, fold))


def test_noise_and_gamma_come_before_the_spread_is_set() -> None:
    unit = np.random.default_rng(1).random((6, 6, 6)).astype(np.float32)
    options = ScanAugmentation(0.25, 0.3)
    found = varied_scan(unit, np.random.default_rng(7), options)
    rng = np.random.default_rng(7)  # the same draws, by hand
    deviation, power = rng.uniform(0, 0.25), np.exp(rng.uniform(-0.3, 0.3))
    x = unit + np.float32(deviation) * rng.standard_normal(unit.shape, np.float32)
    x = np.sign(x) * np.abs(x) ** np.float32(power)
    np.testing.assert_allclose(found, (x - x.mean()) / x.std(), atol=1e-4)


def test_what_does_not_fit_is_refused(scans, fold, tmp_path) -> None:
    with pytest.raises(ConfigError, match="what is frozen would stay as it was drawn"):
        ScanNetwork(train_from="layer4")
    with pytest.raises(ConfigError, match="network.arguments give classes, which the scans decide"):
        ScanNetwork(arguments={"classes": 3})
    with pytest.raises(ConfigError, match="has scans of AD, CN, and MCI is looked for"):
        ScanSet(scans.manifest, "MCI", WINDOW)
    absent = ScanNetwork(arguments=SMALL, weights=str(tmp_path / "no.pth"))
    with pytest.raises(ModelError, match=r"no\.pth cannot be read .*download them"):
        train_fold(
            replace(fold, training=replace(fold.training, network=absent)),
            scans,
            roles_of(scans, fold),
        )
    with pytest.raises(ConfigError, match="'auc', but no scans are set aside to choose by"):
        train_fold(optimised(fold, choose="auc"), scans, roles_of(scans, fold))
    with pytest.raises(ConfigError, match="batches of 0"):
        ScanOptimisation(batch=0)
