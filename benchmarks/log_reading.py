"""Reading logs: seconds and memory of a large one, and what a small one costs from the start of the interpreter.

`large`: a log of the given size is made in a temporary folder and read in a fresh process. Loss, rate and gradient norm at each step,
and every thousandth row an evaluation. `seconds` is wall time of `read_log`, `cpu` the processor's, `before MB` the memory of the process
before it reads, imports included, `peak MB` the most it had; both grow with the log only if reading is not bounded. The csv cases with
`polars` false are read by the way of small files. `gz` is the same csv packed.
`small`: 200 rows; a fresh process that imports the readers and reads them. `seconds` is its wall time from start to end, `cpu` what the
processor spent, the start of Python included; medians of nine. On a machine that others use too, `cpu` is the number to go by.
"""

import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

GIGABYTE = 1 << 30
AT_ONCE = 20_000
ROUNDS = 9

FRESH = """
import time
began = time.process_time()
from tunesmith.runs.readers import read_log
ready = time.process_time()
history, = read_log(PATH)
print(began, ready - began, time.process_time() - ready)
"""


def cases() -> list[dict[str, Any]]:
    every: list[dict[str, Any]] = [{"what": "small", "kind": kind} for kind in ("csv", "jsonl", "printed")]
    every += [{"what": "large", "kind": kind, "bytes": GIGABYTE} for kind in ("csv", "jsonl", "printed")]
    every += [{"what": "large", "kind": kind, "bytes": GIGABYTE // 10} for kind in ("csv", "csv.gz")]
    every += [{"what": "large", "kind": "csv", "bytes": GIGABYTE // 10, "polars": False}]
    return every


def measure(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return large(case, Path(folder)) if case["what"] == "large" else small(case, Path(folder))


def large(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / f"log.{NAMES[case['kind']]}"
    rows = make(path, case["kind"], case["bytes"])
    from tunesmith.runs.readers import blocks, csv, read_log

    if not case.get("polars", True):
        csv.LARGE = blocks.LARGE = 1 << 62
    before = peak()
    began, busy = time.perf_counter(), time.process_time()
    (history,) = read_log(path)
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    loss = history.get("loss", "train")
    assert loss is not None
    assert loss.counted == rows, (loss.counted, rows)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "before MB": before,
        "peak MB": peak(),
        "rows": rows,
        "points kept": len(loss),
        "imported": [name for name in ("torch", "polars", "pandas") if name in sys.modules],
    }


def small(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / f"log.{NAMES[case['kind']]}"
    make(path, case["kind"], 200 * 40)
    program = FRESH.replace("PATH", repr(str(path)))
    walls, busy, imports, reads = [], [], [], []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        walls.append(time.perf_counter() - began)
        starting, importing, reading = map(float, done.stdout.split())
        busy.append(starting + importing + reading)
        imports.append(importing)
        reads.append(reading)
    middle = statistics.median  # the first has the files to be read from disk
    return {
        "seconds": middle(walls[1:]),
        "cpu": middle(busy[1:]),
        "cpu of import": middle(imports[1:]),
        "cpu of reading": middle(reads[1:]),
    }


NAMES = {"csv": "csv", "csv.gz": "csv.gz", "jsonl": "jsonl", "printed": "log"}
HEADS = {"csv": "epoch,step,train_loss,lr,grad_norm,val_loss,val_acc\n", "jsonl": "", "printed": ""}


def make(path: Path, kind: str, size: int) -> int:
    """Writes a log of about so many bytes; how many rows it has."""
    text = kind.removesuffix(".gz")
    opened: Callable[..., Any] = gzip.open if kind.endswith(".gz") else open
    draw = random.Random(0)
    written = step = 0
    with opened(path, "wt", encoding="utf-8") as file:
        file.write(HEADS[text])
        while written < size:
            chunk = "".join(
                ROWS[text](i, draw) for i in range(step, step + min(AT_ONCE, max((size - written) // 40, 100)))
            )
            step += chunk.count("\n") if text != "printed" else chunk.count("\nEpoch") + chunk.startswith("Epoch")
            written += len(chunk)
            file.write(chunk)
    return step


def values(step: int, draw: random.Random) -> Iterator[float]:
    loss = 2.3 / (1 + step / 1e5) + 0.1 * draw.random()
    yield from (loss, 1e-3 / (1 + step / 1e6), 1 + draw.random())


def csv_row(step: int, draw: random.Random) -> str:
    loss, lr, norm = values(step, draw)
    held = f"{loss + 0.1},0.5" if step % 1000 == 999 else ","
    return f"{step // 10_000},{step},{loss},{lr:.6e},{norm:.6f},{held}\n"


def jsonl_row(step: int, draw: random.Random) -> str:
    loss, lr, norm = values(step, draw)
    return (
        json.dumps({"epoch": step / 10_000, "step": step, "loss": loss, "learning_rate": lr, "grad_norm": norm}) + "\n"
    )


def printed_row(step: int, draw: random.Random) -> str:
    loss, lr, _ = values(step, draw)
    held = f"validation: loss {loss + 0.1:.4f}, accuracy 50.00%\n" if step % 1000 == 999 else ""
    return f"Epoch {step // 10_000} Step {step} | train loss {loss:.4f} | lr {lr:.2e} | 12.5 it/s | 0:01:02\n{held}"


ROWS: dict[str, Callable[[int, random.Random], str]] = {"csv": csv_row, "jsonl": jsonl_row, "printed": printed_row}


def peak() -> float:
    """Most memory of this process so far, in MB; 0 where the system does not tell."""
    if os.name == "nt":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
