"""The numbers of the watch against numbers from elsewhere, and each kind of model it sees through."""

import math
import warnings

import pytest
import torch
from torch import nn

from tests.probes.test_watcher import Sink
from tunesmith.doctor.probes.watcher import Watcher
from tunesmith.doctor.probes.watcher_activations import activation_behind
from tunesmith.doctor.probes.watcher_budget import GRACE, Budget
from tunesmith.doctor.probes.watcher_loss import Tap, scale_of, seen_in
from tunesmith.doctor.probes.watcher_machine import live_tensors, peak_mb, resident_mb
from tunesmith.doctor.probes.watcher_view import entry, inside
from tunesmith.doctor.probes.watcher_weights import COORDINATES, Pieces


def train(model, optimizer, batches, loss_of=nn.functional.cross_entropy, **more):
    """Watches every update; gives the sink and the watcher."""
    sink = Sink()
    watcher = Watcher(model, [optimizer], sink, overhead=100.0, **more)
    watcher.budget.expect("heap", 1e9)  # a walk over all objects has a test of its own
    watcher.attach()
    for x, y in batches:
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()
    watcher.detach()
    return sink, watcher


def rows(count=6, size=32, seed=0, columns=6, classes=3):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(size, columns, generator=generator), torch.randint(classes, (size,), generator=generator))
        for _ in range(count)
    ]


def net(*layers):
    torch.manual_seed(0)
    return nn.Sequential(*(layer() for layer in layers))


def linear(i, o):
    return lambda: nn.Linear(i, o)


# Weights


def test_update_and_weight_are_what_one_computes_by_hand():
    model = net(linear(6, 4), nn.ReLU, linear(4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    start = [one.detach().clone() for one in model[0].parameters()]
    batch = rows(1)
    nn.functional.cross_entropy(model(batch[0][0]), batch[0][1]).backward()
    grad = math.sqrt(sum(float(one.grad.square().sum()) for one in model[0].parameters()))
    length = math.sqrt(sum(float(one.square().sum()) for one in start))

    sink, _ = train(model, optimizer, batch)

    assert sink.values("weight_norm", "0") == pytest.approx([length], rel=1e-5)
    assert sink.values("grad_norm", "0") == pytest.approx([grad], rel=1e-5)
    assert sink.values("update_ratio", "0") == pytest.approx([0.1 * grad / length], rel=1e-4)
    assert sink.values("moved", "0") == sink.values("update_ratio", "0")


def test_a_large_net_is_measured_by_some_of_its_coordinates():
    torch.manual_seed(0)
    parameters = [torch.randn(3 * COORDINATES // 2), torch.randn(COORDINATES)]
    pieces = Pieces(parameters)

    found = pieces.of(parameters)

    assert len(found) <= COORDINATES + 2
    assert float(found.square().mean()) == pytest.approx(1.0, rel=0.01)


def test_adams_update_is_that_of_its_own_state():
    model = net(linear(6, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-3, betas=(0.8, 0.9))

    sink, _ = train(model, optimizer, rows(4))

    states = [optimizer.state[one] for one in model.parameters()]
    first = torch.cat([one["exp_avg"].flatten() for one in states]) / (1 - 0.8**4)
    second = (torch.cat([one["exp_avg_sq"].flatten() for one in states]) / (1 - 0.9**4)).sqrt()
    gradient = torch.cat([one.grad.flatten() for one in model.parameters()])
    update = first / (second + 1e-3)
    assert sink.values("adam_update_rms")[-1] == pytest.approx(float(update.square().mean().sqrt()), rel=1e-5)
    assert sink.values("adam_update_tail")[-1] == pytest.approx(float((update.abs() > 0.9).float().mean()))
    assert sink.values("adam_eps_share")[-1] == pytest.approx(float((second < 1e-3).float().mean()))
    assert sink.values("adam_surprise")[-1] == pytest.approx(
        float((gradient / second).square().mean().sqrt()), rel=1e-4
    )


def test_an_optimizer_without_a_second_moment_has_no_such_numbers():
    model = net(linear(6, 3))

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), rows(3))

    assert not any(name.startswith("adam") for name, _ in sink)


def test_a_part_without_gradient_is_all_zero():
    model = net(linear(6, 4), nn.ReLU, linear(4, 3))
    with torch.no_grad():
        model[0].bias.fill_(-100.0)  # every unit is asleep

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.1), rows(3))

    assert sink.values("zero_gradient", "0") == [1.0, 1.0, 1.0]
    assert max(sink.values("zero_gradient", "2")) < 1.0
    assert sink.values("dead_fraction", "1") == [1.0, 1.0, 1.0]


# Activations


def test_dead_units_are_counted_over_enough_rows():
    class Rare(nn.Module):
        """A unit that is awake on one row in sixteen."""

        def __init__(self):
            super().__init__()
            self.first, self.act, self.last = nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 3)
            with torch.no_grad():
                self.first.weight.copy_(torch.tensor([[1.0], [1.0], [0.0], [1.0]]))
                self.first.bias.copy_(torch.tensor([0.0, -14.5, -1.0, 1.0]))

        def forward(self, x):
            return self.last(self.act(self.first(x)))

    model = Rare()
    batches = [
        (torch.arange(16.0)[place * 8 : place * 8 + 8, None], torch.zeros(8, dtype=torch.long)) for place in (0, 1)
    ]

    sink, watcher = train(model, torch.optim.SGD(model.parameters(), lr=0.0), batches)

    assert sink.values("dead_fraction", "act") == [0.5, 0.25]  # the rare one is seen in the second batch
    assert watcher.known()["activations"] == {"act": "ReLU"}


