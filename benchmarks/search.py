"""How many epochs does a search need? The default search beside its peers at equal budget, counted in epochs, on one worker.

Harness, tasks and peers are those of a folder `bench_hpo` beside the project's shared files (`TUNESMITH_SHARED`); without it nothing can be
measured. A search sees the space, perhaps an expert's default configuration, and a function that trains a configuration up to an epoch and
gives its records; going on with a configuration costs the new epochs alone, for every search. The score is the lowest validation error of any
epoch so far. Regret is 0 at the best of 6,000 random full trainings (a search may go below) and 1 at the median one. Shown are the means
over tasks and seeds after 1, 2, 5, 10 and 20 full trainings, with the interval of 95 % of a bootstrap over tasks and seeds, the worst
tenth, and the mean rank among the searches of the table over the pairs of task and seed that all of them have.

* `sur:` recorded curves of real trainings through a surrogate of extra trees, `live:` the trainings themselves, `yahpo:` a smooth surrogate of
  Auto-PyTorch whose corners pay, for which `corners` stands beside: every number at an end of its range.
* prior: `good` the expert's default, `none` kept back, `bad` the second worst of a hundred random configurations that did not diverge.
"""

import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import mean
from typing import Any

HARNESS = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "bench_hpo"
POINTS = ("1", "2", "5", "10", "20")
BLOCK = 5  # seeds of one case
BLOCKS = 2
BUDGET = 20
SUR = ("sur:diamonds300_mlp", "sur:digits300_mlp", "sur:digits_gru")
LIVE = ("live:diamonds300_mlp", "live:digits300_mlp", "live:digits_gru")
OURS = "search-own"
FIRST = ("random", "prior_local", "optuna_tpe_prior", "optuna_tpe_hb_prior", "optuna_gp_prior_s4", "neps_priorband")
PEERS = {  # by environment
    "search-a": (
        "optuna_gp_prior_s4", "optuna_tpe_prior", "optuna_tpe_hb_prior", "optuna_tpe_hb", "optuna_gp", "optuna_gp_prior",
        "prior_local", "random", "corners", "optuna_tpe", "optuna_tpe_sha_prior", "optuna_tpe_sha", "optuna_tpe_median",
        "hyperopt_tpe", "smac_hpo", "smac_mf", "syne_asha", "syne_bohb", "syne_ashacqr", "syne_ashabore", "syne_cqr",
        "optuna_cmaes",
    ),
    "search-b": ("neps_priorband", "neps_priorband_bo", "neps_hyperband", "neps_asha", "neps_bo", "neps_pibo"),
    "search-c": ("dehb",),
}  # fmt: skip
BY_PRIOR = ("prior_local", "neps_priorband", "neps_priorband_bo", "neps_pibo")  # and those whose name says so


def uses_prior(name: str) -> bool:
    return "prior" in name or name in BY_PRIOR


def cases() -> list[dict[str, Any]]:
    """Ours, then the peers that matter most, block after block of seeds."""
    found = []
    for block in range(BLOCKS):
        seeds = [block * BLOCK, (block + 1) * BLOCK]
        found += [case(bench, "ours", prior, seeds, OURS) for prior in ("good", "none", "bad") for bench in SUR]
        named = [(name, environment) for environment, names in PEERS.items() for name in names]
        named.sort(key=lambda one: FIRST.index(one[0]) if one[0] in FIRST else len(FIRST))
        for name, environment in named:
            priors = ("good", "bad") if uses_prior(name) else ("none",)
            found += [case(bench, name, prior, seeds, environment) for prior in priors for bench in SUR]
    return found


def case(bench: str, name: str, prior: str, seeds: Sequence[int], environment: str) -> dict[str, Any]:
    return {"bench": bench, "search": name, "prior": prior, "seeds": list(seeds), "env": environment}


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Of each seed the trace of best scores by epochs spent, the trials begun, and the seconds of processor the search itself took."""
    library = harness("benchlib")
    bench = library.get(case["bench"])
    low, median = library.reference(case["bench"])
    # a search without the prior gets the good one and does not look at it, but for ours, which would
    prior = case["prior"] if case["search"].startswith("ours") or case["prior"] != "none" else "good"
    found: list[dict[str, Any]] = []
    for seed in range(*case["seeds"]):
        session = library.Session(bench, BUDGET, seed, prior)
        began = time.process_time()
        with suppress(library.BudgetExhausted):
            searcher(case["search"])(session, seed)
        own = time.process_time() - began - session.objective_s
        trace = [[spent, round(score, 6)] for spent, score in session.trace]
        found.append({"seed": seed, "trace": trace, "trials": session.n_configs, "seconds": round(own, 3)})
    return {"runs": found, "reference": [low, median], "full": bench.max_fid}


def harness(module: str) -> Any:
    """A module of the harness, with one thread for everything."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    if str(HARNESS) not in sys.path:
        sys.path.insert(0, str(HARNESS))
    return importlib.import_module(module)


