"""The real logs of the shared folder: every one that a person could read is read without a mapping."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tunesmith.records import DataError
from tunesmith.runs import readers
from tunesmith.runs.history import History, Series


@pytest.fixture(scope="module")
def logs(shared: Path) -> Path:
    return shared / "data" / "logs"


def read(logs: Path, name: str) -> History:
    return readers.read_log(logs / name)[-1]


def curve(history: History, quantity: str, part: str, where: str = "") -> Series:
    found = history.get(quantity, part, where)
    assert found is not None
    return found


def test_all_but_the_two_that_are_no_curves_are_read(logs: Path) -> None:
    with (logs / "index.csv").open(encoding="utf-8") as file:
        index = list(csv.DictReader(file))
    refused = []

    for row in index:
        try:
            found = readers.read_log(logs / row["file"])
        except DataError:
            refused.append(row["tag"])
        else:
            assert all(history.get("loss") is not None for history in found)

    assert refused == ["not_a_training_curve"] * 2
    assert len(index) >= 30


@pytest.mark.parametrize(
    ("name", "points", "first", "last"),
    [
        ("hf_chatglm_lora_25ep_no_eval.trainer_state.json.gz", 1190, 3.5663, 0.0023),
        ("hf_chatglm_lora_50ep_no_eval.trainer_state.json.gz", 2380, 3.5664, 0.0005),
        ("hf_image_classifier_good.trainer_state.json", 63, 0.2579, 0.0033),
        ("keras_mnist_val_spike.csv", 30, 0.3654542565345764, 0.015355654992163181),
        ("lightning_mnist_good.csv", 171, 0.634955883026123, 0.021989192813634872),
        ("lightning_pinn_v3_one_row.csv", 1, 0.47890817339028047, 0.47890817339028047),
        ("lightning_two_rows.csv", 2, 6.5751519203186035, 6.386987686157227),
        ("gpt2_doublehead_keras.json", 3, 2.00871695790972, 0.8407806413514274),
    ],
)
def test_training_losses(logs: Path, name: str, points: int, first: float, last: float) -> None:
    loss = curve(read(logs, name), "loss", "train")

    assert len(loss) == points
    assert (loss.values[0], loss.values[-1]) == (first, last)


def test_what_the_index_says_of_losses(logs: Path) -> None:
    overfit = curve(read(logs, "hf_overfit_after_epoch4.trainer_state.json.gz"), "loss", "val")
    eurosat = curve(read(logs, "lightning_eurosat_val_only.csv"), "loss", "val")
    spikes = curve(read(logs, "lightning_pinn_v18_spikes.csv.gz"), "loss", "train")
    text = read(logs, "tb_lstm_text_gen/events.out.tfevents.1716735746.host.0")
    gap = read(logs, "tb_contrastive_gap/events.out.tfevents.1713773043.host.0")

    assert (len(overfit), int(np.argmin(overfit.values)) + 1) == (89, 26)
    assert (overfit.values.min(), overfit.values[-1]) == pytest.approx((0.515, 0.921), abs=1e-3)
    assert (eurosat.values[0], eurosat.values[-1]) == pytest.approx((2.27, 1.95), abs=0.01)
    assert spikes.values.max() == pytest.approx(126, abs=1)
    assert curve(text, "loss", "train").counted == 7691
    assert curve(text, "loss", "val").values.min() == pytest.approx(0.253, abs=1e-3)
    assert curve(gap, "loss", "val").values[-1] == pytest.approx(9.6, abs=0.1)


def test_scores_in_percent_become_shares(logs: Path) -> None:
    plateau = read(logs, "fer_v2_plateau.json")
    whisper = read(logs, "hf_whisper_flemish_val_flat.trainer_state.json")

    assert curve(plateau, "accuracy", "val").values.max() == pytest.approx(0.738, abs=1e-3)
    assert curve(whisper, "wer", "val").values[-1] == pytest.approx(0.096, abs=1e-3)
    assert any("percent" in notice for notice in plateau.notices)


def test_several_groups_of_evaluation_have_a_mean(logs: Path) -> None:
    grouped = read(logs, "hf_grouped_eval_degrades.trainer_state.json")

    places = [one.where for one in grouped.all("loss", "val")]
    mean = np.mean([curve(grouped, "loss", "val", f"g{i}").values for i in range(6)], axis=0)

    assert set(places) == {"", "g0", "g1", "g2", "g3", "g4", "g5"}
    np.testing.assert_allclose(curve(grouped, "loss", "val").values, mean)


def test_terms_of_a_loss_stand_beside_it(logs: Path) -> None:
    stuck = read(logs, "lightning_pinn_v1_stuck_component.csv")

    omega = curve(stuck, "loss", "train", "initial omega")

    assert (omega.values[0], omega.values[-1]) == pytest.approx((0.0508, 0.1464), abs=1e-4)
    assert {one.per for one in stuck.all("loss", "train", "")} == {"update", "epoch"}


def test_a_printed_log_in_sentences(logs: Path) -> None:
    paddle = read(logs, "paddle_prednet_stdout.log.gz")

    assert paddle.axis == "step"
    assert paddle.facts["steps_per_epoch"] == 125
    assert len(curve(paddle, "loss", "train")) == 750
    assert (len(curve(paddle, "loss", "val")), curve(paddle, "loss", "val").values[-1]) == (
        150,
        pytest.approx(0.0297, abs=1e-4),
    )
    assert curve(paddle, "mse", "test").values[-1] == pytest.approx(0.006897665)
    assert {float(x) for x in paddle.all("lr")[0].values} == {0.001, 0.0001}


def test_a_log_appended_to_holds_two_runs(logs: Path) -> None:
    found = readers.read_log(logs / "keras_digits_mild_overfit.csv")

    assert [len(curve(one, "loss", "val")) for one in found] == [5, 10]
    assert all("2 runs" in one.notices[0] for one in found)


def test_what_is_no_curve_says_why(logs: Path) -> None:
    with pytest.raises(DataError, match=r"hidden_size, n_layers.* change from row to row"):
        readers.read_log(logs / "charrnn_timing_only.csv")
    with pytest.raises(DataError, match=r"usage text of a program and ends with .*--fp16"):
        readers.read_log(logs / "argparse_error_nohup.log")


def test_facts_of_a_state_and_of_hyper_parameters(logs: Path) -> None:
    state = read(logs, "hf_overfit_after_epoch4.trainer_state.json.gz")
    endless = read(logs, "hf_whisper_tiny_constant_lr.trainer_state.json.gz")
    contrastive = read(logs, "tb_contrastive_gap/events.out.tfevents.1713773043.host.0")

    assert {"epochs": 10, "steps": 8920, "batch_size": 32, "finished": True}.items() <= dict(state.facts).items()
    assert "epochs" not in endless.facts
    assert contrastive.facts["lr"] == 1e-4
    assert read(logs, "fer_v1_healthy.json").facts["classes"] == 3
