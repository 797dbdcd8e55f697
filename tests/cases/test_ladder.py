import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunesmith as ts
from cases.keypoints.command import main
from cases.keypoints.judging import error
from cases.keypoints.ladder import Budget, Ladder, carry_out, chosen
from cases.keypoints.nets import convolutional, warm, wide
from cases.keypoints.points import COLUMNS
from cases.keypoints.reading import BadFaces, Faces, reduced
from cases.keypoints.rungs import recipe_of, rung
from cases.keypoints.splitting import divided
from cases.keypoints.training import Stopped, Training, inputs, targets
from tests.cases.faces import synthetic, write_kaggle, write_zip
from tunesmith.reports import QuietDisplay

FACES = synthetic(70, 14)


def ladder(folder: Path, faces: Faces = FACES, epochs: int = 2) -> Ladder:
    return Ladder(folder, divided(reduced(faces, 48)), Budget(epochs=epochs), say=lambda text: None)


def training(folder: Path, name: str, epochs: int = 3) -> Training:
    return ladder(folder, epochs=epochs).training(rung(name), 0, folder / name)


def test_the_loss_is_the_mean_over_present_coordinates_also_of_a_last_partial_batch(tmp_path: Path) -> None:
    few = reduced(synthetic(33, 2), 48)  # batches of 32: the last one has one row
    made = training(tmp_path, "hidden")
    torch.manual_seed(0)
    net = made.net().double()
    X, y = inputs(few).astype(np.float64), targets(few).astype(np.float64)
    recipe = {**made.recipe(1), "train.precision": "fp64", "optim.lr": 1e-12}  # as good as still

    run = ts.fit(ts.Task(net, (X, y), val=(X, y), kind="multi_regression"), recipe, display=QuietDisplay())

    with torch.no_grad():
        errors = (net(torch.from_numpy(X)).numpy() - y) ** 2
    there = ~np.isnan(y)
    assert not there.all()
    expected = errors[there].sum() / there.sum()
    assert run.evaluations[-1]["val_loss"] == pytest.approx(expected, rel=1e-6)
    assert run.evaluations[-1]["train_loss"] == pytest.approx(expected, rel=1e-6)


def test_one_update_on_faces_with_gaps_is_that_of_the_mean_over_what_is_there() -> None:
    few = reduced(synthetic(6, 2), 48)
    torch.manual_seed(1)
    net = rung("hidden").net(48).double()  # type: ignore[misc]
    X, y = inputs(few).astype(np.float64), targets(few).astype(np.float64)
    recipe = {
        **recipe_of("hidden", seed=0, epochs=1),
        "train.precision": "fp64",
        "optim.extra": {},
        "optim.momentum": 0.0,
    }

    run = ts.fit(ts.Task(net, (X, y), kind="multi_regression"), recipe, display=QuietDisplay())

    outputs = net(torch.from_numpy(X))
    there = torch.from_numpy(~np.isnan(y))
    loss = ((outputs - torch.from_numpy(np.nan_to_num(y))) ** 2 * there).sum() / there.sum()
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    for before, gradient, after in zip(net.parameters(), gradients, run.model.parameters(), strict=True):
        torch.testing.assert_close(after, before - 0.01 * gradient)


