"""What a training shows on a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console

from tunesmith.records import Finding, Remedy, Safety
from tunesmith.reports import PlainDisplay, QuietDisplay, choose
from tunesmith.reports.terminal import MOST_LAYERS, TerminalDisplay

FAULT = Finding(
    fault="data.duplicates",
    severity="warning",
    message="{n} rows are exact copies of another",
    values={"n": 29},
    remedies=(Remedy(title="remove the copies", safety=Safety.ADVICE),),
)


def opening(layers: int = 3) -> dict[str, Any]:
    return {
        "title": "adult.csv → income [bold]",
        "device": "cpu",
        "seed": 7,
        "rows": {"train": 34189, "val": 7326},
        "epochs": 30,
        "steps_per_epoch": 268,
        "settings": [
            {"path": "optim.lr", "value": 0.002, "source": "command line"},
            {"path": "train.precision", "value": "fp32", "source": "default"},
        ],
        "derived": [{"name": "effective batch", "value": 256, "equation": "128 × 2 accumulated × 1 ranks"}],
        "columns": [{"name": f"column [{i}]", "kind": "number", "missing": 1234, "distinct": 9} for i in range(40)],
        "layers": [
            {
                "name": f"block.{i}",
                "kind": "Linear",
                "shape": (256, 256),
                "parameters": 65792,
                "init_std": 0.08,
                "decay": True,
            }
            for i in range(layers)
        ],
    }


def row(epoch: int = 1, **more: Any) -> dict[str, Any]:
    plain = {"epoch": epoch, "step": 268 * epoch, "train_loss": 0.5, "val_loss": 0.4, "metric": "balanced_accuracy"}
    plain |= {"score": 0.8125, "best": False, "lr": 0.002, "seconds": 3.2, "memory_mb": 412.0, "eta_seconds": 80.0}
    return plain | more


def closing(**more: Any) -> dict[str, Any]:
    scores = {"val": {"roc_auc": 0.92}, "test": {"roc_auc": 0.915, "accuracy": 0.858}}
    plain = {
        "scores": scores,
        "intervals": {"test": {"roc_auc": [0.9, 0.93]}},
        "best": {"step": 1340, "epoch": 5, "score": 0.92},
    }
    return (
        plain | {"folder": "runs/a", "report": "runs/a/report.html", "next": "tunesmith predict runs/a NEW.csv"} | more
    )


def on_terminal(width: int, colours: bool = True) -> tuple[TerminalDisplay, io.StringIO]:
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=True, no_color=not colours, markup=False, highlight=False
    )
    return TerminalDisplay(console=console), stream


def everything(display: Any, layers: int = 3) -> None:
    display.start(opening(layers))
    display.notice("the target has two levels")
    display.progress(1, 8040, 0.7)
    display.finding(FAULT, 12)
    display.progress(200, 8040, 0.6)
    display.evaluation(row(1, best=True))
    display.evaluation(row(2, val_loss=None, score=None, memory_mb=None, eta_seconds=None))
    display.finish(closing(findings=[FAULT]))


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    stream = io.StringIO()
    plain = Console(file=stream, width=width, color_system=None, markup=False, highlight=False)

    everything(TerminalDisplay(console=plain), layers=40)

    lines = stream.getvalue().splitlines()
    assert max(len(line) for line in lines) <= width
    assert any("balanced_accuracy" in line for line in lines)


def test_names_of_the_user_are_no_markup() -> None:
    display, stream = on_terminal(120, colours=False)

    display.start(opening())

    assert "adult.csv → income [bold]" in stream.getvalue()
    assert "column [0]" in stream.getvalue()


def test_a_chosen_value_is_shown_with_its_source_and_a_default_is_counted() -> None:
    display, stream = on_terminal(120, colours=False)

    display.start(opening())

    shown = stream.getvalue()
    assert "command line" in shown
    assert "128 × 2 accumulated × 1 ranks" in shown
    assert "precision" not in shown
    assert "1 more settings at their defaults" in shown


def test_long_values_leave_room_for_the_names() -> None:
    display, stream = on_terminal(80, colours=False)
    columns = [{"name": "message", "kind": "text", "missing": 0, "distinct": 968, "values": "慢 " + "very long " * 30}]

    display.start(opening() | {"columns": columns})

    (line,) = [line for line in stream.getvalue().splitlines() if "very long" in line]
    assert line.startswith("message")
    assert "968" in line
    assert "…" in line


def test_a_deep_model_is_summed_up_and_its_parameters_are_counted() -> None:
    display, stream = on_terminal(120, colours=False)

    display.start(opening(layers=40))

    assert stream.getvalue().count("Linear") == MOST_LAYERS
    assert f"{40 * 65792:,}" in stream.getvalue()


def test_the_best_row_has_a_mark_and_a_colour() -> None:
    display, stream = on_terminal(120)

    display.evaluation(row(1))
    display.evaluation(row(2, best=True))

    last = stream.getvalue().splitlines()
    assert "★" not in last[-2]
    assert "★" in last[-1]
    assert "\x1b[32m" in last[-1]


def test_a_terminal_without_utf8_gets_ascii_marks() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    display = TerminalDisplay(stream)

    everything(display)
    PlainDisplay(stream).notice("naïve")

    stream.flush()
    assert b" *" in stream.buffer.getvalue()  # type: ignore[attr-defined]


def test_the_bar_is_cleared_before_anything_else_is_written() -> None:
    display, stream = on_terminal(80)

    display.progress(1, 100, 0.5)
    display.notice("a word")

    bar, _, after = stream.getvalue().rpartition("\r\x1b[K")
    assert "1/100" in bar
    assert "a word" in after


def test_the_bar_fits_the_line_and_tells_the_time_left() -> None:
    stream = io.StringIO()
    display = TerminalDisplay(console=Console(file=stream, width=80, force_terminal=True, color_system=None))

    display.progress(1, 100_000, 0.123456)
    display.progress(50_000, 100_000, 0.123456)

    bars = stream.getvalue().split("\r\x1b[K")[1:]
    assert all(len(bar) < 80 for bar in bars)
    assert "50 %" in bars[-1]
    assert "left 0.0s" in bars[-1]


def test_a_finding_that_was_told_is_not_told_again_at_the_end() -> None:
    display, stream = on_terminal(120, colours=False)

    display.finding(FAULT, 3)
    display.finish(closing(findings=[FAULT, Finding(fault="fit.overfit", severity="note", message="later")]))

    assert stream.getvalue().count("29 rows are exact copies") == 1
    assert stream.getvalue().count("later") == 1


def test_the_end_tells_scores_intervals_paths_and_the_next_command() -> None:
    display, stream = on_terminal(80, colours=False)

    display.finish(closing())

    shown = stream.getvalue()
    for told in (
        "0.9150",
        "0.9000 to 0.9300",
        "runs/a/checkpoints/step-0000001340",
        "runs/a/report.html",
        "runs/a/recipe.toml",
    ):
        assert told in shown
    assert "tunesmith predict runs/a NEW.csv" in shown


def test_a_paused_run_says_where_and_a_finished_one_does_not() -> None:
    paused, finished = io.StringIO(), io.StringIO()

    PlainDisplay(paused).finish(closing(ending="paused", step=1234))
    PlainDisplay(finished).finish(closing(ending="finished", step=1234))

    assert "paused: after update 1,234, which is saved\n" in paused.getvalue()
    assert "saved" not in finished.getvalue()


def test_a_resumed_run_says_from_where() -> None:
    stream = io.StringIO()

    PlainDisplay(stream).start(opening() | {"resumed_at": 88})

    assert stream.getvalue().splitlines()[0].endswith("resumed at update 88")


def test_the_plain_display_writes_one_line_an_event_without_control_characters() -> None:
    stream = io.StringIO()

    everything(PlainDisplay(stream))

    shown = stream.getvalue()
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert [line for line in shown.splitlines() if line.startswith("epoch 1/30")] == [
        "epoch 1/30 · step 268 · train 0.5000 · valid 0.4000 · balanced_accuracy 0.8125 · lr 0.002 · 3.2s · 412 MB · left 1m20s · best"
    ]
    assert "→ remove the copies (tunesmith explain data.duplicates)" in shown


def test_a_steering_character_in_user_data_does_not_reach_the_stream() -> None:
    stream = io.StringIO()

    PlainDisplay(stream).notice("column \x1b[2J name")

    assert "\x1b" not in stream.getvalue()


def test_findings_speak_the_language_asked_for() -> None:
    stream = io.StringIO()
    finding = Finding(
        fault="loss.nonfinite",
        severity="error",
        message="loss.nonfinite",
        values={"value": "nan", "step": 3, "epoch": 1, "last": 0.5},
    )

    PlainDisplay(stream, language="zh").finding(finding, 3)

    assert "训练损失" in stream.getvalue()


def test_a_quiet_display_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    everything(QuietDisplay())

    assert capsys.readouterr() == ("", "")


def test_under_json_everything_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    everything(choose(json=True))

    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 1/30" in err


def test_without_a_terminal_the_display_is_plain() -> None:
    assert isinstance(choose(), PlainDisplay)
    assert isinstance(choose(quiet=True), QuietDisplay)