@pytest.mark.parametrize(
    ("function", "kind", "quantity"),
    [(torch.relu, "ReLU", "dead_fraction"), (torch.tanh, "Tanh", "saturated_fraction")],
)
def test_an_activation_that_is_a_function_is_seen_too(function, kind, quantity):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.two(nn.functional.dropout(function(self.one(x)), 0.1, self.training))

    torch.manual_seed(0)
    model = Plain()
    with torch.no_grad():
        model.one.bias.copy_(torch.tensor([0.0, 0.0, -100.0, -100.0]))

    sink, watcher = train(model, torch.optim.SGD(model.parameters(), lr=0.0), rows(2))

    assert watcher.known()["activations"] == {"one": kind}
    assert sink.values(quantity, "one")[-1] == 0.5


def test_an_activation_with_a_module_is_not_counted_twice():
    model = net(linear(6, 4), nn.ReLU, linear(4, 3))

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.1), rows(2))

    assert [where for name, where in sink if name == "dead_fraction"] == ["1"]


def test_spread_and_returning_gradient_by_layer():
    model = net(linear(6, 4), nn.Tanh, linear(4, 3))
    batch = rows(1)
    output = model(batch[0][0])
    output.retain_grad()
    nn.functional.cross_entropy(output, batch[0][1]).backward()
    returned, output = output.grad, output.detach()

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.0), batch)

    assert sink.values("activation_std", "2") == pytest.approx([float(output.std())], rel=1e-5)
    assert sink.values("activation_mean", "2") == pytest.approx([float(output.mean())], rel=1e-5)
    assert sink.values("gradient_std", "2") == pytest.approx([float(returned.std())], rel=1e-5)
    assert sink.values("activation_spread", "2") == pytest.approx(
        [float(output.std(0).mean() / output.std())], rel=1e-5
    )


def test_channels_are_the_units_of_a_convolution():
    model = net(lambda: nn.Conv2d(1, 4, 3), nn.ReLU, nn.Flatten, linear(16, 3))
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([0.0, 9.0, -100.0, 0.0]))
    batch = [(torch.randn(32, 1, 4, 4), torch.randint(3, (32,)))]

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.0), batch)

    assert sink.values("dead_fraction", "1") == [0.25]


def test_the_way_back_to_an_activation_goes_through_views_and_pools():
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    made = nn.functional.max_pool2d(torch.relu(x), 2).flatten(1)

    assert activation_behind(made)[1] == "ReLU"
    assert activation_behind(x.flatten() @ torch.randn(96)) is None


# Outputs, labels, inputs


