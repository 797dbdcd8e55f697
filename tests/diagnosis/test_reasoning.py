"""From symptoms to ranked causes."""

import numpy as np
import pytest

from tests.diagnosis.curves import falling, flat, history
from tunesmith.doctor.diagnosis import diagnosed
from tunesmith.doctor.diagnosis.clues import TESTS, Clue
from tunesmith.doctor.diagnosis.ranking import vocabulary
from tunesmith.doctor.diagnosis.reasoning import MORE, OPENED, PROBES, SEEN, WEIGHTS, beliefs, joined, log_odds
from tunesmith.records import Finding

FLAT = Clue("held_frozen", 0.0, 1e-5)


def suspicion(fault, confidence=0.4, message="a", **about):
    return Finding(fault=fault, severity="warning", message=message, confidence=confidence, **about)


def test_the_prior_is_the_order_of_the_fault_list():
    believed = beliefs(["loss.nonfinite"])

    assert [one.fault for one in believed][:3] == ["data.nonfinite", "numerics.unsafe_op", "lr.too_high"]
    assert sum(one.share for one in believed) == pytest.approx(0.85)


def test_evidence_moves_the_belief_and_is_named():
    before = {one.fault: one.share for one in beliefs(["loss.plateau_at_chance"])}

    after = {one.fault: one for one in beliefs(["loss.plateau_at_chance"], [FLAT])}

    assert after["optim.unregistered_params"].share > before["optim.unregistered_params"]
    assert after["data.no_signal"].share < before["data.no_signal"]
    assert after["optim.unregistered_params"].speaking_for == (FLAT,)
    assert after["data.no_signal"].against == (FLAT,)


def test_a_confirmation_decides_and_a_refutation_rules_out():
    confirmed = log_odds(suspicion("lr.too_low", status="confirmed"))
    refuted = log_odds(suspicion("lr.too_high", status="refuted"))

    believed = beliefs(["loss.diverging"], evidence={"loss.mismatch": confirmed, "lr.too_high": refuted})

    assert believed[0].fault == "loss.mismatch"
    assert believed[0].share > 0.8
    assert believed[-1].fault == "lr.too_high"


def test_two_sources_strengthen_each_other():
    found = joined([suspicion("lr.too_high", 0.5), suspicion("lr.too_high", 0.5, message="b")])

    assert [one.confidence for one in found] == [0.75, 0.75]


def test_what_a_confirmed_cause_explains_is_less_probable_by_itself():
    found = joined([suspicion("data.unscaled_inputs", 0.9, status="confirmed"), suspicion("lr.too_high", 0.6)])

    assert [one.confidence for one in found] == [0.9, 0.3]


def test_the_words_of_the_tables_are_those_of_the_fault_list_and_of_the_clues():
    faults = set(vocabulary())
    named = {test.__name__ for test in TESTS} | {"classes"}

    assert set(WEIGHTS) | {*OPENED} <= named
    assert {fault for weights in WEIGHTS.values() for fault in weights} <= faults
    assert {*MORE, *SEEN, *PROBES} <= faults


def test_weights_that_stand_still_make_the_optimizer_a_candidate():
    run = history(train=flat(20, 0.72, 0.01), val=np.full(20, 0.7), auc=np.full(20, 0.5), lr=np.full(20, 0.1))

    found = diagnosed(run)

    assert "optim.unregistered_params" in [one.fault for one in found][:2]
    symptom = next(one for one in found if one.fault == "loss.plateau_at_chance")
    assert symptom.caused_by is not None
    assert "data.no_signal" in symptom.ruled_out
    assert symptom.next_probe is not None


def test_what_a_watch_measured_rules_out_with_its_number():
    watched = {
        "input_max": np.full(20, 2.5),
        "input_std": np.full(20, 1.0),
        "update_ratio": np.full(20, 2e-3),
        "moved": np.full(20, 0.1),
    }
    run = history("step", updates=flat(600, 0.693, 0.01), facts={"classes": 2, "watched": True}, **watched)

    symptom = next(one for one in diagnosed(run) if one.fault == "loss.plateau_at_chance")

    assert {"data.unscaled_inputs", "lr.too_low", "optim.unregistered_params"} <= set(symptom.ruled_out)
    assert 2.5 in [one.value for one in symptom.evidence if one.name == "inputs_scaled"]


