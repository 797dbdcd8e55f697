"""The Transformers adapter against a trainer that calls its hooks in that order; tests/integrations/foreign has the real one."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

import tunesmith.integrations.transformers as adapter


class TrainerCallback:
    def on_step_end(self, args, state, control, **given):
        """As all hooks of the library's class: nothing."""


@pytest.fixture
def callback(monkeypatch):
    monkeypatch.setattr(adapter, "_MADE", {})
    module = ModuleType("transformers")
    module.TrainerCallback = TrainerCallback
    monkeypatch.setitem(sys.modules, "transformers", module)
    return adapter.WatchCallback


class Handler:
    """Calls all callbacks, as the library's own does."""

    def __init__(self, callbacks, **given):
        self.callbacks, self.given = callbacks, given

    def __call__(self, event, *about, **more):
        for callback in self.callbacks:
            getattr(callback, event)(*about, **self.given, **more)


class Trainer:
    def __init__(self, callback, steps=8, accumulate=1, start=0, falls=None, held="epoch"):
        self.model = nn.Linear(3, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01)
        self.callback_handler = Handler([callback], model=self.model, optimizer=self.optimizer)
        self.args = SimpleNamespace(
            disable_tqdm=True, train_batch_size=8, gradient_accumulation_steps=accumulate, eval_strategy=SimpleNamespace(value=held),
        )  # fmt: skip
        self.state = SimpleNamespace(
            is_world_process_zero=True, global_step=start, max_steps=start + steps, num_train_epochs=2
        )
        self.steps, self.falls, self.losses = steps, falls, []

    def call(self, event, **more):
        self.callback_handler(event, self.args, self.state, None, **more)

    def train(self):
        self.call("on_train_begin")
        for _ in range(2):
            self.call("on_epoch_begin")
            self._run_epoch()
        self.call("on_train_end")

    def _run_epoch(self):
        for place in range(self.steps // 2):
            if self.falls is not None and place == 2:
                raise self.falls
            self.call("on_step_begin")
            for _ in range(self.args.gradient_accumulation_steps):
                loss = self.model(torch.randn(8, 3)).square().mean()
                self.losses.append(loss.item())
                (loss / self.args.gradient_accumulation_steps).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.state.global_step += 1
            self.call("on_step_end")
            if self.args.eval_strategy.value == "steps" and self.state.global_step % 3 == 0:
                self.call("on_evaluate", metrics={"eval_loss": 0.5})
        self.call("on_epoch_end")
        if self.args.eval_strategy.value == "epoch":
            self.call("on_evaluate", metrics={"eval_loss": 0.5, "eval_runtime": 1.0, "epoch": 1.0})
            self.call("on_evaluate", metrics={"eval_other_loss": 0.7})


def test_updates_and_evaluations_are_written(callback, tmp_path):
    watch = callback(tmp_path / "run")
    trainer = Trainer(watch)

    trainer.train()

    history = watch.watch.history
    assert history.get("loss", "train", per="update").values == pytest.approx(trainer.losses)
    assert [(row["step"], row["val_loss"], row["other_loss"]) for row in history.evaluations] == [
        (4, 0.5, 0.7),
        (8, 0.5, 0.7),
    ]
    assert history.facts["steps"] == 8
    assert "_run_epoch" not in vars(trainer)
    assert not trainer.optimizer._optimizer_step_post_hooks


def test_an_accumulated_update_has_the_mean_of_its_batches(callback):
    watch = callback()
    trainer = Trainer(watch, accumulate=2)

    trainer.train()

    means = [sum(trainer.losses[place : place + 2]) / 2 for place in range(0, 16, 2)]
    assert watch.watch.history.get("loss", "train", per="update").values == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError(), "failed"), (KeyboardInterrupt(), "interrupted")], ids=["error", "interrupt"]
)
def test_an_exception_takes_the_watch_and_its_wrapper_away(callback, error, status, tmp_path):
    watch = callback(tmp_path / "run")
    trainer = Trainer(watch, falls=error)

    with pytest.raises(type(error)):
        trainer.train()

    assert watch.watch.run.status == status
    assert "_run_epoch" not in vars(trainer)
    assert not trainer.optimizer._optimizer_step_post_hooks


def test_a_method_of_the_users_own_on_the_trainer_is_put_back(callback):
    watch = callback()
    trainer = Trainer(watch)
    own = trainer._run_epoch
    trainer._run_epoch = own

    trainer.train()

    assert vars(trainer)["_run_epoch"] is own


def test_an_older_trainer_is_heard_in_its_training_step(callback):
    class Older(Trainer):
        _run_epoch = None

        def train(self):
            self.call("on_train_begin")
            self.training_step()

        def training_step(self):
            raise ValueError("on purpose")

    del Trainer._run_epoch
    try:
        del Older._run_epoch
        watch = callback()
        trainer = Older(watch)
        with pytest.raises(ValueError, match="on purpose"):
            trainer.train()
    finally:
        Trainer._run_epoch = RUN_EPOCH

    assert watch.watch.closed
    assert "training_step" not in vars(trainer)


RUN_EPOCH = Trainer._run_epoch


def test_a_resumed_training_goes_on(callback, tmp_path):
    Trainer(callback(tmp_path / "run")).train()
    watch = callback(tmp_path / "run")

    Trainer(watch, start=8).train()

    assert watch.watch.history.resumed == (8.0,)


def test_without_evaluation_the_rules_look_after_each_epoch(callback):
    watch = callback()

    Trainer(watch, held="no").train()

    assert [row["step"] for row in watch.watch.history.evaluations] == [4, 8]


def test_an_evaluation_within_an_epoch_belongs_to_the_update_before_it(callback):
    watch = callback()

    Trainer(watch, held="steps").train()

    assert [row["step"] for row in watch.watch.history.evaluations] == [3, 6]


def test_another_process_and_an_evaluation_alone_are_left_alone(callback):
    watch = callback()
    trainer = Trainer(watch)
    trainer.state.is_world_process_zero = False

    trainer.train()
    trainer.call("on_evaluate", metrics={"eval_loss": 1.0})

    assert watch.watch is None


def test_outside_of_a_trainer_there_is_none(callback):
    assert adapter.trainer_of(callback()) is None
