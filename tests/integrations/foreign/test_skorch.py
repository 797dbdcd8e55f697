import copy
import pickle
import warnings

import pytest
import torch
from torch import nn

from tests.integrations.foreign.rows import BATCH, EPOCHS, TRAIN, X, Y, equal, faults, hooks_on, net, run_in

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    skorch = pytest.importorskip("skorch", reason="skorch is not installed; scripts/foreign skorch tries it")

from tunesmith.integrations.skorch import WatchCallback

pytestmark = pytest.mark.filterwarnings("ignore")  # of the library's own

ROWS, LABELS = X[:TRAIN].numpy(), Y[:TRAIN].numpy()
PER_EPOCH = 10  # skorch holds a fifth of the rows out: 320 in batches of 32


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, rows):
        return self.net(rows)


class Falling(Net):
    """Raises in the sixth training pass."""

    error = ValueError

    def __init__(self):
        super().__init__()
        self.passes = 0

    def forward(self, rows):
        self.passes += self.training
        if self.passes == 6:
            raise self.error("on purpose")
        return super().forward(rows)


def net_with(*callbacks, module=Net, kind=skorch.NeuralNetClassifier, **settings):
    torch.manual_seed(0)
    usual = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 1e-2,
        "max_epochs": EPOCHS,
        "batch_size": BATCH,
        "iterator_train__shuffle": True,
        "verbose": 0,
    }
    return kind(module, callbacks=list(callbacks), **usual | settings)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.LBFGS])
def test_a_watched_fit_is_the_same_fit(optimizer, tmp_path):
    alone = net_with(optimizer=optimizer).fit(ROWS, LABELS)
    callback = WatchCallback(tmp_path / "run")

    watched = net_with(callback, optimizer=optimizer).fit(ROWS, LABELS)

    assert equal(alone.module_, watched.module_)
    assert hooks_on(watched.module_, watched.optimizer_) == 0
    assert vars(watched).keys() == vars(alone).keys()
    assert callback.watch.closed


def test_the_run_folder_holds_every_update_and_evaluation(tmp_path):
    watched = net_with(WatchCallback(tmp_path / "run")).fit(ROWS, LABELS)

    history = run_in(tmp_path / "run")

    loss = history.get("loss", "train", per="update")
    assert loss.steps.tolist() == list(range(1, PER_EPOCH * EPOCHS + 1))
    batches = [batch["train_loss"] for row in watched.history for batch in row["batches"] if "train_loss" in batch]
    assert loss.values == pytest.approx(batches, rel=1e-5)
    assert history.get("loss", "val").values.tolist() == pytest.approx(watched.history[:, "valid_loss"])
    assert history.get("accuracy").values.tolist() == pytest.approx(watched.history[:, "valid_acc"])
    assert [row["step"] for row in history.evaluations] == [PER_EPOCH * (place + 1) for place in range(EPOCHS)]
    assert not any("count" in name for row in history.evaluations for name in row)
    assert history.facts["finished"] is True
    assert history.places("activation_std")


def test_a_planted_fault_is_named_and_printed_unless_the_net_is_quiet(capsys):
    callback = WatchCallback()

    net_with(callback, lr=30.0, verbose=1).fit(ROWS, LABELS)
    loud = capsys.readouterr().out
    net_with(WatchCallback(), lr=30.0).fit(ROWS, LABELS)

    assert "tunesmith: warning lr.too_high" in loud
    assert faults(callback.findings(), "error", "warning") != []
    assert capsys.readouterr().out == ""


def test_a_sound_fit_has_no_error():
    callback = WatchCallback()

    net_with(callback, max_epochs=10).fit(ROWS, LABELS)

    assert faults(callback.findings(), "error") == []


def test_partial_fit_goes_on_with_its_run_and_fit_begins_another(tmp_path):
    watched = net_with(WatchCallback(tmp_path / "run")).fit(ROWS, LABELS)

    watched.partial_fit(ROWS, LABELS)
    watched.fit(ROWS, LABELS)

    first, second = run_in(tmp_path / "run"), run_in(tmp_path / "run-2")
    steps = PER_EPOCH * EPOCHS
    assert first.resumed == (steps,)
    assert first.get("loss", "train", per="update").steps.tolist() == list(range(1, 2 * steps + 1))
    assert len(first.evaluations) == 2 * EPOCHS
    assert second.resumed == ()
    assert len(second.evaluations) == EPOCHS


def test_a_warm_start_goes_on_too(tmp_path):
    watched = net_with(WatchCallback(tmp_path / "run"), warm_start=True).fit(ROWS, LABELS)

    watched.fit(ROWS, LABELS)

    assert run_in(tmp_path / "run").resumed == (PER_EPOCH * EPOCHS,)


