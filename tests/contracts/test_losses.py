"""What every loss of the catalogue keeps, for every kind of task it fits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.blocks.losses import LOSSES, Loss, build
from tunesmith.records import ModelError, RecipeError

F64 = torch.float64
CASES = [(name, kind) for name in LOSSES for kind in LOSSES[name].kinds]
INSTANCES = {  # those a recipe cannot name: how they are made
    "distillation": {},
    "gaussian_nll": {},
    "info_nce": {},
    "kl_divergence": {},
    "multi_task": {"losses": {"a": torch.nn.MSELoss(), "b": build("mae", kind="regression")}},
    "nt_xent": {},
    "triplet": {},
}
COUPLED = ("info_nce", "nt_xent")
ALONE = [(name, "") for name in INSTANCES if name not in COUPLED]
ADDING = CASES + ALONE
WIDTH = {
    "binary": (2,),
    "multiclass": (4,),
    "language": (6, 4),
    "multilabel": (4,),
    "regression": (),
    "multi_regression": (3,),
}
BELOW_ZERO = ("poisson_nll", "gaussian_nll")
OVERFLOWS = ("poisson_nll",)  # exp(1e4) is no float64; its page says so


def made(name, kind):
    return LOSSES[name](**INSTANCES[name]) if name in INSTANCES else build(name, kind=kind)


def batch(name, kind, rows, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=F64, generator=generator)

    match name:
        case "distillation":
            labels = torch.randint(0, 4, (rows, 1), generator=generator)
            return normal(rows, 4), torch.cat([labels.to(F64), normal(rows, 4)], 1)
        case "gaussian_nll":
            return normal(rows, 6), normal(rows, 3)
        case "kl_divergence":
            return normal(rows, 4), normal(rows, 4).softmax(1)
        case "multi_task":
            return normal(rows, 2), normal(rows, 2)
        case "info_nce" | "nt_xent":
            return normal(rows, 2, 5), torch.zeros(rows)
        case "triplet":
            return normal(rows, 3, 5), torch.zeros(rows)
    outputs = normal(rows, *WIDTH[kind])
    if kind in ("regression", "multi_regression"):
        target = normal(*outputs.shape)
        if name == "poisson_nll":
            target = target.abs().mul(3).round()
        if name.startswith("masked"):
            target[torch.rand(target.shape, generator=generator) < 0.3] = math.nan
            target[0] = 1.0
        return outputs, target
    if kind == "multilabel":
        return outputs, torch.randint(0, 2, outputs.shape, generator=generator).to(torch.float32)
    return outputs, torch.randint(0, outputs.shape[-1], outputs.shape[:-1], generator=generator)


def test_every_member_is_tried():
    assert {name for name, _ in CASES} | set(INSTANCES) == set(LOSSES)


@pytest.mark.parametrize(("name", "kind"), ADDING)
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_a_batch_add_up_to_the_whole_with_their_gradient(name, kind, weighted):
    outputs, target = batch(name, kind, 19, seed=1)
    weight = torch.linspace(0, 2, 19, dtype=F64) if weighted else None
    loss, outputs = made(name, kind), outputs.requires_grad_()
    cuts = (slice(0, 1), slice(1, 12), slice(12, 19))

    whole = loss(outputs, target, weight)
    parts = [loss(outputs[cut], target[cut], None if weight is None else weight[cut]) for cut in cuts]
    value = sum(part.sum for part in parts) / sum(part.weight for part in parts)

    assert value.item() == pytest.approx(whole.value.item(), rel=1e-12)
    (expected,), (gradient,) = (torch.autograd.grad(each, outputs) for each in (whole.value, value))
    assert (gradient - expected).norm() <= 1e-12 * expected.norm()


@pytest.mark.parametrize(("name", "kind"), ADDING)
@settings(max_examples=8, deadline=None)
@given(parts=st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_any_partition_adds_up(name, kind, parts):
    outputs, target = batch(name, kind, 12, seed=5)
    place = torch.tensor(parts)
    loss = made(name, kind)

    whole = loss(outputs, target)
    pieces = [loss(outputs[place == part], target[place == part]) for part in set(parts)]

    assert sum(float(piece.sum) for piece in pieces) == pytest.approx(float(whole.sum), rel=1e-12)
    assert sum(float(piece.weight) for piece in pieces) == pytest.approx(float(whole.weight), rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), ADDING)
def test_whole_number_sample_weights_act_like_repeated_rows(name, kind):
    outputs, target = batch(name, kind, 11, seed=6)
    times = torch.arange(11) % 3
    loss = made(name, kind)

    weighted = loss(outputs, target, times.to(F64))
    repeated = loss(outputs.repeat_interleave(times, 0), target.repeat_interleave(times, 0))

    assert float(weighted.sum) == pytest.approx(float(repeated.sum), rel=1e-12)
    assert float(weighted.weight) == pytest.approx(float(repeated.weight), rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), CASES + [(name, "") for name in INSTANCES])
def test_equal_weights_change_nothing_and_order_does_not_matter(name, kind):
    outputs, target = batch(name, kind, 11, seed=2)
    loss = made(name, kind)

    plain, equal, flipped = (
        loss(outputs, target),
        loss(outputs, target, torch.full((11,), 0.3)),
        loss(outputs.flip(0), target.flip(0)),
    )

    assert equal.value.item() == pytest.approx(plain.value.item(), rel=1e-7)
    assert flipped.value.item() == pytest.approx(plain.value.item(), rel=1e-12)
    assert name in BELOW_ZERO or plain.value.item() >= 0


@pytest.mark.parametrize(("name", "kind"), CASES + [(name, "") for name in INSTANCES])
def test_the_gradient_is_that_of_the_value(name, kind):
    outputs, target = batch(name, kind, 5, seed=3)
    loss = made(name, kind)

    assert torch.autograd.gradcheck(lambda o: loss(o, target).value, (outputs.requires_grad_(),))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_runs_for_many_nets_at_once(name, kind):
    outputs, target = batch(name, kind, 5, seed=4)
    many = torch.stack([outputs, 2 * outputs, -outputs])
    loss = build(name, kind=kind)

    values = torch.func.vmap(lambda o: loss(o, target).value)(many)

    assert values.tolist() == pytest.approx([loss(each, target).value.item() for each in many], rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), CASES + [(name, "") for name in INSTANCES])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_outputs_are_summed_in_single_precision(name, kind, half):
    outputs, target = batch(name, kind, 40, seed=7)
    outputs, target = outputs.to(half), target.float() if target.is_floating_point() else target
    loss = made(name, kind)

    result, exact = loss(outputs, target), loss(outputs.double(), target)

    assert result.sum.dtype == torch.float32
    assert result.value.item() == pytest.approx(exact.value.item(), rel=1e-5)


@pytest.mark.parametrize(("name", "kind"), CASES + [(name, "") for name in INSTANCES])
@pytest.mark.parametrize("size", [1e4, -1e4, 0.0])
def test_extreme_outputs_have_a_finite_loss_and_gradient(name, kind, size):
    outputs, target = batch(name, kind, 6, seed=8)
    outputs = (size * outputs.sign()).float().requires_grad_()
    if name in OVERFLOWS and size:
        pytest.skip("a rate of exp(1e4) is no number")

    value = made(name, kind)(outputs, target).value
    value.backward()

    assert math.isfinite(value.item())
    assert bool(outputs.grad.isfinite().all())


@pytest.mark.parametrize(("name", "kind"), CASES + [(name, "") for name in INSTANCES if name != "multi_task"])
def test_it_is_the_same_compiled(name, kind):
    outputs, target = batch(name, kind, 6, seed=9)
    loss = made(name, kind)
    torch._dynamo.reset()

    compiled = torch.compile(lambda o, t: loss(o, t).value, backend="aot_eager", fullgraph=True)(outputs, target)

    assert compiled.item() == pytest.approx(loss(outputs, target).value.item(), rel=1e-12)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_theory_expects_at_the_start_is_what_comes(name, kind):
    outputs, target = batch(name, kind, 23, seed=10)
    weight = torch.linspace(0, 2, 23, dtype=F64)
    loss = build(name, kind=kind)
    width = 4 if kind == "language" else outputs.shape[-1] if outputs.dim() > 1 else None

    for each in (None, weight):
        zero = loss.at_start(target, outputs=width, weight=each)
        best, usual = (
            loss.no_skill(target, outputs=width, weight=each),
            loss.at_start(target, outputs=width, bias="data", weight=each),
        )

        assert zero == pytest.approx(loss(torch.zeros_like(outputs), target, each).value.item(), rel=1e-6)
        assert best <= usual * (1 + 1e-9) + 1e-12
        assert best <= zero * (1 + 1e-9)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_no_constant_is_better_than_the_best_constant(name, kind):
    _, target = batch(name, kind, 17, seed=11)
    generator = torch.Generator().manual_seed(1)
    loss = build(name, kind=kind)
    width = WIDTH[kind][-1] if WIDTH[kind] else None
    best = loss.no_skill(target, outputs=width)

    tries = [
        loss.at_start(target, outputs=width, bias=scale * torch.randn(WIDTH[kind][-1:], generator=generator).squeeze())
        for scale in (0.1, 0.5, 1.0)
        for _ in range(25)
        if not (kind == "binary" and name in ("focal", "binary_cross_entropy"))
    ]

    assert all(value >= best - 1e-12 for value in tries)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_outputs_that_do_not_fit_get_a_sentence(name, kind):
    outputs, target = batch(name, kind, 7, seed=12)

    with pytest.raises(ModelError, match=r"got outputs of shape \(") as refusal:
        made(name, kind)(outputs, target[:5])

    assert str(refusal.value).count("\n") == 0


@pytest.mark.parametrize("name", [name for name in INSTANCES if name != "multi_task"])
def test_outputs_that_do_not_fit_a_loss_of_several_get_a_sentence(name):
    with pytest.raises(ModelError, match="expected"):
        made(name, "")(torch.zeros(7, 3, 2, 2), torch.zeros(5, 3))


@pytest.mark.parametrize(("name", "kind"), CASES + [(name, "") for name in INSTANCES])
def test_it_says_what_it_is(name, kind):
    loss = made(name, kind)

    assert isinstance(loss, Loss)
    assert loss.name == name
    assert (loss.opaque, loss.couples, loss.additive) == (False, name in COUPLED, False)
    assert "At start: " in LOSSES[name].__doc__
    assert "Use: " in LOSSES[name].__doc__


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_setting_that_is_no_setting_is_refused_with_the_nearest(name, kind):
    with pytest.raises(RecipeError, match=f"'{name}' takes no no_such_setting"):
        build(name, kind=kind, no_such_setting=1)


@pytest.mark.parametrize("name", INSTANCES)
def test_a_loss_that_needs_more_than_a_target_column_says_how_it_is_used(name):
    with pytest.raises(RecipeError, match=r"pass an instance, loss="):
        build(name, kind="multiclass")


@pytest.mark.parametrize(("name", "kind"), ADDING)
def test_no_rows_weigh_nothing(name, kind):
    outputs, target = batch(name, kind, 4, seed=13)

    result = made(name, kind)(outputs[:0], target[:0])

    assert (float(result.sum), float(result.weight)) == (0.0, 0.0)
