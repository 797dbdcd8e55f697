"""The help: complete, quick to come, and nothing heavy behind it."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tunesmith.cli import run
from tunesmith.cli.app import app

COMMANDS = (
    "fit",
    "predict",
    "export",
    "report",
    "live",
    "init",
    "doctor",
    "explain",
    "schedule",
    "collapse",
    "scale",
    "clean",
    "demo",
    "search",
    "tune",
)
HEAVY = ("torch", "pydantic", "polars", "numpy", "sklearn", "scipy", "rich", "PIL", "tunesmith.records")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [80, 120])
def test_every_command_has_help_that_fits_and_the_shared_options(command: str, width: int) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": str(width)}, terminal_width=width)

    assert result.exit_code == 0
    assert {"--json", "--debug"} <= set(result.output.split())
    assert max(len(line) for line in result.output.splitlines()) <= width


def test_without_a_command_the_help_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    code = run([])

    printed = capsys.readouterr()
    assert code == 2
    assert printed.out.startswith("Usage: tunesmith")
    assert printed.err == ""


def test_the_commands_are_listed_with_whole_sentences() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}, terminal_width=80)

    assert all(f"  {command} " in result.output for command in COMMANDS)
    assert "..." not in result.output.partition("Commands:")[2]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom tunesmith.cli import run\ncode = run(['--help'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"
    assert done.stdout.startswith("Usage: tunesmith")


def test_explaining_a_fault_imports_no_torch() -> None:
    program = (
        "import sys\nfrom tunesmith.cli import run\nrun(['explain', 'loss.spike'])\nsys.exit('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loss.spike · symptom")
