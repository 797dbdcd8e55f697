"""Two stores for the signals of a run: SQLite in WAL mode with chunks of a column as blobs, and Arrow parts through polars.

Ten million points, 20 names times 500,000 steps, come as from a training loop: arrays of `flush` steps for every name, then a
flush. Both stores survive the kill of the process at any moment (a transaction; a part is renamed into place), join small
pieces in time, and build levels of 256 and 65,536 points as they write.

`write s` is the whole writing (`CPU s`: the processor's share of it). `curve s` reads a curve of 1000 points and draws it as the
path of an SVG file; `process s` does so in a fresh process, imports included. `exact s` reads one whole signal bit for bit,
`range s` 1000 steps in its middle.

Run folders keep SQLite: it writes several times faster with no long pauses, takes about half the room in a handful of files, and
answers ranges ten times faster; the parts read a whole signal faster, which is fast enough either way.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.records import Recipe
from tunesmith.runs import Curve, Run
from tunesmith.runs.levels import WIDTH, Buckets, Floats, Whole, coarser, joined, of_points, thinned

NAMES, STEPS = 20, 500_000
POINTS = 1000
JOIN = 64  # parts joined into one

FRESH = """
import sys
sys.path.insert(0, sys.argv[1])
import signals
signals.draw(signals.STORES[sys.argv[2]].read(sys.argv[3]).curve("signal_7"), sys.argv[4])
"""


def cases() -> list[dict[str, Any]]:
    return [{"store": store, "flush": flush} for flush in (500, 5000) for store in STORES]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    try:
        return _measure(STORES[case["store"]], case["store"], case["flush"], folder)
    finally:
        shutil.rmtree(folder)


def _measure(kind: Any, name: str, flush: int, folder: Path) -> dict[str, Any]:
    place = str(folder / "store")
    written = write(kind(place), flush)
    store, picture = kind.read(place), str(folder / "curve.svg")
    checked(store)
    fresh = [sys.executable, "-c", FRESH, str(Path(__file__).parent), name, place, picture]
    return written | {
        "MB": round(sum(file.stat().st_size for file in Path(place).rglob("*") if file.is_file()) / 1e6, 1),
        "files": sum(file.is_file() for file in Path(place).rglob("*")),
        "curve s": seconds(lambda: draw(store.curve("signal_7"), picture)),
        "process s": seconds(lambda: subprocess.run(fresh, check=True)),
        "exact s": seconds(lambda: store.points("signal_7", None, None)),
        "range s": seconds(lambda: store.points("signal_7", 250_000, 250_999)),
    }


def write(store: Any, flush: int) -> dict[str, float]:
    made = {f"signal_{number}": signal(number) for number in range(NAMES)}
    longest, began, worked = 0.0, time.perf_counter(), time.process_time()
    for start in range(0, STEPS, flush):
        for name, values in made.items():
            store.add(name, np.arange(start, min(start + flush, STEPS)), values[start : start + flush])
        before = time.perf_counter()
        store.flush()
        longest = max(longest, time.perf_counter() - before)
    store.close()
    return {
        "write s": time.perf_counter() - began,
        "CPU s": time.process_time() - worked,
        "longest flush ms": longest * 1000,
    }


def signal(number: int) -> Floats:
    return np.random.default_rng(number).normal(size=STEPS).cumsum()


def seconds(call: Callable[[], object]) -> float:
    """The median of five calls."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def checked(store: Any) -> None:
    """A store that loses or alters a bit is not measured."""
    steps, values = store.points("signal_7", None, None)
    assert np.array_equal(steps, np.arange(STEPS)), "steps"
    assert values.tobytes() == signal(7).tobytes(), "values"
    assert store.curve("signal_7").high.max() == signal(7).max(), "curve"


def draw(curve: Curve, path: str) -> None:
    """The band from low to high, and the mean, as an SVG file."""
    low, high = float(np.nanmin(curve.low)), float(np.nanmax(curve.high))
    x = (curve.steps - curve.steps[0]) * 900 / max(curve.steps[-1] - curve.steps[0], 1)

    def line(values: Floats, across: Floats = x) -> str:
        y = 300 - (values - low) * 300 / max(high - low, 1e-300)
        return "L".join(f"{left:.1f} {up:.1f}" for left, up in zip(across.tolist(), y.tolist(), strict=True))

    band = f'<path fill="#cde" d="M{line(curve.low)}L{line(curve.high[::-1], x[::-1])}Z"/>'
    mean = f'<path fill="none" stroke="#147" d="M{line(curve.mean)}"/>'
    Path(path).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 300">{band}{mean}</svg>')


