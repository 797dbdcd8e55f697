import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.training.batched.alone import distance, trained_alone
from tunesmith.records import DataError, RecipeError, RunError, UnknownName
from tunesmith.training.batched import BatchedTrial, Group, train_batched

GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(45, 6, generator=GENERATOR, dtype=torch.float64)
y = torch.randint(3, (45,), generator=GENERATOR)
X_VAL = torch.randn(20, 6, generator=GENERATOR, dtype=torch.float64)
Y_VAL = torch.randint(3, (20,), generator=GENERATOR)
TRIALS = tuple(BatchedTrial(id=f"t{k}", lr=0.01 * (k + 1), seed=k, momentum=0.2 * k) for k in range(5))


def net() -> nn.Module:
    between = (nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
    return nn.Sequential(nn.Linear(6, 8), *between, nn.Linear(8, 3)).double()


def group_of(trials=TRIALS, make=net, **changes) -> Group:
    given = {
        "loss": "cross_entropy",
        "batch_size": 10,
        "epochs": 6,
        "optimizer": "sgd",
        "val": (X_VAL, Y_VAL),
    } | changes
    return train_batched(make, trials, X, y, **given)


def weights(group: Group) -> dict[object, dict[str, torch.Tensor]]:
    return {one: group.unstack(one) for one in group.ids}


def assert_same(found, expected) -> None:
    for one in expected:
        for name, value in expected[one].items():
            assert torch.equal(found[one][name], value), (one, name)


def test_records_tell_what_each_trial_alone_would():
    group = group_of(optimizer="adamw")

    records = list(group)

    assert [len(one) for one in records] == [5] * 6
    for k, trial in enumerate(TRIALS):
        model, losses = trained_alone(net, trial, X, y, loss=nn.CrossEntropyLoss(), batch_size=10, epochs=6)
        sizes = [10, 10, 10, 10, 5]
        mine = [each[k] for each in records]
        assert [one.trial for one in mine] == [trial.id] * 6
        assert [(one.epoch, one.step) for one in mine] == [(e, 5 * e) for e in range(1, 7)]
        for one, of_epoch in zip(mine, losses, strict=True):
            expected = sum(n * loss for n, loss in zip(sizes, of_epoch, strict=True)) / 45
            assert one.train_loss == pytest.approx(expected, rel=1e-9)
        model.eval()
        outputs = model(X_VAL).detach()
        assert mine[-1].val_loss == pytest.approx(float(nn.functional.cross_entropy(outputs, Y_VAL)), rel=1e-8)
        assert mine[-1].val_accuracy == pytest.approx(float((outputs.argmax(1) == Y_VAL).double().mean()))
        assert all(one.failed_at is None for one in mine)


def test_evaluation_in_parts_is_that_of_all_rows(monkeypatch):
    from tunesmith.training.batched import group as module

    group = group_of()
    group.train_epoch()
    whole = group.evaluate()

    monkeypatch.setattr(module, "EVALUATED_ROWS", 15)

    assert [one for one, _ in group.evaluate()] == pytest.approx([one for one, _ in whole], rel=1e-13)
    assert [one for _, one in group.evaluate(X_VAL.numpy(), Y_VAL.numpy())] == [one for _, one in whole]


def test_without_rows_to_evaluate_on_none_are_told():
    group = group_of(val=None)

    assert all(one.val_loss is None and one.val_accuracy is None for one in group.train_epoch())
    with pytest.raises(DataError, match="no rows to evaluate on"):
        group.evaluate()


def test_steps_end_inside_an_epoch():
    group = group_of(epochs=None, steps=7)

    records = list(group)

    assert [one[0].step for one in records] == [5, 7]
    with pytest.raises(RunError, match="made its 7 updates"):
        group.train_epoch()


def test_whole_batches_alone():
    group = group_of(drop_last=True)

    group.train_epoch()

    assert group.step == 4


def test_in_the_order_of_the_data():
    group = group_of([BatchedTrial(id=0, lr=0.1)], lambda: nn.Linear(6, 3).double(), shuffle=False, epochs=1)
    torch.manual_seed(0)
    alone = nn.Linear(6, 3).double()
    stepper = torch.optim.SGD(alone.parameters(), lr=0.1)
    for part, target in zip(X.split(10), y.split(10), strict=True):
        stepper.zero_grad()
        nn.functional.cross_entropy(alone(part), target).backward()
        stepper.step()

    group.train_epoch()

    assert distance(group.unstack(0), alone.state_dict()) < 1e-14


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_a_trial_that_leaves_changes_no_bit_of_the_others(optimizer):
    whole, fewer = group_of(optimizer=optimizer), group_of(optimizer=optimizer)

    expected = [list(each) for each in whole]
    found = []
    for records in fewer:
        found.append(records)
        if fewer.epoch == 2:
            fewer.drop(["t1", "t3"])
        if fewer.epoch == 4:
            fewer.drop(["t4"])

    assert fewer.ids == ("t0", "t2")
    assert_same(weights(fewer), {one: whole.unstack(one) for one in ("t0", "t2")})
    assert found[-1] == tuple(one for one in expected[-1] if one.trial in ("t0", "t2"))


@given(st.permutations(range(5)))
@settings(max_examples=5, deadline=None)
def test_the_order_of_the_trials_is_nothing_to_them(order):
    straight, mixed = group_of(epochs=2), group_of([TRIALS[k] for k in order], epochs=2)

    list(straight)
    list(mixed)

    assert_same(weights(mixed), weights(straight))


@pytest.mark.parametrize("left", [1, 3, 5, 7])
def test_in_single_precision_too(left):
    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    inputs, labels = torch.randn(96, 64), torch.randint(10, (96,))
    trials = [BatchedTrial(id=k, lr=1e-3, seed=k, weight_decay=0.1 * k, clip_norm=1.0) for k in range(8)]
    whole, fewer = (
        train_batched(net, trials, inputs, labels, loss="cross_entropy", batch_size=32, epochs=4) for _ in range(2)
    )

    fewer.train_epoch()
    fewer.drop(range(left, 8))
    list(whole)
    list(fewer)

    assert_same(weights(fewer), {one: whole.unstack(one) for one in range(left)})


def test_a_trial_alone_in_its_group_is_the_same_as_among_others():
    whole, single = group_of(), group_of(TRIALS[3:4])

    for one in (whole, single):
        list(one)

    assert distance(single.unstack("t3"), whole.unstack("t3")) < 1e-14


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "adamw", "rmsprop"])
def test_a_paused_group_goes_on_bit_for_bit(optimizer):
    straight, paused = group_of(optimizer=optimizer), group_of(optimizer=optimizer)
    expected = list(straight)
    paused.train_epoch()
    paused.train_epoch()
    state = copy.deepcopy(paused.state())
    paused.train_epoch()  # what comes after the state was taken is nothing to it

    resumed = group_of(optimizer=optimizer)
    resumed.restore(state)
    found = list(resumed)

    assert found == expected[2:]
    assert_same(weights(resumed), weights(straight))


