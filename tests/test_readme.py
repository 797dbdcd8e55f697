"""The README's commands and programs print what it shows, and its links lead somewhere."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.recording import difference, run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(markdown: str) -> Iterator[tuple[str, str]]:
    """Commands and programs in order, each with the output shown for it."""
    blocks = BLOCK.findall(markdown)
    for (kind, text), (after, output) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "console":
            yield from (
                (entry[0], entry[1]) for entry in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
            )
        if kind == "python":
            yield f"{shlex.quote(sys.executable)} -c {shlex.quote(text)}", output if after == "text" else "…"


def test_every_command_and_program_prints_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src", target_is_directory=True)
    entries = list(shown(README))

    printed = [run(command, tmp_path) for command, _ in entries]

    assert len(entries) == 17
    assert [one.code for one in printed] == [0] * len(entries), printed
    differing = [difference(output.rstrip("\n"), one.text) for (_, output), one in zip(entries, printed, strict=True)]
    assert "".join(differing) == ""


def test_a_changed_output_would_be_seen() -> None:
    (_, fit_output), *_ = [entry for entry in shown(README) if "tunesmith fit" in entry[0]]

    told = difference(fit_output, fit_output.replace("2 labels", "3 labels"))

    assert "+note: target 'income': binary, for it has 3 labels" in told


def test_every_link_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]

    missing = [
        f"{page.name}: {target}" for page in pages for target in links(page) if not (page.parent / target).exists()
    ]

    assert missing == []


def links(page: Path) -> list[str]:
    """Relative targets; the pages of measurements are rendered apart, from rows that may not be there yet."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose)
    return [target for target in found if "://" not in target and "benchmarks/" not in target]
