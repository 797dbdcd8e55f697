import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.integrations.foreign.rows import BATCH, EPOCHS, STEPS, TRAIN, X, Y, equal, faults, hooks_on, net, run_in

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pl = pytest.importorskip(
        "lightning.pytorch", reason="lightning is not installed; scripts/foreign lightning tries it"
    )

from tunesmith.integrations.lightning import WatchCallback

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own advice


class Plain(pl.LightningModule):
    """Calls the net inside, not itself."""

    def __init__(self, rate=1e-2):
        super().__init__()
        self.rate = rate
        self.net = net()
        self.losses = []

    def loss_of(self, batch):
        outputs = self.net(batch[0])
        return outputs, nn.functional.cross_entropy(outputs, batch[1])

    def training_step(self, batch, place):
        loss = self.loss_of(batch)[1]
        self.losses.append(loss.item())
        self.log("loss", loss)
        return loss

    def validation_step(self, batch, place):
        outputs, loss = self.loss_of(batch)
        self.log_dict({"val_loss": loss, "val_acc": (outputs.argmax(1) == batch[1]).float().mean()})

    def test_step(self, batch, place):
        self.log("test_loss", self.loss_of(batch)[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.rate)


class Itself(Plain):
    def forward(self, rows):
        return self.net(rows)

    def loss_of(self, batch):
        outputs = self(batch[0])
        return outputs, nn.functional.cross_entropy(outputs, batch[1])


class ByHand(Plain):
    """Two optimizers that step in turn, each after a backward pass of its own."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.other = net()

    def training_step(self, batch, place):
        total = 0.0
        for part, optimizer in zip((self.net, self.other), self.optimizers(), strict=True):
            loss = nn.functional.cross_entropy(part(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            total += loss.item()
        self.losses.append(total)

    def configure_optimizers(self):
        return [torch.optim.Adam(self.net.parameters(), 1e-2), torch.optim.SGD(self.other.parameters(), 0.1)]


def loaders():
    train = DataLoader(TensorDataset(X[:TRAIN], Y[:TRAIN]), BATCH, shuffle=True)
    return train, DataLoader(TensorDataset(X[TRAIN:], Y[TRAIN:]), 100)


def trainer_with(*callbacks, **settings):
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**quiet | {"accelerator": "cpu", "max_epochs": EPOCHS, "callbacks": list(callbacks)} | settings)


def trained(kind, *callbacks, val=True, **settings):
    pl.seed_everything(1, verbose=False)
    module, trainer = kind(), trainer_with(*callbacks, **settings)
    train, held = loaders()
    trainer.fit(module, train, held if val else None)
    return module, trainer


@pytest.mark.parametrize("kind", [Plain, Itself, ByHand])
@pytest.mark.parametrize("settings", [{}, {"precision": "bf16-mixed"}, {"gradient_clip_val": 0.1}])
def test_a_watched_fit_is_the_same_fit(kind, settings, tmp_path):
    if kind is ByHand and "gradient_clip_val" in settings:
        settings = {}  # Lightning clips automatic optimization alone
    alone, _ = trained(kind, **settings)
    callback = WatchCallback(tmp_path / "run")

    module, trainer = trained(kind, callback, **settings)

    assert equal(alone, module)
    assert hooks_on(module, *trainer.optimizers) == hooks_on(alone)
    assert callback.watch.closed


@pytest.mark.parametrize("kind", [Plain, Itself, ByHand])
def test_the_run_folder_holds_every_update_and_evaluation(kind, tmp_path):
    module, _ = trained(kind, WatchCallback(tmp_path / "run"))

    history = run_in(tmp_path / "run")

    loss = history.get("loss", "train", per="update")
    assert loss.steps.tolist() == list(range(1, STEPS + 1))
    assert loss.values == pytest.approx(module.losses, rel=1e-5)
    assert [row["step"] for row in history.evaluations] == [STEPS // EPOCHS * (place + 1) for place in range(EPOCHS)]
    assert len(history.get("loss", "val")) == len(history.get("accuracy")) == EPOCHS  # and no sanity check
    assert history.facts["finished"] is True
    assert history.facts["epochs"] == EPOCHS


def test_what_goes_on_inside_the_net_is_seen_where_the_module_calls_only_that(tmp_path):
    for kind in (Plain, Itself):
        callback = WatchCallback()

        trained(kind, callback)

        assert callback.watch.history.places("activation_std")


def test_a_planted_fault_is_named_and_printed_by_lightning(capsys):
    callback = WatchCallback()

    trained(lambda: Plain(rate=30.0), callback)

    said = capsys.readouterr().out
    assert "lr.too_high" in said
    assert "lr.too_high" in faults(callback.findings(), "error", "warning") or "loss.plateau_at_chance" in faults(
        callback.findings(), "error"
    )


def test_a_sound_fit_has_no_error():
    callback = WatchCallback()

    trained(Plain, callback, max_epochs=10)

    assert faults(callback.findings(), "error") == []


def test_the_loss_of_an_accumulated_update_is_the_mean_of_its_batches():
    callback = WatchCallback()

    module, trainer = trained(Plain, callback, accumulate_grad_batches=4)

    losses = callback.watch.history.get("loss", "train", per="update").values
    assert len(losses) == trainer.global_step
    assert losses[0] == pytest.approx(sum(module.losses[:4]) / 4, rel=1e-5)


def test_a_resumed_fit_goes_on_with_its_run(tmp_path):
    _, trainer = trained(Plain, WatchCallback(tmp_path / "run"), max_epochs=2)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = trainer_with(WatchCallback(tmp_path / "run"), max_epochs=EPOCHS)

    again.fit(Plain(), *loaders(), ckpt_path=tmp_path / "last.ckpt")

    history = run_in(tmp_path / "run")
    assert history.resumed == (STEPS // 2,)
    assert history.get("loss", "train", per="update").steps.tolist() == list(range(1, STEPS + 1))
    assert [row["epoch"] for row in history.evaluations] == [1, 2, 3, 4]


def test_another_fit_from_the_start_has_a_folder_of_its_own(tmp_path, capsys):
    for _ in range(2):
        trained(Plain, WatchCallback(tmp_path / "run"), max_epochs=1)

    assert len(run_in(tmp_path / "run-2").evaluations) == 1
    assert "already holds a run; this one is written to" in capsys.readouterr().out


def test_one_trainer_that_fits_twice_goes_on(tmp_path):
    pl.seed_everything(1, verbose=False)
    trainer, module = trainer_with(WatchCallback(tmp_path / "run"), max_epochs=1), Plain()
    trainer.fit(module, *loaders())
    trainer.fit_loop.max_epochs = 2

    trainer.fit(module, *loaders())

    assert run_in(tmp_path / "run").resumed == (STEPS // EPOCHS,)


@pytest.mark.parametrize(("error", "status"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_an_exception_takes_the_watch_away(error, status, tmp_path):
    class Falling(Plain):
        def training_step(self, batch, place):
            if self.trainer.global_step == 5:
                raise error("on purpose")
            return super().training_step(batch, place)

    callback, module = WatchCallback(tmp_path / "run"), Falling()
    trainer = trainer_with(callback)

    with pytest.raises((error, SystemExit)):  # Lightning makes an exit of Ctrl-C
        trainer.fit(module, *loaders())

    assert callback.watch.run.status == status
    assert hooks_on(module, *trainer.optimizers) == 0
    assert len(run_in(tmp_path / "run").get("loss", "train", per="update")) == 5


def test_test_and_validate_and_predict_are_not_looked_at(tmp_path):
    callback = WatchCallback(tmp_path / "run")
    module, trainer = trained(Plain, callback)
    rows = len(callback.watch.history.evaluations)

    trainer.validate(module, loaders()[1], verbose=False)
    trainer.test(module, loaders()[1], verbose=False)

    assert len(run_in(tmp_path / "run").evaluations) == rows == EPOCHS
    assert run_in(tmp_path / "run").get("test_loss") is None


def test_an_evaluation_alone_opens_nothing(tmp_path):
    callback = WatchCallback(tmp_path / "run")

    trainer_with(callback).validate(Plain(), loaders()[1], verbose=False)

    assert callback.watch is None
    assert len(callback.findings()) == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "steps"),
    [({"check_val_every_n_epoch": 2}, [26, 52]), ({"val_check_interval": 0.5, "max_epochs": 1}, [6, 12])],
)
def test_an_evaluation_is_a_row_whenever_it_comes(settings, steps):
    callback = WatchCallback()

    trained(Plain, callback, **settings)

    assert [row["step"] for row in callback.watch.history.evaluations if "val_loss" in row] == steps


def test_without_validation_the_rules_look_at_the_training_after_each_epoch(capsys):
    callback = WatchCallback()

    trained(lambda: Plain(rate=30.0), callback, val=False)

    assert len(callback.watch.history.evaluations) == EPOCHS
    assert callback.watch.history.get("loss", "val") is None
    assert "lr.too_high" in capsys.readouterr().out


def test_a_score_called_loss_is_that_of_the_validation():
    class Bare(Plain):
        def validation_step(self, batch, place):
            self.log("loss", self.loss_of(batch)[1] + 100.0)

    callback = WatchCallback()

    trained(Bare, callback)

    history = callback.watch.history
    assert min(history.get("loss", "val").values) > 100
    assert max(history.get("loss", "train", per="update").values) < 10


def test_a_plateau_schedule_and_early_stopping_see_the_same_scores():
    stop = pl.callbacks.EarlyStopping("val_loss", patience=1, min_delta=10.0)
    callback = WatchCallback()

    _, trainer = trained(Plain, callback, stop, max_epochs=10)

    assert trainer.current_epoch == 2
    assert callback.watch.run.status == "finished"
    assert len(callback.watch.history.evaluations) == 2


def test_a_sink_of_ones_own_takes_the_lines():
    lines = []

    trained(lambda: Plain(rate=30.0), WatchCallback(sink=lines.append, language="zh"))

    assert any("lr.too_high" in line for line in lines)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in "".join(lines))


def test_a_pickle_has_the_settings_and_no_watch(tmp_path):
    callback = WatchCallback(tmp_path / "run", overhead=0.01)
    trained(Plain, callback, max_epochs=1)

    again = pickle.loads(pickle.dumps(callback))

    assert again.overhead == 0.01
    assert again.watch is None


def test_it_is_a_callback_of_the_other_package_too():
    other = pytest.importorskip("pytorch_lightning", reason="pytorch_lightning is not installed")
    from tunesmith.integrations import lightning

    both = lightning.WatchCallback()

    assert isinstance(both, pl.Callback)
    assert isinstance(both, other.Callback)
