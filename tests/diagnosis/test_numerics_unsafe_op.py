"""Births of numbers that are not finite, put into findings."""

import numpy as np
import pytest

from tests.diagnosis.lived import lived
from tunesmith.doctor.diagnosis import RULES, diagnosed
from tunesmith.doctor.diagnosis.origins import REMEDIES
from tunesmith.records.messages import templates

BORN = {
    "module": "head.scale",
    "direction": "forward",
    "why": "zero_by_zero",
    "fault": "numerics.unsafe_op",
    "step": 50,
    "op": "div",
    "code": "net.py:12: return x / x.sum(1)",
    "parameter": "",
    "rows": [3, 9],
    "columns": [],
    "of_rows": 16,
    "precision": "",
    "maker": "",
    "numbers": {"bad": 12.0, "of": 96.0, "zeros_1": 2.0},
    "cured": True,
}


def lost(at=50, back=False):
    loss = np.full(100, 0.5)
    loss[at - 1 :] = np.nan
    if back:
        loss[at:] = 0.5
    return loss


def told(fault, *origins, loss=None):
    return list(RULES[fault].look(lived(lost() if loss is None else loss, nonfinite=list(origins))))


def test_a_birth_is_named_with_place_rows_and_numbers():
    (one,) = told("numerics.unsafe_op", BORN)

    assert (one.severity, one.status) == ("error", "confirmed")
    about = {name: one.subject[name] for name in ("module", "direction", "step", "rows", "op")}
    assert about == {"module": "head.scale", "direction": "forward", "step": 50, "rows": [3, 9], "op": "div"}
    assert "0 divided by 0" in one.because
    assert "head.scale · div · forward · step 50 · rows 3, 9 · net.py:12" in one.because
    assert {seen.name: seen.value for seen in one.evidence}["finite_once_mended"] == 1.0
    assert one.ruled_out == ("data.nonfinite",)


def test_a_run_without_births_is_quiet():
    assert not told("numerics.unsafe_op")
    assert not list(RULES["numerics.unsafe_op"].look(lived()))


def test_a_batch_that_was_left_out_is_a_warning():
    (one,) = told("numerics.unsafe_op", BORN, loss=lost(back=True))

    assert one.severity == "warning"


@pytest.mark.parametrize(
    "fault",
    [
        "data.nonfinite",
        "lr.too_high",
        "lr.bad_schedule",
        "reg.too_strong",
        "optim.bad_hyperparameters",
        "init.bad_scale",
        "model.bad_normalization",
    ],
)
def test_each_rule_takes_the_births_of_its_own_fault(fault):
    others = told(fault, BORN)
    own = told(fault, BORN | {"fault": fault})

    assert not [one for one in others if one.message.startswith("origins.")]
    assert [one.fault for one in own if one.message.startswith("origins.")] == [fault]


def test_a_birth_comes_before_its_symptom_and_what_a_log_alone_suspects():
    found = diagnosed(lived(lost(), nonfinite=[BORN]))

    assert found[0].fault == "numerics.unsafe_op"
    assert [one.caused_by for one in found if one.fault == "loss.nonfinite"] == ["numerics.unsafe_op"]


@pytest.mark.parametrize("why", [*REMEDIES, "never heard of"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_has_a_sentence_and_a_remedy(why, language):
    (one,) = told("numerics.unsafe_op", BORN | {"why": why, "numbers": {}})

    assert one.message in templates(language)
    assert "head.scale" in one.text(language)
    assert one.remedies
    assert all(remedy.title in templates(language) for remedy in one.remedies)


def test_a_spoiled_buffer_and_an_underflow_have_sentences_of_their_own():
    (buffer,) = told("data.nonfinite", BORN | {"why": "bad_input", "fault": "data.nonfinite", "direction": "buffer"})
    (small,) = told("numerics.unsafe_op", BORN | {"why": "log_zero", "maker": "_softmax"})

    assert buffer.message == "origins.bad_input_buffer"
    assert small.message == "origins.log_zero_from"


@pytest.mark.parametrize("fault", ["optim.bad_hyperparameters", "reg.too_strong"])
def test_the_symptom_is_laid_at_the_door_of_what_was_seen_from_inside(fault):
    found = diagnosed(lived(lost(), nonfinite=[BORN | {"fault": fault, "direction": "update"}]))

    assert found[0].fault == fault
    assert [one.caused_by for one in found if one.fault == "loss.nonfinite"] == [fault]
