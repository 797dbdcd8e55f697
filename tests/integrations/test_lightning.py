"""The Lightning adapter against a trainer that calls its hooks in Lightning's order; tests/integrations/foreign has the real one."""

import contextlib
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

import tunesmith.integrations.lightning as adapter
from tunesmith.integrations.lightning import parted, planned, watched


class Callback:
    pass


@pytest.fixture
def callback(monkeypatch):
    """The class of the adapter, made on a stand-in for Lightning."""
    monkeypatch.setattr(adapter, "_MADE", {})
    for name in ("lightning", "lightning.pytorch"):
        module = ModuleType(name)
        module.Callback = Callback
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "pytorch_lightning", raising=False)
    return adapter.WatchCallback


class Module(nn.Module):
    def __init__(self, automatic=True):
        super().__init__()
        self.net = nn.Linear(3, 1)
        self.automatic_optimization = automatic
        self.printed = []

    def print(self, text):
        self.printed.append(text)


class Trainer:
    """Fits on random rows: sanity check, epochs of four batches, validation."""

    def __init__(self, callback, epochs=2, accumulate=1, rate=0.01, scaler=None):
        self.callback, self.epochs = callback, epochs
        self.accumulate_grad_batches, self.rate = accumulate, rate
        self.is_global_zero, self.enable_validation, self.sanity_checking = True, True, False
        self.num_training_batches, self.max_epochs, self.max_steps, self.global_step = 4, epochs, -1, 0
        self.callback_metrics = {}
        self.precision_plugin = SimpleNamespace(scaler=scaler)
        self.losses = []

    def validate(self, module, value):
        self.callback.on_validation_start(self, module)
        self.callback_metrics |= {"val_loss": torch.tensor(value), "val_acc": torch.tensor(0.5)}
        self.callback.on_validation_end(self, module)

    def fit(self, module, falls=None):
        self.lightning_module = module
        self.optimizers = [torch.optim.SGD(module.parameters(), self.rate)]
        self.sanity_checking = True
        self.validate(module, 99.0)
        self.sanity_checking, self.callback_metrics = False, {}
        try:
            self.callback.on_train_start(self, module)
            for epoch in range(self.epochs):
                for place in range(4):
                    if falls is not None and self.global_step == 5:
                        raise falls
                    self.batch(module, place)
                self.validate(module, 1.0 / (epoch + 1))
                self.callback.on_train_epoch_end(self, module)
            self.callback.on_train_end(self, module)
        except BaseException as error:
            self.callback.on_exception(self, module, error)
            raise
        finally:
            self.callback.teardown(self, module, "fit")

    def batch(self, module, place):
        (optimizer,) = self.optimizers
        rows = torch.randn(8, 3)
        loss = module.net(rows).square().mean()
        self.losses.append(loss.item())
        self.callback_metrics["loss"] = loss.detach()
        scaled = loss / self.accumulate_grad_batches if module.automatic_optimization else loss
        if self.precision_plugin.scaler is not None:
            scaled = self.precision_plugin.scaler.scale(scaled)
        self.callback.on_before_backward(self, module, scaled)
        (loss / self.accumulate_grad_batches).backward()
        if (place + 1) % self.accumulate_grad_batches == 0:
            optimizer.step()
            optimizer.zero_grad()
            self.global_step += 1
        outputs = {"loss": (loss / self.accumulate_grad_batches).detach()} if module.automatic_optimization else None
        self.callback.on_train_batch_end(self, module, outputs, (rows, rows), place)


def test_updates_and_evaluations_are_written_and_the_sanity_check_is_not(callback, tmp_path):
    watch, module = callback(tmp_path / "run"), Module()
    trainer = Trainer(watch)

    trainer.fit(module)

    history = watch.watch.history
    assert history.get("loss", "train", per="update").values == pytest.approx(trainer.losses)
    assert history.get("loss", "val").values.tolist() == [1.0, 0.5]
    assert [row["step"] for row in history.evaluations] == [4, 8]
    assert "loss" not in history.evaluations[0]  # that of the training
    assert history.facts["steps_per_epoch"] == 4
    assert watch.watch.run.status == "finished"
    assert not trainer.optimizers[0]._optimizer_step_post_hooks