def test_the_ramps_are_straight_lines_from_the_first_update_to_the_last(tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []

    class Look:
        every = 1

        def __call__(self, state: Any) -> Any:
            group = state.optimizer.param_groups[0]
            seen.append((group["lr"], group["momentum"]))
            return iter(())

    made = training(tmp_path, "ramps", epochs=4)
    ts.fit(made.task(), made.recipe(4), probes=[Look()], display=QuietDisplay())

    rates, momenta = np.array(seen).T
    np.testing.assert_allclose(rates, np.linspace(0.03, 0.0001, len(rates)))
    np.testing.assert_allclose(momenta, np.linspace(0.9, 0.999, len(momenta)))


@pytest.mark.parametrize("name", ["convolutional", "dropout"])
def test_a_rung_that_is_stopped_goes_on_and_ends_as_one_that_was_not(tmp_path: Path, name: str) -> None:
    whole, stopped = training(tmp_path / "whole", name), training(tmp_path / "stopped", name)

    expected = whole.finish()
    with pytest.raises(Stopped, match="the same command goes on with it"):
        stopped.finish(until="3 steps")  # inside the second epoch
    found = stopped.finish()

    assert ts.Run(stopped.place / "run").evaluations[-1]["step"] == whole.measured()["updates"] == 6
    for part in ("val", "test"):
        np.testing.assert_array_equal(found[part], expected[part])


def test_another_net_begins_with_all_but_the_last_layer_of_the_source() -> None:
    torch.manual_seed(0)
    source, net = wide(48), wide(48, outputs=4)
    head = net.state_dict()["head.weight"].clone()

    warm(net, source)

    for name, value in net.state_dict().items():
        assert torch.equal(value, head if name == "head.weight" else source.state_dict()[name]) or name == "head.bias"
    assert net.state_dict()["head.weight"].shape == (4, 1000)


def test_members_of_an_average_are_chosen_by_its_error_and_gaps_are_left_out() -> None:
    truth = np.array([[1.0, np.nan], [2.0, 3.0]])
    held = {"high": np.nan_to_num(truth) + 1, "low": np.nan_to_num(truth) - 1, "wild": np.full((2, 2), 50.0)}

    assert chosen(held, truth) == ["high", "low"]


def test_the_command_trains_two_rungs_and_the_second_time_nothing(tmp_path: Path, capsys: Any) -> None:
    data, folder = write_zip(FACES, tmp_path / "faces.zip"), tmp_path / "ladder"
    asked = ["--data", str(data), "--folder", str(folder), "--epochs", "2", "--seeds", "2"]
    asked += ["--rungs", "mean", "hidden", "flips"]

    assert main(asked) == 0
    first = capsys.readouterr().out
    lines = (folder / "rows.jsonl").read_text("utf-8")
    assert main(asked) == 0
    second = capsys.readouterr().out

    rows = [json.loads(line) for line in lines.splitlines()]
    assert [(row["rung"], row["seed"]) for row in rows] == [
        ("mean", 0),
        ("hidden", 0),
        ("hidden", 1),
        ("flips", 0),
        ("flips", 1),
    ]
    assert (folder / "rows.jsonl").read_text("utf-8") == lines
    assert first.count("…") == 5
    assert "…" not in second
    assert first.endswith(second[second.index("| rung") :])
    assert "reduced to 48x48" in first
    assert (folder / "table.md").read_text("utf-8").count("\n") == 5
    assert sorted(file.name for file in (folder / "pictures").iterdir()) == ["flips.png", "hidden.png", "mean.png"]
    assert rows[0]["val"]["counts"] == rows[3]["val"]["counts"]


def test_specialists_are_put_together_and_an_ensemble_errs_no_more_than_its_best_member(tmp_path: Path) -> None:
    made = ladder(tmp_path, epochs=1)

    rows = carry_out(made, ["mean", "convolutional", "wide", "specialists", "ensemble"], seeds=1)

    assert [row["rung"] for row in rows] == ["mean", "convolutional", "wide", "specialists", "ensemble"]
    assert rows[2]["epochs"] == 2  # twice as long
    assert rows[3]["updates"] > rows[2]["updates"]
    assert {part for part in (tmp_path / "specialists" / "seed-0").iterdir() if part.is_dir()} == {
        tmp_path / "specialists" / "seed-0" / name
        for name in ("eye_centers", "nose_tip", "mouth_corners", "mouth_bottom", "eye_corners", "eyebrows")
    }
    best = min(error([row["val"]]) for row in rows[1:4])
    assert error([rows[4]["val"]]) <= best
    assert all(np.isfinite(error([row["test"]])) for row in rows)
    held = np.load(tmp_path / "specialists" / "seed-0" / "predictions.npz")
    assert held["test"].shape == (len(made.parts.test), len(COLUMNS))
    assert np.isfinite(held["test"]).all()


def test_tune_takes_the_same_parts_with_all_their_gaps_and_stands_beside_the_ladder(tmp_path: Path) -> None:
    made = ladder(tmp_path, epochs=6)

    carry_out(made, ["mean", "tune"], seeds=1)
    mean, tuned = made.rows()

    assert error([tuned["test"]]) < 1.1 * error(
        [mean["test"]]
    )  # six epochs: no better, but in pixels of 96 and of whole faces
    rows = ts.load(tmp_path / "tune" / "seed-0" / "tuned").predict(inputs(made.parts.test)).values
    assert len(rows) == len(made.parts.test)
    assert tuned["epochs"] <= 6
    assert tuned["handed"]


def test_minutes_become_epochs_once_and_stay(tmp_path: Path) -> None:
    short, long = (
        Ladder(tmp_path, divided(reduced(FACES, 48)), Budget(minutes=seconds / 60)) for seconds in (2.0, 900.0)
    )

    made = short.training(rung("hidden"), 0, tmp_path / "hidden")
    made.finish()
    plan = json.loads(made.plan.read_text("utf-8"))
    again = long.training(rung("hidden"), 0, tmp_path / "hidden")
    again.finish()

    assert plan["epochs"] == pytest.approx(2.0 / plan["seconds_an_epoch"], rel=0.1, abs=1)
    assert made.measured()["epochs"] == again.measured()["epochs"] == plan["epochs"]


def test_nets_that_cost_the_same_have_the_same_epochs_and_the_others_their_own(tmp_path: Path) -> None:
    made = ladder(tmp_path)

    plans = {
        name: made.training(rung(name), seed, tmp_path).plan.name
        for name in ("hidden", "convolutional", "flips", "ramps", "dropout", "wide")
        for seed in (0, 1)
    }

    assert set(plans.values()) == {"hidden.json", "convolutional.json", "wide.json"}
    assert plans["flips"] == plans["ramps"] == plans["dropout"] == plans["convolutional"]


def test_bad_data_and_other_settings_in_the_same_folder_are_told_in_one_sentence(tmp_path: Path, capsys: Any) -> None:
    data, folder = write_kaggle(FACES, tmp_path / "training.csv"), str(tmp_path / "ladder")
    asked = ["--data", str(data), "--folder", folder, "--seeds", "1", "--rungs", "mean"]

    assert main([*asked, "--epochs", "2"]) == 0
    assert main([*asked, "--epochs", "3"]) == 2
    told = capsys.readouterr().err
    assert main(["--data", str(tmp_path / "none.csv"), "--folder", folder]) == 2

    assert "was begun with epochs 2 and epochs 3 came" in told
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--epochs", "0"], ["--seeds", "-1"], ["--rungs", "top"]])
def test_wrong_use_is_refused_before_anything_is_read(wrong: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)

    assert ended.value.code == 2
    assert f"argument {wrong[0]}" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_kaggle(FACES, tmp_path / "training.csv")
    asked = ["--data", str(data), "--folder", str(tmp_path / "ladder"), "--seeds", "1", "--rungs", "hidden"]
    fit = ts.fit

    def interrupted(*given: Any, probes: Any = (), **named: Any) -> Any:
        class Hand:
            every = 1

            def __call__(self, state: Any) -> Any:
                if state.step == 2:
                    signal.raise_signal(signal.SIGINT)
                return iter(())

        return fit(*given, probes=[*probes, Hand()], **named)

    monkeypatch.setattr(ts, "fit", interrupted)
    in_training = main([*asked, "--epochs", "3"])
    told = capsys.readouterr().err
    in_rehearsal = main([*asked[:3], str(tmp_path / "other"), *asked[4:], "--minutes", "1"])

    assert (in_training, in_rehearsal) == (130, 130)
    assert "stopped before its end; the same command goes on with it" in told
    assert "stopped before it began" in capsys.readouterr().err
    monkeypatch.setattr(ts, "fit", fit)
    assert main([*asked, "--epochs", "3"]) == 0


def test_the_shared_sample_climbs_two_rungs(shared: Path, tmp_path: Path) -> None:
    data = shared / "data" / "keypoints" / "training_kaggle_format_200.csv.gz"

    code = main(
        ["--data", str(data), "--folder", str(tmp_path), "--epochs", "1", "--seeds", "1", "--rungs", "hidden", "flips"]
    )

    assert code == 0
    assert (tmp_path / "table.md").exists()


def test_specialists_without_the_rung_they_begin_from_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFaces, match="train that rung first"):
        carry_out(ladder(tmp_path), ["specialists"], seeds=1)
    assert convolutional(48)(torch.zeros(2, 1, 48, 48)).shape == (2, 30)
