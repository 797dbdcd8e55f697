"""The programs in the pages run."""

import re
import shutil
import sys
from pathlib import Path
from shlex import quote

import pytest

from scripts.recording import run

DOCS = Path(__file__).parents[2] / "docs"
DATA = DOCS.parent / "src" / "tunesmith" / "demo_data" / "adult_2000.csv.gz"
PROGRAMS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    if page.name != "first-five-minutes.md"  # the walk runs these
    for number, text in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S))
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in it."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copy(DATA, folder / "adult.csv.gz")
    told = run("tunesmith fit adult.csv.gz --target income --epochs 2 --folder runs/adult-1", folder)
    assert told.code == 0, told.text
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_of_the_pages_run(program: str, place: Path) -> None:
    told = run(f"{quote(sys.executable)} -W error -c {quote(program)}", place)

    assert told.code == 0, told.text
