"""The measures against numbers written apart from this project: tests/golden/metrics.json and collapse.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith import generative as measures
from tunesmith.generative import recursion

GOLDEN = Path(__file__).parents[1] / "golden"
METRICS = json.loads((GOLDEN / "metrics.json").read_text(encoding="utf-8"))
COLLAPSE = json.loads((GOLDEN / "collapse.json").read_text(encoding="utf-8"))
ARRAYS = np.load(GOLDEN / "metrics.npz")
LOSSES = ("vicreg", "barlow")  # what is trained on, and no measure: test_view_losses.py


def mode_report(case: dict[str, Any]) -> dict[str, Any]:
    samples, centres = (ARRAYS[f"{case['case']}.{part}"] for part in ("samples", "centers"))
    found = measures.modes(samples, centres, case["sigma"], n_std=case["n_std"])
    return {
        "modes": found.captured,
        "high_quality": found.quality,
        "counts_hq": found.good.tolist(),
        "counts_all": found.counts.tolist(),
        "kl_gen_to_uniform_hq": found.divergence_good,
        "kl_gen_to_uniform_all": found.divergence,
        "jsd_hq": found.jensen_shannon_good,
        "tv_all": found.variation,
    }


def scores(case: dict[str, Any]) -> dict[str, Any]:
    given, real = ARRAYS["class_probs.P"], ARRAYS["class_probs.real_marginal"]
    both = measures.class_divergence(given.mean(0), real)
    return {
        "inception_score": measures.inception_score(given),
        "mode_score": measures.mode_score(given, real),
        "mode_score_degenerate_form": measures.inception_score(given),
        "histogram_pearson": measures.class_correlation(given.mean(0), real),
        "kl_gen_real": both.generated_real,
        "kl_real_gen": both.real_generated,
    }


def prdc(case: dict[str, Any]) -> dict[str, Any]:
    found = measures.prdc(ARRAYS["prdc.real"], ARRAYS["prdc.fake"], k=case["k"])
    return {name: getattr(found, name) for name in ("precision", "recall", "density", "coverage")}


def fid(case: dict[str, Any]) -> float:
    return sum(measures.frechet_of_moments(*(ARRAYS[f"fid.{part}"] for part in ("m1", "c1", "m2", "c2"))))


def kid(case: dict[str, Any]) -> float:
    return measures.kernel_distance(ARRAYS["prdc.real"], ARRAYS["prdc.fake"]).value


def pairwise(case: dict[str, Any]) -> float:
    return measures.pairwise_distance(ARRAYS["prdc.fake"])


def embedding(case: dict[str, Any]) -> dict[str, Any]:
    found = measures.embedding_health(ARRAYS[f"{case['case']}.z"])
    return {
        "rankme": found.effective_rank,
        "normalized_std": found.normalised_spread,
        "normalized_std_isotropic": found.isotropic,
    }


KINDS = {
    "mode_report": mode_report,
    "scores": scores,
    "prdc": prdc,
    "fid": fid,
    "kid_unbiased_poly3": kid,
    "mean_pairwise_l2_of_fake": pairwise,
    "embedding": embedding,
}


@pytest.mark.parametrize(
    "case",
    [one for one in METRICS["cases"] if one["kind"] not in LOSSES],
    ids=lambda one: f"{one['case']}-{one['kind']}",
)
def test_a_measure_gives_the_golden_number(case: dict[str, Any]) -> None:
    found, expected = KINDS[case["kind"]](case), case["expected"]

    if isinstance(expected, dict):  # lists of counts, and None for what is undefined, are to be equal
        exact = [name for name, value in expected.items() if value is None or isinstance(value, list)]
        assert [found.pop(name) for name in exact] == [expected[name] for name in exact]
        expected = {name: value for name, value in expected.items() if name not in exact}
    assert found == pytest.approx(expected, rel=case.get("rtol", METRICS["rtol"]))


def test_the_facts_of_perfect_and_collapsed_samplers() -> None:
    facts = METRICS["exact_facts"]
    ceiling = facts["two_sigma_dims_high_quality_ceiling"]["value"]
    ring, grid = measures.ring(), measures.grid()

    one_of_ring = measures.modes(ring[[3] * 9], ring, 0.01)
    one_of_grid = measures.modes(grid[[3] * 9], grid, 0.05)

    assert one_of_ring.ceiling == pytest.approx(ceiling, rel=1e-12)
    assert one_of_ring.divergence == pytest.approx(facts["ring8_one_mode_reverse_kl"], rel=1e-12)
    assert one_of_grid.divergence == pytest.approx(facts["grid25_one_mode_reverse_kl"], rel=1e-12)
    np.testing.assert_allclose(ring, ARRAYS["ring_perfect.centers"], atol=1e-15)
    np.testing.assert_allclose(grid, ARRAYS["grid_perfect.centers"], atol=1e-15)


@pytest.mark.parametrize("case", COLLAPSE["gaussian_replace"])
def test_a_gaussian_refitted_to_itself(case: dict[str, Any]) -> None:
    unbiased = recursion.gaussian_replaced(case["n"], case["m"], case["var0"])
    mle = recursion.gaussian_replaced(case["n"], case["m"], case["var0"], estimator="mle")

    found = {
        "E_var_unbiased": unbiased.variance,
        "E_var_mle": mle.variance,
        "E_std_unbiased": unbiased.deviation,
        "E_log_var_unbiased": unbiased.log_variance,
        "E_mean_sq_unbiased": unbiased.mean_square,
        "E_mean_sq_mle": mle.mean_square,
        "W2_sq_exact_unbiased": unbiased.risk,
    }
    assert found == pytest.approx({name: case[name] for name in found}, rel=COLLAPSE["rtol"])


@pytest.mark.parametrize("case", COLLAPSE["gaussian_accumulate_mle"])
def test_a_gaussian_fitted_to_all_so_far(case: dict[str, Any]) -> None:
    found = [recursion.gaussian_accumulated(n, case["m"], case["var0"]) for n in (case["n"], None)]

    assert found == pytest.approx([case["E_var_mle"], case["limit"]], rel=COLLAPSE["rtol"])


@pytest.mark.parametrize("case", COLLAPSE["regression"])
def test_a_regression_on_its_own_labels(case: dict[str, Any]) -> None:
    setting = {"features": case["d"], "rows": case["T"], "noise": case["sigma2"]}

    found = {
        "replace": recursion.regression_replaced(case["n"], **setting),
        "accumulate_same_design": recursion.regression_accumulated(case["n"], **setting, designs="shared"),
        "accumulate_fresh_design": recursion.regression_accumulated(case["n"], **setting, designs="fresh"),
        "accumulate_bound": recursion.regression_accumulated(None, **setting),
    }
    assert found == pytest.approx({name: case[name] for name in found}, rel=COLLAPSE["rtol"])


def test_the_other_closed_forms() -> None:
    more = [
        recursion.regression_overparametrised(one["n"], one["d"], one["T"], one["w2"])
        for one in COLLAPSE["overparam_noise_free"]
    ]
    shares = [recursion.heterozygosity(one["h0"], one["n"], one["m"]) for one in COLLAPSE["wright_fisher"]]
    seen = [recursion.expected_seen(one["p"], one["m"]) for one in COLLAPSE["expected_seen_categories"]]

    assert more == pytest.approx([one["error"] for one in COLLAPSE["overparam_noise_free"]], rel=1e-9)
    assert shares == pytest.approx([one["heterozygosity"] for one in COLLAPSE["wright_fisher"]], rel=1e-9)
    assert seen == pytest.approx([one["expected"] for one in COLLAPSE["expected_seen_categories"]], rel=1e-9)
