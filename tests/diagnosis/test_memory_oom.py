"""Memory that grows or is exhausted."""

import pytest

from tests.diagnosis.lived import lived
from tunesmith.doctor.diagnosis import RULES

HOLDER = {
    "kind": "graphs",
    "type": "list",
    "name": "losses",
    "where": "train() at loop.py:3",
    "count": 90,
    "added": 1.0,
    "bytes": 360,
    "scalar": True,
}
GROWN = {"bytes_per_step": 2.0**20, "rise": 64 * 2.0**20, "steps": 64, "held": 1e9, "device": "cpu", "step": 200}
OUT = "CUDA out of memory. Of the allocated memory {} is allocated by PyTorch, and {} is reserved by PyTorch but unallocated."


def found(**facts):
    return list(RULES["memory.oom"].look(lived(**facts)))


def test_a_run_that_is_well_is_left_alone():
    assert not found()
    assert not found(crash={"kind": "ValueError", "message": "expected 3 rows"})


def test_what_holds_more_and_more_is_confirmed():
    (one,) = found(memory=GROWN | {"holder": HOLDER, "steps_left": 100.0})

    assert (one.severity, one.status, one.message) == ("error", "confirmed", "memory.growing_graphs")
    assert [remedy.title for remedy in one.remedies] == ["memory.do_detach", "memory.do_no_grad"]
    assert "losses (list, train() at loop.py:3) holds 90 tensors" in one.because
    assert {seen.name for seen in one.evidence} == {"bytes_per_update", "held_more_per_update", "updates_until_full"}


@pytest.mark.parametrize(
    ("kind", "scalar", "message"),
    [
        ("chain", True, "memory.growing_chain_sum"),
        ("chain", False, "memory.growing_chain_state"),
        ("tensors", False, "memory.growing_tensors"),
    ],
)
def test_each_way_has_its_sentence_in_both_languages(kind, scalar, message):
    (one,) = found(memory=GROWN | {"holder": HOLDER | {"kind": kind, "scalar": scalar}, "steps_left": 1e6})

    assert (one.message, one.severity) == (message, "warning")
    assert one.text("zh") != one.text("en")
    assert all(remedy.text("zh") != remedy.text("en") for remedy in one.remedies)


def test_growth_that_nothing_explains_and_that_lasts_is_a_note():
    (one,) = found(memory=GROWN | {"steps_left": 1e6})
    (soon,) = found(memory=GROWN | {"steps_left": 50.0})

    assert (one.severity, one.status) == ("note", "suspected")
    assert soon.severity == "warning"


def test_a_crash_without_growth_is_too_big_at_once_and_remedies_stand_in_order():
    (one,) = found(crash={"kind": "OutOfMemoryError", "message": OUT.format("7.00 GiB", "100.00 MiB")}, batch_size=64)

    assert (one.severity, one.message) == ("error", "memory.at_once")
    assert [remedy.title for remedy in one.remedies] == [
        "memory.do_halve_batch",
        "memory.do_precision",
        "memory.do_shorter",
        "memory.do_checkpointing",
    ]


def test_memory_in_pieces_is_told_apart():
    (one,) = found(crash={"kind": "OutOfMemoryError", "message": OUT.format("3.00 GiB", "4.00 GiB")})

    assert one.message == "memory.fragmented"
    assert one.remedies[0].title == "memory.do_expandable"


def test_the_allocator_of_the_processor_is_understood():
    told = "[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000000000000 bytes."

    (one,) = found(crash={"kind": "RuntimeError", "message": told})

    assert one.message == "memory.at_once"


def test_a_crash_after_growth_is_laid_at_its_door():
    (one,) = found(memory=GROWN | {"holder": HOLDER, "steps_left": 1e6}, crash={"kind": "MemoryError", "message": ""})

    assert (one.severity, one.message) == ("error", "memory.growing_graphs")


@pytest.mark.parametrize(
    ("facts", "severity", "message"),
    [
        ({}, "warning", "memory.graphs_kept"),
        ({"freed": True}, "note", "memory.graphs_freed_late"),
        ({"holder": HOLDER | {"kind": "chain"}}, "warning", "memory.graphs_kept"),
    ],
)
def test_graphs_that_are_kept_need_no_megabytes(facts, severity, message):
    (one,) = found(graphs={"alive": 20, "of": 20, "span": 99, "at": 100, "freed": False, "holder": HOLDER} | facts)

    assert (one.severity, one.status, one.message) == (severity, "confirmed", message)
    assert "losses" in one.because
    assert one.text("zh")
    assert all(remedy.text("zh") for remedy in one.remedies)
