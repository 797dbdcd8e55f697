"""Roles by name alone: what counts, and what only sounds like it."""

import pytest

from tunesmith.runs.readers.naming import role_of, split
from tunesmith.runs.readers.roles import Role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("loss", "loss"),
        ("val_loss", "val loss"),
        ("valLoss", "val loss"),
        ("Validation Loss", "val loss"),
        ("trloss", "train loss"),
        ("train_loss_epoch", "train loss"),
        ("Loss/train", "train loss"),
        ("eval_g0_loss", "val loss term g0"),
        ("train/box_loss", "train loss term box"),
        ("total_loss", "loss"),
        ("lm loss value", "loss"),
        ("avg loss so far is", "loss"),
        ("val_loss/dataloader_idx_0", "val loss"),
        ("val_loss/dataloader_idx_1", "val loss term group 1"),
        ("evaluation_loss_vs_iterations", "val loss"),
        ("Trainingsverlust", "train loss"),
        ("验证损失", "val loss"),
        ("потери на валидации", "val loss"),
        ("pérdida de validación", "val loss"),
        ("acc", "accuracy"),
        ("Acc@1", "accuracy"),
        ("val_top5_acc", "val accuracy of top 5"),
        ("sparse_categorical_accuracy", "accuracy"),
        ("eval_f1", "val f1"),
        ("metrics/mAP50(B)", "map of b 50"),
        ("metrics/mAP_0.5:0.95", "map"),
        ("mAP@.5:.95", "map"),
        ("val_mean_iou", "val iou"),
        ("validation_0-logloss", "val log loss of 0"),
        ("valid_1's l2", "val mse of 1"),
        ("ROC-AUC", "auc"),
        ("mean_absolute_error", "mae"),
        ("rewards/accuracies", "accuracy"),
        ("learning_rate", "lr"),
        ("lr-AdamW/pg1", "lr of pg1"),
        ("x/lr0", "lr"),
        ("学习率", "lr"),
        ("gnorm", "grad norm"),
        ("epoch", "epoch"),
        ("Train Epoch", "epoch"),
        ("轮次", "epoch"),
        ("trainer/global_step", "step"),
        ("num_updates", "step"),
        ("Iteration", "step"),
        ("fold", "fold"),
        ("run_id", "run"),
    ],
)
def test_names_that_say_what_they_are(name: str, role: str) -> None:
    assert str(role_of(name)) == role


@pytest.mark.parametrize(
    "name",
    [
        "loss_scale",
        "best_loss",
        "best_val_acc",
        "loss_std",
        "loss_weight",
        "kl_weight",
        "lr_warmup",
        "Adam-lr-momentum",
        "eval_samples_per_second",
        "train_loss__MIN",
        "number of nan iterations",
        "number of skipped iterations",
        "consumed samples",
        "gpu_mem",
        "img_size",
        "v_num",
        "patience",
        "tokens_per_second_per_gpu",
        "correct",
    ],
)
def test_names_that_only_sound_like_it(name: str) -> None:
    assert role_of(name).kind in ("ignore", "fact")


@pytest.mark.parametrize(
    "name",
    [
        "time",
        "epoch_time",
        "train_time",
        "total used time",
        "eval_runtime",
        "dur",
        "batch_cost",
        "avg_reader_cost",
        "elapsed time per iteration",
        "耗时",
    ],
)
def test_times(name: str) -> None:
    assert role_of(name).kind == "time"


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("batch_size", "batch_size"),
        ("global batch size", "batch_size"),
        ("num_epochs", "epochs"),
        ("Num Epochs", "epochs"),
        ("max_steps", "steps"),
        ("num_classes", "classes"),
        ("hidden_size", "hidden_size"),
        ("params_lr", "lr"),
    ],
)
def test_settings(name: str, fact: str) -> None:
    assert role_of(name) == Role(kind="fact", name=fact)


def test_what_one_value_stands_for() -> None:
    assert [
        role_of(name).per for name in ("train_loss_step", "train_loss_epoch", "epoch_loss", "batch_loss", "loss")
    ] == ["update", "epoch", "epoch", "update", None]


def test_words_of_a_name() -> None:
    assert split("LMOutput_top_1") == ["lm", "output", "top1"]
    assert split("val_mAP50") == ["val", "map50"]
    assert split("") == []
