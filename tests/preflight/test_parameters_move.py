import pytest
import torch
from torch import nn

from tests.preflight.planted import findings, mlp, program, usual_loop, usual_step
from tunesmith.doctor.preflight import CHECKS, bench_of_program
from tunesmith.records.check import Inapplicable


class Net(nn.Module):
    """Three layers, kept and used in one way or another."""

    def __init__(self, kind=""):
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Linear(64, 24), nn.Linear(24, 24)]
        self.kind, self.out = kind, nn.Linear(24, 10)
        self.layers = layers if kind == "list" else {"a": layers[0], "b": layers[1]} if kind == "dict" else None
        if kind == "tensor":
            self.scale = torch.ones(24, requires_grad=True)
        if kind not in ("list", "dict"):
            self.first, self.second = layers
        if kind == "unused":
            self.spare = nn.Linear(50, 50)
        if kind == "teacher":
            self.teacher = [nn.Linear(64, 24)]

    def forward(self, x):
        first, second = (
            self.layers if self.kind == "list" else self.layers.values() if self.layers else (self.first, self.second)
        )
        h = torch.relu(first(x))
        if self.kind == "no_grad":
            with torch.no_grad():
                h = torch.relu(first(x))
        if self.kind == "rounded":
            h = (8 * h).round() / 8
        if self.kind == "tensor":
            h = h * self.scale
        h = torch.relu(second(h))
        if self.kind == "item":
            h = torch.tensor(h.detach().numpy())
        if self.kind == "dropped" and self.training and torch.rand(()) < 0.5:
            return self.out(h.detach())
        return self.out(h)


@pytest.mark.parametrize(
    ("kind", "message", "names", "severity"),
    [
        (
            "list",
            "model.not_registered",
            ["layers[0].weight", "layers[0].bias", "layers[1].weight", "layers[1].bias"],
            "error",
        ),
        (
            "dict",
            "model.not_registered",
            ["layers['a'].weight", "layers['a'].bias", "layers['b'].weight", "layers['b'].bias"],
            "error",
        ),
        ("tensor", "model.not_registered", ["scale"], "warning"),
        ("no_grad", "model.cut_off", ["first.weight", "first.bias"], "error"),
        ("rounded", "model.cut_off", ["first.weight", "first.bias"], "error"),
        ("item", "model.cut_off", ["first.weight", "first.bias", "second.weight", "second.bias"], "error"),
    ],
)
def test_what_stands_still_is_named(kind, message, names, severity):
    (finding,) = findings("parameters_move", program(Net(kind)))

    assert (finding.fault, finding.message, finding.severity) == ("optim.unregistered_params", message, severity)
    assert finding.subject["layers"] == names


@pytest.mark.parametrize(
    ("left_out", "share", "severity"),
    [
        (lambda p: p[2:], 2080 / 2410, "error"),
        (lambda p: p[:2], 330 / 2410, "warning"),
        (lambda p: p[-1:], 2400 / 2410, "error"),
    ],
)
def test_the_optimizer_has_a_part(left_out, share, severity):
    brought = program(optimizer=lambda model: torch.optim.Adam(left_out(list(model.parameters()))))

    (finding,) = findings("parameters_move", brought)

    assert (finding.message, finding.severity) == ("model.not_in_optimizer", severity)
    assert finding.values["share"] == pytest.approx(share)


@pytest.mark.parametrize("place", [0, 2])
def test_a_layer_replaced_after_the_optimizer_was_made(place):
    brought = program()
    brought.model[place] = nn.Linear(brought.model[place].in_features, brought.model[place].out_features)

    (finding,) = findings("parameters_move", brought)

    assert (finding.message, finding.severity) == ("model.optimizer_of_others", "error")
    assert finding.subject["layers"] == [f"{place}.weight", f"{place}.bias"]


def test_the_optimizer_of_another_model():
    (finding,) = findings("parameters_move", program(optimizer=lambda _: torch.optim.Adam(mlp().parameters())))

    assert (finding.message, finding.severity, finding.values["share"]) == ("model.optimizer_of_others", "error", 1.0)


def test_a_loss_without_a_graph_and_a_model_without_anything_to_train():
    cut = program(loss=lambda o, y: nn.functional.cross_entropy(o.detach(), y))
    frozen = program(mlp().requires_grad_(False))

    assert [(one.message, one.severity) for one in findings("parameters_move", cut)] == [("model.no_gradient", "error")]
    assert [(one.message, one.severity) for one in findings("parameters_move", frozen)] == [
        ("model.all_frozen", "error")
    ]


def never(model, loss_fn, optimizer, xb, yb):
    optimizer.zero_grad()
    loss = loss_fn(model(xb), yb)
    loss.backward()
    return loss.item()


