import math

import numpy as np
import pytest

from cases.keypoints.judging import by_person, error, error_interval, gain, gain_interval
from cases.keypoints.table import chosen_members, table


def some(seed: int, persons: int = 12, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 96, (60, 30))
    truth[rng.random(truth.shape) < 0.4] = np.nan
    named = np.array([f"p{row % persons}" for row in range(60)])
    return truth + rng.normal(0, noise, truth.shape), truth, named


def test_the_error_is_the_root_of_the_mean_over_the_coordinates_that_are_there() -> None:
    rng = np.random.default_rng(0)
    _, truth, persons = some(1)
    predicted = rng.uniform(0, 96, truth.shape)

    sums = by_person(predicted, truth, persons)

    assert error([sums]) == pytest.approx(math.sqrt(np.nanmean((predicted - truth) ** 2)))
    assert len(sums["counts"]) == 12
    assert sum(sums["counts"]) == (~np.isnan(truth)).sum()


def test_a_person_without_any_coordinate_counts_for_nothing() -> None:
    truth = np.array([[1.0, np.nan], [np.nan, np.nan]])

    sums = by_person(np.array([[4.0, 9.0], [9.0, 9.0]]), truth, np.array(["a", "b"]))

    assert error([sums]) == 3.0
    assert sums["counts"] == [1, 0]


def test_the_interval_is_over_persons_and_holds_the_error() -> None:
    _, truth, persons = some(2)
    off = np.where((persons == "p0")[:, None], 8.0, 1.0)  # one person errs by eight pixels
    by_row = np.array([f"r{row}" for row in range(60)])

    person = by_person(np.nan_to_num(truth) + off, truth, persons)
    row = by_person(np.nan_to_num(truth) + off, truth, by_row)

    assert error([person]) == pytest.approx(error([row]))
    low, high = error_interval([person])
    assert low == pytest.approx(1.0)  # draws without the one person
    assert low < error([person]) < high
    narrow = error_interval([row])
    assert narrow[1] - narrow[0] < high - low


def test_the_gain_is_paired_so_that_a_constant_difference_has_no_width() -> None:
    _, truth, persons = some(3)
    rng = np.random.default_rng(3)
    off = rng.uniform(1, 20, (60, 1)).repeat(30, axis=1)

    worse, better = (by_person(np.nan_to_num(truth) + factor * off, truth, persons) for factor in (1.0, 0.5))

    assert gain([worse], [better]) == pytest.approx(error([worse]) / 2, rel=1e-4)
    low, high = gain_interval([worse], [better])
    wide = error_interval([worse])
    assert high - low == pytest.approx((wide[1] - wide[0]) / 2, rel=1e-3)


def test_a_table_has_a_line_for_each_rung_with_rows_and_one_for_what_stands_beside() -> None:
    rows = []
    for name, noise in (("flips", 2.0), ("convolutional", 4.0), ("tune", 1.0)):
        for seed in (0, 1):
            sums = by_person(*some(seed, noise=noise))
            took = {"parameters": 1000, "epochs": 3, "seconds": 7.4}
            rows.append({"rung": name, "seed": seed, "val": sums, "test": sums} | took)

    lines = table(rows).splitlines()

    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| 2 three convolutions, two hidden layers",
        "| 3 half of the faces mirrored",
        "| `tunesmith tune`, against the best rung",
    ]
    convolutional, flips, tuned = (line.split(" | ") for line in lines[2:])
    assert convolutional[3] == ""
    pooled = [row["test"] for row in rows]
    assert flips[3].startswith(f"+{gain(pooled[2:4], pooled[:2]):.3f} (+")
    assert tuned[3].startswith(f"+{gain(pooled[:2], pooled[4:]):.3f} (+")
    assert flips[4:7] == ["1,000", "3", "7"]
    assert flips[7].startswith("2, test ")


def test_the_members_of_an_ensemble_are_told() -> None:
    assert chosen_members([]) == ""
    assert (
        chosen_members([{"rung": "ensemble", "members": {"flips/seed-0": 2, "wide/seed-1": 1}}])
        == "The ensemble averages flips/seed-0 ×2, wide/seed-1."
    )
