"""Each surgery: what it makes of a program that has its fault, and that it is silent where there is nothing to do."""

import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR

from tests.preflight.planted import diabetes, digits, mlp, program, regression
from tunesmith.doctor.causes.change import Change
from tunesmith.doctor.preflight import bench_of_program
from tunesmith.doctor.preflight.courses import Variation
from tunesmith.doctor.preflight.short_run import kept_course
from tunesmith.doctor.repair.crashed import Crashed, runs
from tunesmith.doctor.repair.patient import operated
from tunesmith.doctor.repair.surgery import SURGERIES
from tunesmith.records import Clock, Finding
from tunesmith.records.messages import templates


class Short(Crashed):
    """A case whose trainings are of five updates."""

    clock, steps, share, reference = Clock(), 100, 1.0, None
    trouble = SimpleNamespace(kind="short", measure="training score", there=True)

    def base(self, seed=0):
        return kept_course(self.bench, Variation(), 5, seed)


def case_of(brought, *faults):
    told = [Finding(fault=fault, severity="error", message="found", confidence=0.9) for fault in faults]
    return Short(bench_of_program(brought), told)


def proposed(name, brought, *faults):
    return list(SURGERIES[name].propose(case_of(brought, *faults)))


def carried_out(name, brought, *faults, place=0):
    """The program after a surgery's change, which makes an update."""
    case = case_of(brought, *faults)
    change = list(SURGERIES[name].propose(case))[place]
    made = operated(case.bench, change)
    assert made is not None
    assert SURGERIES[name].lines(brought, made, change.values)
    assert runs(bench_of_program(copy.deepcopy(made)))
    return made


# All of them


@pytest.mark.parametrize("name", SURGERIES)
def test_a_surgery_has_a_page_and_words_in_each_language(name):
    one = SURGERIES[name]
    page = __import__(f"tunesmith.doctor.repair.surgery.{name}", fromlist=["page"]).__doc__

    assert page.startswith(f"{name}: ")
    assert all(f"\n{heading} " in page for heading in ("Does", "Mends", "Limits", "Source"))
    assert all(one.title in templates(language) for language in ("en", "zh"))
    assert one.faults


@pytest.mark.parametrize("name", SURGERIES)
def test_explain_tells_of_a_surgery_and_of_the_faults_it_mends(name):
    from tunesmith.verbs.explain import explain
    from tunesmith.verbs.surgery_pages import surgeries

    assert surgeries()[name].faults == SURGERIES[name].faults
    for width in (80, 120):
        lines = explain(f"surgery.{name}", width=width).splitlines()
        assert lines[0].startswith(f"surgery.{name} · ")
        assert max(map(len, lines)) <= width
    assert f"surgery.{name}" in explain(SURGERIES[name].faults[0], width=300)


@pytest.mark.parametrize("name", SURGERIES)
def test_the_faults_that_a_surgery_mends_are_in_the_list(name):
    from tunesmith.doctor.diagnosis.ranking import vocabulary

    assert set(SURGERIES[name].faults) <= set(vocabulary())


def test_every_kind_of_change_that_people_make_is_there():
    wanted = """rate schedule warm_up batch epochs optimizer clipping regularisation_less regularisation_more input_scaling
        target_scaling loss output_activation output_width activation initialisation normalisation_inserted
        normalisation_swapped residual dead_units registration class_weights shuffling zero_grad modes scheduler_order"""

    assert set(wanted.split()) <= set(SURGERIES)


SILENT = (
    "axis",
    "class_weights",
    "input_bounds",
    "modes",
    "nonlinearity",
    "normalisation_swapped",
    "output_width",
    "registration",
    "regularisation_less",
    "regularisation_more",
    "residual",
    "robust_loss",
    "schedule",
    "scheduler_order",
    "shuffling",
    "step",
    "table_width",
    "target_codes",
    "target_form",
    "target_scaling",
    "whole_batches",
    "zero_grad",
)


@pytest.fixture(scope="module")
def sound():
    return case_of(program())


