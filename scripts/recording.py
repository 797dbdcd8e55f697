"""Commands and what they printed, as Markdown, and whether two recordings say the same.

What differs from machine to machine is masked before a comparison: times, memory, sizes, and trained numbers, which are
all printed with four decimals or more. A line `…` stands for any number of lines.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

PLACE = "~/try"  # what the temporary folder is called in a recording
CUT = "…"
MASKS = (
    (re.compile(r"(?<![\w.])\d+(\.\d+)? (B|KiB|MiB|GiB|MB)\b"), "# MB"),
    (re.compile(r"(?<![\w.])(\d+h\d+m|\d+m\d+s|\d+\.\d+s)\b"), "#s"),
    (re.compile(r"(?<![\w.])-?\d+(\.\d+)?e[+-]\d+\b"), "#"),
    (re.compile(r"(?<![\w.])-?\d+\.\d{4,}\b"), "#"),
    (re.compile(r" · best$"), ""),  # which epoch was best hangs on the last digits
    (re.compile(r"epoch \d+, update [\d,]+$"), "epoch #, update #"),
    (re.compile(r"^interrupted: after update [\d,]+"), "interrupted: after update #"),
    (re.compile(r"best (\w+) [\d.]+ at step \d+"), r"best \1 # at step #"),
    (re.compile(r"step-\d{10}"), "step-#"),
    (re.compile(r"^python +\S+ on \w+"), "python # on #"),
    (re.compile(r"\d+ cores?, torch uses \d+ threads?"), "# cores, torch uses # threads"),
)


@dataclass(frozen=True, slots=True)
class Printed:
    """What a command printed on both its outputs, and its exit code."""

    text: str
    code: int


def environment() -> dict[str, str]:
    """Eighty columns, no colours, and this interpreter's `tunesmith` before any other."""
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    wanted = {"PATH": found, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    dropped = ("FORCE_COLOR", "PYTHONWARNINGS")
    return {name: value for name, value in os.environ.items() if name not in dropped} | wanted


def run(command: str, folder: Path, *, interrupt_at: str = "") -> Printed:
    """Runs a shell command; with `interrupt_at`, Ctrl-C is sent to it at the first line that begins so."""
    before = "exec " if interrupt_at else ""  # the signal must reach the command, not a shell around it
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(
        ["bash", "-c", before + command], cwd=folder, env=environment(), encoding="utf-8", **pipes
    )
    lines = []
    assert process.stdout is not None
    with process.stdout as stream:
        for line in stream:
            lines.append(line)
            if interrupt_at and line.startswith(interrupt_at):
                process.send_signal(signal.SIGINT)
                interrupt_at = ""
    text = "".join(lines).replace(str(folder.resolve()), PLACE).replace(str(folder), PLACE)
    return Printed(text.rstrip("\n"), process.wait())


def masked(text: str) -> list[str]:
    """The lines with everything replaced that hangs on the machine.

    >>> masked("epoch 1/3 · train 0.4653 · lr 0.001 · 0.2s · 311 MB · best")
    ['epoch 1/3 · train # · lr 0.001 · #s · # MB']
    """
    lines = []
    for line in text.splitlines():
        for pattern, word in MASKS:
            line = pattern.sub(word, line)
        lines.append(line.rstrip())
    return lines


def difference(shown: str, came: str) -> str:
    """What was printed otherwise than shown, as a unified diff of masked lines; "" where nothing was.

    >>> difference("a\\n…\\nd", "a\\nb\\nc\\nd")
    ''
    """
    wanted, have = masked(shown), masked(came)
    if _agrees(wanted, have):
        return ""
    return "\n".join(unified_diff(wanted, have, "shown", "came", lineterm=""))


def _agrees(wanted: list[str], have: list[str]) -> bool:
    if CUT not in wanted:
        return wanted == have
    place = wanted.index(CUT)
    head, rest = wanted[:place], wanted[place + 1 :]
    if have[:place] != head:
        return False
    return any(_agrees(rest, have[start:]) for start in range(place, len(have) + 1))