def test_inputs_that_were_seen_to_be_numbers_leave_the_operations():
    run = history("step", updates=np.full(50, np.nan), input_max=np.full(5, 2.0))

    found = diagnosed(run)

    assert found[0].fault == "numerics.unsafe_op"
    assert "data.nonfinite" not in [one.fault for one in found if one.severity != "note"]


def test_candidates_of_a_log_are_never_errors_and_of_different_families():
    found = diagnosed(history(train=np.exp(np.linspace(0, 5, 30))))
    candidates = [one for one in found if one.fault not in ("loss.diverging",) and one.severity != "note"]

    assert {one.severity for one in candidates} == {"warning"}
    assert len({one.fault.partition(".")[0] for one in candidates}) == len(candidates) == 2
    assert all(one.next_probe for one in candidates if one.fault in PROBES)


def test_a_proven_cause_needs_no_candidates():
    rate = np.where(np.arange(40) < 3, 0.1, 1e-12)

    found = diagnosed(history(train=flat(40, 2.3026, 0.002), accuracy=flat(40, 0.1, 0.01), lr=rate))

    assert [one.fault for one in found if one.severity != "note"] == ["lr.bad_schedule", "loss.plateau_at_chance"]


def test_a_sound_run_has_no_candidates():
    found = diagnosed(
        history(train=falling(), val=falling(seed=1), accuracy=np.linspace(0.3, 0.9, 40), lr=np.full(40, 0.1))
    )

    assert all(one.severity == "note" for one in found)


def test_a_lost_state_is_no_candidate_of_a_run_that_was_never_resumed():
    found = diagnosed(history(train=flat(30, 1.7)))

    assert "optim.lost_state" not in [one.fault for one in found]


STUCK = {
    "training alone": {"train": flat(20, 0.6931, 0.003)},
    "to the digit": {"train": flat(20, 0.6931, 0.0005), "val": [0.6931] * 20, "accuracy": [0.5] * 20},
    "after a leap": {"train": [8.0, *flat(19, 0.695, 0.003)], "val": flat(20, 0.6935, 0.002), "accuracy": [0.5] * 20},
}


def causes_of_stuck(how, optimizer, rate):
    facts = {"classes": 2} | ({"optimizer": optimizer} if optimizer else {})
    found = diagnosed(history(**STUCK[how], lr=[rate] * 20, facts=facts))
    return [one.fault for one in found if one.fault in ("lr.too_high", "output.wrong_activation")], found


@pytest.mark.parametrize("how", STUCK)
@pytest.mark.parametrize(("optimizer", "rate"), [("Adam", 0.1), ("AdamW", 0.3), ("SGD", 10.0), ("", 0.1)])
def test_a_rate_that_is_seen_to_be_large_comes_before_an_output_that_nobody_saw(how, optimizer, rate):
    causes, found = causes_of_stuck(how, optimizer, rate)

    assert causes[0] == "lr.too_high"
    assert "{" not in "".join(one.text(language) for one in found for language in ("en", "zh"))


@pytest.mark.parametrize("how", ["training alone", "to the digit"])
@pytest.mark.parametrize(("optimizer", "rate"), [("Adam", 1e-3), ("SGD", 0.1), ("", 1e-3)])
def test_a_usual_rate_is_not_blamed(how, optimizer, rate):
    causes, _ = causes_of_stuck(how, optimizer, rate)

    assert causes == ["output.wrong_activation"]


@pytest.mark.parametrize(("optimizer", "rate"), [("Adam", 0.1), ("SGD", 10.0), ("", 0.1)])
def test_a_large_rate_of_a_run_that_learns_is_no_fault(optimizer, rate):
    facts = {"classes": 2, "optimizer": optimizer}

    found = diagnosed(history(train=falling(), val=falling(seed=1), lr=[rate] * 40, facts=facts))

    assert "lr.too_high" not in [one.fault for one in found]
