"""How many epochs does a search need? The default search beside its peers at equal budget, counted in epochs, on one worker.

Harness, tasks and peers are those of a folder `bench_hpo` beside the project's shared files (`TUNESMITH_SHARED`); without it nothing can be
measured. A search sees the space, perhaps an expert's default configuration, and a function that trains a configuration up to an epoch and
gives its records; going on with a configuration costs the new epochs alone, for every search. The score is the lowest validation error of any
epoch so far. Regret is 0 at the best of 6,000 random full trainings (a search may go below) and 1 at the median one. Shown are the means
over tasks and seeds after 1, 2, 5, 10 and 20 full trainings, with the interval of 95 % of a bootstrap over tasks and seeds, the worst
tenth, and the mean rank among the searches without a misleading prior over the pairs of task and seed that all of them have.

* Recorded real curves: tables of 400 to 700 trainings a task, through a surrogate of extra trees. The first three tasks (`sur:`) and two of
  `search_tables/` were in view when the constants of the default search were chosen; two were held back (`search_tables/split.toml`).
* `live:` the trainings themselves; `yahpo:` a smooth surrogate of Auto-PyTorch whose corners pay, for which `corners` stands beside: every
  number at an end of its range.
* `ours -part`: without one ingredient; `+cost`: with the seconds of a training weighed. Recorded curves know no causes, so `-cause` is
  the same there. The guard costs with a good expert and is for the misleading one: its line with `bad` stands beside that of `ours` above.
* prior: `good` the expert's default, `none` kept back, `bad` the second worst of a hundred random configurations that did not diverge.
"""

import importlib
import json
import os
import random
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import mean
from typing import Any

HARNESS = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "bench_hpo"
POINTS = ("1", "2", "5", "10", "20")
BLOCK = 5  # seeds of one case
BLOCKS = 2
PRIORS = ("good", "none", "bad")
BUDGET = 20
ANYWHERE = True  # epochs are counted, not seconds: a case that was measured elsewhere is not measured again
TABLES = Path(__file__).resolve().parent / "search_tables"
SPLIT = tomllib.loads((TABLES / "split.toml").read_text(encoding="utf-8"))
SUR = ("sur:diamonds300_mlp", "sur:digits300_mlp", "sur:digits_gru")
OWN = tuple(f"own:{task}" for task in (*SPLIT["open"], *SPLIT["held"]))
IN_VIEW = (*SUR, *(f"own:{task}" for task in SPLIT["open"]))
LIVE = ("live:diamonds300_mlp", "live:digits300_mlp")
YAHPO_TASKS = (
    126025, 126029, 167104, 167152, 167168, 167184, 167190, 167201, 168330,
    168335, 168908, 189354, 189865, 189873, 189906, 189909, 3945,
)  # fmt: skip
YAHPO = tuple(f"yahpo:{task}" for task in YAHPO_TASKS)
PARTS = ("expert", "experience", "guard", "curve", "promotion", "balance", "cause")
OURS = "search-own"
FIRST = (
    "random", "prior_local", "optuna_tpe_hb_prior", "neps_priorband", "optuna_gp_prior_s4", "optuna_tpe_prior", "optuna_gp",
    "optuna_tpe_hb", "neps_hyperband", "dehb",
)  # fmt: skip
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
    """Ours, then the peers that matter most, block after block of seeds; the smooth surrogate, real trainings, ablations."""
    found = []
    named = [(name, environment) for environment, names in PEERS.items() for name in names]
    named.sort(key=lambda one: FIRST.index(one[0]) if one[0] in FIRST else len(FIRST))
    for block in range(BLOCKS):
        seeds = [block * BLOCK, (block + 1) * BLOCK]
        found += [case(bench, "ours", prior, seeds, OURS) for prior in PRIORS for bench in (*SUR, *OWN)]
        for name, environment in named[: len(FIRST)]:
            found += [case(bench, name, prior, seeds, environment) for prior in priors(name) for bench in (*SUR, *OWN)]
    few = [
        ("random", "search-a"),
        ("corners", "search-a"),
        ("optuna_tpe_hb_prior", "search-a"),
        ("prior_local", "search-a"),
    ]
    few += [("neps_priorband", "search-b"), ("optuna_gp_prior_s4", "search-a")]
    for benches, seeds in ((LIVE, [0, 3]), (YAHPO, [0, 1])):
        known = (
            PRIORS if benches is YAHPO else PRIORS[:2]
        )  # a misleading prior of real trainings would cost a hundred of them
        found += [case(bench, "ours", prior, seeds, OURS) for prior in known for bench in benches]
        chosen = [one for one in few if one[0] != "corners" or benches is YAHPO]
        found += [case(bench, name, priors(name)[0], seeds, env) for name, env in chosen for bench in benches]
    for name in (*(f"ours -{part}" for part in PARTS), "ours +cost"):
        found += [case(bench, name, "good", [0, BLOCK], OURS) for bench in IN_VIEW]
        found += [case(bench, name, "good", [0, 3], OURS) for bench in LIVE]
    found += [case(bench, "ours -guard", "bad", [0, BLOCK], OURS) for bench in IN_VIEW]
    for block in range(BLOCKS):
        seeds = [block * BLOCK, (block + 1) * BLOCK]
        for name, environment in named[len(FIRST) :]:
            found += [case(bench, name, prior, seeds, environment) for prior in priors(name) for bench in SUR]
    return found


