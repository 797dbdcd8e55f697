import copy
import warnings

import pytest
import torch
from torch import nn

from tests.integrations.foreign.rows import BATCH, EPOCHS, STEPS, TRAIN, X, Y, equal, faults, hooks_on, net, run_in

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed; scripts/foreign transformers tries it"
    )
    pytest.importorskip("accelerate", reason="accelerate is not installed; scripts/foreign transformers tries it")

from tunesmith.integrations.transformers import WatchCallback

pytestmark = pytest.mark.filterwarnings("ignore")  # of the library's own


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net()
        self.losses = []

    def forward(self, rows, labels=None):
        outputs = self.net(rows)
        loss = nn.functional.cross_entropy(outputs, labels)
        if self.training:
            self.losses.append(loss.item())
        return {"loss": loss, "logits": outputs}


ROWS = [{"rows": rows, "labels": label} for rows, label in zip(X, Y, strict=True)]


def scores(told):
    return {"accuracy": float((told.predictions.argmax(1) == told.label_ids).mean())}


def trainer_with(folder, *callbacks, model=None, kind=transformers.Trainer, held=True, **settings):
    transformers.set_seed(1)
    usual = {
        "num_train_epochs": EPOCHS,
        "per_device_train_batch_size": BATCH,
        "per_device_eval_batch_size": 100,
        "learning_rate": 1e-2,
        "eval_strategy": "epoch" if held else "no",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "logging_steps": 5,
    }
    return kind(
        model=Net() if model is None else model,
        args=transformers.TrainingArguments(output_dir=str(folder), **usual | settings),
        train_dataset=ROWS[:TRAIN],
        eval_dataset=ROWS[TRAIN:],
        callbacks=list(callbacks),
        compute_metrics=scores,
    )


@pytest.mark.parametrize("settings", [{}, {"gradient_accumulation_steps": 4}, {"bf16": True}, {"max_grad_norm": 0.1}])
def test_a_watched_training_is_the_same_training(settings, tmp_path):
    alone = trainer_with(tmp_path / "one", **settings)
    alone.train()
    callback = WatchCallback(tmp_path / "run")
    trainer = trainer_with(tmp_path / "two", callback, **settings)

    trainer.train()

    assert equal(alone.model, trainer.model)
    assert hooks_on(trainer.model, trainer.optimizer.optimizer) == hooks_on(alone.model, alone.optimizer.optimizer)
    assert vars(trainer).keys() == vars(alone).keys()
    assert callback.watch.closed


def test_the_run_folder_holds_every_update_and_evaluation(tmp_path):
    trainer = trainer_with(tmp_path / "out", WatchCallback(tmp_path / "run"))

    trainer.train()

    history = run_in(tmp_path / "run")
    loss = history.get("loss", "train", per="update")
    assert loss.steps.tolist() == list(range(1, STEPS + 1))
    assert loss.values == pytest.approx(trainer.model.losses, rel=1e-5)
    logged = [row for row in trainer.state.log_history if "eval_loss" in row]
    assert history.get("loss", "val").values.tolist() == pytest.approx([row["eval_loss"] for row in logged])
    assert history.get("accuracy").values.tolist() == pytest.approx([row["eval_accuracy"] for row in logged])
    assert [row["step"] for row in history.evaluations] == [row["step"] for row in logged]
    assert not any(name.endswith(("runtime", "per_second")) for row in history.evaluations for name in row)
    assert history.facts["epochs"] == EPOCHS
    assert history.facts["steps"] == STEPS
    assert history.places("activation_std")


def test_the_loss_of_an_accumulated_update_is_the_mean_of_its_batches(tmp_path):
    callback = WatchCallback()
    trainer = trainer_with(tmp_path, callback, gradient_accumulation_steps=4)

    trainer.train()

    losses = callback.watch.history.get("loss", "train", per="update").values
    assert len(losses) == trainer.state.global_step
    assert losses[0] == pytest.approx(sum(trainer.model.losses[:4]) / 4, rel=1e-5)


