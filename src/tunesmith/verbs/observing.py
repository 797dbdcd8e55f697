"""What `fit` does besides training: after an evaluation the rules look at the run so far, and what is new is said."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunesmith.records import Finding
from tunesmith.runs import MemoryWriter, Run
from tunesmith.runs.readers.own import history_of
from tunesmith.training.guards import Action, Guard, Measured

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher_probe import WatchProbe
    from tunesmith.records.state import State
    from tunesmith.runs import RunWriter
    from tunesmith.training.loop import Record, Screen
    from tunesmith.training.update import Update

SHARE = 0.01  # of the time of a run that the rules may take; assumption: beside the 3 % of the probes
LOUD = ("error", "warning")
SURE = 0.5  # confidence from which a finding interrupts a run; assumption: more likely right than wrong


class Observing(Guard):
    """Asks the rules after evaluations, as often as their share of the time allows, and once more at the end.

    A finding is written down and shown when it comes up, and again where it has become graver.
    """

    def __init__(
        self,
        run: Run | MemoryWriter,
        writer: "RunWriter | MemoryWriter",
        record: "Record",
        screen: "Screen",
        probe: "WatchProbe",
    ) -> None:
        self.run = run
        self.writer = writer
        self.probe = probe
        self.facts: dict[str, Any] = {}
        self.record = record
        self.screen = screen
        self.known: dict[str, str] = {}  # the gravest severity told, by fault
        self._began = time.monotonic()
        self._spent = 0.0

    def after_evaluation(self, state: "State", row: Mapping[str, Any]) -> Action | None:
        if self._spent <= SHARE * (time.monotonic() - self._began):
            self.look(state.step)
        return None

    def born(self, step: int, update: "Update", measured: Measured, start: Mapping[str, float]) -> Finding | None:
        """Goes through the batch of update `step` (from 1) again, and tells where its first number that is not finite is born.

        What was found stands among the facts of the run, as it does where `watch` finds it.
        """
        from tunesmith.doctor.diagnosis.origins import born
        from tunesmith.doctor.probes.nonfinite_window import origin_of_window

        found = origin_of_window(update, measured.window, step=step, start=start)
        if found is None:
            return None
        self.facts["nonfinite"] = [found.as_dict()]
        self.writer.set_status(facts=self.facts | self.probe.facts)
        self.record.flush()
        told = next(born(history_of(self.run), found.fault), None)
        if told is not None:
            self.tell([told], step - 1)
        return told

    def look(self, step: int) -> None:
        """Asks the rules now."""
        from tunesmith.doctor.diagnosis import diagnosed

        began = time.monotonic()
        self.writer.set_status(facts=self.facts | self.probe.facts)
        self.record.flush()
        self.tell(diagnosed(history_of(self.run)), step)
        self._spent += time.monotonic() - began

    def end(self, step: int, *, whole: bool) -> None:
        """Takes the watch away; after a run that came to its end the rules look once more, and now at what only an end shows."""
        self.facts |= self.probe.facts
        for signal in self.probe.close():
            self.record.add(signal.name, [signal.step], [signal.value], signal.where)
        if whole:
            self.facts["over"] = True
            self.look(step)

    def tell(self, found: Iterable[Finding], step: int) -> None:
        """Writes and shows what is new and above a note."""
        for one in found:
            if one.severity not in LOUD or one.status == "refuted" or one.confidence < SURE:
                continue
            before = self.known.get(one.fault)
            if before is None or LOUD.index(one.severity) < LOUD.index(before):
                self.known[one.fault] = one.severity
                self.record.finding(one, step)
                self.screen.finding(one, step)


class NamesBirth(Guard):
    """Stops where the guard it wraps does, and says of the finding in which module, direction and update it began.

    While all is finite it costs a call. The batch is gone through again only where the run ends.
    """

    def __init__(self, stop: Guard, observing: Observing, update: "Update") -> None:
        from tunesmith.doctor.probes.nonfinite_watch import sizes

        self.stop = stop
        self.observing = observing
        self.update = update
        self.start = sizes(update.model)

    def after_backward(self, state: "State", measured: Measured) -> Action | None:
        action = self.stop.after_backward(state, measured)
        if action is None or action.finding is None or not measured.window:
            return action
        birth = self.observing.born(state.step + 1, self.update, measured, self.start)
        if birth is None:
            return action
        named = {
            name: birth.subject[name] for name in ("module", "layers", "direction", "rows") if name in birth.subject
        }
        finding = replace(
            action.finding,
            subject={**action.finding.subject, **named, "update": birth.subject["step"]},
            caused_by=birth.fault if birth.fault != action.finding.fault else None,
        )
        return replace(action, finding=finding, because=f"{action.because}; {birth.because}")
