"""What is done is kept at once: the steps of a tuning, in the order they were finished.

steps.jsonl      a line when a step begins, and one with what it found when it is done; a torn last line is a step that was not done
decisions.json   what was decided on them, written whole after each decision
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tunesmith.autopilot.decision import Decision
from tunesmith.records import RunError
from tunesmith.runs.files import plain, storing, write_json
from tunesmith.runs.tuning import DECISIONS, STEPS, read_steps


class Ledger:
    """The steps of a folder. Raises `RunError` where a line that is not the last cannot be read."""

    def __init__(self, folder: Path, tell: Callable[[Decision], None] = lambda decision: None) -> None:
        self.folder = folder
        self.tell = tell
        self.done: dict[str, dict[str, Any]] = {}
        self.begun: dict[str, float] = {}
        self.decisions: list[Decision] = []
        self.spent = {"seconds": 0.0, "epochs": 0.0}
        for entry in self._read():
            if "begin" in entry:
                self.begun.setdefault(entry["begin"], entry["at"])
            else:
                self._take(entry)

    def once(self, name: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What the step found: of an earlier time, or now. `"epochs"` in it is what it spent of them.

        A step that was begun and not finished is made again; what it had spent until it was last heard of counts.
        """
        if name in self.done:
            return dict(self.done[name])
        began = time.time()
        before = self.before(name)
        if name not in self.begun:
            self.begun[name] = began
            self._append({"begin": name, "at": began})
        found = plain(dict(make()), finite=False)
        seconds = before + time.time() - began
        entry = {"step": name, "seconds": round(seconds, 3), "epochs": found.get("epochs", 0), "found": found}
        self._append(entry)
        self._take(entry)
        return dict(found)

    def before(self, name: str) -> float:
        """Seconds that an unfinished step had taken before this process: until something of it was last written."""
        if name not in self.begun:
            return 0.0
        written = [file.stat().st_mtime for file in self.place(name).rglob("*") if file.is_file()]
        return max(0.0, max(written, default=0.0) - self.begun[name])

    def place(self, name: str) -> Path:
        """The folder of a step."""
        return self.folder / "steps" / name.replace("/", "-")

    def decide(self, decision: Decision) -> None:
        """Takes in a decision."""
        self.decisions.append(decision)
        write_json(self.folder / DECISIONS, {"decisions": [one.as_dict() for one in self.decisions]})
        self.tell(decision)

    def _take(self, entry: Mapping[str, Any]) -> None:
        self.done[entry["step"]] = entry["found"]
        for unit in self.spent:
            self.spent[unit] += entry[unit]

    def _append(self, entry: Mapping[str, Any]) -> None:
        path = self.folder / STEPS
        with storing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> list[dict[str, Any]]:
        """The whole lines; a torn last one is cut off, so that the next goes on after a whole one."""
        path = self.folder / STEPS
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        found = read_steps(self.folder)
        lines = text.splitlines()
        if len(found) < len(lines) - 1:
            raise RunError(f"{path}, line {len(found) + 1}, is damaged; restore it from a copy")
        if text and (len(found) < len(lines) or not text.endswith("\n")):
            with storing(path):
                path.write_text("".join(line + "\n" for line in lines[: len(found)]), encoding="utf-8")
        return found


def read_decisions(folder: Path) -> list[Decision]:
    """The decisions of a folder."""
    path = folder / DECISIONS
    if not path.is_file():
        return []
    return [Decision(**one) for one in json.loads(path.read_text(encoding="utf-8"))["decisions"]]