def test_an_exception_takes_the_watch_away(tmp_path):
    callback = WatchCallback(tmp_path / "run")
    watched = net_with(callback, module=Falling)

    with pytest.raises(ValueError, match="on purpose"):
        watched.fit(ROWS, LABELS)

    assert callback.watch.run.status == "failed"
    assert hooks_on(watched.module_, watched.optimizer_) == 0
    assert "fit_loop" not in vars(watched)
    assert len(run_in(tmp_path / "run").get("loss", "train", per="update")) == 5


def test_an_interrupted_fit_is_told_from_one_that_stopped_early(tmp_path):
    class Interrupted(Falling):
        error = KeyboardInterrupt

    stop = skorch.callbacks.EarlyStopping(patience=1, threshold=10.0)
    cut, early = WatchCallback(tmp_path / "cut"), WatchCallback(tmp_path / "early")

    net_with(cut, module=Interrupted).fit(ROWS, LABELS)
    for callbacks in ((early, stop), (stop, WatchCallback(tmp_path / "late"))):
        net_with(*callbacks, max_epochs=10).fit(ROWS, LABELS)

    assert cut.watch.run.status == "interrupted"
    assert run_in(tmp_path / "early").facts["finished"] is run_in(tmp_path / "late").facts["finished"] is True
    assert len(run_in(tmp_path / "early").evaluations) == len(run_in(tmp_path / "late").evaluations)


def test_a_score_of_a_callback_that_comes_later_is_not_missed():
    scoring = skorch.callbacks.EpochScoring("f1_macro", lower_is_better=False, name="valid_f1")
    callback = WatchCallback()

    net_with(callback, scoring).fit(ROWS, LABELS)

    assert len(callback.watch.history.get("f1")) == EPOCHS


def test_without_validation_the_rules_look_at_the_training_after_each_epoch():
    callback = WatchCallback()

    net_with(callback, lr=30.0, train_split=None).fit(ROWS, LABELS)

    assert len(callback.watch.history.evaluations) == EPOCHS
    assert callback.watch.history.get("loss", "val") is None
    assert "lr.too_high" in faults(callback.findings()) or faults(callback.findings(), "error")


def test_several_modules_and_optimizers_are_seen():
    class Two(skorch.NeuralNetClassifier):
        def initialize_module(self):
            super().initialize_module()
            self.head_ = nn.Linear(3, 3)
            return self

        def initialize_optimizer(self):
            super().initialize_optimizer()
            self.head_optimizer_ = torch.optim.SGD(self.head_.parameters(), 0.1)
            return self

        def infer(self, x, **given):
            return self.head_(super().infer(x, **given))

    callback = WatchCallback()
    alone = net_with(kind=Two).fit(ROWS, LABELS)

    watched = net_with(callback, kind=Two).fit(ROWS, LABELS)

    assert equal(alone.module_, watched.module_)
    assert equal(alone.head_, watched.head_)
    assert len(callback.watch.history.facts["optimizers"]) == 2
    assert callback.watch.history.facts["foreign"] == 0
    assert len(callback.watch.history.get("loss", "train", per="update")) == PER_EPOCH * EPOCHS


def test_prediction_is_not_looked_at(tmp_path):
    watched = net_with(WatchCallback(tmp_path / "run")).fit(ROWS, LABELS)
    before = run_in(tmp_path / "run").evaluations

    watched.predict(ROWS)

    assert run_in(tmp_path / "run").evaluations == before


def test_settings_are_parameters_of_the_net_and_nets_can_be_copied():
    from sklearn.base import clone

    watched = net_with(WatchCallback(overhead=0.01))
    watched.set_params(callbacks__WatchCallback__overhead=0.02)
    watched.fit(ROWS, LABELS)

    for again in (clone(watched), copy.deepcopy(watched), pickle.loads(pickle.dumps(watched))):
        assert again.get_params()["callbacks__WatchCallback__overhead"] == 0.02
    assert pickle.loads(pickle.dumps(watched)).predict(ROWS).tolist() == watched.predict(ROWS).tolist()


def test_a_search_gives_each_net_a_watch_of_its_own(tmp_path):
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(
        net_with(WatchCallback(tmp_path / "run"), max_epochs=1), {"lr": [0.1, 0.01]}, cv=2, refit=False
    )

    search.fit(ROWS, LABELS)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run-2", "run-3", "run-4"]


def test_a_regression_is_seen_too():
    callback = WatchCallback()

    net_with(callback, kind=skorch.NeuralNetRegressor, criterion=nn.MSELoss).fit(ROWS, X[:TRAIN, :3].numpy())

    history = callback.watch.history
    assert len(history.get("loss", "val")) == EPOCHS
    assert faults(callback.findings(), "error") == []
