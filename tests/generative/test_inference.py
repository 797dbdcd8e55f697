"""Inference via optimisation: closed forms, a trained generator, nothing of it altered."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.generative.digits import LATENT
from tunesmith.generative import inference, inference_gap
from tunesmith.generative.measures import inference as room
from tunesmith.records import DataError, ModelError, RecipeError


def test_a_linear_generator_leaves_the_distance_to_its_plane() -> None:
    generator = nn.Linear(2, 3, bias=False).double()
    samples = np.random.default_rng(0).normal(size=(6, 3))
    weights = generator.weight.detach().numpy()
    rest = samples - samples @ np.linalg.pinv(weights).T @ weights.T

    found = inference(generator, samples, 2, steps=600)

    np.testing.assert_allclose(found.errors, (rest**2).mean(1), rtol=1e-3)
    assert found.inputs.shape == (6, 2)
    assert found.by_start.shape == (3, 6)


def test_what_a_trained_generator_lacks_costs_more_and_its_training_samples_least(few: Any) -> None:
    gap = inference_gap(few.generator, few.train[:100], few.held, LATENT, starts=2, steps=100)
    unseen = inference(few.generator, few.unseen[:100], LATENT, starts=2, steps=100)

    assert gap.gap > 2 * gap.standard_error > 0
    assert unseen.error > 2 * gap.test.error
    assert unseen.error < unseen.started


def test_the_generator_is_left_as_it_was(few: Any) -> None:
    generator = few.generator
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    grads = {name: one.grad.clone() for name, one in generator.named_parameters() if one.grad is not None}
    generator.norm.eval()  # a mode of its own inside a net that trains

    inference(generator, few.held[:5], LATENT, starts=1, steps=3)

    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert all(one.grad is None or torch.equal(one.grad, grads[name]) for name, one in generator.named_parameters())
    assert (generator.training, generator.norm.training) == (True, False)
    generator.norm.train()


def test_samples_do_not_see_each_other_and_a_seed_gives_the_same(few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    together = inference(few.generator, few.held[:6], LATENT, starts=1, steps=20, seed=3)
    monkeypatch.setattr(room, "BATCH", 2)
    apart = inference(few.generator, few.held[:6], LATENT, starts=1, steps=20, seed=3)

    np.testing.assert_allclose(together.errors, apart.errors, rtol=1e-4)


def test_the_inputs_may_be_drawn_by_a_function_and_a_higher_rate_goes_further() -> None:
    def far(count: int, random: torch.Generator) -> Tensor:
        return 5 + torch.rand(count, 1, generator=random)

    slow, fast = (inference(nn.Identity(), [[0.0], [1.0]], far, starts=1, steps=10, rate=rate) for rate in (0.01, 0.3))

    assert slow.started == fast.started > 16
    assert fast.error < slow.error < slow.started


def test_the_best_on_the_way_counts() -> None:
    found = inference(nn.Identity(), [[0.0]], lambda count, random: torch.full((count, 1), 1e-4), steps=1, rate=1.0)

    assert found.error == pytest.approx(1e-8)
    assert found.inputs.item() == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("kind", "said", "change"),
    [
        (DataError, r"the generator made \(2, 3\) for samples of shape \(2, 2\)", {"samples": np.ones((2, 2))}),
        (DataError, "expected finite numbers", {"samples": np.full((2, 3), np.nan)}),
        (
            ModelError,
            "no gradient back",
            {"generator": nn.Sequential(nn.Linear(2, 3), nn.Identity()).requires_grad_(False)},
        ),
        (ModelError, "a function; an nn.Module was expected", {"generator": lambda z: z}),
        (RecipeError, "starts = 0", {"starts": 0}),
        (RecipeError, "rate = 0", {"rate": 0}),
        (RecipeError, "latent = 0", {"latent": 0}),
    ],
)
def test_wrong_use_is_said(kind: type[Exception], said: str, change: dict[str, Any]) -> None:
    given = {"generator": nn.Linear(2, 3), "samples": np.ones((2, 3)), "latent": 2} | change
    if kind is ModelError and "no gradient" in said:
        given["generator"].forward = lambda z: torch.ones(len(z), 3)

    with pytest.raises(kind, match=said):
        inference(given.pop("generator"), given.pop("samples"), given.pop("latent"), steps=1, **{"starts": 1} | given)


def test_one_sample_has_no_standard_error() -> None:
    with pytest.raises(DataError, match="two or more of each"):
        inference_gap(nn.Linear(2, 3), np.ones((1, 3)), np.ones((4, 3)), 2, steps=1)
