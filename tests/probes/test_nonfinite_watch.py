"""Waiting beside a loop for the first number that is not finite."""

import copy
import io
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tunesmith.doctor.probes.nonfinite_watch import FiniteWatch
from tunesmith.doctor.probes.watcher_loss import Tap


def net(norm=False):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8) if norm else nn.Identity(), nn.ReLU(), nn.Linear(8, 3))


def batches(steps=8, rows=8):
    draw = torch.Generator().manual_seed(1)
    for _ in range(steps):
        yield torch.randn(rows, 4, generator=draw), torch.randint(0, 3, (rows,), generator=draw)


class Watched:
    """A loop that tells the watch of each update, as the watcher does."""

    def __init__(self, model, optimizer, **about):
        self.model, self.optimizers, self.facts = model, [optimizer], {}
        self.watch = FiniteWatch(model, self.optimizers, facts=self.facts, **about)
        self.watch.attach()

    def told(self, loss, target=None):
        self.watch(
            SimpleNamespace(
                step=self.watch.steps,
                loss=loss.detach(),
                model=self.model,
                target=target,
                inputs=None,
                facts=self.facts,
            )
        )

    @property
    def found(self):
        return self.watch.origins


def train(model, data, *, lr=0.1, change=None, loss_fn=F.cross_entropy, before=False, watched=True, **about):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    seen = Watched(model, optimizer, **about) if watched else None
    for step, (x, y) in enumerate(data, 1):
        if change is not None:
            x, y = change(step, x, y)
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        if before and seen:
            seen.told(loss, y)
        optimizer.step()
        if not before and seen:
            seen.told(loss, y)
    if seen:
        seen.watch.detach()
    return seen


def spoiled(step, x, y):
    if step == 4:
        x = x.clone()
        x[2, 1] = math.nan
    return x, y


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("late", [0, 1, 3])
@pytest.mark.parametrize("loss_fn", [None, F.cross_entropy, nn.CrossEntropyLoss()])
def test_a_bad_batch_is_named_whenever_it_is_told_and_however_late_the_number_comes(before, late, loss_fn):
    seen = train(net(), batches(), change=spoiled, before=before, loss_fn=loss_fn or F.cross_entropy, late=late)

    (one,) = seen.found
    assert (one.module, one.direction, one.step, one.rows, one.columns) == ("input", "input", 4, (2,), (1,))
    assert seen.facts["nonfinite"] == [one.as_dict()]


def test_a_sound_run_is_left_alone_and_is_the_same_run():
    plain, watched = net(norm=True), net(norm=True)

    train(plain, batches(20), watched=False)
    seen = train(watched, batches(20))

    assert not seen.found
    assert "nonfinite" not in seen.facts
    assert all(
        torch.equal(one, other)
        for one, other in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True)
    )


def test_a_run_that_goes_wrong_is_the_same_run_too():
    plain, watched = net(norm=True), net(norm=True)

    train(plain, batches(8), change=spoiled, watched=False)
    assert train(watched, batches(8), change=spoiled).found

    for one, other in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(torch.nan_to_num(one.double(), 7.0), torch.nan_to_num(other.double(), 7.0))


def test_nothing_is_left_behind():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    backward = torch.autograd.backward
    seen = Watched(model, optimizer)

    copied = copy.deepcopy(model)
    torch.save(model, io.BytesIO())
    copied(torch.randn(2, 4))  # a copy has no watch
    seen.watch.detach()

    assert seen.watch._count == 0
    assert torch.autograd.backward is backward
    assert not Tap._open
    assert not (model._forward_hooks)
    assert not (model._forward_pre_hooks)
    assert not (optimizer._optimizer_step_pre_hooks)


def test_a_gradient_that_nobody_looked_at_is_found_on_weights_kept_before(monkeypatch):
    monkeypatch.setattr("tunesmith.doctor.probes.nonfinite_watch.CREDIT", 0.0)

    class Rooted(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 8, bias=False), nn.Linear(8, 3)

        def forward(self, x):
            return self.last((self.first(x) ** 2).sqrt())

    def change(step, x, y):
        return (x * (torch.arange(8)[:, None] != 3) if step == 30 else x), y

    seen = train(Rooted(), batches(40), change=change, share=0.0)

    (one,) = seen.found
    assert (one.module, one.direction, one.op, one.step, one.rows) == ("Rooted", "backward", "Sqrt", 30, (3,))


def test_loss_scaling_that_leaves_updates_out_is_no_fault():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)
    seen = Watched(model, optimizer)
    left_out = 0

    for x, y in batches(20):
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        made = seen.watch.steps
        scaler.step(optimizer)
        scaler.update()
        left_out += seen.watch.steps == made
        seen.told(loss, y)

    assert left_out > 3
    assert not seen.found