def test_answers_labels_and_losses_by_class():
    model = net(linear(6, 3))
    x, y = rows(1, size=60)[0]
    logits = model(x).detach()
    chance = logits.softmax(1)
    losses = nn.functional.cross_entropy(logits, y, reduction="none")

    sink, watcher = train(model, torch.optim.SGD(model.parameters(), lr=0.0), [(x, y)])

    answers = logits.argmax(1)
    assert sink.values("confidence") == pytest.approx([float(chance.max(1).values.mean())], rel=1e-5)
    assert sink.values("output_entropy") == pytest.approx([float(-(chance * chance.log()).sum(1).mean())], rel=1e-5)
    assert sink.values("batch_accuracy") == pytest.approx([float((answers == y).float().mean())])
    for one in range(3):
        assert sink.values("predicted_share", str(one)) == pytest.approx([float((answers == one).float().mean())])
        assert sink.values("label_share", str(one)) == pytest.approx([float((y == one).float().mean())])
        assert sink.values("class_loss", str(one)) == pytest.approx([float(losses[y == one].mean())], rel=1e-4)
    assert watcher.known()["loss"] == "cross_entropy"


def test_the_chance_level_is_the_entropy_of_the_labels():
    model = net(linear(6, 3))
    batches = rows(8, size=64)

    _, watcher = train(model, torch.optim.SGD(model.parameters(), lr=0.0), batches)

    share = torch.bincount(torch.cat([y for _, y in batches])) / 512
    assert watcher.known()["chance_loss"] == pytest.approx(float(-(share * share.log()).sum()), rel=1e-5)
    assert watcher.known()["classes"] == 3


def test_batches_in_order_of_their_labels_repeat_them():
    model = net(linear(6, 3))
    mixed = rows(6, size=60)
    whole = torch.cat([y for _, y in mixed]).sort().values
    sorted_ = [(x, whole[60 * place : 60 * place + 60]) for place, (x, _) in enumerate(mixed)]

    plain, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.0), mixed)
    ordered, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.0), sorted_)

    assert sum(plain.values("label_repeat")) / 6 == pytest.approx(1.0, abs=0.2)
    assert ordered.values("label_repeat")[-1] > 2.0
    assert max(ordered.values("label_entropy")) < 0.5 < min(plain.values("label_entropy"))


def test_a_binary_loss_with_logits():
    model = net(linear(6, 1))
    x, y = rows(1, classes=2)[0]

    def loss_of(output, target):
        return nn.functional.binary_cross_entropy_with_logits(output[:, 0], target.float())

    sink, watcher = train(model, torch.optim.SGD(model.parameters(), lr=0.0), [(x, y)], loss_of)

    share = float(y.float().mean())
    said = float((model(x)[:, 0] > 0).float().mean())
    assert sink.values("label_share", "1") == pytest.approx([share])
    assert sink.values("predicted_share", "1") == pytest.approx([said])
    assert watcher.known()["kind"] == "classification"


def test_numbers_as_targets():
    model = net(linear(6, 1))
    batches = [
        (x, 5 + 2 * torch.randn(32, 1, generator=torch.Generator().manual_seed(place)))
        for place, (x, _) in enumerate(rows(8))
    ]

    sink, watcher = train(model, torch.optim.SGD(model.parameters(), lr=0.0), batches, nn.functional.mse_loss)

    targets = torch.cat([y for _, y in batches])
    assert sink.values("target_mean")[0] == pytest.approx(float(batches[0][1].mean()), rel=1e-5)
    assert watcher.known()["chance_loss"] == pytest.approx(float(targets.var(unbiased=False)), rel=1e-4)
    assert watcher.known()["kind"] == "regression"


def test_ignored_tokens_are_no_labels():
    model = net(linear(6, 3))
    x, y = rows(1, size=40)[0]
    y[::2] = -100

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.0), [(x, y)])

    kept = y[1::2]
    assert sink.values("label_share", "0") == pytest.approx([float((kept == 0).float().mean())])


