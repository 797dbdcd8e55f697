"""The tuning of a program under way."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tunesmith.autopilot.flight import Candidate, Flying
from tunesmith.autopilot.nets import best_of
from tunesmith.autopilot.program.reading import Reading
from tunesmith.autopilot.program.start import Parts
from tunesmith.autopilot.program.training import Training
from tunesmith.autopilot.program.ways import Way
from tunesmith.doctor.preflight import Bench
from tunesmith.records import Program
from tunesmith.runs.files import storing

SAID = "said.npy"


@dataclass(kw_only=True)
class ProgramFlight(Flying):
    """`bench` holds the program as it is decided so far but for the ways in `recipe`; a mended one takes its place."""

    without: ClassVar[frozenset[str]] = frozenset({"pretrained", "seeds", "distil"})  # of tasks alone
    recipe: dict[str, Any] = field(default_factory=dict)
    bench: Bench
    brought: Bench  # as it was brought
    reading: Reading  # on the rows that choose
    parts: Parts
    patch: list[str] = field(default_factory=list)  # what mending changed, as lines of Python

    @property
    def program(self) -> Program:
        """The copy on the bench."""
        return self.bench.program

    @property
    def looped(self) -> bool:
        """Whether the program's own loop trains, so that a training cannot be stopped and gone on with."""
        return self.program.loop is not None

    def net_of(
        self, name: str, title: str, way: Way, bench: Bench | None = None
    ) -> tuple[Candidate | None, dict[str, Any]]:
        """Trains the program in a way as the step `name`; the candidate `title`, None where the training broke."""
        on = self.bench if bench is None else bench
        found = self.ledger.once(name, lambda: self._trained(name, way, on))
        if best_of(found) is None:
            return None, found
        said = np.load(self.folder / found["place"] / SAID, allow_pickle=False)
        score = self.scorer.score(said)
        return self.add(
            Candidate(name=title, kind="program", place=found["place"], said=said, score=score, recipe=dict(way))
        ), found

    def _trained(self, name: str, way: Way, bench: Bench) -> dict[str, Any]:
        place = self.ledger.place(name)
        place.mkdir(parents=True, exist_ok=True)
        training = Training(bench, way, self.reading, place).resumed()
        whole = training.program.epochs
        found: dict[str, Any] = {"place": str(place.relative_to(self.folder)), "way": dict(way)}
        records = []
        for record in training.epochs(0, whole, self.over):
            records.append(record)
            if training.program.loop is None and self.over():  # a loop of its own is at its end by now
                break
        if records and records[-1].get("cause"):
            found["failed"] = records[-1]["cause"]
        elif len(records) < whole:
            found["cut"] = f"after {len(records)} of {whole} epochs"
        found |= {"records": records, "epochs": len(records)}
        if best_of(found) is not None:
            with storing(place), (place / SAID).open("wb") as file:
                np.save(file, training.best_seen(self.reading).said, allow_pickle=False)
        return found

    def trained(self, candidate: Candidate, bench: Bench | None = None) -> Training:
        """The training of a candidate, as it lies in its folder, with its best weights."""
        on = self.bench if bench is None else bench
        made = Training(on, candidate.recipe, self.reading, self.folder / candidate.place)
        made.take_best()
        return made