class Gathered:
    """A step over four batches, as some write it."""

    def __init__(self):
        self.calls = 0

    def __call__(self, model, loss_fn, optimizer, xb, yb):
        self.calls += 1
        loss = loss_fn(model(xb), yb) / 16
        loss.backward()
        if self.calls % 16 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()


def test_no_step_is_ever_taken():
    (finding,) = findings("parameters_move", program(step=never))

    assert (finding.message, finding.severity, finding.values["moving"]) == ("model.never_stepped", "error", 0)
    assert not findings("parameters_move", program(step=Gathered()))


def test_a_group_without_a_rate():
    def groups(model):
        return torch.optim.SGD(
            [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}], lr=0.1
        )

    (finding,) = findings("parameters_move", program(optimizer=groups))

    assert (finding.message, finding.subject["layers"]) == ("model.rate_zero", ["0.weight", "0.bias"])


def test_a_loss_with_weights_of_its_own():
    class Centres(nn.Module):
        def __init__(self):
            super().__init__()
            self.centres = nn.Parameter(torch.zeros(10, 10))

        def forward(self, outputs, target):
            return nn.functional.cross_entropy(outputs, target) + (outputs - self.centres[target]).square().mean()

    loss = Centres()

    assert [one.message for one in findings("parameters_move", program(loss=loss))] == ["model.loss_not_in_optimizer"]
    both = program(loss=loss, optimizer=lambda model: torch.optim.Adam([*model.parameters(), *loss.parameters()]))
    assert not findings("parameters_move", both)


def _zeros(*names):
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
    for name in names:
        nn.init.zeros_(model.get_parameter(name))
    return model


class Adapted(nn.Module):
    """A frozen layer with an adapter whose second half starts at zero."""

    def __init__(self):
        super().__init__()
        self.base = nn.Linear(64, 10).requires_grad_(False)
        self.down, self.up = nn.Linear(64, 4, bias=False), nn.Linear(4, 10, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


class Warm:
    def __call__(self, optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 50))


SOUND = {
    "plain": lambda: program(),
    "loop": lambda: program(loop=usual_loop),
    "step": lambda: program(step=usual_step),
    "list, trained by hand": lambda: program(
        Net("list"),
        optimizer=lambda m: torch.optim.Adam([*m.parameters(), *(p for one in m.layers for p in one.parameters())]),
    ),
    "unused layer": lambda: program(Net("unused")),
    "teacher in a list": lambda: program(Net("teacher")),
    "branch left out at random": lambda: program(Net("dropped")),
    "last layer of zeros": lambda: program(_zeros("4.weight")),
    "adapter": lambda: program(Adapted()),
    "warm-up from zero": lambda: program(scheduler=Warm(), schedule_unit="epoch"),
    "frozen layer": lambda: program(_frozen()),
    "gathered": lambda: program(accumulate=4),
    "lbfgs": lambda: program(optimizer=lambda m: torch.optim.LBFGS(m.parameters(), lr=0.1, max_iter=3)),
    "sparse": lambda: program(
        nn.Sequential(nn.EmbeddingBag(50, 8, sparse=True), nn.Linear(8, 3)),
        data=((torch.randint(0, 9, (200, 6)).numpy(), torch.randint(0, 3, (200,)).numpy()), None),
        optimizer=lambda m: torch.optim.SGD(m.parameters(), 0.1),
    ),
}


def _frozen():
    model = mlp()
    model[0].requires_grad_(False)
    return model


@pytest.mark.parametrize("name", SOUND)
def test_what_is_meant_is_at_most_a_note(name):
    assert not findings("parameters_move", SOUND[name]())


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("frozen layer", ["model.part_frozen"]),
        ("unused layer", ["model.unused"]),
        ("list, trained by hand", ["model.trained_by_hand"]),
        ("teacher in a list", ["model.unused"]),
        ("plain", []),
    ],
)
def test_the_notes(name, messages):
    assert [one.message for one in findings("parameters_move", SOUND[name](), above="")] == messages


def test_a_loop_that_leaves_a_layer_out():
    brought = program(loop=usual_loop, optimizer=lambda model: torch.optim.SGD(model[2].parameters(), lr=0.1))

    assert [one.message for one in findings("parameters_move", brought)] == ["model.not_in_optimizer"]


def test_other_errors_are_left_to_others():
    with pytest.raises(Inapplicable, match="raises"):
        list(CHECKS["parameters_move"].look(bench_of_program(program(mlp(60)))))


def test_the_program_is_as_it_was():
    brought = program()
    before = [each.clone() for each in brought.model.parameters()]

    findings("parameters_move", brought)

    assert all(torch.equal(was, now) for was, now in zip(before, brought.model.parameters(), strict=True))
