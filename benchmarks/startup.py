"""What it costs to begin: `tunesmith --help`, and the way to the first training step.

`help` is the command against a typer application that does nothing, both asked for `--help`; bar: 1.2. Typer formats its help with
rich, ours does without: the second row has an empty application that does so too.
`first step` is a script that trains on arrays in memory, from the start of the interpreter to the end of the first update, against
one that ends after `import torch`; once with a network of the user's own, once with the built-in one; bar: 1.3.

Every measurement is a fresh process; the two of a pair follow each other, in turn first and second, and the ratio is taken pair by
pair: the median is told. CPU is the processor's time of the process, wall the time since its start. All modules are compiled to
bytecode before (as an installation does), and a process of each kind runs once without being measured. `heavy` are modules that
have no business on this way and were loaded all the same.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tables import by_case, markdown

PAIRS = 15
BARS = {"help": 1.2, "first step": 1.3}
HEAVY = (
    "torch",
    "numpy",
    "torch._dynamo",
    "torch._inductor",
    "sklearn",
    "scipy",
    "sympy",
    "polars",
    "pandas",
    "tokenizers",
    "PIL",
    "matplotlib",
)
LOADED_ANYHOW = {"help": (), "first step": ("torch", "numpy")}

EMPTY = """
import typer

app = typer.Typer()


@app.command()
def main() -> None:
    pass


app()
"""

HELP = """
import sys
from tunesmith.cli import main
main()
"""

TORCH = """
import torch
"""

FIRST_STEP = """
import numpy as np
import tunesmith as ts

draw = np.random.default_rng(0)
X = draw.normal(size=(1000, 20)).astype(np.float32)
y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)
fit, task = ts.fit, ts.Task(MODEL, train=(X, y))

from tunesmith.training.guards import Guard  # after what a user does, so that it loads nothing first


class FirstStep(Guard):
    def after_step(self, state, measured):
        reached()


fit(task, guards=[FirstStep()])
"""

OWN = """
from torch import nn

MODEL = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))
"""

BUILT_IN = """
MODEL = "auto"
"""

# Ends the process there: what a process does on its way out is not measured.
REACHED = """
def reached():
    import os, sys, time
    cpu, wall = time.process_time(), time.monotonic()
    import json
    heavy = [name for name in {heavy} if name in sys.modules]
    os.write(int(os.environ["REACHED"]), json.dumps([cpu, wall, heavy]).encode())
    os._exit(0)
"""


def cases() -> list[dict[str, Any]]:
    plain = {"what": "help", "empty": "without rich"}
    return [
        {"what": "help"},
        plain,
        {"what": "first step", "model": "own"},
        {"what": "first step", "model": "built-in"},
    ]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        programs = written(case, Path(folder))
        return compared(programs, Path(folder), case.get("pairs", PAIRS), LOADED_ANYHOW[case["what"]])


def written(case: dict[str, Any], folder: Path) -> dict[str, list[str]]:
    """The two programs, each as its command."""
    step = REACHED + (OWN if case.get("model") == "own" else BUILT_IN) + FIRST_STEP
    empty = EMPTY.replace("Typer()", "Typer(rich_markup_mode=None)") if case.get("empty") == "without rich" else EMPTY
    sources = {"help": (HELP, empty), "first step": (step, REACHED + TORCH + "reached()\n")}[case["what"]]
    commands = {}
    for name, source in zip(("ours", "base"), sources, strict=True):
        file = folder / f"{name}.py"
        file.write_text(source.replace("{heavy}", repr(HEAVY)))
        commands[name] = [sys.executable, str(file), *(["--help"] if case["what"] == "help" else [])]
    return commands


class Taken(NamedTuple):
    cpu: float
    wall: float
    heavy: tuple[str, ...]


def compared(programs: dict[str, list[str]], folder: Path, pairs: int, expected: tuple[str, ...]) -> dict[str, Any]:
    cpu, wall = [], []
    taken: dict[str, list[Taken]] = {"ours": [], "base": []}
    for command in programs.values():
        run(command, folder)
    for pair in range(pairs):
        for name in ("ours", "base") if pair % 2 else ("base", "ours"):
            taken[name].append(run(programs[name], folder))
        cpu.append(taken["ours"][-1].cpu / taken["base"][-1].cpu)
        wall.append(taken["ours"][-1].wall / taken["base"][-1].wall)
    return {
        "ratio CPU": statistics.median(cpu),
        "lowest": min(cpu),
        "highest": max(cpu),
        "ratio wall": statistics.median(wall),
        "ours CPU s": statistics.median(each.cpu for each in taken["ours"]),
        "base CPU s": statistics.median(each.cpu for each in taken["base"]),
        "heavy": [name for name in taken["ours"][0].heavy if name not in expected],
        "pairs": pairs,
    }


def run(command: list[str], folder: Path) -> Taken:
    """A process to its end, or to the moment it calls `reached()`."""
    reading, writing = os.pipe()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "REACHED": str(writing), "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    with (folder / "said.txt").open("w+") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said, pass_fds=[writing], cwd=folder)
        os.close(writing)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}: {said.read()[-500:]}")
    ended = time.monotonic()
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    if not told:
        return Taken(used.ru_utime + used.ru_stime, ended - began, imported(command, environment, folder))
    cpu, reached, heavy = json.loads(told)
    return Taken(cpu, reached - began, tuple(heavy))


_IMPORTED: dict[str, tuple[str, ...]] = {}


def imported(command: list[str], environment: dict[str, str], folder: Path) -> tuple[str, ...]:
    """Which of the heavy modules a program loads, by the interpreter's own list of imports."""
    key = " ".join(command)
    if key not in _IMPORTED:
        listed = subprocess.run(
            [command[0], "-X", "importtime", *command[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=folder,
        )
        names = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines()}
        _IMPORTED[key] = tuple(name for name in HEAVY if name in names)
    return _IMPORTED[key]


def table(rows: Any) -> str:
    lines = []
    for group in by_case(rows):
        newest = max(group, key=lambda row: row["date"])  # each row holds the medians of a round of its own
        case, measured = newest["case"], newest["measured"]
        bar = BARS[case["what"]]
        against = (
            "import torch"
            if case["what"] == "first step"
            else f"an empty typer application {case.get('empty', '')}".strip()
        )
        name = case["what"] + (f", {case['model']} network" if "model" in case else "")
        ratio = f"{measured['ratio CPU']:.2f} ({measured['lowest']:.2f} to {measured['highest']:.2f})"
        held = f"{bar} {'held' if max(measured['ratio CPU'], measured['ratio wall']) <= bar else 'missed'}"
        seconds = f"{measured['ours CPU s']:.3f}", f"{measured['base CPU s']:.3f}"
        lines.append(
            [
                name,
                against,
                ratio,
                f"{measured['ratio wall']:.2f}",
                held,
                *seconds,
                ", ".join(measured["heavy"]) or "none",
            ]
        )
    return markdown(["what", "against", "ratio, CPU", "ratio, wall", "bar", "CPU s", "against CPU s", "heavy"], lines)
