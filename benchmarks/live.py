"""The live page: how soon a long run is open, what the server holds while many watch, and what a training loses by being watched.

`opened`: ten million points of one run, as 20 signals of 500,000 updates and as one signal of ten million. A server is started; `start s` is
until it gives its address, `open s` what the page of the run asks for first (the list, the run, four curves of 1000 stretches), `again s`
the same once more, `zoom s` a hundredth in the middle, `exact s` 500 updates, each point as it was written. `MB` is what the server holds
before, `MB open` after.

`watched`: 20 runs that grow at once, 8 pages that follow all of them, in compressed time: each run writes 500 updates a second of three
signals, so that a minute is an hour of a run with 8 updates a second. `MB early`, `MB late`: what the server holds after a fifth of the time
and at its end. `CPU share`: of one core, that the server took. `points` and `behind`: points that the pages were sent (thinned), and how
often one was told to begin anew for it did not keep up.

`slowed`: a training (`fit` of an MLP on 1,500 rows of digits in a run folder; without the probes, whose share of the time would even out what is
looked for) goes on, and 8 pages follow it for some seconds, then none do, in turn. `ratio`: updates a second of the wall without the pages
over with them, from neighbouring stretches, the median with the quartiles; `ratio CPU` the same of the processor's seconds an update takes, which
what else runs on the machine touches less. `server CPU`: of one core, that the server takes while 8 pages follow. Wanted: 1.02.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tables import by_case, markdown

from tunesmith.records import Recipe
from tunesmith.runs import Run

POINTS, WANTED, TELLING = 1000, 1.02, 0.05
RUNS, VIEWERS, SECONDS, EACH_SECOND = 20, 8, 60, 500
PAIRS, STRETCH = 24, 4.0  # seconds


def cases() -> list[dict[str, Any]]:
    opened = [{"what": "opened", "names": names, "steps": 10_000_000 // names} for names in (20, 1)]
    watched = {"what": "watched", "runs": RUNS, "viewers": VIEWERS, "seconds": SECONDS, "updates a second": EACH_SECOND}
    return [*opened, watched, {"what": "slowed", "viewers": VIEWERS, "pairs": PAIRS, "stretch": STRETCH}]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        return MEASURES[case["what"]](case, Path(folder))


def opened(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    names = ["loss", "grad_norm", "lr", "val_loss", *(f"signal_{number}" for number in range(16))][: case["names"]]
    write_long(folder / "run", names, case["steps"])
    with served(folder) as server:
        before = held_mb(server.process.pid)
        first = server.timed(lambda: look(server, names[:4]))
        after = held_mb(server.process.pid)
        again = [server.timed(lambda: look(server, names[:4])) for _ in range(5)]
        middle, width = case["steps"] // 2, case["steps"] // 100
        zoom = [server.timed(lambda: server.curves(names[:1], middle, middle + width)) for _ in range(5)]
        exact = [server.timed(lambda: server.curves(names[:1], middle, middle + 499)) for _ in range(5)]
        found = server.curves(names[:1], middle, middle + 499)["curves"][0]
        assert found["exact"], "a narrow window is not thinned"
        assert len(found["steps"]) == 500, "a point is missing"
        return {
            "start s": server.start,
            "open s": first,
            "again s": statistics.median(again),
            "zoom s": statistics.median(zoom),
            "exact s": statistics.median(exact),
            "MB": before,
            "MB open": max(after, held_mb(server.process.pid)),
        }


def watched(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    writer = role("write", str(folder), str(case["runs"]), str(case["seconds"]), str(case["updates a second"]))
    until((folder / "ready").exists)
    with served(folder) as server, viewed(server.url, case["viewers"], ["loss", "grad_norm"]) as told:
        began, cpu = time.monotonic(), processor_seconds(server.process.pid)
        held = []
        while writer.poll() is None:
            held.append(held_mb(server.process.pid))
            time.sleep(0.5)
        share = (processor_seconds(server.process.pid) - cpu) / (time.monotonic() - began)
    return {
        "MB early": statistics.median(held[len(held) // 5 : len(held) // 5 + 5]),
        "MB late": statistics.median(held[-5:]),
        "MB at most": max(held),
        "CPU share": share,
        "points": sum(one["points"] for one in told),
        "behind": sum(one["anew"] for one in told),
    }


def slowed(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    names = ["loss", "grad_norm", "lr", "val_loss", "epoch.train_loss", "score"]
    process = role("train", str(folder / "run"))
    read: list[tuple[float, float, int]] = []
    threading.Thread(target=lambda: read.extend(map(json.loads, process.stdout or ())), daemon=True).start()
    until(lambda: len(read) > 5)
    found: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    shares: list[float] = []
    with served(folder) as server:
        for number in range(2 * case["pairs"]):
            seen = number % 2 == 1
            viewers = viewed(server.url, case["viewers"] if seen else 0, names)
            with viewers:
                time.sleep(1.0)  # they begin
                start, before = len(read), processor_seconds(server.process.pid)
                time.sleep(case["stretch"])
                stretch, took = read[start:], processor_seconds(server.process.pid) - before
            shares += [took / case["stretch"]] if seen else []
            (wall, cpu, step), (last_wall, last_cpu, last) = stretch[0], stretch[-1]
            found[seen].append(((last_wall - wall) / (last - step), (last_cpu - cpu) / (last - step)))
    process.kill()
    process.wait()
    walls, processors = (
        [seen[kind] / alone[kind] for seen, alone in zip(found[True], found[False], strict=True)] for kind in (0, 1)
    )
    told: dict[str, Any] = {}
    for name, ratios in (("ratio", walls), ("ratio CPU", processors)):
        low, middle, high = statistics.quantiles(ratios, n=4)
        told |= {name: middle, f"{name}, quartiles": f"{low:.3f} to {high:.3f}"}
    told["server CPU"] = statistics.mean(shares)
    return told | {"updates a second": 1 / statistics.median(wall for wall, _ in found[False])}


MEASURES = {"opened": opened, "watched": watched, "slowed": slowed}


# The server, and those who look


class Served:
    """A server in a process of its own, and what asks it."""

    def __init__(self, folder: Path) -> None:
        began = time.perf_counter()
        words = [sys.executable, "-m", "tunesmith.cli", "live", str(folder), "--port", "0", "--json"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.start = time.perf_counter() - began

    def ask(self, path: str, **query: Any) -> Any:
        return ask(self.url, path, **query)

    def curves(self, names: list[str], first: int | None = None, last: int | None = None) -> Any:
        window = {} if first is None else {"first": first, "last": last}
        return self.ask("curves", id="run", points=POINTS, signal=[json.dumps([name, ""]) for name in names], **window)

    @staticmethod
    def timed(call: Any) -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began


def ask(url: str, path: str, **query: Any) -> Any:
    with urllib.request.urlopen(f"{url}api/{path}?{urllib.parse.urlencode(query, doseq=True)}", timeout=60) as answer:
        return json.loads(answer.read())


def look(server: Served, names: list[str]) -> None:
    """What the page of a run asks for first."""
    assert server.ask("items")["items"], "no run was found"
    server.ask("place", id="run")
    for name in names:  # a chart each
        server.curves([name])


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    server = Served(folder)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait()


@contextmanager
def viewed(url: str, count: int, names: list[str]) -> Iterator[list[dict[str, int]]]:
    """So many pages that follow all runs there, and what each of them is told."""
    told = [{"points": 0, "anew": 0} for _ in range(count)]
    over = threading.Event()
    threads = [threading.Thread(target=follow, args=(url, names, one, over), daemon=True) for one in told]
    for thread in threads:
        thread.start()
    yield told
    over.set()
    for thread in threads:
        thread.join(20)


def follow(url: str, names: list[str], told: dict[str, int], over: threading.Event) -> None:
    """A page: what is there, then what comes, until it is over."""
    wishes = {}
    for one in ask(url, "items")["items"]:
        keys = [json.dumps([name, ""]) for name in names]
        read = ask(url, "curves", id=one["id"], points=300, signal=keys)
        wishes[one["id"]] = {"row": read["row"], "signals": [[name, ""] for name in names], "events": True}
    query = urllib.parse.urlencode({"wishes": json.dumps(wishes)})
    try:
        with urllib.request.urlopen(f"{url}api/stream?{query}", timeout=60) as stream:
            for line in stream:
                if over.is_set():
                    return
                if line.startswith(b"data: "):
                    message = json.loads(line[6:])
                    told["anew"] += message["kind"] == "anew"
                    told["points"] += sum(len(curve["steps"]) for curve in message.get("curves", ()))
    except OSError:
        return


def until(true: Any, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it does not begin"
        time.sleep(0.05)


def held_mb(pid: int) -> float:
    """What a process holds now."""
    told = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(told["VmRSS"].split()[0]) / 2**10


def processor_seconds(pid: int) -> float:
    """Seconds of the processor that a process took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Those who write


