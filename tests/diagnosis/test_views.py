"""What is read of a history."""

import numpy as np
import pytest

from tests.diagnosis.curves import falling, history
from tunesmith.doctor.diagnosis.views import direction, view
from tunesmith.runs.history import History, series


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("accuracy", -1),
        ("f1_macro", -1),
        ("roc_auc", -1),
        ("top_5", -1),
        ("map50", -1),
        ("wer", 1),
        ("mae", 1),
        ("perplexity", 1),
        ("val_error", 1),
        ("loss", 0),
        ("runtime", 0),
        ("samples_per_second", 0),
        ("stop", 0),
        ("maple", 0),
    ],
)
def test_which_way_a_metric_is_better(name, sign):
    assert direction(series(name, [0], [1.0])) == sign


def test_means_of_epochs_come_before_losses_of_updates():
    seen = view(history(train=falling(20), updates=falling(400)))

    assert seen.train.series.per == "epoch"
    assert view(history(train=[1.0, 0.9], updates=falling(400))).train.series.per == "update"


def test_many_updates_are_read_as_some_levels():
    curve = view(history("step", updates=falling(4000, noise=0.3))).train

    assert len(curve) <= 60
    assert curve.noise < 0.05 * curve.start


def test_groups_of_a_held_loss_stand_for_it_where_there_is_no_whole():
    groups = [series("loss", range(8), falling(8), part="val", where=name) for name in ("g0", "g1")]

    assert len(view(History(curves=tuple(groups), reader="made")).vals) == 2


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        (("d_loss", "g_loss"), "gan"),
        (("discriminator/loss", "generator/loss"), "gan"),
        (("ep_reward", "value_loss", "policy_loss"), "rl"),
        (("rollout/ep_rew_mean", "rollout/ep_len_mean", "train/value_loss"), "rl"),
        (("errD", "errG"), "gan"),
        (("Loss_D", "Loss_G", "D(x)"), "gan"),
        (("episode_reward", "loss"), "rl"),
        (("policy_loss", "value_loss", "loss"), "rl"),
        (("loss", "val_loss"), ""),
        (("loss", "rewards/chosen", "rewards/rejected", "rewards/margins"), ""),
        (("loss", "gradient_norm", "genre_accuracy", "d_model"), ""),
        (("total_loss", "cls_loss", "box_loss"), ""),
    ],
)
def test_two_players_and_agents_are_known_by_their_columns(columns, kind):
    curves = tuple(series("loss", range(5), falling(5), column=name, where=name) for name in columns)

    assert view(History(curves=curves, reader="made")).stranger == kind


def test_the_way_and_what_was_lost_of_it():
    curve = view(history(train=np.concatenate([np.linspace(2, 1, 20), np.linspace(1, 1.5, 20)]))).train

    assert curve.drop == pytest.approx(1.0, abs=0.1)
    assert curve.lost == pytest.approx(0.5, abs=0.1)
    assert curve.best_index == pytest.approx(20, abs=2)