@pytest.mark.parametrize("name", SILENT)
def test_a_surgery_is_silent_where_there_is_nothing_to_do(name, sound):
    assert list(SURGERIES[name].propose(sound)) == []


# One by one


def test_rate():
    made = carried_out("rate", program(lr=30.0), "lr.too_high")

    assert made.optimizer.param_groups[0]["lr"] < 30.0


@pytest.mark.parametrize(("lr", "factor"), [(1e-8, 1e5), (1e-3, 1.0), (3e-4, 1.0), (3.0, 1e-4)])
def test_the_way_to_the_usual_rate_comes_first(lr, factor):
    brought = program(optimizer=lambda net: torch.optim.Adam(net.parameters(), lr=lr))

    first = max(proposed("rate", brought, "lr.too_low" if factor > 1 else "lr.too_high"), key=lambda one: one.likely)

    assert factor == 1.0 or first.values["other"] == pytest.approx(lr * factor)


def test_where_no_weight_moves_no_rate_is_tried():
    def idle(model, loss_fn, optimizer, xb, yb):
        return loss_fn(model(xb), yb).item()

    assert proposed("rate", program(step=idle)) == []


def test_schedule():
    made = carried_out("schedule", program(scheduler=lambda one: ExponentialLR(one, 0.1)))

    assert made.scheduler is None
    assert made.optimizer.param_groups[0]["lr"] == 0.1


def test_a_warm_up_is_a_schedule_of_updates():
    made = carried_out("warm_up", program())

    assert made.schedule_unit == "step"
    rates = []
    for _ in range(20):
        rates.append(made.optimizer.param_groups[0]["lr"])
        made.optimizer.step()
        made.scheduler.step()
    assert rates == sorted(rates)
    assert rates[0] < 0.02
    assert rates[-1] == pytest.approx(0.1)


def test_batch():
    made = carried_out("batch", program(batch_size=600))

    assert made.batch_size == 75


def test_a_larger_batch_is_tried_where_the_answer_is_one_for_all():
    few, many = program(batch_size=32), program(batch_size=300)

    assert [one.name for one in proposed("batch", few)] == []
    assert [one.name for one in proposed("batch", few, "collapse.constant_prediction")] == ["batch × 8"]
    assert "batch × 8" not in [one.name for one in proposed("batch", many, "collapse.constant_prediction")]
    assert carried_out("batch", few, "collapse.constant_prediction").batch_size == 256


def test_epochs():
    made = carried_out("epochs", program(epochs=2))

    assert made.epochs == 8


def test_optimizer():
    strange = program(optimizer=lambda net: torch.optim.Adam(net.parameters(), lr=1e-2, eps=100.0))

    made = carried_out("optimizer", strange)

    assert made.optimizer.param_groups[0]["eps"] == 1e-8
    assert made.optimizer.param_groups[0]["lr"] == 1e-2


def test_clipping_is_at_the_usual_norm():
    made = carried_out("clipping", program(), "loss.spike")

    assert 0.1 < made.clip_norm < 10.0


def long_step(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    loss = 1000 * loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


def test_clipping_reaches_into_a_step_of_their_own_and_lives_on_in_copies():
    made = copy.deepcopy(carried_out("clipping", program(step=long_step, lr=1.0), "loss.spike"))
    made.optimizer = torch.optim.SGD(made.model.parameters(), lr=1.0)
    before = [each.detach().clone() for each in made.model.parameters()]

    X, y = digits()[0]
    made.step(made.model, made.loss_fn, made.optimizer, torch.from_numpy(X[:32]), torch.from_numpy(y[:32]))

    moved = sum(
        float((now.detach() - was).square().sum()) for now, was in zip(made.model.parameters(), before, strict=True)
    )
    assert moved**0.5 < 20.0


def test_regularisation_less():
    brought = program(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.9), nn.Linear(32, 10)))

    made = carried_out("regularisation_less", brought)

    assert made.model[2].p == 0.0
    assert brought.model[2].p == 0.9


