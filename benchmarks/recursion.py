"""Training on one's own output: the simulator beside its closed forms, and a small language model over six generations.

Theory: many replicates of a Gaussian, a regression and a set of classes in each regime; how far the mean over the replicates lies from the
closed form at most, in its standard errors, over all generations (5 are allowed). A Gaussian that is replaced is judged by the logarithm
of its variance, for the mean of the variance itself is carried by ever fewer runs.

Language model: one recurrent layer of 96 on 50,000 letters of tiny-shakespeare, 300 updates in every generation and regime; each seed has its
own stretch of the text and its own weights. Perplexity is that of 20,000 letters of real text that nothing was trained on.
The text is read from `TUNESMITH_SHARED`; without it those cases fail and the theory stands.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tables import Row, markdown

ANYWHERE = True  # numbers by seed, not seconds
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "recursion.svg"
REGIMES = ("replace", "accumulate", "mix", "keep")
SEEDS = (0, 1, 2)
LETTERS, GENERATIONS = 50_000, 6
BOUND = 5.0  # standard errors
DRAWN = ("log_variance", "excess_error", "perplexity")  # one measure of each model in the picture


def cases() -> list[dict[str, Any]]:
    gaussian = {"model": "gaussian", "n": 10, "generations": 30, "replicates": 10_000}
    regression = {"model": "regression", "n": 50, "generations": 10, "replicates": 4000}
    classes = {"model": "categorical", "n": 100, "generations": 30, "replicates": 4000}
    found: list[dict[str, Any]] = [
        {**gaussian, "regime": regime, "settings": {"estimator": estimator}}
        for regime in REGIMES
        for estimator in ("unbiased", "mle")
    ]
    for regime, designs in (
        ("replace", "fresh"),
        ("accumulate", "fresh"),
        ("accumulate", "shared"),
        ("keep", "shared"),
    ):
        found.append({**regression, "regime": regime, "settings": {"designs": designs}})
    found += [{**classes, "regime": regime, "settings": {}} for regime in REGIMES]
    return found + [
        {"model": "letters", "n": LETTERS, "generations": GENERATIONS, "replicates": 1, "regime": regime, "seed": seed}
        for seed in SEEDS
        for regime in ("replace", "accumulate")
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    from tunesmith.generative.recursive import simulate

    asked = {key: value for key, value in case.items() if key not in ("model", "settings")}
    if case["model"] == "letters":
        import torch

        torch.set_num_threads(1)  # sums in one order
        asked["text"] = Path(os.environ["TUNESMITH_SHARED"], "data", "text", "tinyshakespeare.txt.gz")
    found = simulate(case["model"], **asked, **case.get("settings", {})).as_dict()["measures"]
    return {
        name: {key: _short(one[key]) for key in ("mean", "standard_error", "expected", "apart")}
        for name, one in found.items()
    }


def _short(value: Any) -> Any:
    """Six digits; what is no number is null."""
    if isinstance(value, list):
        return [_short(one) for one in value]
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")


def table(rows: Sequence[Row]) -> str:
    """The theory, the picture, and the language model; the picture is drawn anew."""
    theory = [row for row in rows if row["case"]["model"] != "letters"]
    letters = [row for row in rows if row["case"]["model"] == "letters"]
    drawn = [_told(row) for row in theory if _in_picture(row["case"])] + _language(letters)
    from tunesmith.reports.recursion import picture

    PICTURE.write_text(picture(drawn), encoding="utf-8")
    shown = "![replace and accumulate: closed form over simulation, and a language model](recursion.svg)"
    return "\n\n".join([_theory(theory), shown, *([_perplexities(letters)] if letters else [])])


def _theory(rows: Sequence[Row]) -> str:
    heads = (
        "model",
        "regime",
        "",
        "replicates",
        "measure",
        "first",
        "last",
        "closed form of the last",
        "apart at most",
    )
    lines = []
    for row in rows:
        case = row["case"]
        said = ", ".join(str(value) for value in case["settings"].values())
        for name, one in row["measured"].items():
            if one["apart"] is None or name == "test_error":  # the excess error and a constant
                continue
            there = [place for place, value in enumerate(one["expected"]) if value is not None]
            ends = [f"{one['mean'][there[place]]:.4g} (generation {there[place] + 1})" for place in (0, -1)]
            last = f"{one['expected'][there[-1]]:.4g}"
            apart = f"{one['apart']:.2f}" + ("" if one["apart"] < BOUND else " **too far**")
            lines.append([case["model"], case["regime"], said, f"{case['replicates']:,}", name, *ends, last, apart])
    return markdown(heads, lines)


def _in_picture(case: dict[str, Any]) -> bool:
    if case["model"] == "gaussian":
        return case["regime"] in ("replace", "accumulate") and case["settings"]["estimator"] == "unbiased"
    return bool(case["model"] == "regression" and case["regime"] in ("replace", "accumulate"))


def _told(row: Row) -> dict[str, Any]:
    """One simulation as the picture takes it, with the measure that is drawn alone."""
    case = row["case"]
    designs = case["settings"].get("designs")
    name = case["regime"] + (f", {designs} designs" if designs else "")
    kept = {key: _numbers(one) for key, one in row["measured"].items() if key in DRAWN}
    return {**case, "name": name, "share": None, "measures": kept}


def _numbers(one: dict[str, Any]) -> dict[str, Any]:
    def found(values: Any) -> Any:
        return None if values is None else [np.nan if value is None else value for value in values]

    return {key: found(one[key]) for key in ("mean", "standard_error", "expected")}


def _language(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Mean and standard error over the seeds, by regime."""
    told = []
    for regime in ("replace", "accumulate"):
        some = [row for row in rows if row["case"]["regime"] == regime]
        if some:
            values = np.array([row["measured"]["perplexity"]["mean"] for row in some])
            error = (
                values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.full(GENERATIONS, np.nan)
            )
            one = {"mean": values.mean(axis=0).tolist(), "standard_error": error.tolist(), "expected": None}
            said = {"share": None, "name": regime, "replicates": len(values)}
            told.append({**some[0]["case"], **said, "measures": {"perplexity": one}})
    return told


def _perplexities(rows: Sequence[Row]) -> str:
    """A line a generation: the mean over the seeds with an interval of 95 % (Student's), and the difference of the regimes."""
    by = {
        regime: {row["case"]["seed"]: row["measured"] for row in rows if row["case"]["regime"] == regime}
        for regime in ("replace", "accumulate")
    }
    seeds = sorted(set(by["replace"]) & set(by["accumulate"]))
    if not seeds:
        return ""
    values = {
        (regime, name): np.array([by[regime][seed][name]["mean"] for seed in seeds])
        for regime in by
        for name in ("perplexity", "words", "tail")
    }
    apart = values["replace", "perplexity"] - values["accumulate", "perplexity"]
    lines = [
        [
            str(place + 1),
            *(_interval(values[regime, "perplexity"][:, place]) for regime in ("replace", "accumulate")),
            _interval(apart[:, place]),
            *(f"{values[regime, name][:, place].mean():.3g}" for name in ("words", "tail") for regime in by),
        ]
        for place in range(apart.shape[1])
    ]
    heads = ["generation", "perplexity, replace", "accumulate", "difference"]
    heads += ["real words, replace", "accumulate", "rare letters, replace", "accumulate"]
    return f"Language model, {len(seeds)} seeds, mean and interval of 95 %:\n\n" + markdown(heads, lines)


def _interval(values: np.ndarray) -> str:
    from scipy import stats

    if len(values) < 2:
        return f"{values.mean():.2f}"
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return f"{values.mean():.2f} ± {half:.2f}"