def test_a_state_survives_a_file(tmp_path):
    straight, paused = group_of(), group_of()
    list(straight)
    paused.train_epoch()
    torch.save(paused.state(), tmp_path / "state.pt")

    resumed = group_of()
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    list(resumed)

    assert_same(weights(resumed), weights(straight))


def test_trials_of_two_groups_go_on_in_one():
    straight, first, second = group_of(), group_of(TRIALS[:3]), group_of(TRIALS[3:])
    list(straight)
    for one in (first, second):
        one.train_epoch()
    first.drop(["t1"])

    joined = group_of()
    joined.restore(first.state(), second.state())
    list(joined)

    assert joined.ids == ("t0", "t2", "t3", "t4")
    for one in joined.ids:
        assert distance(joined.unstack(one), straight.unstack(one)) < 1e-14


def test_states_that_do_not_fit_are_refused():
    group, ahead, other = group_of(), group_of(), group_of(make=lambda: nn.Linear(6, 3).double())
    ahead.train_epoch()

    with pytest.raises(RunError, match="stand at the steps 0, 5"):
        group.restore(group.state(), ahead.state())
    with pytest.raises(RunError, match="the same net and optimizer"):
        group.restore(other.state())
    with pytest.raises(RunError, match="moments first, second"):
        group.restore(group_of(optimizer="adam").state())
    with pytest.raises(UnknownName, match="no trial 't2' in the group; it holds 't0', 't1'"):
        group_of(TRIALS[:2]).restore(group.state())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_trial_that_breaks_disturbs_no_other_and_is_told(optimizer):
    wild = BatchedTrial(id="wild", lr=0.1, seed=9, schedule=lambda step: math.inf if step == 2 else 1.0)
    healthy = group_of(optimizer=optimizer, make=plain)
    mixed = group_of((*TRIALS[:2], wild, *TRIALS[2:]), plain, optimizer=optimizer)
    _, losses = trained_alone(
        plain, wild, X, y, loss=nn.CrossEntropyLoss(), batch_size=10, epochs=1, optimizer=optimizer
    )
    breaks = next(step for step, loss in enumerate(losses[0], 1) if not math.isfinite(loss))
    assert breaks == 4

    records = list(mixed)
    list(healthy)

    told = {one.trial: one.failed_at for one in records[0]}
    assert told == {"t0": None, "t1": None, "wild": breaks, "t2": None, "t3": None, "t4": None}
    assert not math.isfinite(records[0][2].train_loss)
    assert mixed.ids == healthy.ids
    assert all(len(each) == 5 for each in records[1:])
    assert_same(weights(mixed), weights(healthy))


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def test_weights_that_break_in_the_last_update_are_told_of_it():
    trials = [BatchedTrial(id="infinite", lr=1.0, schedule=lambda step: math.inf if step == 4 else 1.0), TRIALS[0]]
    group = group_of(trials, plain, epochs=1)

    (records,) = list(group)

    assert math.isfinite(records[0].train_loss)
    assert records[0].failed_at == 5
    assert group.ids == ("t0",)