def test_regularisation_more_is_dropout_then_decay_then_fewer_epochs():
    changes = proposed("regularisation_more", program(), "fit.overfit")

    assert [one.name for one in changes] == ["dropout", "weight decay", "a quarter of the epochs"]
    made = carried_out("regularisation_more", program(), "fit.overfit")
    assert any(isinstance(one, nn.Dropout) for one in made.model.modules())


def test_input_scaling_is_part_of_the_model():
    raw = tuple((X * 255 + 100, y) for X, y in digits())

    made = carried_out("input_scaling", program(data=raw))

    seen = []
    made.model[0].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    made.model(torch.from_numpy(raw[0][0]).float())
    assert seen[0].mean(0).abs().max() < 0.5
    assert seen[0].std(0).max() < 2.0


def test_target_scaling_answers_in_the_old_units():
    large = tuple((X, (y * 770 + 15200).astype(np.float32)) for X, y in diabetes())

    made = carried_out("target_scaling", regression(data=large))

    answers = made.model(torch.from_numpy(large[0][0])).detach()
    assert 10_000 < float(answers.mean()) < 20_000
    assert float(made.loss_fn(answers, torch.from_numpy(large[0][1]))) < 10.0


def test_loss():
    made = carried_out("loss", program(loss=nn.MultiMarginLoss()), "loss.mismatch")

    assert float(made.loss_fn(torch.zeros(4, 10), torch.arange(4))) == pytest.approx(np.log(10), rel=1e-5)


def test_step():
    assert carried_out("step", program(step=long_step)).step is None


def test_output_activation():
    made = carried_out("output_activation", program(nn.Sequential(*mlp(), nn.Softmax(1), nn.Softmax(1))))

    assert [type(one) for one in list(made.model)[3:]] == [nn.Identity, nn.Identity]
    assert isinstance(made.model[1], nn.ReLU)


@pytest.mark.parametrize("outputs", [1, 7, 12])
def test_output_width_keeps_the_outputs_that_are_there(outputs):
    brought = program(mlp(64, outputs))
    bench = bench_of_program(brought)
    change = next(iter(SURGERIES["output_width"].propose(Crashed(bench, []))))

    made = operated(bench, change)

    assert made.model[-1].out_features == 10
    kept = min(outputs, 10) if outputs > 1 else 0
    assert torch.equal(made.model[-1].weight[:kept], brought.model[-1].weight[:kept])
    assert {id(each) for each in made.model.parameters()} == {
        id(each) for group in made.optimizer.param_groups for each in group["params"]
    }
    assert runs(bench_of_program(made))


def bag(rows):
    return nn.Sequential(nn.Embedding(rows, 8), nn.Flatten(), nn.Linear(32, 10))


@pytest.mark.parametrize(("rows", "changed"), [(12, True), (20, False)])
def test_a_table_gets_the_rows_it_lacks(rows, changed):
    tokens = np.random.default_rng(0).integers(0, 20, (300, 4))
    brought = program(bag(rows), data=((tokens, digits()[0][1][:300]), None))
    bench = bench_of_program(brought)

    changes = list(SURGERIES["table_width"].propose(Crashed(bench, [])))

    assert len(changes) == changed
    if changed:
        made = operated(bench, changes[0])
        assert torch.equal(made.model[0].weight[:12], brought.model[0].weight)
        assert runs(bench_of_program(made))


def test_target_form_of_classes_as_floats():
    floats = tuple((X, y.astype(np.float32)[:, None]) for X, y in digits())
    bench = bench_of_program(program(data=floats, num_classes=10))
    change = next(iter(SURGERIES["target_form"].propose(Crashed(bench, []))))

    made = operated(bench, change)

    assert runs(bench_of_program(made))


def test_target_form_of_a_row_against_a_column():
    rows = tuple((X, y[:, 0]) for X, y in diabetes())

    bench = bench_of_program(regression(data=rows))
    change = next(iter(SURGERIES["target_form"].propose(Crashed(bench, []))))

    made = operated(bench, change)

    assert float(made.loss_fn(torch.arange(3.0)[:, None], torch.arange(3.0))) == 0.0


