"""A gradient far beyond all before it is left out, told, and bounded; a clipped run is left alone."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.recovery_target import net, train
from tunesmith.doctor.probes.watcher_probe import WatchProbe
from tunesmith.testing.training import seeded
from tunesmith.training.guards import Measured, Return
from tunesmith.training.recovery.memo import Memo
from tunesmith.training.recovery.returning import Returning
from tunesmith.training.recovery.wild import BEGUN, FEWEST, KNOWN, Norms, SkipWild, lone_row

CALM = {"schedule.name": "linear", "train.epochs": 2, "train.batch_size": 16, "optim.name": "adam", "optim.lr": 0.01}


class Scaled(torch.nn.Module):
    """Its gradient is a thousand times too large in the training passes named."""

    def __init__(self, passes: set[int]) -> None:
        super().__init__()
        self.net = net()
        self.passes = passes
        self.made = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.net(inputs)
        if self.training and torch.is_grad_enabled():
            self.made += 1
            if self.made in self.passes:
                outputs.register_hook(lambda gradient: gradient * 1e4)  # type: ignore[no-untyped-call]
        return outputs


def events(run: Any) -> list[Any]:
    return [row for row in run.decisions if row["what"] == "recovery"]


def score(run: Any) -> float:
    return float(run.evaluations[-1]["val_loss"])


def weights(run: Any) -> torch.Tensor:
    return torch.cat([value.flatten() for value in run.model.state_dict().values()])


def test_a_wild_gradient_is_left_out() -> None:
    with seeded(0):
        clean = train(wild=False, recipe=CALM)
        run = train(wild=False, recipe=CALM, model=lambda: Scaled({80}))
        unhelped = train(wild=False, recipe={**CALM, "train.recover": "off"}, model=lambda: Scaled({80}))

    (event,) = events(run)
    assert event["change"] == {"skipped": 1, "why": "gradient"}
    assert "times the largest before it" in event["because"]
    assert abs(score(run) - score(clean)) < 0.1 * score(clean)
    assert score(unhelped) > 1.3 * score(run)
    assert [found.fault for found in run.findings if found.severity == "warning"].count("grad.exploding") == 1


def test_the_row_that_did_it_is_named() -> None:
    run = train(wild=True, recipe=CALM)  # the target of one row is 777

    (told,) = [found for found in run.findings if found.fault == "grad.exploding"]
    assert (told.caused_by, told.message) == ("data.outliers", "recovery.wild_row")
    assert (told.values["name"], told.values["value"]) == ("the target", 777.0)
    assert told.values["value"] > 100 * told.values["others"]
    assert 1 <= len(events(run)) <= 2  # the row comes once an epoch


def test_a_first_gradient_that_was_wild_is_taken_back() -> None:
    run = train(wild=False, recipe=CALM, model=lambda: Scaled({1}))
    dry = train(wild=False, recipe=CALM, model=lambda: Scaled({2}))  # whether or not a pass is tried before the run

    told = [*events(run), *events(dry)]
    assert any("the first gradient had the norm" in event["because"] for event in told)
    assert len(told) <= 2


def test_a_clipped_run_is_left_alone() -> None:
    assert events(train(wild=False, recipe={**CALM, "optim.clip_norm": 1.0}, model=lambda: Scaled({80}))) == []


def test_nothing_is_left_out_where_none_may_be() -> None:
    assert (
        events(train(wild=False, recipe={**CALM, "train.skips": 0, "train.returns": 0}, model=lambda: Scaled({80})))
        == []
    )


@pytest.mark.parametrize("first", [True, False])
def test_where_norms_come_late_the_update_is_taken_back(first: bool) -> None:
    update: Any = SimpleNamespace(
        precision=SimpleNamespace(device=torch.device("cuda")), clipping=SimpleNamespace(limits=False)
    )
    memo = Memo()
    guard = SkipWild(update, memo, 3, Returning(net(), memo, 3))
    state: Any = SimpleNamespace(step=40, epoch=0, progress={})
    norms = [500.0] + [1.0] * 20 if first else [1.0] * 20 + [500.0, 1.0]

    action = guard.late(state, range(1, len(norms) + 1), norms, 0.1)

    assert action is not None
    assert action.back == Return(step=0 if first else 20, skip=1)
    assert first or (action.finding is not None and action.finding.fault == "grad.exploding")
    assert guard.after_backward(state, Measured(loss=1.0, grad_norm=1e9, rate=0.1, last_finite=1.0)) is None


def test_gradients_that_stay_large_are_taken_for_what_they_are() -> None:
    run = train(wild=False, recipe=CALM, model=lambda: Scaled(set(range(80, 1000))))

    wild = [event for event in events(run) if event["change"].get("why") == "gradient"]
    returns = [event for event in events(run) if "returns" in event["change"]]
    assert 3 <= len(wild) <= FEWEST
    assert 1 <= len(returns) <= 4
    assert run.status == "finished"


def test_more_wild_gradients_in_a_row_than_are_borne_are_gone_back_for() -> None:
    clean = train(wild=False, recipe=CALM)
    run = train(wild=False, recipe=CALM, model=lambda: Scaled({80, 81, 82, 83}))

    assert "so had 3 windows before it" in events(run)[-1]["because"]
    assert abs(score(run) - score(clean)) < 0.1 * score(clean)


@pytest.mark.parametrize("every", [7, 60])
def test_where_snapshots_lie_changes_nothing(every: int) -> None:
    runs = [
        train(wild=False, recipe={**CALM, "train.snapshot_every": one}, model=lambda: Scaled({40, 90}))
        for one in (every, 100)
    ]

    assert len(events(runs[0])) == 2
    assert torch.equal(weights(runs[0]), weights(runs[1]))


def test_the_bar_is_higher_while_little_is_known() -> None:
    norms = Norms()
    norms.take(1.0)

    assert norms.wild(200.0)
    assert not norms.wild(100.0)
    for _ in range(KNOWN):
        norms.take(1.0)
    assert norms.wild(11.0)
    assert not norms.wild(9.0)
    assert FEWEST > 3


@pytest.mark.parametrize(("first", "wild"), [(500.0, True), (50.0, False)])
def test_the_first_norm_is_judged_by_those_after_it(first: float, wild: bool) -> None:
    norms = Norms()
    for norm in [first, *[1.0] * (BEGUN - 1)]:
        norms.take(norm)

    assert norms.begun_wild is wild


def test_heavy_tails_are_seldom_wild() -> None:
    generator = np.random.default_rng(0)
    count = 0
    for _ in range(100):
        norms = Norms()
        for norm in np.exp(generator.standard_t(4, size=500)):
            count += norms.wild(norm)
            norms.take(norm)

    assert count < 200  # of 50,000


def test_a_row_is_named_only_where_it_stands_alone() -> None:
    from tunesmith.training.batch import Batch

    values = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(8, dtype=torch.int64)
    assert lone_row([Batch(values, target, torch.tensor(8.0), 8)]) is None
    values[5, 1] = 1e6
    found = lone_row([Batch(values, target, torch.tensor(8.0), 8)])
    assert found is not None
    assert (found["row"], found["value"]) == (5, 1e6)


def test_a_watched_run_may_go_back() -> None:
    watched = {"train.batch_size": 16, "train.epochs": 3, "train.skips": 0, "train.snapshot_every": 25}
    run = train(wild=True, recipe={**watched, "run.watch": True, "run.overhead": 0.9})

    assert any("returns" in event["change"] for event in events(run))
    for name, where in run.signals.names():
        steps = run.signals.read(name, where)[0].tolist()
        assert steps == sorted(set(steps)), (name, where)


def test_what_the_watch_began_before_a_return_is_taken_back() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe, state = WatchProbe(), SimpleNamespace(model=model, optimizer=optimizer, step=12)
    probe.begin(model, optimizer)
    probe._sink("data_wait", [12], [0.1])
    probe._sink("data_wait", [2], [0.2])
    state.step = 3  # the loop went back

    told = list(probe(state))  # type: ignore[arg-type]
    probe.close()

    assert [(one.name, one.step) for one in told] == [("data_wait", 2)]
