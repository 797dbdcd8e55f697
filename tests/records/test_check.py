"""Checks inside a budget."""

import contextlib
import signal
import time

import pytest

from tunesmith.records import CHEAP, DEAR, PASS, Catalog, Clock, Finding, Findings, Inapplicable, OutOfTime, examine
from tunesmith.records.check import check_of


def finding(fault="data.constant"):
    return Finding(fault=fault, severity="note", message=fault)


@pytest.fixture
def checks():
    """A catalogue of five checks of numbers."""
    made = Catalog("check")

    @check_of(made, "late", faults=("lr.too_high",), cost=DEAR)
    def late(subject):
        subject.append("late")
        yield finding("lr.too_high")

    @check_of(made, "broken", faults=("lr.too_low",), cost=PASS)
    def broken(subject):
        yield finding("lr.too_low")
        raise ZeroDivisionError("oh")

    @check_of(made, "nothing", faults=(), cost=PASS)
    def nothing(subject):
        raise Inapplicable("no rows")
        yield

    @check_of(made, "hasty", faults=(), cost=PASS)
    def hasty(subject):
        Clock(0.0).need(1.0)
        yield finding()

    @check_of(made, "early", faults=("data.constant",), cost=CHEAP)
    def early(subject):
        subject.append("early")
        yield finding()

    return made


def test_the_cheap_come_first_and_none_ends_the_others(checks):
    subject = []

    told = examine(checks, subject, Clock())

    assert subject == ["early", "late"]
    assert [one.fault for one in told] == ["data.constant", "lr.too_low", "lr.too_high"]
    assert told.skipped == {"nothing": "no rows"}
    assert told.unreached == ["hasty"]
    assert list(told.failed) == ["broken"]
    assert "ZeroDivisionError: oh" in told.failed["broken"]
    assert set(told.seconds) == set(checks)


def test_without_time_nothing_is_looked_at_and_all_is_told(checks):
    told = examine(checks, [], Clock(0.0))

    assert len(told) == 0
    assert told.unreached == ["early", "broken", "hasty", "nothing", "late"]


def test_only_those_named_are_carried_out(checks):
    heard = []

    examine(checks, [], Clock(), ["late", "early"], heard.append)

    assert heard == ["early", "late"]


def test_findings_add_up():
    one = Findings([finding()], ["a"], ["x"], seconds={"p": 1.0}, measured={"m": 1})
    other = Findings([finding("lr.too_low")], ["a", "b"], skipped={"q": "why"})

    both = one + other

    assert [found.fault for found in both] == ["data.constant", "lr.too_low"]
    assert both[1].fault == "lr.too_low"
    assert (both.notices, both.unreached, both.skipped) == (["a", "b"], ["x"], {"q": "why"})
    assert (both.seconds, both.measured) == ({"p": 1.0}, {"m": 1})


def test_a_clock_runs_down():
    clock = Clock(0.05)
    clock.need(0.01)

    time.sleep(0.06)

    assert clock.spent_up
    assert clock.left() == 0.0
    with pytest.raises(OutOfTime):
        clock.need(0.001)


def test_a_check_that_overruns_is_cut_off_and_the_alarm_is_put_back():
    made = Catalog("check")

    @check_of(made, "endless", faults=(), cost=CHEAP)
    def endless(subject):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)
        yield

    before = signal.getsignal(signal.SIGALRM)
    start = time.perf_counter()

    told = examine(made, [], Clock(0.2))

    assert told.unreached == ["endless"]
    assert time.perf_counter() - start < 2.0
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
