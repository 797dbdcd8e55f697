"""The order of findings."""

import itertools

from tunesmith.doctor.diagnosis import measured, ranked
from tunesmith.records import Evidence, Finding


def finding(fault, severity="warning", confidence=0.8, status="suspected", **about):
    return Finding(fault=fault, severity=severity, message=fault, confidence=confidence, status=status, **about)


def faults(findings):
    return [one.fault for one in ranked(findings)]


def test_the_grave_come_first_and_notes_last():
    found = [finding("data.constant", "note"), finding("lr.too_low"), finding("data.label_out_of_range", "error")]

    for order in itertools.permutations(found):
        assert faults(order) == ["data.label_out_of_range", "lr.too_low", "data.constant"]


def test_a_symptom_stands_after_what_causes_it_whatever_its_gravity():
    found = [finding("run.crash", "error"), finding("output.wrong_width", "error")]

    order = ranked(found)

    assert [one.fault for one in order] == ["output.wrong_width", "run.crash"]
    assert order[1].caused_by == "output.wrong_width"


def test_an_upstream_cause_explains_what_it_brings_about():
    found = [finding("lr.too_high", confidence=0.9), finding("data.unscaled_inputs"), finding("act.dead_relu")]

    order = ranked(found)

    assert order[0].fault == "data.unscaled_inputs"
    assert {one.fault: one.caused_by for one in order[1:]} == {
        "lr.too_high": "data.unscaled_inputs",
        "act.dead_relu": "data.unscaled_inputs",
    }


def test_a_note_explains_nothing():
    order = ranked([finding("data.unscaled_inputs", "note"), finding("lr.too_high")])

    assert [one.fault for one in order] == ["lr.too_high", "data.unscaled_inputs"]
    assert order[0].caused_by is None


def test_other_faults_come_before_the_second_finding_of_one():
    found = [
        finding("data.leakage", confidence=0.9, subject={"columns": ["a"]}),
        finding("data.leakage", confidence=0.85, subject={"columns": ["b"]}),
        finding("init.symmetric"),
    ]

    assert faults(found) == ["data.leakage", "init.symmetric", "data.leakage"]


def test_the_surer_comes_first_and_the_refuted_last():
    found = [
        finding("init.symmetric", status="refuted"),
        finding("model.batch_leak", status="suspected"),
        finding("optim.missing_zero_grad", status="confirmed"),
    ]

    assert faults(found) == ["optim.missing_zero_grad", "model.batch_leak", "init.symmetric"]


def test_what_two_checks_say_of_one_place_is_one_finding_with_the_evidence_of_both():
    one = finding("lr.too_low", confidence=0.5, evidence=(Evidence(name="a", value=1.0),))
    other = finding("lr.too_low", confidence=0.7, evidence=(Evidence(name="b", value=2.0),))

    for order in ([one, other], [other, one]):
        (only,) = ranked(order)
        assert only.confidence == 0.7
        assert [each.name for each in only.evidence] == ["b", "a"]


def test_notes_and_other_places_stay_apart():
    found = [
        finding("data.unscaled_inputs", subject={"columns": ["a", "b"]}),
        finding("data.unscaled_inputs", subject={"columns": ["c"]}),
        finding("data.unscaled_inputs", "note", subject={"columns": ["a"]}),
    ]

    assert len(ranked(found)) == 3


def test_a_suspicion_that_was_measured_and_not_confirmed_is_a_note():
    suspected = finding("data.unscaled_targets")
    proven = finding("data.unscaled_targets", status="confirmed")

    assert [one.severity for one in measured([suspected], ["targets_at_start"])] == ["note"]
    assert [one.severity for one in measured([suspected], ["runs"])] == ["warning"]
    assert [one.severity for one in measured([suspected, proven], ["targets_at_start"])] == ["warning", "warning"]