def searcher(name: str) -> Callable[[Any, int], None]:
    if name.startswith("ours"):
        return lambda session, seed: ours(session, seed, name)
    found: Callable[[Any, int], None] = harness("optimizers").REG[name]
    return found


def ours(session: Any, seed: int, name: str = "ours") -> None:
    """The default search; `ours -part` without one of its parts."""
    from tunesmith.search import Exhausted
    from tunesmith.search.ask import Search

    without = {part.strip(): False for part in name.split("-")[1:]}
    search = Search(session.space, session.max_fid, total=session.total, prior=session.prior, seed=seed, **without)
    while True:
        try:
            proposal = search.ask()
        except Exhausted:
            return
        records = session.train(dict(proposal.config), proposal.upto)
        search.tell(proposal.trial, [told(record) for record in records])


def told(record: dict[str, Any]) -> dict[str, Any]:
    return {"score": record["val_err"]} | {
        key: record[key] for key in ("train_loss", "val_loss", "seconds") if key in record
    }


# The page


def regret(run: dict[str, Any], measured: dict[str, Any]) -> list[float]:
    low, middle = measured["reference"]
    found = []
    for point in POINTS:
        reached = [score for spent, score in run["trace"] if spent <= int(point) * measured["full"]]
        found.append(max(-1.0, (reached[-1] - low) / (middle - low)) if reached else 1.0)
    return found


def collected(rows: Sequence[Any]) -> dict[tuple[str, str], dict[tuple[str, int], list[float]]]:
    """Regrets by search and prior, then by task and seed."""
    found: dict[tuple[str, str], dict[tuple[str, int], list[float]]] = {}
    for row in rows:
        named = (row["case"]["search"], row["case"]["prior"])
        for run in row["measured"]["runs"]:
            found.setdefault(named, {})[row["case"]["bench"], run["seed"]] = regret(run, row["measured"])
    return found


def table(rows: Sequence[Any]) -> str:
    found = collected(rows)
    parts = []
    for kind, title in (
        ("sur:", "Recorded real curves"),
        ("live:", "Real trainings"),
        ("yahpo:", "The smooth surrogate"),
    ):
        here = {
            named: {pair: one for pair, one in runs.items() if pair[0].startswith(kind)}
            for named, runs in found.items()
        }
        here = {named: runs for named, runs in here.items() if runs}
        if here:
            parts += [f"## {title}", part(here)]
    return "\n\n".join(parts)


def part(found: dict[tuple[str, str], dict[tuple[str, int], list[float]]]) -> str:
    from tables import markdown

    largest = max(len(runs) for runs in found.values())
    whole = {named: runs for named, runs in found.items() if len(runs) == largest}
    pairs = set.intersection(*(set(runs) for runs in whole.values()))
    lines = []
    for named, runs in found.items():
        ranks = [f"{ranked(named, whole, pairs, point):.1f}" if named in whole else "" for point in (2, 3, 4)]
        values = list(runs.values())
        worst = sorted(one[4] for one in values)[int(0.9 * (len(values) - 1))]
        cells = [shown(values, point) for point in range(5)]
        lines.append((mean(one[4] for one in values), [*named, *cells, *ranks, f"{worst:.2f}", str(len(values))]))
    header = [
        "search",
        "prior",
        *(f"at {point}" for point in POINTS),
        "rank at 5",
        "at 10",
        "at 20",
        "worst tenth at 20",
        "runs",
    ]
    return markdown(header, [line for _, line in sorted(lines)])


def shown(values: Sequence[Sequence[float]], point: int) -> str:
    drawn = random.Random(0)
    here = [one[point] for one in values]
    means = sorted(mean(drawn.choices(here, k=len(here))) for _ in range(400))
    return f"{mean(here):.3f} [{means[10]:.3f}, {means[-11]:.3f}]"


def ranked(named: Any, whole: dict[Any, Any], pairs: set[Any], point: int) -> float:
    def rank(pair: Any) -> float:
        mine = whole[named][pair][point]
        others = [runs[pair][point] for other, runs in whole.items() if other != named]
        return 1 + sum(one < mine - 1e-12 for one in others) + 0.5 * sum(abs(one - mine) <= 1e-12 for one in others)

    return mean(rank(pair) for pair in pairs)


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
