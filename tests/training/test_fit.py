"""Every option trains, and what it changes is what it says."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import tunesmith as ts
from tests.training.test_resume import same
from tunesmith.records import Signal, TunesmithError
from tunesmith.records.state import State
from tunesmith.reports import QuietDisplay
from tunesmith.training.guards import Action, Guard, Measured

ROWS = 400


def blobs(classes: int = 3, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    labels = np.arange(ROWS) % classes
    centres = np.random.default_rng(99).normal(size=(classes, 4)) * 2
    return (centres[labels] + generator.normal(size=(ROWS, 4))).astype(np.float32), labels.astype(np.int64)


def net(outputs: int = 3, norm: bool = False) -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 16),
        nn.BatchNorm1d(16) if norm else nn.Identity(),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(16, outputs),
    )


def fit(recipe: dict[str, Any] | None = None, model: Any = net, data: Any = None, **about: Any) -> Any:
    control = {name: about.pop(name) for name in ("folder", "until", "resume", "guards", "probes") if name in about}
    settings = {"train.epochs": 6, "train.batch_size": 32, "optim.lr": 1e-2, "eval.bootstrap": 0, **(recipe or {})}
    task = ts.Task(model, train=data if data is not None else blobs(), **about)
    return ts.fit(task, settings, display=QuietDisplay(), **control)


def losses(run: Any) -> list[float]:
    return list(run.signals.read("loss")[1])


WORKS = {
    "plain": {},
    "ema": {"train.ema": 0.9},
    "accumulation": {"train.accumulate": 3},
    "bf16": {"train.precision": "bf16"},
    "fp16 with a loss scaler": {"train.precision": "fp16"},
    "fp64": {"train.precision": "fp64"},
    "clipping by norm": {"optim.clip_norm": 0.5},
    "clipping by value": {"optim.clip_value": 0.05},
    "sgd": {"optim.name": "sgd", "optim.lr": 0.1},
    "lbfgs": {"optim.name": "lbfgs", "optim.lr": 0.5, "train.batch_size": 280, "optim.extra": {"max_iter": 4}},
    "sam": {"optim.name": "sam", "optim.lr": 0.1},
    "adafactor": {"optim.name": "adafactor", "optim.lr": 0.1},
    "foreach": {"optim.implementation": "foreach"},
    "forloop": {"optim.implementation": "forloop"},
    "decay of everything": {"optim.decay_all": True, "optim.weight_decay": 0.1},
    "one cycle": {"schedule.name": "one_cycle"},
    "warm-up as a share": {"schedule.name": "linear", "schedule.warmup": "0.2dur"},
    "constant with early stopping": {"schedule.name": "constant", "train.patience": 2, "train.min_epochs": 2},
    "class weights": {"loss.class_weights": "balanced"},
    "class weights by hand": {"loss.class_weights": [1.0, 2.0, 0.5]},
    "label smoothing": {"loss.label_smoothing": 0.1},
    "balanced batches": {"data.sampler": "balanced", "data.per_class": 8},
    "oversampling": {"data.sampler": "oversample"},
    "square-root sampling": {"data.sampler": "sqrt"},
    "in order": {"data.sampler": "sequential"},
    "evaluation by updates": {"eval.every": 7},
    "steps instead of epochs": {"train.steps": 40},
    "metric": {"eval.metric": "f1_macro"},
    "metric of one class": {"eval.metric": "f1:1"},
    "loss as metric": {"eval.metric": "loss"},
    "log every few updates": {"run.log_every": 4},
    "deterministic kernels": {"train.deterministic": True},
    "threads": {"train.threads": 1},
    "fetched batch by batch": {"data.in_memory": False},
    "fetched ahead by a worker": {"data.in_memory": False, "data.workers": 1},
    "page-locked where there is a device for it": {"data.in_memory": False, "data.pin_memory": True},
}


@pytest.mark.parametrize("case", WORKS)
def test_every_option_learns(case: str) -> None:
    threads = torch.get_num_threads()
    try:
        run = fit(WORKS[case])
    finally:
        torch.set_num_threads(threads)

    assert run.status == "finished"
    assert run.scores["parts"]["test"]["scores"]["accuracy"] > 0.75


@pytest.mark.parametrize(
    "case",
    [
        "fp16 with a loss scaler",
        "lbfgs",
        "sam",
        "ema",
        "adafactor",
        "evaluation by updates",
        "steps instead of epochs",
        "oversampling",
    ],
)
def test_every_kind_of_state_resumes(tmp_path: Any, case: str) -> None:
    whole = fit(WORKS[case], folder=tmp_path / "whole")

    fit(WORKS[case], folder=tmp_path / "cut", until="5 steps")
    cut = fit(WORKS[case], folder=tmp_path / "cut", resume=True)

    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))
    assert same(cut.signals.read("loss"), whole.signals.read("loss"))


def test_the_first_step_under_fp16_has_the_first_rate() -> None:
    run = fit(
        {"train.precision": "fp16", "train.epochs": 1, "optim.lr": 1e-3}
    )  # the scaler starts at 65536 and overflows first

    steps, rates = run.signals.read("lr")

    assert steps.tolist() == list(range(1, len(steps) + 1))
    assert rates[0] == 1e-3


def test_a_skipped_step_does_not_advance_the_schedule() -> None:
    class SkipThird(Guard):
        calls = 0

        def after_backward(self, state: State, measured: Measured) -> Action | None:
            self.calls += 1
            return Action(kind="skip", because="the third") if self.calls == 3 else None

    run = fit({"train.epochs": 1, "schedule.name": "linear"}, guards=[SkipThird()])

    steps, rates = run.signals.read("lr")
    assert steps.tolist() == list(range(1, 9))  # nine windows, one skipped
    assert np.allclose(np.diff(rates), np.diff(rates)[0])


@pytest.mark.parametrize("workers", [0, 1])
def test_fetching_ahead_gives_the_same_run_and_resumes(tmp_path: Any, workers: int) -> None:
    ahead = {"data.in_memory": False, "data.workers": workers}

    held = fit()
    fit(ahead, folder=tmp_path / "cut", until="13 steps")
    cut = fit(ahead, folder=tmp_path / "cut", resume=True)

    assert same(cut.signals.read("loss"), held.signals.read("loss"))


def test_the_best_weights_are_given_back() -> None:
    run = fit({"schedule.name": "constant", "optim.lr": 0.5, "train.epochs": 8})

    rows = run.evaluations
    best = max(rows, key=lambda row: row["score"])
    assert run.scores["best"]["step"] == best["step"]
    assert run.scores["parts"]["val"]["scores"]["accuracy"] == pytest.approx(best["score"])


def test_early_stopping_counts_in_noise_and_waits_for_min_epochs() -> None:
    inputs, labels = blobs()
    noise = np.random.default_rng(0).permutation(labels)  # nothing to learn

    run = fit(
        {"schedule.name": "constant", "train.patience": 3, "train.min_epochs": 5, "train.epochs": 40},
        data=(inputs, noise),
    )

    assert run.info["ending"] == "early"
    assert 5 <= run.evaluations[-1]["epoch"] < 40


def test_a_batch_that_grows_on_the_way_resumes_exactly(tmp_path: Any) -> None:
    class Grow(Guard):
        def after_step(self, state: State, measured: Measured) -> Action | None:
            if state.step == 4:
                return Action(
                    change={"train.batch_size": 64, "train.accumulate": 2, "optim.lr": 0.003},
                    because="the noise asks for it",
                )
            return None

    whole = fit(folder=tmp_path / "whole", guards=[Grow()])
    fit(folder=tmp_path / "cut", guards=[Grow()], until="9 steps")
    cut = fit(folder=tmp_path / "cut", guards=[Grow()], resume=True)

    assert same(cut.signals.read("loss"), whole.signals.read("loss"))
    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))
    assert [row["change"] for row in whole.decisions if row["what"] == "change"] == [
        {"train.batch_size": 64, "train.accumulate": 2, "optim.lr": 0.003}
    ]
    assert len(losses(whole)) < 54


def test_a_parameter_group_added_on_the_way_resumes_exactly(tmp_path: Any) -> None:
    class Unfreeze(Guard):
        def after_step(self, state: State, measured: Measured) -> Action | None:
            if state.step == 6 and len(state.optimizer.param_groups) == 1:
                first = state.model[0]
                assert isinstance(first, nn.Linear)
                first.requires_grad_(True)
                state.optimizer.add_param_group({"params": list(first.parameters()), "lr": 0.001})
            return None

    def half_frozen() -> nn.Module:
        model = net()
        model[0].requires_grad_(False)  # type: ignore[index]
        return model

    def sgd(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            [parameter for parameter in parameters if parameter.requires_grad], lr=0.05, momentum=0.9
        )

    def go(folder: Any, **more: Any) -> Any:
        return fit(model=half_frozen, optimizer=sgd, folder=folder, guards=[Unfreeze()], **more)

    whole = go(tmp_path / "whole")
    go(tmp_path / "cut", until="13 steps")
    cut = go(tmp_path / "cut", resume=True)

    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))
    assert same(cut.signals.read("lr"), whole.signals.read("lr"))


def test_a_rollback_returns_to_the_last_snapshot_and_no_step_doubles() -> None:
    class Back(Guard):
        keeps_snapshots = True
        done = False

        def after_step(self, state: State, measured: Measured) -> Action | None:
            if state.step == 14 and not self.done:
                self.done = True
                return Action(kind="rollback", change={"optim.lr": 0.001}, because="a spike")
            return None

    run = fit(guards=[Back()])

    steps, rates = run.signals.read("lr")
    assert steps.tolist() == sorted(set(steps.tolist()))
    assert [row["what"] for row in run.decisions if row["what"] in ("rollback", "change")] == ["rollback", "change"]
    assert max(rates[10:]) <= 0.001


def test_a_retry_computes_the_window_again_after_a_change() -> None:
    class Halve(Guard):
        asked = 0

        def on_exception(self, state: State, error: Exception) -> Action | None:
            self.asked += 1
            return Action(kind="retry", change={"optim.clip_norm": 1.0}, because=str(error)) if self.asked < 3 else None

    class Flaky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()
            self.calls = itertools.count()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            if self.training and next(self.calls) == 3:
                raise RuntimeError("once")
            return self.inner(inputs)  # type: ignore[no-any-return]

    guard = Halve()
    run = fit(model=Flaky, guards=[guard])

    assert guard.asked == 1
    assert run.status == "finished"
    assert len(losses(run)) == 54


def test_a_probe_looks_and_its_signals_are_kept() -> None:
    class Norms:
        every = 5

        def __call__(self, state: State) -> list[Signal]:
            return [
                Signal(name="weight_norm", value=parameter.detach().norm().item(), step=state.step, where=name)
                for name, parameter in state.model.named_parameters()
            ]

    seen, unseen = fit(probes=[Norms()]), fit()

    assert seen.signals.read("weight_norm", "0.weight")[0].tolist() == list(range(5, 55, 5))
    assert losses(seen) == losses(unseen)


def test_the_horizon_of_the_schedule_does_not_depend_on_pauses() -> None:
    whole = fit()
    part = fit(until=2)

    assert list(part.signals.read("lr")[1]) == list(whole.signals.read("lr")[1][: 2 * 9])
    assert part.status == "paused"


def test_the_callers_generators_and_model_are_left_alone() -> None:
    torch.manual_seed(7)
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    expected = torch.rand(3, generator=torch.Generator().set_state(torch.get_rng_state()))

    fit(model=model)

    assert torch.equal(torch.rand(3), expected)
    assert same(dict(model.state_dict()), before)


def test_a_part_left_in_evaluation_mode_stays_there() -> None:
    model = net(norm=True)
    model[1].eval()
    before = model[1].running_mean.clone()

    run = fit(model=model)

    assert torch.equal(run.model[1].running_mean, before)


@pytest.mark.parametrize("form", ["loader", "loader of mappings", "dataset", "tensors", "weighted loader"])
def test_data_of_every_form(form: str) -> None:
    inputs, labels = (torch.from_numpy(values) for values in blobs())
    held = blobs(seed=1)
    rows: Any = TensorDataset(inputs, labels)
    model: Any = net
    if form == "loader":
        rows = DataLoader(rows, batch_size=32, shuffle=True)
    elif form == "weighted loader":
        rows = DataLoader(TensorDataset(inputs, labels, torch.linspace(0.5, 1.5, ROWS)), batch_size=32, shuffle=True)
    elif form == "loader of mappings":
        model = Named
        rows = DataLoader([{"x": inputs[i], "labels": labels[i]} for i in range(ROWS)], batch_size=32, shuffle=True)  # type: ignore[arg-type]
        held = DataLoader([{"x": inputs[i], "labels": labels[i]} for i in range(0, ROWS, 4)], batch_size=32)  # type: ignore[arg-type,assignment]
    elif form == "tensors":
        rows = (inputs, labels)
    val: Any = held
    if form in ("loader", "dataset", "weighted loader"):
        val = TensorDataset(*(torch.from_numpy(values) for values in held))

    run = fit(model=model, data=rows, val=val)

    assert run.evaluations[-1]["score"] > 0.75


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = net()

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"logits": self.inner(inputs["x"])}


def test_evaluation_through_a_loader_does_not_move_the_training() -> None:
    held = TensorDataset(*(torch.from_numpy(values) for values in blobs(seed=1)))
    val = DataLoader(held, batch_size=64, shuffle=True)

    often, seldom = fit({"eval.every": 3}, val=val), fit(val=val)

    assert losses(often) == losses(seldom)


def test_arrays_may_judge_a_loader() -> None:
    inputs, labels = (torch.from_numpy(values) for values in blobs())
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=32, shuffle=True)

    run = fit(data=loader, val=blobs(seed=1), test=blobs(seed=2))

    assert run.evaluations[-1]["score"] > 0.75
    assert run.scores["parts"]["test"]["rows"] == ROWS


def test_a_dataset_that_is_random_is_told_nothing_when_it_repeats() -> None:
    class Noisy(Dataset[Any]):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int) -> Any:
            return torch.randn(4), index % 3

    class Heard(QuietDisplay):
        def __init__(self) -> None:
            self.notices: list[str] = []

        def notice(self, text: str) -> None:
            self.notices.append(text)

    heard = Heard()
    ts.fit(ts.Task(net, train=DataLoader(Noisy(), batch_size=16)), {"train.epochs": 1}, display=heard)

    assert not any("resume" in notice for notice in heard.notices)


def test_sample_weights_are_those_of_repeated_rows() -> None:
    inputs, labels = blobs()
    weight = np.array([1.0, 3.0] * (ROWS // 2))
    double = np.repeat(np.arange(ROWS), weight.astype(int))
    recipe = {
        "train.epochs": 3,
        "train.batch_size": 10_000,
        "train.precision": "fp64",
        "data.val": 0.0,
        "data.test": 0.0,
        "data.keep_duplicates_together": False,
    }

    def plain() -> nn.Module:
        torch.manual_seed(0)
        return nn.Linear(4, 3)

    weighted = fit(recipe, plain, (inputs, labels), sample_weight=weight)
    repeated = fit(recipe, plain, (inputs[double], labels[double]))

    for one, other in zip(weighted.model.parameters(), repeated.model.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-9)


def test_several_target_columns() -> None:
    inputs, _ = blobs()
    targets = np.stack([inputs[:, 0] * 3 + 1, inputs[:, 1] - inputs[:, 2]], axis=1)

    run = fit({"train.epochs": 20}, lambda: net(2), (inputs, targets))

    assert run.scores["parts"]["test"]["scores"]["r2"] > 0.8


def test_several_labels() -> None:
    inputs, _ = blobs()
    targets = (inputs[:, :3] > 0).astype(np.float32)

    run = fit({"train.epochs": 20}, lambda: net(3), (inputs, targets))

    assert run.scores["parts"]["test"]["scores"]["f1_macro"] > 0.8


@pytest.mark.parametrize(("outputs", "kind"), [(1, np.int64), (2, np.int64), (1, np.float32)])
def test_two_classes_through_one_output_or_two(outputs: int, kind: Any) -> None:
    inputs, labels = blobs(2)

    run = fit({}, lambda: net(outputs), (inputs, labels.astype(kind)))

    scores = run.scores["parts"]["test"]["scores"]
    assert scores["roc_auc"] > 0.9
    assert scores["accuracy"] > 0.8


def test_a_metric_and_a_schedule_of_ones_own() -> None:
    def share_right(outputs: torch.Tensor, target: torch.Tensor) -> float:
        return float((outputs.argmax(1) == target).double().mean())

    run = fit(metric=share_right, schedule=lambda step: 1.0 if step < 10 else 0.5)

    assert run.evaluations[0]["metric"] == "share_right"
    assert run.signals.read("lr")[1].tolist()[8:12] == [0.01, 0.01, 0.005, 0.005]


def test_the_norm_logged_is_that_before_clipping() -> None:
    clipped = fit({"optim.clip_norm": 1e-6, "train.epochs": 1})

    assert clipped.signals.read("grad_norm")[1].min() > 1e-3


class Stream(IterableDataset[Any]):
    """Rows that come one after the other, of a number nobody knows."""

    def __iter__(self) -> Any:
        inputs, labels = blobs()
        yield from zip(torch.from_numpy(inputs[:100]), torch.from_numpy(labels[:100]), strict=True)


def test_a_stream_trains_for_a_number_of_updates_and_resumes(tmp_path: Any) -> None:
    about = {"val": blobs(seed=1), "loss": nn.CrossEntropyLoss(), "data": DataLoader(Stream(), batch_size=10)}
    whole = fit({"train.steps": 25}, **about)

    fit({"train.steps": 25}, **about, folder=tmp_path / "run", until="14 steps")
    cut = fit({"train.steps": 25}, **about, folder=tmp_path / "run", resume=True)

    assert [row["epoch"] for row in whole.evaluations] == [1, 2, 2]
    assert same(cut.signals.read("loss"), whole.signals.read("loss"))
    assert same(dict(cut.model.state_dict()), dict(whole.model.state_dict()))


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({}, "has no length, so the run has no end; set train.steps"),
        ({"train.steps": 25, "schedule.warmup": "1ep"}, "schedule.warmup = '1ep' needs the length of an epoch"),
        ({"train.steps": 25, "schedule.grow_batch": 4.0}, "schedule.grow_batch = 4.0 needs the length of an epoch"),
        (
            {"train.steps": 25, "schedule.name": "step", "schedule.extra": {"every": "1ep"}},
            "how many updates an epoch has is not known",
        ),
    ],
)
def test_a_stream_is_not_counted_in_epochs(recipe: dict[str, Any], words: str) -> None:
    with pytest.raises(TunesmithError, match=re.escape(words)):
        fit(recipe, data=DataLoader(Stream(), batch_size=10), val=blobs(seed=1), loss=nn.CrossEntropyLoss())


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.net(inputs)  # type: ignore[no-any-return]


def test_a_class_of_a_module_is_a_factory() -> None:
    run = fit(model=Own, data=blobs())

    assert isinstance(run.model, Own)
    assert losses(run)[-1] < losses(run)[0]