class Sqlite:
    """What run folders use."""

    def __init__(self, place: str) -> None:
        self.writer = Run.create(place, recipe=Recipe()).writer()
        self.writer.begin_attempt()
        self.add = self.writer.add
        self.flush = self.writer.flush

    def close(self) -> None:
        self.writer.__exit__(None, None, None)

    @classmethod
    def read(cls, place: str) -> Any:
        store = cls.__new__(cls)
        store.signals = Run(place).signals
        return store

    def points(self, name: str, first: int | None, last: int | None) -> tuple[Whole, Floats]:
        return self.signals.read(name, first=first, last=last)

    def curve(self, name: str) -> Curve:
        return self.signals.curve(name, points=POINTS)


class Parts:
    """Parquet parts of (signal, step, value), one a flush; every 64 of them are joined, sorted by signal. Levels likewise."""

    def __init__(self, place: str) -> None:
        self.place = Path(place)
        for folder in ("points", "level1", "level2"):
            (self.place / folder).mkdir(parents=True)
        self.held: list[tuple[str, Whole, Floats]] = []
        self.loose: dict[tuple[str, int], Buckets] = {}
        self.count = 0

    @classmethod
    def read(cls, place: str) -> "Parts":
        store = cls.__new__(cls)
        store.place = Path(place)
        return store

    def add(self, name: str, steps: Whole, values: Floats) -> None:
        self.held.append((name, steps, values))

    def flush(self) -> None:
        import polars

        self.count += 1
        frames = [
            polars.DataFrame({"signal": [name] * len(steps), "step": steps, "value": values})
            for name, steps, values in self.held
        ]
        self._put("points", polars.concat(frames))
        self._coarsen()
        self.held.clear()
        if self.count % JOIN == 0:
            for folder in ("points", "level1", "level2"):
                self._join(self.place / folder)

    def close(self) -> None:
        """Nothing is open."""

    def _coarsen(self) -> None:
        import polars

        frames: dict[int, list[Any]] = {1: [], 2: []}
        for name, steps, values in self.held:
            fresh = of_points(steps, values)
            for level, made in frames.items():
                fresh, self.loose[name, level] = coarser(joined([self.loose.get((name, level), joined([])), fresh]))
                if len(fresh.first):
                    made.append(polars.DataFrame({"signal": [name] * len(fresh.first)} | fresh._asdict()))
        for level, made in frames.items():
            if made:
                self._put(f"level{level}", polars.concat(made))

    def _put(self, folder: str, frame: Any) -> None:
        """A part is there whole or not at all; like SQLite's, it is in the system's hands, not yet synced to the disk."""
        path = self.place / folder / f"{self.count:09d}.parquet"
        frame.write_parquet(path.with_suffix(".part"), compression="uncompressed")
        path.with_suffix(".part").replace(path)

    def _join(self, folder: Path) -> None:
        import polars

        small = sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("joined"))
        if not small:
            return
        frame = polars.concat([polars.read_parquet(path) for path in small]).sort("signal", maintain_order=True)
        target = folder / f"joined{self.count:09d}.parquet"
        frame.write_parquet(
            target.with_suffix(".part"), compression="uncompressed", row_group_size=max(len(frame) // NAMES, 1)
        )
        target.with_suffix(".part").replace(target)
        for path in small:
            path.unlink()

    def _frame(self, folder: str, name: str) -> Any:
        import polars

        paths = sorted((self.place / folder).glob("*.parquet"), key=lambda path: path.name.removeprefix("joined")[:9])
        return polars.scan_parquet(paths).filter(polars.col("signal") == name)

    def points(self, name: str, first: int | None, last: int | None) -> tuple[Whole, Floats]:
        import polars

        frame = self._frame("points", name)
        if first is not None:
            frame = frame.filter(polars.col("step").is_between(first, last))
        found = frame.select("step", "value").collect()
        return found["step"].to_numpy(), found["value"].to_numpy()

    def curve(self, name: str) -> Curve:
        found = self._frame("level1", name).select(Buckets._fields).collect()
        buckets = Buckets._make(found[field].to_numpy() for field in Buckets._fields)
        end = int(buckets.last[-1])
        rest = of_points(*self.points(name, end + 1, end + WIDTH))
        return thinned(joined([buckets, rest]), POINTS)


STORES: dict[str, Any] = {"sqlite": Sqlite, "parts": Parts}