def test_a_loss_that_the_trainer_makes_itself_is_seen(tmp_path):
    class Own(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            outputs = model(**inputs)
            loss = 3.0 + nn.functional.cross_entropy(outputs["logits"], inputs["labels"])
            return (loss, outputs) if return_outputs else loss

    callback = WatchCallback()

    trainer_with(tmp_path, callback, kind=Own).train()

    assert min(callback.watch.history.get("loss", "train", per="update").values) > 3


def test_a_planted_fault_is_named_and_printed(tmp_path, capsys):
    callback = WatchCallback()

    trainer_with(tmp_path, callback, learning_rate=30.0).train()

    assert "tunesmith: warning lr.too_high" in capsys.readouterr().out
    assert faults(callback.findings(), "error") != []


def test_a_sound_training_has_no_error(tmp_path):
    callback = WatchCallback()

    trainer_with(tmp_path, callback, num_train_epochs=10).train()

    assert faults(callback.findings(), "error") == []


def test_a_resumed_training_goes_on_with_its_run(tmp_path):
    class Falling(Net):
        def forward(self, rows, labels=None):
            if len(self.losses) == STEPS // 2 + 3:
                raise ValueError("on purpose")
            return super().forward(rows, labels)

    saving = {"save_strategy": "epoch"}
    first = trainer_with(tmp_path / "out", WatchCallback(tmp_path / "run"), model=Falling(), **saving)
    with pytest.raises(ValueError, match="on purpose"):
        first.train()
    again = trainer_with(tmp_path / "out", WatchCallback(tmp_path / "run"), **saving)

    again.train(resume_from_checkpoint=True)

    history = run_in(tmp_path / "run")
    assert history.resumed == (STEPS // 2,)
    assert history.get("loss", "train", per="update").steps.tolist() == list(range(1, STEPS + 1))
    assert len(history.evaluations) == EPOCHS


@pytest.mark.parametrize(("error", "status"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_an_exception_takes_the_watch_away(error, status, tmp_path):
    class Falling(Net):
        def forward(self, rows, labels=None):
            if len(self.losses) == 5:
                raise error("on purpose")
            return super().forward(rows, labels)

    callback = WatchCallback(tmp_path / "run")
    trainer = trainer_with(tmp_path / "out", callback, model=Falling())

    with pytest.raises(error):
        trainer.train()

    assert callback.watch.run.status == status
    assert hooks_on(trainer.model, trainer.optimizer.optimizer) == 0
    assert not {"_run_epoch", "training_step"} & vars(trainer).keys()
    assert len(run_in(tmp_path / "run").get("loss", "train", per="update")) == 5


def test_an_exception_in_another_callback_is_heard_within_an_epoch(tmp_path):
    class Falling(transformers.TrainerCallback):
        def on_evaluate(self, args, state, control, **given):
            raise ValueError("on purpose")

    callback = WatchCallback()
    trainer = trainer_with(tmp_path, callback, Falling())

    with pytest.raises(ValueError, match="on purpose"):
        trainer.train()

    assert callback.watch.closed
    assert "val_loss" in callback.watch.history.evaluations[-1]


def test_evaluation_and_prediction_alone_open_nothing(tmp_path):
    callback = WatchCallback(tmp_path / "run")
    trainer = trainer_with(tmp_path / "out", callback)

    trainer.evaluate()
    trainer.predict(ROWS[TRAIN:])

    assert callback.watch is None
    assert not (tmp_path / "run").exists()


def test_an_evaluation_after_the_end_is_not_written(tmp_path):
    trainer = trainer_with(tmp_path / "out", WatchCallback(tmp_path / "run"))
    trainer.train()

    trainer.evaluate()

    assert len(run_in(tmp_path / "run").evaluations) == EPOCHS


def test_an_evaluation_within_an_epoch_belongs_to_the_update_before_it(tmp_path):
    callback = WatchCallback()

    trainer_with(tmp_path, callback, eval_strategy="steps", eval_steps=20).train()

    assert [row["step"] for row in callback.watch.history.evaluations] == [20, 40, STEPS]  # and one at the end


def test_several_held_sets_are_one_evaluation(tmp_path):
    callback = WatchCallback()
    trainer = trainer_with(tmp_path, callback)
    trainer.eval_dataset = {"near": ROWS[TRAIN:500], "far": ROWS[500:]}

    trainer.train()

    rows = callback.watch.history.evaluations
    assert len(rows) == EPOCHS
    assert {"near_loss", "far_loss", "near_accuracy"} <= rows[0].keys()


def test_without_evaluation_the_rules_look_at_the_training_after_each_epoch(tmp_path, capsys):
    callback = WatchCallback()

    trainer_with(tmp_path, callback, held=False, learning_rate=30.0).train()

    assert len(callback.watch.history.evaluations) == EPOCHS
    assert "lr.too_high" in capsys.readouterr().out


def test_a_language_model_of_the_library(tmp_path):
    def model():
        transformers.set_seed(3)
        config = transformers.GPT2Config(
            vocab_size=24, n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
        return transformers.GPT2LMHeadModel(config)

    texts = torch.randint(0, 24, (128, 16), generator=torch.Generator().manual_seed(0))
    rows = [{"input_ids": text, "labels": text} for text in texts]

    def fit(*callbacks):
        transformers.set_seed(1)
        args = transformers.TrainingArguments(
            output_dir=str(tmp_path), max_steps=12, gradient_accumulation_steps=2, report_to="none", use_cpu=True,
            disable_tqdm=True, logging_steps=1, save_strategy="no",
        )  # fmt: skip
        trainer = transformers.Trainer(model=model(), args=args, train_dataset=rows, callbacks=list(callbacks))
        trainer.train()
        return trainer

    callback = WatchCallback()
    alone = fit()

    watched = fit(callback)

    assert equal(alone.model, watched.model)
    losses = callback.watch.history.get("loss", "train", per="update").values
    logged = [row["loss"] for row in watched.state.log_history if "loss" in row]
    assert losses == pytest.approx(logged, rel=1e-3)  # the library divides by the tokens of the whole update


def test_a_copy_has_the_settings_and_no_watch(tmp_path):
    callback = WatchCallback(overhead=0.01)
    trainer_with(tmp_path, callback, num_train_epochs=1).train()

    again = copy.deepcopy(callback)

    assert again.overhead == 0.01
    assert again.watch is None