def role(name: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, __file__, name, *words], stdout=subprocess.PIPE, text=True)


def write_long(folder: Path, names: list[str], steps: int, flush: int = 5000) -> None:
    """A run with so many updates, written as a training writes."""
    generator = np.random.default_rng(0)
    with Run.create(folder, recipe=Recipe(), info={"steps": steps}).writer() as writer:
        writer.begin_attempt()
        for start in range(1, steps + 1, flush):
            at = np.arange(start, min(start + flush, steps + 1))
            for name in names:
                writer.add(name, at, 1 + 100 / at + 0.1 * generator.normal(size=len(at)))
            writer.flush()
        writer.set_status("finished")


def write(folder: str, runs: str, seconds: str, each_second: str) -> None:
    """Runs that grow at once."""
    made = [Run.create(Path(folder) / f"run-{number:02d}", recipe=Recipe()) for number in range(int(runs))]
    writers = [run.writer() for run in made]
    for writer in writers:
        writer.set_status("running")
        writer.begin_attempt()
    (Path(folder) / "ready").touch()
    generator, began, done = np.random.default_rng(0), time.monotonic(), 0
    while (now := time.monotonic() - began) < float(seconds):
        wanted = int(now * int(each_second))
        at = np.arange(done + 1, wanted + 1)
        for writer in writers:
            for name in ("loss", "grad_norm", "lr"):
                writer.add(name, at, generator.random(len(at)))
            if done // 1000 < wanted // 1000:
                writer.evaluation(
                    {"epoch": wanted // 1000, "step": wanted, "val_loss": 0.5, "score": 0.5, "best": False}
                )
        done = wanted
        time.sleep(0.1)
    for writer in writers:
        writer.set_status("finished")
        writer.__exit__(None, None, None)


def train(place: str) -> None:
    """A training that goes on until it is killed; reads the clocks after each epoch."""
    import torch
    from sklearn.datasets import load_digits

    import tunesmith as ts
    from tunesmith.reports import QuietDisplay
    from tunesmith.training.guards import Guard

    class Clock(Guard):
        def after_evaluation(self, state: Any, row: Any) -> None:
            print(json.dumps([time.perf_counter(), time.process_time(), state.step]), flush=True)

    torch.set_num_threads(1)
    inputs, labels = load_digits(return_X_y=True)
    inputs = (inputs / 16).astype(np.float32)
    recipe = {
        "train.epochs": 100_000,
        "train.batch_size": 32,
        "optim.lr": 1e-4,
        "run.watch": False,
        "schedule.name": "constant",
    }
    recipe |= {"train.patience": None, "eval.bootstrap": 0}
    parts = {"val": (inputs[1500:1650], labels[1500:1650]), "test": (inputs[1650:], labels[1650:])}
    ts.fit((inputs[:1500], labels[:1500]), recipe, folder=place, display=QuietDisplay(), guards=[Clock()], **parts)


def table(rows: Any) -> str:
    parts = []
    for what in MEASURES:
        groups = [group for group in by_case(rows) if group[-1]["case"]["what"] == what]
        if not groups:
            continue
        settings = [name for name in groups[0][-1]["case"] if name != "what"]
        numbers = list(groups[0][-1]["measured"])
        lines = [
            [shown(group[-1]["case"][name]) for name in settings]
            + [shown(group[-1]["measured"][name]) for name in numbers]
            for group in groups
        ]
        parts.append(f"## {what.capitalize()}\n\n{markdown([*settings, *numbers], lines)}")
        if what == "slowed":
            parts += [verdict(group[-1]["measured"]) for group in groups]
    return "\n\n".join(parts)


def verdict(measured: dict[str, Any]) -> str:
    """Whether what was wanted is held, where the stretches are enough alike to tell."""
    low, high = map(float, measured["ratio, quartiles"].split(" to "))
    if high - low > TELLING:
        return (
            f"Wanted: at most {WANTED}. Not decided by the wall: the quartiles lie {high - low:.2f} apart, for other work kept the machine busy. "
            f"What the server itself takes, {100 * measured['server CPU']:.1f} % of one core, does not depend on that."
        )
    return f"Wanted: at most {WANTED}; {'held' if measured['ratio'] <= WANTED else 'missed'}."


def shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return (
        f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}" if value < 0.1 else f"{value:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("write", "train"))
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    {"write": write, "train": train}[asked.role](*asked.words)


if __name__ == "__main__":
    main()