def test_a_target_handed_over_is_used_where_the_loss_is_unknown():
    model = net(linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    sink = Sink()
    watcher = Watcher(model, [optimizer], sink, overhead=100.0)
    watcher.attach()
    for x, y in rows(3):
        optimizer.zero_grad()
        chance = model(x).softmax(1)
        loss = (chance - nn.functional.one_hot(y, 3)).square().sum()
        loss.backward()
        optimizer.step()
        watcher.step(loss, target=y)
    watcher.detach()

    assert len(sink.values("confidence")) == 3


def test_columns_of_different_size_are_seen():
    model = net(linear(6, 3))
    x, y = rows(1)[0]
    scale = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1000.0])

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.0), [(x * scale, y)])

    assert sink.values("input_column_ratio")[0] > 500
    assert sink.values("input_max") == pytest.approx([float((x * scale).abs().max())])


# Noise and curvature


def test_the_noise_scale_of_known_noise():
    """The gradient of a mean of squares with a known signal and noise: tr Σ / |G|² in rows."""
    torch.manual_seed(0)
    model = nn.Linear(1, 400, bias=False)
    with torch.no_grad():
        model.weight.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    signal, noise, size = 0.1, 1.0, 16

    def loss_of(output, target):
        return (output * target).sum(1).mean()  # gradient of the weight: the mean target

    batches = [(torch.ones(size, 1), signal + noise * torch.randn(size, 400)) for _ in range(24)]

    sink, _ = train(model, optimizer, batches, loss_of)

    expected = noise**2 / signal**2
    assert sink.values("noise_scale")[-1] == pytest.approx(expected, rel=0.2)
    cosine = signal**2 / (signal**2 + noise**2 / size)
    assert sum(sink.values("gradient_cosine")) / 23 == pytest.approx(cosine, abs=0.03)


def test_the_top_of_the_hessian_now_and_then_with_its_cost():
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0]]).repeat(8, 1)
    batches = [(x, torch.zeros(16, 1))] * 400  # until a look at the curvature is paid for

    sink, watcher = train(model, optimizer, batches, nn.MSELoss(), loss_fn=nn.MSELoss())

    assert sink.values("hessian_top")[0] == pytest.approx(9.0, rel=1e-4)  # f = mean (w x)²: 2 · 9 / 2
    assert sink.values("hessian_seconds")[0] > 0
    assert "passes" in watcher.known()["curvature"]


def test_without_a_loss_function_there_is_no_curvature():
    sink, watcher = train(net(linear(6, 3)), torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1), [])

    assert watcher.known()["curvature"] == "no loss_fn was given"
    assert not sink


# The loss, read off the graph


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda x, y: nn.functional.cross_entropy(x, y) / 4, "cross_entropy"),
        (lambda x, y: nn.functional.cross_entropy(x, y, label_smoothing=0.1), "cross_entropy"),
        (lambda x, y: nn.functional.nll_loss(x.log_softmax(1), y) + 1e-3 * x.square().sum(), "cross_entropy"),
        (lambda x, y: nn.functional.mse_loss(x, torch.zeros(4, 3)), "mse"),
        (lambda x, y: nn.functional.binary_cross_entropy(x.sigmoid(), torch.ones(4, 3)), "bce"),
    ],
)
def test_the_kind_of_loss_is_read_off_the_graph(made, kind):
    x, y = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 0])

    seen = seen_in(made(x, y))

    assert seen.kind == kind
    assert seen.outputs.shape == (4, 3)


def test_a_loss_of_another_kind_is_not_guessed():
    x = torch.randn(4, 3, requires_grad=True)

    assert seen_in((x.softmax(1) ** 2).mean()) is None


def test_softmax_before_a_loss_that_has_its_own_stands_in_the_path():
    x, y = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 0])

    assert seen_in(nn.functional.cross_entropy(x.softmax(1), y)).path[:3] == ["NllLoss", "LogSoftmax", "Softmax"]


def test_only_a_power_of_two_is_taken_for_a_scaler():
    x = torch.ones(2, requires_grad=True)

    assert float(scale_of(x.sum() * torch.tensor(65536.0))) == 65536.0
    assert scale_of(x.sum() * torch.tensor(3.0)) == 1.0
    assert scale_of(x.sum() * 2.0) == 1.0


