import numpy as np
import pytest

from tunesmith.blocks.schedules import (
    SCHEDULES,
    WARMUPS,
    Curve,
    Judged,
    Watched,
    factor_at,
    join,
    momentum_of,
    rates,
    watches_of,
)
from tunesmith.blocks.schedules.history import Remembered, counted_from, seen

ERRORS = [Judged(100, 0.95), Judged(200, 0.79), Judged(300, 0.85)]


def test_only_what_was_known_is_seen():
    entries = [Judged(1, 0.0), Judged(5, 0.0, name="score"), Judged(9, 0.0)]

    assert [one.step for one in seen(entries, 5)] == [1, 5]
    assert [one.step for one in seen(entries, 9, "val_loss")] == [1, 9]
    assert [one.step for one in counted_from(entries, 5)] == [0, 4]


def test_either_kind_is_asked_alike():
    listens = Watched(lambda step, history: float(len(history)), "score")

    assert factor_at(listens, 3, [Judged(1, 0.0)]) == 1.0
    assert factor_at(lambda step: step / 2, 3, [Judged(1, 0.0)]) == 1.5
    assert watches_of(listens) == ("score",)
    assert watches_of(lambda step: 1.0) == ()


def test_a_strangers_class_with_the_attribute_listens_too():
    class Stranger:
        watches = "score"

        def __call__(self, step, history=()):
            return 1.0 + len(history)

    joined = join(WARMUPS["linear"](2), Stranger(), 2)

    assert [factor_at(joined, step, [Judged(2, 0.0)]) for step in range(4)] == [0.5, 1.0, 2.0, 2.0]
    assert joined.watches == "score"


def test_a_warm_up_until_the_error_falls_hands_over_at_that_evaluation():
    schedule = join(WARMUPS["until"](1000), SCHEDULES["multi_step"](500, milestones=[50]), 1000)

    found = [factor_at(schedule, step, ERRORS) for step in (0, 199, 200, 249, 250, 299, 300)]

    assert found == pytest.approx([0.1, 0.1, 1.0, 1.0, 0.1, 0.1, 0.1])  # and it does not come back when the error rises
    assert schedule.watches == "train_error"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("after", [0.1, 1.0, 0.995]),
        ("over", [0.1, 0.8, 0.795]),
        ("product", [0.1 * 0.801, 0.8, 0.795]),
        ("composite", [0.1, 0.8, 0.795]),
    ],
)
def test_until_is_joined_in_every_way(how, expected):
    schedule = join(WARMUPS["until"](1000), SCHEDULES["linear"](1000), 1000, how)

    assert [schedule(step, ERRORS) for step in (199, 200, 205)] == pytest.approx(expected)


def test_the_line_to_the_end_of_a_warm_up_does_not_foresee_evaluations():
    schedule = join(WARMUPS["linear"](20, start=0.0), SCHEDULES["plateau"](patience=0, factor=0.5), 20, "composite")
    entries = [Judged(5, 1.0), Judged(15, 1.0)]

    assert [schedule(step, entries) for step in (10, 14, 15, 20)] == pytest.approx([0.5, 0.7, 0.375, 0.5])
    assert schedule(10, entries[:1]) == schedule(10, entries)


def test_a_condition_that_never_comes_ends_with_the_warm_up():
    schedule = WARMUPS["until"](300, below=0.5)

    assert [schedule(step, ERRORS) for step in (299, 300)] == [0.1, 1.0]


def test_a_score_may_have_to_rise():
    scores = [Judged(10, 0.2), Judged(20, float("nan")), Judged(30, 0.6)]
    schedule = WARMUPS["until"](300, watches="score", above=0.5)

    assert [schedule(step, scores) for step in (29, 30)] == [0.1, 1.0]


def test_two_listeners_hear_their_own():
    schedule = join(WARMUPS["until"](100), SCHEDULES["plateau"](patience=0, factor=0.5), 100)
    entries = [
        Judged(10, 0.7, name="train_error"),
        Judged(10, 2.0, name="val_loss"),
        Judged(20, 2.0, name="val_loss"),
        Judged(20, 0.1, name="train_error"),
    ]

    assert watches_of(schedule) == ("train_error", "val_loss")
    assert [schedule(step, entries) for step in (9, 10, 20)] == [0.1, 1.0, 0.5]


def test_many_steps_at_once_with_a_history():
    schedule = WARMUPS["until"](1000)

    assert rates(schedule, [199, 200], ERRORS).tolist() == [0.1, 1.0]
    assert schedule(np.array([[199], [200]]), ERRORS).tolist() == [[0.1], [1.0]]


def test_what_is_remembered_is_never_an_answer_to_another_question():
    asked = []
    length = Remembered(lambda entries: asked.append(entries) or len(entries))

    assert [length((1,)), length((1,)), length((1, 2)), length((1,))] == [1, 1, 2, 1]
    assert len(asked) == 3


def test_a_memory_does_not_confuse_two_histories_of_one_length():
    schedule = SCHEDULES["plateau"](patience=0, factor=0.5)
    falling, flat = ([Judged(n, value) for n, value in enumerate(row)] for row in ([3.0, 2.0, 1.0], [3.0, 3.0, 3.0]))

    assert [schedule(2, one) for one in (falling, flat, falling)] == [1.0, 0.25, 1.0]


def test_the_momentum_of_a_join_waits_for_the_schedule():
    cycle = SCHEDULES["one_cycle"](100)
    joined = join(WARMUPS["linear"](10), cycle, 10)

    assert rates(momentum_of(joined), [0, 9, 10, 39]).tolist() == pytest.approx([0.95, 0.95, 0.95, 0.85])
    assert momentum_of(join(WARMUPS["linear"](10), cycle, 10, "over"))(29) == pytest.approx(0.85)
    assert momentum_of(join(WARMUPS["until"](10), cycle, 10))(10 + 29) == pytest.approx(0.85)
    assert momentum_of(SCHEDULES["cosine"](10)) is None
    assert momentum_of(lambda step: 1.0) is None


def test_a_floor_and_a_product_keep_the_momentum():
    cyclic = SCHEDULES["cyclic"](100, up=10)
    both = SCHEDULES["product"](100, parts=[SCHEDULES["cosine"](100), cyclic])

    assert momentum_of(both)(10) == pytest.approx(0.8)
    assert isinstance(both, Curve)
