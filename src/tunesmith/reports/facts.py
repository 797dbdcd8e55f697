"""What a page tells of a run, gathered once from its folder. A part that the run never reached is empty."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tunesmith.records import Derived, Finding, derived

if TYPE_CHECKING:
    from tunesmith.runs import Run

Array: TypeAlias = np.ndarray[Any, Any]
POINTS = 500  # of a curve: about one a pixel
FEW = 120  # of the curve of one layer among many


@dataclass(frozen=True)
class Facts:
    """A run as plain data."""

    folder: Path
    run: Mapping[str, Any]  # run.json
    recipe: Mapping[str, Any]  # nested
    sources: Mapping[str, Any]
    derived: tuple[Derived, ...]  # numbers that follow from several settings
    columns: tuple[Mapping[str, Any], ...]
    split: Mapping[str, Any]  # method, and the number of rows of each part
    model: Mapping[str, Any]
    curves: Mapping[str, Any]  # name: Curve
    evaluations: tuple[Mapping[str, Any], ...]
    findings: tuple[Finding, ...]
    seen: tuple[tuple[int | None, Finding], ...]  # the same, with the update at which each was written down
    decisions: tuple[Mapping[str, Any], ...]
    attempts: tuple[Mapping[str, Any], ...]
    scores: Mapping[str, Any]
    samples: Mapping[str, Any] | None
    slices: Mapping[str, Any] | None = None  # of the judged part
    traceback: str = ""
    language: str = "en"
    placed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name: place: Curve

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def metric(self) -> str:
        named = (row["metric"] for row in self.evaluations if row.get("metric"))
        return str(self.scores.get("metric") or next(named, ""))

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(str(label) for label in self.scores.get("classes") or ())

    @property
    def kind(self) -> str:
        return str(self.model.get("kind", ""))

    @property
    def judged(self) -> str:
        """The part that the headline is about: test, or else val; "" where nothing was judged."""
        parts = self.scores.get("parts", {})
        return next((part for part in ("test", "val") if part in parts), "")

    @property
    def started(self) -> Mapping[str, Any]:
        """What holds the command that began the run."""
        return self.run if self.run.get("command") else next(iter(self.attempts), {})

    def part(self, name: str = "") -> Mapping[str, Any]:
        """The judgement of one part."""
        found = self.scores.get("parts", {}).get(name or self.judged, {})
        return dict(found)

    @cached_property
    def best(self) -> Mapping[str, Any] | None:
        """The evaluation whose weights were kept."""
        step = (self.scores.get("best") or {}).get("step")
        kept = [row for row in self.evaluations if row.get("best") and (step is None or row["step"] == step)]
        return kept[-1] if kept else None

    @cached_property
    def predictions(self) -> Mapping[str, Array]:
        """Rows, target and probabilities or values of the judged part."""
        path = self.folder / "predictions" / f"{self.judged}.npz"
        if not self.judged or not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def gather(run: "Run") -> Facts:
    """Everything the page needs; what is not in the folder stays empty."""
    folder = run.folder
    recipe = run.recipe
    seen = run.found_at
    tracks = folder / "traceback.txt"
    return Facts(
        folder=folder,
        run=run.info | {"status": run.status},
        recipe=recipe.model_dump(mode="json"),
        sources=read(folder / "sources.json") or {},
        columns=tuple(run.columns),
        derived=tuple(derived_numbers(run)),
        split=split_of(folder / "data" / "split.npz")
        | ({} if recipe.data.split == "auto" else {"name": recipe.data.split}),
        model=read(folder / "model.json") or {},
        curves=curves_of(run),
        evaluations=tuple(run.evaluations),
        findings=tuple(found for _, found in seen),
        seen=tuple(seen),
        decisions=tuple(run.decisions),
        attempts=tuple(run.attempts),
        scores=run.scores or {},
        samples=read(folder / "samples" / "test.json"),
        slices=run.slices,
        traceback=tracks.read_text(encoding="utf-8") if tracks.is_file() else "",
        language=recipe.run.language,
        placed=placed_of(run),
    )


def read(path: Path) -> Any:
    """The JSON of a file, or None where it was not written."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def split_of(path: Path) -> dict[str, Any]:
    """How the rows were divided."""
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        counts = {part: len(stored[part]) for part in ("train", "val", "test") if part in stored.files}
        name = str(stored["method"]) if "method" in stored.files else ""
    return {"name": name, "rows": counts}


def derived_numbers(run: "Run") -> list[Derived]:
    """Effective batch, updates and the like; none where the run ended before its settings were settled."""
    rows = run.info.get("rows", {}).get("train")
    return derived(run.recipe, rows) if rows else []


def curves_of(run: "Run") -> dict[str, Any]:
    """The signals of the whole run, thinned to what a chart can show."""
    return {name: run.signals.curve(name, points=POINTS) for name, where in run.signals.names() if not where}


def placed_of(run: "Run") -> dict[str, dict[str, Any]]:
    """The signals of single layers and classes, by quantity and place."""
    found: dict[str, dict[str, Any]] = {}
    for name, where in run.signals.names():
        if where:
            found.setdefault(name, {})[where] = run.signals.curve(name, where, points=FEW)
    return found