def test_the_tap_closes_as_it_was():
    before = torch.autograd.backward
    heard = []
    one, other = (
        Tap(lambda _, first: heard.append(("one", first))),
        Tap(lambda _, first: heard.append(("other", first))),
    )
    one.open()
    other.open()
    torch.ones(1, requires_grad=True).sum().backward()
    one.close()
    other.close()

    assert heard == [("one", True), ("other", True), ("one", False), ("other", False)]
    assert torch.autograd.backward is before


# Wrapped and compiled models


def test_parallel_wrappers_are_seen_through():
    model = nn.DataParallel(net(linear(6, 4), nn.ReLU, linear(4, 3)))

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.1), rows(2))

    assert {"0", "2"} == {where for name, where in sink if name == "update_ratio"}
    assert len(sink.values("dead_fraction", "1")) == 2


def test_a_distributed_model_is_seen_through(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = nn.parallel.DistributedDataParallel(net(linear(6, 4), nn.ReLU, linear(4, 3)))
            sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.1), rows(2))
            del model
    finally:
        torch.distributed.destroy_process_group()

    assert len(sink.values("dead_fraction", "1")) == len(sink.values("update_ratio", "2")) == 2


def test_a_compiled_model_is_looked_into_beside_its_own_pass():
    def made():
        return torch.compile(net(linear(6, 4), lambda: nn.BatchNorm1d(4), nn.ReLU, linear(4, 3)), backend="eager")

    model, alone = made(), made()
    other = torch.optim.SGD(alone.parameters(), lr=0.1)
    for x, y in rows(3):
        other.zero_grad()
        nn.functional.cross_entropy(alone(x), y).backward()
        other.step()

    sink, _ = train(model, torch.optim.SGD(model.parameters(), lr=0.1), rows(3))

    assert len(sink.values("dead_fraction", "2")) == len(sink.values("update_ratio", "3")) == 3
    for one, two in zip(model.state_dict().values(), alone.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_a_raw_model_whose_compiled_twin_is_called_does_no_harm():
    raw = net(linear(6, 4), nn.ReLU, linear(4, 3))
    compiled = torch.compile(raw, backend="eager", fullgraph=True)
    sink = Sink()
    optimizer = torch.optim.SGD(raw.parameters(), lr=0.1)
    watcher = Watcher(raw, [optimizer], sink, overhead=100.0)
    watcher.attach()
    for x, y in rows(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(compiled(x), y).backward()
        optimizer.step()
    watcher.detach()

    assert len(sink.values("update_ratio", "0")) == 3
    assert len(sink.values("confidence")) == 3


def test_entry_and_inside():
    model = net(linear(6, 3))
    compiled = torch.compile(nn.DataParallel(model), backend="eager")

    assert inside(compiled) is model
    assert entry(compiled) is compiled
    assert entry(nn.DataParallel(model)) is model


# The machine


def test_tensors_that_are_alive_are_counted_with_their_storages_once():
    count, held = live_tensors()
    kept = torch.zeros(1000)
    views = [kept[:10], kept.view(10, 100)]

    more, bigger = live_tensors()

    assert (more - count, bigger - held) == (3, 4000)
    del views


def test_memory_is_told_where_the_system_tells_it():
    assert 10 < resident_mb() <= 1.1 * peak_mb(torch.device("cpu"))


# The budget


def test_looks_keep_to_their_share_of_the_time():
    now = [0.0]
    budget = Budget(0.03, clock=lambda: now[0])
    looks = 0
    for step in range(1, 20_001):
        now[0] += 0.001
        if budget.due("full", step):
            looks += 1
            now[0] += 0.002
            budget.pay("full", 0.002)
            budget.looked("full", step, 0.002)

    assert budget.spent <= 0.03 * now[0] + GRACE
    assert budget.share <= 0.033
    assert looks > 150


def test_the_first_updates_are_looked_at_and_then_two_an_octave():
    budget = Budget(1e-9, clock=lambda: 1.0)

    looked = []
    for step in range(1, 100):
        if budget.due("full", step):
            looked.append(step)
            budget.pay("full", 1e-6)
            budget.looked("full", step, 1e-6)

    assert looked == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96]