def priors(name: str) -> tuple[str, ...]:
    return ("good", "bad") if uses_prior(name) else ("none",)


def case(bench: str, name: str, prior: str, seeds: Sequence[int], environment: str) -> dict[str, Any]:
    return {"bench": bench, "search": name, "prior": prior, "seeds": list(seeds), "env": environment}


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Of each seed the trace of best scores by epochs spent, the trials begun, and the seconds of processor the search itself took."""
    library = harness("benchlib")
    bench, (low, median) = bench_of(case["bench"], library)
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


def bench_of(name: str, library: Any) -> tuple[Any, tuple[float, float]]:
    """A task of the harness, or of a table of ours; and the best of 6,000 random full trainings with the median one."""
    if not name.startswith("own:"):
        return library.get(name), library.reference(name)
    import numpy as np
    from sklearn.ensemble import ExtraTreesRegressor

    class Table(library.Surrogate):  # type: ignore[misc]
        """As its base, of a table that lies elsewhere."""

        def __init__(self, task: str) -> None:
            real = harness("realtasks")
            self.space, self.prior, self.max_fid, self.task = real.SPACE, real.DEFAULT, real.MAX_EPOCHS, task
            held = np.load(TABLES / f"{task}.npz", allow_pickle=False)
            self.cfgs = json.loads(str(held["configs"]))
            curves = np.nan_to_num(np.clip(held["curves"][:, :3], 1e-4, 1e4), nan=1e4, posinf=1e4)
            self.m = ExtraTreesRegressor(n_estimators=100, max_features=0.7, random_state=0, n_jobs=1)
            self.m.fit(np.array([self.enc(one) for one in self.cfgs]), np.log(curves).reshape(len(self.cfgs), -1))

    bench = Table(name.removeprefix("own:"))
    drawn = np.random.RandomState(0)  # as `reference` of the harness
    scores = bench.predict([library.sample(bench.space, drawn) for _ in range(6000)])[:, 2]
    return bench, (float(scores.min()), float(np.median(scores[:, -1])))


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

    without = {part.strip(): False for part in name.split("-")[1:]} | ({"cost": True} if name.endswith("+cost") else {})
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
    for title, benches in (
        ("Recorded real curves, in view when the constants were chosen", IN_VIEW),
        ("Recorded real curves, held back", tuple(f"own:{task}" for task in SPLIT["held"])),
        ("Real trainings", LIVE),
        ("The smooth surrogate", YAHPO),
    ):
        here = of_benches({named: runs for named, runs in found.items() if " " not in named[0]}, benches)
        if here:
            parts += [f"## {title}", part(here)]
    for title, benches in (
        ("Without one ingredient: recorded real curves in view", IN_VIEW),
        ("Without one ingredient: real trainings", LIVE),
    ):
        here = of_benches(
            {named: runs for named, runs in found.items() if named[0].startswith("ours") and named[1] == "good"},
            benches,
        ) | of_benches({named: runs for named, runs in found.items() if named[0] == "ours -guard"}, benches)
        if len(here) > 1:
            pairs = set.intersection(*(set(runs) for runs in here.values()))
            parts += [
                f"## {title}",
                part({named: {pair: runs[pair] for pair in pairs} for named, runs in here.items()}),
            ]
    return "\n\n".join(parts)


def of_benches(
    found: dict[tuple[str, str], dict[tuple[str, int], list[float]]], benches: Sequence[str]
) -> dict[tuple[str, str], dict[tuple[str, int], list[float]]]:
    here = {named: {pair: one for pair, one in runs.items() if pair[0] in benches} for named, runs in found.items()}
    return {named: runs for named, runs in here.items() if runs}


def part(found: dict[tuple[str, str], dict[tuple[str, int], list[float]]]) -> str:
    """A line a search; ranks among those that have all pairs and no misleading prior."""
    from tables import markdown

    largest = max(len(runs) for runs in found.values())
    whole = {named: runs for named, runs in found.items() if len(runs) == largest and named[1] != "bad"}
    pairs = set.intersection(*(set(runs) for runs in whole.values())) if whole else set()
    lines = []
    for named, runs in found.items():
        ranks = [f"{ranked(named, whole, pairs, point):.1f}" if named in whole else "" for point in (2, 3, 4)]
        values = list(runs.values())
        worst = [f"{sorted(one[point] for one in values)[int(0.9 * (len(values) - 1))]:.2f}" for point in (2, 4)]
        cells = [shown(values, point) for point in range(5)]
        lines.append((mean(one[4] for one in values), [*named, *cells, *ranks, *worst, str(len(values))]))
    points = [f"at {point}" for point in POINTS]
    ranks = ["rank at 5", "at 10", "at 20"]
    return markdown(
        ["search", "prior", *points, *ranks, "worst tenth at 5", "at 20", "runs"], [line for _, line in sorted(lines)]
    )


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
