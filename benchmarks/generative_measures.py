"""Measures of generators on given features: time and memory beside torch-fidelity and prdc.

Features like those of Inception: single precision, 2,048 columns, a rectified mixture of 64 hidden numbers; `rows` real and as many
generated ones, a little shifted. FID, KID over 100 parts of 1,000, and the neighbours of precision and recall at k = 5: `prdc`
gives density and coverage too, torch-fidelity precision and recall alone (in two ways: `whole`, and `by parts`, its own switch for
less memory). All pairs of KID have no peer.

`seconds` of the CPU and `wall` with the threads of the machine line; `memory` is the most held beyond the features, in GiB. Ratios are
to ours of the same round, above 1 where ours takes less. A process may hold 16 GiB; one that asks for more says so. `value` shows
that the same was computed: FID, mean of KID (parts are drawn by each in its own way), precision.
"""

import math
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tables import Row, by_case, markdown, middle, ratio

ROWS, FEATURES, HIDDEN = (10_000, 50_000), 2048, 64
LIMIT_GIB, NEIGHBOURS, PARTS, SIZE = 16, 5, 100, 1000
WAYS = {  # by whom, of each measure; ours first
    "fid": ("tunesmith", "torch-fidelity"),
    "kid in parts": ("tunesmith", "torch-fidelity"),
    "kid of all pairs": ("tunesmith",),
    "prdc": ("tunesmith", "prdc", "torch-fidelity whole", "torch-fidelity by parts"),
}


def cases() -> list[dict[str, Any]]:
    return [
        {"measure": name, "by": by, "rows": rows, "env": "generative"}
        for rows in ROWS
        for name, ways in WAYS.items()
        for by in ways
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Time, memory beyond the features, and the value."""
    real, made = (features(case["rows"], seed) for seed in (0, 1))
    run = way(case["measure"], case["by"])
    held = used_gib()
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_GIB * 2**30,) * 2)
    wall, began = time.perf_counter(), time.process_time()
    try:
        value = run(real, made)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        return {"value": f"more than {LIMIT_GIB} GiB"}
    return {
        "seconds": time.process_time() - began,
        "wall": time.perf_counter() - wall,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 - held,
        "value": value,
    }


def features(rows: int, seed: int) -> np.ndarray:
    """(rows, 2048) in single precision; those of seed 1 are the generated ones."""
    mixing = np.random.default_rng(99).normal(size=(HIDDEN, FEATURES)).astype(np.float32) / math.sqrt(HIDDEN)
    hidden = np.random.default_rng(seed).normal(size=(rows, HIDDEN)).astype(np.float32)
    found = (hidden + np.float32(0.1 * seed)) @ mixing
    return np.maximum(found, 0, out=found)


def used_gib() -> float:
    """What the process holds now."""
    with open("/proc/self/status", encoding="utf-8") as file:
        line = next(one for one in file if one.startswith("VmRSS"))
    return int(line.split()[1]) / 2**20


def way(name: str, by: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """A function of both features; what it needs is imported now."""
    if by == "tunesmith":
        return ours(name)
    if by == "prdc":
        from prdc import compute_prdc

        return lambda real, made: float(compute_prdc(real, made, nearest_k=NEIGHBOURS)["precision"])
    return fidelity(name, by)


def ours(name: str) -> Callable[[np.ndarray, np.ndarray], float]:
    from tunesmith.generative import frechet_distance, kernel_distance, prdc

    return {
        "fid": lambda real, made: frechet_distance(real, made).value,
        "kid in parts": lambda real, made: kernel_distance(real, made, parts=PARTS, size=SIZE).value,
        "kid of all pairs": lambda real, made: kernel_distance(real, made).value,
        "prdc": lambda real, made: prdc(real, made, k=NEIGHBOURS).precision,
    }[name]


def fidelity(name: str, by: str) -> Callable[[np.ndarray, np.ndarray], float]:
    import torch
    from torch_fidelity import metric_fid, metric_kid, metric_prc

    def fid(real: np.ndarray, made: np.ndarray) -> float:
        both = (metric_fid.fid_features_to_statistics(torch.from_numpy(one)) for one in (real, made))
        return metric_fid.fid_statistics_to_metric(*both, False)[metric_fid.KEY_METRIC_FID]

    def kid(real: np.ndarray, made: np.ndarray) -> float:
        found = metric_kid.kid_features_to_metric(
            torch.from_numpy(made), torch.from_numpy(real), kid_subsets=PARTS, kid_subset_size=SIZE, verbose=False
        )
        return found[metric_kid.KEY_METRIC_KID_MEAN]

    def prc(real: np.ndarray, made: np.ndarray) -> float:
        found = metric_prc.prc_features_to_metric(
            *(torch.from_numpy(one) for one in (made, real)),
            prc_neighborhood=NEIGHBOURS,
            save_cpu_ram=by.endswith("parts"),
            verbose=False,
        )
        return found[metric_prc.KEY_METRIC_PRECISION]

    return {"fid": fid, "kid in parts": kid, "prdc": prc}[name]


def table(rows: list[Row]) -> str:
    """A line for each case, with the ratios to ours of the same measure, number of rows and machine."""
    groups = by_case(rows)
    lines = []
    for group in groups:
        case = group[0]["case"]
        base = next((one for one in groups if is_base(one[0], group[0])), [])
        cells = [case["measure"], case["by"], f"{case['rows']:,}"]
        for number in ("seconds", "wall", "memory"):
            found = [row for row in group if number in row["measured"]]
            times = ratio(found, [row for row in base if number in row["measured"]], number) if found else None
            told = middle(row["measured"].get(number) for row in group)
            cells.append(told + (f" (× {times:.2f})" if times is not None and case["by"] != "tunesmith" else ""))
        lines.append([*cells, middle(row["measured"]["value"] for row in group), str(len(group))])
    return markdown(["measure", "by", "rows", "seconds", "wall", "memory", "value", "rounds"], lines)


def is_base(one: Row, other: Row) -> bool:
    """Whether a row is ours of what the other measured."""
    same = all(one["case"][name] == other["case"][name] for name in ("measure", "rows"))
    return same and one["machine"] == other["machine"] and one["case"]["by"] == "tunesmith"
