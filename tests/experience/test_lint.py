"""Lint speaks on clearly wild values, and is silent on sound ones."""

from typing import Any

import pytest

from tunesmith.blocks.experience import lint, lint_schedule
from tunesmith.records import Recipe, UnknownName, revise


def told(values: dict[str, Any], **known: Any) -> list[tuple[str, str]]:
    return [(note.id, note.severity) for note in lint(values, **known)]


WILD: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    ({"optim.name": "sgd", "optim.lr": 11.0}, {}, [("lr.sgd", "note")]),
    ({"optim.name": "sgd", "optim.lr": 9e-6}, {}, [("lr.sgd", "note")]),
    ({"optim.name": "adamw", "optim.lr": 0.1}, {}, [("lr.adam", "note")]),
    ({"optim.lr": 0.1}, {}, [("lr.adam", "note")]),  # "auto" is adamw
    ({"optim.name": "nadam", "optim.lr": 5e-8}, {}, [("lr.adam", "note")]),
    ({"optim.name": "sam", "optim.lr": 20.0}, {}, [("lr.sgd", "note")]),
    ({"optim.lr": 3e-4}, {"model": "transformer", "pretrained": True}, [("lr.finetune_text", "note")]),
    ({"rates.head_over_body": 0.1}, {"pretrained": True}, [("lr.parts", "note")]),
    ({"update.ratio": 0.05}, {"part": "matrix"}, [("lr.ratio", "note")]),
    ({"schedule.extra": {"gamma": 1.5}}, {}, [("decay.factor", "note")]),
    ({"decay.factor_at_half": 1e-4}, {}, [("decay.factor", "note")]),
    ({"schedule.warmup": "0.2dur"}, {}, [("warm.length", "note")]),
    ({"schedule.warmup": 300, "train.steps": 1000}, {}, [("warm.length", "note")]),
    ({"schedule.warmup": "300updates"}, {"updates": 1000}, [("warm.length", "note")]),
    ({"schedule.warmup": "3ep", "train.epochs": 10}, {}, [("warm.length", "note")]),
    ({"schedule.warmup": "5000samples", "train.epochs": 10}, {"rows": 1000}, [("warm.length", "note")]),
    ({"optim.name": "sgd", "optim.momentum": 0.99}, {}, [("momentum", "note")]),
    ({"train.epochs": 2, "train.batch_size": 32}, {"rows": 3000}, [("batch.tenth", "note")]),
    ({"train.accumulate": 4, "model.norm": "batch"}, {}, [("batch.accum", "warning")]),
    ({"train.accumulate": 4}, {"couples": True}, [("batch.accum", "warning")]),
    ({"train.accumulate": 4}, {"engine_divides": True, "loop_divides": True}, [("batch.engine", "warning")]),
    ({"train.accumulate": 4}, {"loss": "info_nce"}, [("batch.contrast", "note")]),
    ({"model.name": "cnn", "model.width": 4}, {}, [("conv", "note")]),
    ({"init.embedding": "xavier_uniform"}, {}, [("embed.init", "note")]),
    ({"model.norm": "batch", "train.batch_size": 8}, {}, [("norm.choice", "note")]),
    ({"model.norm": "batch", "data.sampler": "sequential"}, {}, [("norm.choice", "note")]),
    ({"model.dropout": 0.6}, {}, [("reg.dropout", "note")]),
    (
        {"model.name": "mlp", "model.norm": "batch", "model.depth": 2, "model.dropout": 0.2},
        {},
        [("reg.dropout_bn", "note")],
    ),
    ({"optim.name": "sgd", "optim.weight_decay": 0.1}, {}, [("reg.l2", "warning")]),
    ({"optim.name": "adam", "optim.weight_decay": 0.1}, {}, [("reg.l2", "warning")]),
    ({"optim.name": "adamw", "optim.weight_decay": 1.0}, {}, [("reg.l2", "warning")]),
    ({"clip.share": 0.7}, {}, [("reg.clip", "note")]),
    ({"classes.ratio": 25.0}, {}, [("data.ratio", "note")]),
    ({"target.std": 5000.0}, {}, [("target.scale", "note")]),
    ({"target.mean": -50.0}, {}, [("target.scale", "note")]),
    ({"tasks.ratio": 1000.0}, {}, [("loss.tasks", "warning")]),
    ({"lengths.cut_share": 0.2}, {}, [("seq.cut", "note")]),
]
SOUND: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"optim.name": "sgd", "optim.lr": 0.1, "optim.momentum": 0.95, "optim.weight_decay": 5e-4}, {}),
    ({"optim.name": "adamw", "optim.lr": 1e-2, "optim.weight_decay": 0.3, "optim.momentum": 0.999}, {}),
    ({"optim.lr": 2e-5}, {"model": "finetune_text"}),
    ({"optim.lr": 3e-4}, {"model": "lora"}),
    ({"optim.name": "adadelta", "optim.lr": 1.0}, {}),
    ({"rates.head_over_body": 0.1}, {}),  # from scratch nothing is known about parts
    ({"update.ratio": 0.05}, {"part": "bias"}),
    ({"schedule.warmup": "0.1dur"}, {}),
    ({"schedule.warmup": 10_000}, {}),  # the length of the run is not known
    ({"schedule.warmup": "3ep", "train.epochs": 30}, {}),
    ({"train.epochs": 10, "train.batch_size": 3000}, {"rows": 600_000}),
    ({"train.accumulate": 4, "model.norm": "layer"}, {}),
    ({"train.accumulate": 1, "model.norm": "batch"}, {"couples": True}),
    ({"train.accumulate": 4}, {"engine_divides": True, "loop_divides": False}),
    ({"model.name": "mlp", "model.width": 4}, {}),
    ({"model.norm": "layer", "train.batch_size": 8}, {}),
    ({"model.name": "cnn", "model.norm": "batch", "model.dropout": 0.2, "train.batch_size": 64}, {}),
    ({"model.dropout": 0.5, "model.width": 10_000, "model.name": "mlp"}, {}),
    ({"optim.lr": "auto", "model.dropout": None, "optim.clip_norm": True}, {}),
]