def test_a_training_loss_that_is_no_number_is_not_taken_for_a_score(callback):
    class Broken(Trainer):
        def batch(self, module, place):
            super().batch(module, place)
            self.callback_metrics = dict(self.callback_metrics) | {"loss": torch.tensor(float("nan"))}

        def validate(self, module, value):
            self.callback.on_validation_start(self, module)
            copies = {name: score.clone() for name, score in self.callback_metrics.items()}
            self.callback_metrics = copies | {"val_f1": torch.tensor(value)}
            self.callback.on_validation_end(self, module)

    watch = callback()

    Broken(watch).fit(Module())

    assert [row["f1"] for row in watch.watch.history.evaluations] == [1.0, 0.5]
    assert watch.watch.history.get("loss", "val") is None


def test_an_accumulated_update_has_the_mean_of_its_batches(callback):
    watch = callback()
    trainer = Trainer(watch, accumulate=2)

    trainer.fit(Module())

    means = [sum(trainer.losses[place : place + 2]) / 2 for place in range(0, 8, 2)]
    assert watch.watch.history.get("loss", "train", per="update").values == pytest.approx(means)


def test_by_hand_the_loss_is_taken_from_the_backward_pass_without_its_scale(callback):
    class Scaler:
        def scale(self, loss):
            return loss * 1024.0

    watch = callback()
    trainer = Trainer(watch, scaler=Scaler())

    trainer.fit(Module(automatic=False))

    assert watch.watch.history.get("loss", "train", per="update").values == pytest.approx(trainer.losses)


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError(), "failed"), (KeyboardInterrupt(), "interrupted")], ids=["error", "interrupt"]
)
def test_an_exception_takes_the_watch_away(callback, error, status, tmp_path):
    watch = callback(tmp_path / "run")
    trainer = Trainer(watch)

    with pytest.raises(type(error)):
        trainer.fit(Module(), falls=error)

    assert watch.watch.run.status == status
    assert not trainer.optimizers[0]._optimizer_step_post_hooks


def test_a_resumed_fit_goes_on(callback, tmp_path):
    Trainer(callback(tmp_path / "run")).fit(Module())
    trainer = Trainer(callback(tmp_path / "run"))
    trainer.global_step = 8
    watch = trainer.callback

    trainer.fit(Module())

    assert watch.watch.history.resumed == (8.0,)
    assert watch.watch.history.evaluations[-1]["epoch"] == 4


def test_another_rank_and_a_module_without_optimizers_are_left_alone(callback, tmp_path):
    for change in ({"is_global_zero": False}, {}):
        watch = callback(tmp_path / "run")
        trainer = Trainer(watch)
        vars(trainer).update(change)
        if not change:
            trainer.optimizers = []
            watch.on_train_start(trainer, Module())
        else:
            trainer.fit(Module())
        assert watch.watch is None
    assert not (tmp_path / "run").exists()


def test_findings_are_printed_by_the_module(callback):
    module = Module()

    with contextlib.suppress(OverflowError):
        Trainer(callback(), epochs=4, rate=1e6).fit(module)

    assert any("tunesmith: error" in text or "tunesmith: warning" in text for text in module.printed)


class Inside(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 1)

    def training_step(self, batch):
        return self.net(batch)


class Itself(Inside):
    def forward(self, batch):
        return self.net(batch)

    def training_step(self, batch):
        return self(batch)


class Two(Inside):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(3, 1)


def test_the_module_that_is_called_is_watched():
    inside, itself, two = Inside(), Itself(), Two()

    assert watched(inside) is inside.net
    assert watched(itself) is itself
    assert watched(two) is two  # one of the two would leave out what the other holds


def test_what_is_planned_and_how_batches_part(callback):
    trainer = Trainer(callback())
    trainer.max_epochs, trainer.max_steps, trainer.num_training_batches = -1, 100, float("inf")

    assert planned(trainer) == {"epochs": None, "steps": 100, "steps_per_epoch": None, "trainer": "lightning"}
    assert parted((1, 2)) == (1, 2)
    assert parted({"x": 1}) == parted((1, 2, 3)) == (None, None)


def test_it_is_a_callback_of_every_package_that_is_there(callback, monkeypatch):
    class Other:
        pass

    module = ModuleType("pytorch_lightning")
    module.Callback = Other
    monkeypatch.setitem(sys.modules, "pytorch_lightning", module)

    both = adapter.WatchCallback

    assert issubclass(both, Callback)
    assert issubclass(both, Other)
    assert both is adapter.WatchCallback
    assert callback is not both