def test_a_group_ends_when_all_trials_left():
    group = group_of()

    group.drop(group.ids)

    assert list(group) == []
    with pytest.raises(UnknownName, match="it holds none any more"):
        group.unstack("t0")


def test_the_state_dict_of_a_trial_loads_into_its_net():
    group = group_of()
    group.train_epoch()
    alone = net()

    alone.load_state_dict(group.unstack("t2"))

    assert alone[1].num_batches_tracked == 5
    alone.eval()
    outputs = alone(X_VAL).detach()
    assert group.evaluate()[2][0] == pytest.approx(float(nn.functional.cross_entropy(outputs, Y_VAL)), rel=1e-12)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(4)
    before = torch.get_rng_state()

    list(group_of())

    assert torch.equal(torch.get_rng_state(), before)


def test_wrong_trials_and_data_are_refused():
    with pytest.raises(RecipeError, match="without trials"):
        group_of([])
    with pytest.raises(RecipeError, match="the id 't0'"):
        group_of([TRIALS[0], TRIALS[0]])
    with pytest.raises(DataError, match="X has 45 rows, y has 44"):
        train_batched(net, TRIALS, X, y[1:], loss="cross_entropy", batch_size=9, epochs=1)
    with pytest.raises(DataError, match="no whole batch of 64"):
        group_of(batch_size=64, drop_last=True)
    with pytest.raises(UnknownName, match="no trial 'other'"):
        group_of().drop(["other"])


@pytest.mark.gpu
def test_on_a_gpu_a_group_trains_as_on_the_cpu():
    here, there = group_of(make=plain), group_of(make=plain, device="cuda")

    for one in (here, there):
        list(one)

    for one in here.ids:
        moved = {name: value.cpu() for name, value in there.unstack(one).items()}
        assert distance(moved, here.unstack(one)) < 1e-9