@pytest.mark.parametrize(("values", "known", "expected"), WILD)
def test_wild_values_are_remarked(
    values: dict[str, Any], known: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert told(values, **known) == expected


@pytest.mark.parametrize(("values", "known"), SOUND)
def test_sound_values_are_not(values: dict[str, Any], known: dict[str, Any]) -> None:
    assert told(values, **known) == []


def test_a_recipe_is_read_as_its_values_are() -> None:
    wild = revise(Recipe(), {"optim.name": "sgd", "optim.lr": 50.0, "schedule.warmup": "0.4dur"})

    assert lint(Recipe()) == []
    assert [(note.path, note.value, note.bound) for note in lint(wild)] == [
        ("optim.lr", 50.0, 10.0),
        ("schedule.warmup", "0.4dur", 0.1),
    ]


def test_a_note_says_value_and_rule() -> None:
    (note,) = lint({"optim.name": "sgd", "optim.lr": 50.0})

    assert str(note).startswith("optim.lr = 50: far outside")
    assert "experience.lr.sgd" in str(note)
    assert note.source


def test_what_the_context_says_goes_before_the_values() -> None:
    assert told({"optim.name": "sgd", "optim.lr": 0.1}, optimizer="adamw") == [("lr.adam", "note")]
    with pytest.raises(UnknownName, match="did you mean 'optimizer'"):
        lint({}, optimzer="sgd")


@pytest.mark.parametrize(
    ("marks", "warmup", "total", "expected"),
    [
        ([30, 80], 0, 20, ["sched.marks", "sched.marks"]),  # both beyond
        ([30, 80], 0, 90, []),
        ([30, 90], 0, 90, ["sched.marks"]),  # at the end is beyond: rates are used at 0..89
        ([200, 300, 320, 340, 200], 0, 1000, ["sched.marks", "sched.marks"]),  # unsorted, and 200 twice
        ([200, 200], 0, 1000, ["sched.marks"]),
        ([0.5, 0.75], 0, 1000, []),
        ([0.5, 750], 0, 1000, ["sched.marks"]),  # units mixed
        ([], 1000, 500, ["sched.marks"]),
        ([], 50, 500, []),
        ([], 51, 500, ["warm.length"]),
        ([400], 500, 10_000, ["warm.length"]),  # not ended at the first milestone
        ([500], 500, 10_000, ["warm.length"]),
        ([5, 7], 0, 0, []),
    ],
)
def test_marks_of_a_schedule(marks: list[float], warmup: float, total: float, expected: list[str]) -> None:
    assert [note.id for note in lint_schedule(marks, warmup, total)] == expected


def test_marks_beyond_the_run_are_warnings_and_a_long_warm_up_is_a_note() -> None:
    assert {note.severity for note in lint_schedule([30], 0, 20)} == {"warning"}
    assert [note.severity for note in lint_schedule([], 100, 500)] == ["note"]
    assert [note.severity for note in lint_schedule([400], 500, 10_000)] == ["warning"]


def test_a_span_longer_than_the_run_never_completes() -> None:
    (note,) = lint_schedule([], 0, 50, spans={"T_max": 100})

    assert (note.severity, note.value) == ("warning", "T_max 100 of 50")
    assert lint_schedule([], 0, 100, spans={"T_max": 100}) == []


def test_milestones_of_a_recipe_are_judged_where_the_run_is_known() -> None:
    milestones = {"schedule.name": "multi_step", "schedule.extra": {"milestones": [300, 800]}}

    assert told(milestones) == []
    assert told({**milestones, "train.steps": 900}) == []
    assert told({**milestones, "train.steps": 500}) == [("sched.marks", "warning")]
    assert told({"schedule.name": "step", "schedule.extra": {"every": 900}, "train.steps": 500}) == [
        ("sched.marks", "warning")
    ]