def test_activation():
    made = carried_out(
        "activation", program(nn.Sequential(nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 10))), "act.unsuitable"
    )

    assert isinstance(made.model[1], nn.ReLU)


def test_nonlinearity():
    made = carried_out("nonlinearity", program(nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 10))))

    assert any(isinstance(one, nn.ReLU) for one in made.model.modules())


def test_initialisation():
    brought = program()
    with torch.no_grad():
        for each in brought.model.parameters():
            each.zero_()

    made = carried_out("initialisation", brought)

    assert float(made.model[0].weight.detach().std()) > 0.01


def test_normalisation_inserted():
    made = carried_out("normalisation_inserted", program(), "grad.vanishing")

    inside = made.model[1](torch.randn(5, 32) * 100)
    assert inside.max() < 10.0


def test_normalisation_is_swapped_in_a_model_whose_one_input_is_a_tuple():
    from tunesmith.testing.healthy import HEALTHY
    from tunesmith.testing.sabotage import SABOTAGES

    brought = SABOTAGES["one_row_a_batch"].plant(HEALTHY["adult_embedded_two_logits"](0), 3, 0)

    made = carried_out("normalisation_swapped", brought)

    assert not any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in made.model.modules())


def test_normalisation_swapped():
    brought = program(nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)))

    made = carried_out("normalisation_swapped", brought)

    assert not any(isinstance(one, nn.BatchNorm1d) for one in made.model.modules())


def deep(width=16, layers=6):
    inside = [part for _ in range(layers) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), *inside, nn.Linear(width, 10))


def test_residual_links_go_around_layers_that_keep_their_width():
    brought = program(deep())

    made = carried_out("residual", brought)

    x = torch.randn(3, 16)
    assert torch.allclose(made.model[2](x), x + brought.model[2](x))


def test_dead_units():
    made = carried_out("dead_units", program())

    assert isinstance(made.model[1], nn.LeakyReLU)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(64, 32), nn.Linear(32, 32)]
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


def test_registration_of_layers_in_a_list():
    made = carried_out("registration", program(Listed()))

    assert len(list(made.model.parameters())) == 6
    assert sum(len(group["params"]) for group in made.optimizer.param_groups) == 6


def test_class_weights():
    X, y = digits()[0]
    rare = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:5]])
    few = ((X[rare], y[rare]), (X[rare], y[rare]))

    made = carried_out("class_weights", program(mlp(64, 2), data=few, num_classes=2))

    assert made.loss_fn.weight[1] > 5 * made.loss_fn.weight[0]


def test_robust_loss_and_input_bounds_for_extreme_rows():
    (X, y), val = diabetes()
    X, y = X.copy(), y.copy()
    X[0], y[0] = 1e4, 1e4
    brought = regression(data=((X, y), val))

    robust = carried_out("robust_loss", brought)
    bounded = carried_out("input_bounds", brought)

    assert isinstance(robust.loss_fn, nn.HuberLoss)
    seen = []
    bounded.model[0].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    bounded.model(torch.from_numpy(X))
    assert float(seen[0][:, 2].abs().max()) < 100.0


def test_shuffling():
    assert carried_out("shuffling", program(shuffle=False)).shuffle


def test_modes():
    made = carried_out("modes", program(train_mode=False, eval_mode=False))

    assert made.train_mode
    assert made.eval_mode


def test_scheduler_order():
    brought = program(scheduler=lambda one: ExponentialLR(one, 0.9), scheduler_first=True)

    assert not carried_out("scheduler_order", brought).scheduler_first


def never_cleared(model, loss_fn, optimizer, xb, yb):
    loss = loss_fn(model(xb), yb)
    loss.backward()
    optimizer.step()
    return loss.item()


def test_zero_grad_lives_on_in_copies():
    made = copy.deepcopy(carried_out("zero_grad", program(step=never_cleared)))
    X, y = digits()[0]

    made.step(made.model, made.loss_fn, made.optimizer, torch.from_numpy(X[:32]), torch.from_numpy(y[:32]))

    assert all(each.grad is None for each in made.model.parameters())


class Sequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.GRU(8, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.memory(x.reshape(-1, 8, 8))[0][:, -1])


def test_axis():
    made = carried_out("axis", program(Sequences()), "model.batch_leak")

    assert made.model.memory.batch_first


def test_capacity():
    made = carried_out("capacity", program(mlp(width=1), lr=0.02), "model.too_small")

    assert sum(each.numel() for each in made.model.parameters()) > 1000


def test_a_change_that_finds_nothing_gives_none():
    bench = bench_of_program(program())

    assert operated(bench, Change("nothing", 1.0, mend=lambda bench, twin: False)) is None


def test_names_are_words():
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in SURGERIES)


def test_whole_batches():
    brought = program(batch_size=8, accumulate=4)
    change = next(iter(SURGERIES["whole_batches"].propose(Crashed(bench_of_program(brought), []))))

    made = operated(bench_of_program(brought), change)

    assert (made.batch_size, made.accumulate) == (32, 1)
    assert change.recipe == {"train.batch_size": 32, "train.accumulate": 1}


@pytest.mark.parametrize(
    ("codes", "expected"), [((-1.0, 1.0), "(y > 0)"), ((1.0, 2.0), "(y - 1)"), ((0.0, 1.0), None), ((3.0, 7.0), None)]
)
def test_target_codes_of_two_answers(codes, expected):
    def coded(part):
        X, y = part
        return X, np.where(y[:, None] % 2 == 0, *codes).astype(np.float32)

    data = tuple(coded(part) for part in digits())
    brought = program(mlp(64, 1), data=data, loss=nn.BCEWithLogitsLoss())
    bench = bench_of_program(brought)
    changes = list(SURGERIES["target_codes"].propose(Crashed(bench, [])))

    assert [change.values["code"] for change in changes] == ([] if expected is None else [expected])
    if expected is not None:
        made = operated(bench, changes[0])
        assert set(np.unique(made.train[1])) == set(np.unique(made.val[1])) == {0.0, 1.0}
        assert (made.train[1] == (data[0][1] == max(codes))).all()


def test_target_codes_of_classes_counted_from_one():
    brought = program(data=tuple((X, y + 1) for X, y in digits()))
    bench = bench_of_program(brought)

    (change,) = SURGERIES["target_codes"].propose(Crashed(bench, []))
    made = operated(bench, change)

    assert (made.train[1].min(), made.train[1].max()) == (0, 9)
    assert runs(bench_of_program(made))


def test_a_rate_that_moves_nothing_is_found_by_a_range_test():
    first = max(proposed("rate", program(lr=1e-8), "lr.too_low"), key=lambda one: one.likely)
    wide = max(
        proposed("rate", program(optimizer=lambda net: Slow(net.parameters(), lr=1e-3)), "lr.too_low"),
        key=lambda one: one.likely,
    )

    assert 1e-3 < first.values["other"] < 10.0
    assert 1.0 < wide.values["other"] < 1e4  # of an optimizer that no rule of thumb speaks of


class Slow(torch.optim.SGD):
    """Its steps are a ten thousandth of those of SGD."""

    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad.mul_(1e-4)
        return super().step(closure)


def test_moments():
    brought = program(optimizer=lambda net: torch.optim.Adam(net.parameters(), lr=1e-3))
    bench = bench_of_program(brought)
    changes = {one.name: one for one in SURGERIES["moments"].propose(case_of(brought, "loss.spike"))}

    groups = {name: operated(bench, one).optimizer.param_groups[0] for name, one in changes.items()}

    assert groups["a smaller epsilon"]["eps"] == pytest.approx(1e-10)
    assert groups["a larger epsilon"]["eps"] == pytest.approx(1e-4)
    assert groups["a smaller beta2"]["betas"] == (0.9, 0.95)
    assert brought.optimizer.param_groups[0]["eps"] == 1e-8
    assert proposed("moments", program()) == []  # SGD has none
