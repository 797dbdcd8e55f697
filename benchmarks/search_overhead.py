"""Seconds of processor for one suggestion, with 100, 1,000 and 10,000 finished trials in the history, beside the peers.

The space is that of the harness `bench_hpo` (`TUNESMITH_SHARED`): 13 parameters, mixed and conditional. Ours: one `ask` and one `tell` of
`Search`; a median and a mean over 15 suggestions, since the model is fitted anew only now and then. Peers: `overhead.py` of the harness, a
median of 3.
`megabytes` is the largest memory of the process. Wanted: 20, 50 and 200 milliseconds, or no more than the fastest model-based peer.
"""

import json
import math
import resource
import statistics
import sys
import time
from typing import Any

from search import harness

COUNTS = (100, 1000, 10_000)
OURS = ("ours", "ours tpe", "ours gp")
PEERS = {"search-a": ("optuna_tpe", "optuna_gp", "hyperopt_tpe"), "search-b": ("neps_bo",)}
SUGGESTIONS = 15
SLOW = {"optuna_gp": 1000, "neps_bo": 100}  # trials beyond which a peer takes longer than anybody would wait
EPOCHS = 27


def cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for count in COUNTS:
        found += [{"search": name, "trials": count, "env": "search-own"} for name in OURS]
        found += [
            {"search": name, "trials": count, "env": environment}
            for environment, names in PEERS.items()
            for name in names
            if count <= SLOW.get(name, count)
        ]
    return found


def measure(case: dict[str, Any]) -> dict[str, Any]:
    library = harness("realtasks" if case["search"].startswith("ours") else "overhead")
    if case["search"].startswith("ours"):
        taken = ours(case["search"], case["trials"], library.SPACE)
    else:
        taken = [library.run(case["search"], library.SP["real13"], case["trials"])]
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"median": statistics.median(taken), "mean": statistics.mean(taken), "megabytes": round(largest)}


def ours(name: str, count: int, space: dict[str, Any]) -> list[float]:
    """Three quarters of the trials at rest, the others at their end, as a search by rungs leaves them."""
    import numpy as np

    from tunesmith.records import Trial
    from tunesmith.search.ask import Search

    sampler = name.removeprefix("ours").strip() or "auto"
    search = Search(space, EPOCHS, sampler=sampler, budget="auto" if sampler == "auto" else "full", seed=0)
    rng = np.random.default_rng(0)
    for id in range(count):
        config = search.space.sample(rng)
        level = sum((unit - 0.4) ** 2 for unit in search.space.to_units(config).values())
        units = EPOCHS if sampler != "auto" or rng.uniform() < 0.25 else 3
        records = tuple({"score": level + math.exp(-epoch / 9)} for epoch in range(1, units + 1))
        state = "done" if units == EPOCHS else "paused"
        search.trials.put(Trial(id=id, change=config, records=records, state=state, spent=float(units)))
    taken = []
    for _ in range(SUGGESTIONS + 1):
        began = time.process_time()
        proposal = search.ask()
        search.tell(proposal.trial, [{"score": 2.0 - epoch / 100} for epoch in range(proposal.start, proposal.upto)])
        taken.append(time.process_time() - began)
    return taken[1:]  # the first reads the history


if __name__ == "__main__":
    print(json.dumps(measure(json.loads(sys.argv[1]))))
