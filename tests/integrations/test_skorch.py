"""The skorch adapter against a net that calls its hooks in skorch's order; tests/integrations/foreign has the real one."""

import contextlib
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

import tunesmith.integrations.skorch as adapter


class Callback:
    pass


@pytest.fixture
def callback(monkeypatch):
    monkeypatch.setattr(adapter, "_MADE", {})
    for name in ("skorch", "skorch.callbacks"):
        module = ModuleType(name)
        module.Callback = Callback
        monkeypatch.setitem(sys.modules, name, module)
    return adapter.WatchCallback


class Net:
    """Fits on random rows, four batches an epoch; a closure makes the step, as in skorch."""

    _optimizers = ("optimizer",)
    _modules = ("module",)

    def __init__(self, callback, epochs=2, falls=None, after=None):
        self.callback, self.max_epochs, self.batch_size, self.verbose = callback, epochs, 8, 1
        self.criterion_ = nn.MSELoss()
        self.falls, self.after, self.losses = falls, after, []
        self.initialize()

    def initialize(self):
        self.module_ = nn.Linear(3, 1)
        self.optimizer_ = torch.optim.SGD(self.module_.parameters(), 0.01)
        self.history = []

    def partial_fit(self):
        self.callback.on_train_begin(self)
        with contextlib.suppress(KeyboardInterrupt):
            self.fit_loop()
        self.callback.on_train_end(self)

    def fit_loop(self):
        for _ in range(self.max_epochs):
            self.history.append({"epoch": len(self.history) + 1})
            self.callback.on_epoch_begin(self)
            for place in range(4):
                if self.falls is not None and place == 2:
                    raise self.falls
                self.batch()
            self.callback.on_batch_end(self, (0, 0), training=False, loss=7.0)
            self.history[-1] |= {"train_loss": 1.0, "valid_loss": 0.5, "valid_loss_best": True, "valid_batch_count": 2}
            if self.after is not None:
                raise self.after
            self.callback.on_epoch_end(self) if hasattr(self.callback, "on_epoch_end") else None
            self.history[-1]["valid_f1"] = 0.25  # of a callback that comes later

    def batch(self):
        rows, goals = torch.randn(8, 3), torch.randn(8, 1)

        def closure():
            self.optimizer_.zero_grad()
            loss = self.criterion_(self.module_(rows), goals)
            loss.backward()
            return loss

        loss = self.optimizer_.step(closure)
        self.losses.append(loss.item())
        self.callback.on_batch_end(self, (rows, goals), training=True, loss=loss)


def test_updates_and_evaluations_are_written(callback, tmp_path):
    watch = callback(tmp_path / "run")
    net = Net(watch)

    net.partial_fit()

    history = watch.watch.history
    assert history.get("loss", "train", per="update").values == pytest.approx(net.losses)
    assert [(row["step"], row["val_loss"], row["f1"]) for row in history.evaluations] == [
        (4, 0.5, 0.25),
        (8, 0.5, 0.25),
    ]
    assert history.facts["epochs"] == 2
    assert "fit_loop" not in vars(net)
    assert not net.optimizer_._optimizer_step_post_hooks


def test_partial_fit_goes_on_and_a_net_made_anew_does_not(callback, tmp_path):
    watch = callback(tmp_path / "run")
    net = Net(watch)
    net.verbose = 0

    net.partial_fit()
    net.partial_fit()
    first = watch.watch.history
    net.initialize()
    net.partial_fit()

    assert first.resumed == (8.0,)
    assert first.facts["epochs"] == 4
    assert watch.watch.history.resumed == ()
    assert watch.watch.run.folder.name == "run-2"


def test_an_exception_takes_the_watch_and_its_wrapper_away(callback, tmp_path):
    watch = callback(tmp_path / "run")
    net = Net(watch, falls=ValueError("on purpose"))

    with pytest.raises(ValueError, match="on purpose"):
        net.partial_fit()

    assert watch.watch.run.status == "failed"
    assert "fit_loop" not in vars(net)
    assert not net.optimizer_._optimizer_step_post_hooks


@pytest.mark.parametrize(
    ("when", "status", "rows"),
    [("falls", "interrupted", 1), ("after", "finished", 1)],
    ids=["Ctrl-C", "early stopping"],
)
def test_ctrl_c_within_an_epoch_is_told_from_stopping_after_one(callback, when, status, rows, tmp_path):
    watch = callback(tmp_path / "run")

    Net(watch, **{when: KeyboardInterrupt()}).partial_fit()

    assert watch.watch.run.status == status
    assert len(watch.watch.history.evaluations) == rows


def test_several_modules_are_one(callback):
    net = Net(callback())
    net._modules, net.head_ = ("module", "head"), nn.Linear(1, 1)

    whole = adapter.module_of(net)

    assert dict(whole.named_children()) == {"module": net.module_, "head": net.head_}
    assert next(whole["module"].parameters()) is net.module_.weight


def test_a_method_of_the_nets_own_is_put_back(callback):
    net = Net(callback())
    own = net.fit_loop
    net.fit_loop = own

    net.partial_fit()

    assert vars(net)["fit_loop"] is own


def test_its_parameters_are_its_settings(callback):
    assert callback()._get_param_names() == ["folder", "overhead", "num_classes", "loss_fn", "language", "sink"]
