"""What every optimizer of the catalogue keeps."""

import copy
import inspect
import warnings

import pytest
import torch
from torch import nn

from tunesmith.blocks.optim import OPTIMIZERS, build, decay_kind, group_table, needs_closure, switches
from tunesmith.records import ModelError, Recipe, RecipeError, revise

RATES = {"lbfgs": 0.5, "adadelta": 1.0, "adafactor": 0.05, "schedulefree_sgd": 0.1, "sgd": 0.02, "sam": 0.02}
NAMES = [name for name in OPTIMIZERS if name != "sparseadam"]  # it takes sparse gradients alone: tested below
F64 = torch.float64


class Bowl(nn.Module):
    """0.5 Σ h (w - 1)² over two matrices: its least is 0."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(4, 3, generator=generator, dtype=F64))
        self.head = nn.Parameter(torch.randn(3, 4, generator=generator, dtype=F64))

    def forward(self) -> torch.Tensor:
        scale = torch.linspace(0.5, 2.0, 12, dtype=F64)
        return sum((scale * (weight.flatten() - 1) ** 2).sum() / 2 for weight in (self.first, self.head))


def made(name: str, model: nn.Module, rate: float | None = None, **changes: object) -> torch.optim.Optimizer:
    recipe = revise(Recipe(), {"optim.name": name, **{f"optim.{key}": value for key, value in changes.items()}})
    return build(recipe, model, rate or RATES.get(name, 0.01))


def stepped(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> list[float]:
    losses = []

    def closure() -> torch.Tensor:
        for weight in model.parameters():
            weight.grad = None
        loss = model()
        loss.backward()
        return loss

    for _ in range(count):
        if needs_closure(optimizer):
            losses.append(optimizer.step(closure).item())
        else:
            losses.append(closure().item())
            optimizer.step()
    return losses


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in model.parameters()]


@pytest.mark.parametrize("name", NAMES)
def test_steps_lower_a_quadratic_without_a_warning(name: str) -> None:
    model = Bowl()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        losses = stepped(model, made(name, model), 6)

    assert losses[-1] < losses[0]
    assert max(losses) == losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_start_gives_the_same_weights(name: str) -> None:
    runs = []
    for _ in range(2):
        model = Bowl()
        stepped(model, made(name, model), 4)
        runs.append(weights(model))

    assert all(map(torch.equal, *runs))


@pytest.mark.parametrize("way", ["state_dict", "deepcopy"])
@pytest.mark.parametrize("name", NAMES)
def test_its_state_is_complete(name: str, way: str) -> None:
    if (name, way) == ("lbfgs", "deepcopy"):
        pytest.skip("torch's LBFGS loses its list of parameters in a copy")
    model = Bowl().float()  # in double precision torch's NAdam loads its float32 product as float64: see tests/records
    optimizer = made(name, model)
    stepped(model, optimizer, 4)
    if way == "deepcopy":
        twin, again = copy.deepcopy((model, optimizer))
    else:
        twin = copy.deepcopy(model)
        again = made(name, twin, rate=0.123)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    stepped(model, optimizer, 4)
    stepped(twin, again, 4)

    assert all(map(torch.equal, weights(model), weights(twin)))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lbfgs"])
def test_groups_keep_their_rate_and_decay(name: str) -> None:
    model = Bowl()
    takes_decay = "weight_decay" in OPTIMIZERS[name].fields(revise(Recipe(), {"optim.name": name}))
    decay = {"weight_decay": 0.25, "decays": {"first": 2.0}} if takes_decay else {}

    optimizer = made(name, model, rate=0.01, rates={"first": 0.5}, **decay)

    by_name = {group["names"][0]: group for group in optimizer.param_groups}
    assert {key: group["lr"] for key, group in by_name.items()} == {"head": 0.01, "first": 0.005}
    if takes_decay:
        assert {key: group["weight_decay"] for key, group in by_name.items()} == {"head": 0.25, "first": 0.5}
    assert "first" in group_table(optimizer)
    stepped(model, optimizer, 2)
    assert {key: group["lr"] for key, group in by_name.items()} == {"head": 0.01, "first": 0.005}


def test_lbfgs_has_one_rate_and_says_so() -> None:
    with pytest.raises(RecipeError, match="lbfgs refused"):
        made("lbfgs", Bowl(), rates={"first": 0.5})


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lbfgs"])
def test_a_slower_group_moves_less(name: str) -> None:
    model = Bowl()
    with torch.no_grad():
        model.head.copy_(model.first.reshape(3, 4))  # the same gradients in both
    if name == "muon":
        pytest.skip("its step goes by the singular vectors of each matrix")
    start = weights(model)

    stepped(
        model,
        made(
            name,
            model,
            rates={"first": 1e-3},
            **({"extra": {"silent_sgd_phase": False}} if "radam" in name and "free" in name else {}),
        ),
        2,
    )

    slow, fast = (float((now - then).abs().max()) for now, then in zip(weights(model), start, strict=True))
    if name == "rprop":
        return  # its rate is that of the first step alone
    assert 0 < slow < 0.1 * fast


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if not OPTIMIZERS[name].sparse])
def test_sparse_gradients_are_refused_in_words(name: str) -> None:
    with pytest.raises(ModelError, match=f"gives sparse gradients, which {name} cannot take"):
        made(name, nn.Sequential(nn.Embedding(4, 3, sparse=True)))


@pytest.mark.parametrize("name", [name for name in NAMES if not needs_closure(made(name, Bowl()))])
def test_a_closure_is_called_once_with_gradients_and_its_loss_returned(name: str) -> None:
    model = Bowl()
    optimizer = made(name, model)
    seen = []

    def closure() -> torch.Tensor:
        seen.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = model()
        loss.backward()
        return loss

    loss = optimizer.step(closure)

    assert seen == [True]
    assert loss.item() == Bowl()().item()


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_without_a_gradient_stays(name: str) -> None:
    model = Bowl()
    optimizer = made(
        name, model, **({"weight_decay": 0.1} if "weight_decay" in OPTIMIZERS[name].fields(Recipe()) else {})
    )
    model.head.requires_grad_(False)
    before = model.head.detach().clone()

    stepped(model, optimizer, 2)

    assert torch.equal(model.head, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_group_added_on_the_way_trains_too(name: str) -> None:
    if name == "lbfgs":
        pytest.skip("it has one group")
    model, late = Bowl(), nn.Linear(3, 3, bias=False).double()
    optimizer = made(name, model)
    stepped(model, optimizer, 2)
    optimizer.add_param_group({"params": [late.weight], "lr": 0.01})
    if switches(optimizer):
        optimizer.train()
    before = late.weight.detach().clone()
    model.late = late
    forward = model.forward
    model.forward = lambda: forward() + (late.weight**2).sum()

    stepped(model, optimizer, 12 if name == "schedulefree_radam" else 2)

    assert not torch.equal(late.weight, before)
    assert optimizer.param_groups[-1]["lr"] == 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_member_says_what_it_is(name: str) -> None:
    member = OPTIMIZERS[name]

    assert member.name == name
    assert inspect.getdoc(type(member))
    assert decay_kind(made(name, Bowl())) in ("decoupled", "l2", "none")
    known = {"momentum", "weight_decay", "beta1", "beta2", "eps"}
    assert set(member.fields(revise(Recipe(), {"optim.name": name}))) <= known


@pytest.mark.parametrize("name", [name for name in NAMES if switches(made(name, Bowl()))])
def test_the_evaluated_weights_come_and_go_and_the_trained_ones_return(name: str) -> None:
    model = Bowl()
    optimizer = made(name, model)
    stepped(model, optimizer, 9)
    trained = weights(model)

    with torch.no_grad():
        optimizer.eval()
    judged = weights(model)
    optimizer.eval()
    twice = weights(model)
    optimizer.train()

    assert not torch.equal(judged[0], trained[0])
    assert all(map(torch.equal, judged, twice))
    assert all(map(torch.allclose, weights(model), trained))


def test_sparse_adam_lowers_a_loss_of_rows_looked_up() -> None:
    table = nn.Embedding(5, 3, sparse=True)
    optimizer = made("sparseadam", table)
    rows = torch.tensor([1, 3, 3])
    losses = []

    for _ in range(4):
        optimizer.zero_grad()
        loss = table(rows).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses == sorted(losses, reverse=True)
