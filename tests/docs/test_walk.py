"""The recorded walk is what the commands print now."""

import subprocess
import sys
from pathlib import Path

from scripts.recording import difference, masked

ROOT = Path(__file__).parents[2]


def test_the_walk_of_a_new_user_is_as_recorded() -> None:
    told = subprocess.run([sys.executable, ROOT / "scripts" / "walk", "--check"], capture_output=True, text=True)

    assert told.returncode == 0, told.stdout + told.stderr


def test_clocks_memory_and_trained_numbers_are_masked_and_nothing_else() -> None:
    line = "epoch 2/5 · step 88 · train 0.3933 · valid 1.5e-05 · lr 0.001 · 1m05s · 313 MB · left 1.0s · best"

    (found,) = masked(line)

    assert found == "epoch 2/5 · step 88 · train # · valid # · lr 0.001 · #s · # MB · left #s"


def test_a_cut_stands_for_any_number_of_lines_but_not_for_the_next_one() -> None:
    assert difference("a\n…\nd", "a\nb\nc\nd") == ""
    assert difference("a\n…\nd", "a\nd") == ""
    assert difference("a\n…\nd", "a\nb\nc\nd\ne") != ""
    assert difference("a\n…\nd", "b\nc\nd") != ""