def test_a_batch_that_the_loop_leaves_out_has_spoiled_the_statistics():
    model = net(norm=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = Watched(model, optimizer)

    for step, (x, y) in enumerate(batches(8), 1):
        if step == 4:
            x[2, 1] = math.inf
        loss = F.cross_entropy(model(x), y)
        if not torch.isfinite(loss):
            continue
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.told(loss, y)

    (one,) = seen.found
    assert (one.module, one.direction, one.step, one.why, one.rows) == ("1", "buffer", 4, "bad_input", (2,))


def test_evaluation_alone_is_told_apart_and_training_is_still_watched():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = Watched(model, optimizer)

    for step, (x, y) in enumerate(batches(8), 1):
        if step == 6:
            x[0, 0] = math.nan
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.told(loss, y)
        if step == 3:
            with torch.no_grad():
                model.eval()(torch.full((2, 4), math.nan))
            model.train()

    held, trained = seen.found
    assert (held.module, held.direction, held.step) == ("input", "evaluation", 3)
    assert (trained.module, trained.direction, trained.step) == ("input", "input", 6)


def test_masked_outputs_are_legal_in_evaluation():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net()

        def forward(self, x):
            return self.body(x).masked_fill(torch.tensor([False, False, True]), -math.inf)

    model = Masked()
    seen = Watched(model, torch.optim.SGD(model.parameters(), lr=0.1))

    with torch.no_grad():
        model.eval()(torch.randn(2, 4))

    assert not seen.found


@pytest.mark.parametrize(
    ("about", "why", "fault"),
    [
        ({"lr": math.nan}, "rate_not_finite", "lr.bad_schedule"),
        ({"lr": 1e-3, "eps": 0.0}, "adam_zero", "optim.bad_hyperparameters"),
    ],
)
def test_an_update_is_told_from_the_gradient(about, why, fault):
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimizer.param_groups[0].update(about)
    seen = Watched(model, optimizer)

    for x, y in batches(3):
        x[:, 1] = 0
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.told(loss, y)

    (one,) = seen.found
    assert (one.direction, one.step, one.why, one.fault) == ("update", 1, why, fault)


def test_gradients_that_the_loop_spoils_are_told_from_those_of_the_backward_pass():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = Watched(model, optimizer)

    for step, (x, y) in enumerate(batches(5), 1):
        loss = F.cross_entropy(model(x), y) * (0.0 if step == 3 else 1.0)
        optimizer.zero_grad()
        loss.backward()
        norm = sum((one.grad**2).sum() for one in model.parameters()) ** 0.5
        for one in model.parameters():
            one.grad /= norm
        optimizer.step()
        seen.told(loss, y)

    (one,) = seen.found
    assert (one.module, one.direction, one.step, one.why) == ("gradients", "update", 3, "gradients_changed")


def test_a_loop_that_calls_parts_of_the_model_is_followed():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = net(), nn.Linear(3, 3)

    model = Pair()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = Watched(model, optimizer)

    for step, (x, y) in enumerate(batches(5), 1):
        code = model.encode(x)
        if step == 3:
            code = code.clone()
            code[1] = math.nan
        loss = F.cross_entropy(model.decode(code), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.told(loss, y)

    (one,) = seen.found
    assert (one.module, one.step, one.rows) == ("input", 3, (1,))


def test_gradients_gathered_over_batches_belong_to_one_update():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = Watched(model, optimizer)

    for number, (x, y) in enumerate(batches(12)):
        if number == 4:
            x[3, 0] = math.nan
        loss = F.cross_entropy(model(x), y) / 3
        loss.backward()
        if number % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
            seen.told(loss, y)

    (one,) = seen.found
    assert (one.module, one.step, one.batch, one.rows) == ("input", 2, 5, (3,))


def test_a_compiled_model_is_gone_through_as_it_is_written():
    class Logarithm(nn.Module):
        def forward(self, x):
            return torch.log(x)

    inner = nn.Sequential(nn.Linear(4, 8), nn.Softplus(), Logarithm(), nn.Linear(8, 3))
    model = torch.compile(inner, backend="eager")

    seen = train(model, batches(), change=lambda step, x, y: (x * 1e4 if step == 3 else x, y))

    (one,) = seen.found
    assert (one.module, one.direction, one.step, one.op) == ("2", "forward", 3, "log")


def test_a_model_that_raises_when_it_is_called_again_is_not_made_up_a_cause():
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.seen = net(), []

        def forward(self, x):
            self.seen.append(x[0, 0].item())
            if len(self.seen) > len(set(map(str, self.seen))):
                raise RuntimeError("this batch was seen before")
            return self.body(x)

    seen = train(Once(), batches(), change=spoiled)

    (one,) = seen.found
    assert (one.why, one.fault, one.step) == ("not_replayed", "loss.nonfinite", 4)
    assert "seen before" in one.code


def test_a_search_that_takes_too_long_is_cut_short(monkeypatch):
    monkeypatch.setattr("tunesmith.doctor.probes.nonfinite_replay.LONGEST", -1.0)

    (one,) = train(net(), batches(), change=spoiled).found

    assert (one.module, one.step, one.cured) == ("input", 4, None)


def test_weights_that_were_bad_before_the_first_update_are_laid_at_no_update():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight[4] = math.nan
    words = [(torch.tensor([[1], [4 if step == 6 else 2]]), torch.tensor([0, 1])) for step in range(1, 9)]

    seen = train(model, words, loss_fn=lambda out, y: F.cross_entropy(out[:, 0], y))

    (one,) = seen.found
    assert (one.module, one.parameter, one.step, one.noticed, one.fault) == ("0", "0.weight", 0, 6, "init.bad_scale")
