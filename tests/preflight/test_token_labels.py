"""token_labels: padding that trains and endings that do not, and silence where a mask is sound."""

import numpy as np
import pytest
from torch import nn

import tunesmith as ts
from tunesmith.doctor.preflight.token_labels import ending_share, filled_up

END, PAD, IGNORED = 2, 0, -100


class Next(nn.Module):
    """Logits of the next token from this one alone."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(40, 8), nn.Linear(8, 40)

    def forward(self, tokens):
        return self.head(self.table(tokens))


def texts(padding=PAD, count=60, length=16):
    """Rows of words that end with END and are filled up; targets shifted, padding masked by length."""
    rng = np.random.default_rng(0)
    tokens = np.full((count, length + 1), padding)
    target = np.full((count, length + 1), IGNORED)
    for row in range(count):
        size = int(rng.integers(4, length - 2))
        tokens[row, :size], tokens[row, size] = rng.integers(3, 40, size), END
        target[row, :size] = tokens[row, 1 : size + 1]
    return tokens[:, :length], target[:, :length]


def found_in(data):
    task = ts.Task(Next, train=data, kind="language")
    found = ts.preflight(task, {"train.epochs": 1, "train.batch_size": 8}, only=["token_labels"], audits=False)
    return [(finding.fault, finding.message) for finding in found], found


@pytest.mark.parametrize("padding", [PAD, END])
def test_a_mask_by_length_is_sound(padding):
    assert found_in(texts(padding))[0] == []


def test_padding_that_trains_is_told():
    tokens, _ = texts()
    target = np.concatenate([tokens[:, 1:], np.full((len(tokens), 1), PAD)], axis=1)

    told, found = found_in((tokens, target))

    assert told == [("loss.mismatch", "preflight.padding_trains")]
    assert "token 0 behind itself" in found[0].because


def test_ends_that_are_masked_with_the_padding_are_told():
    tokens, target = texts(END)
    target[target == END] = IGNORED  # what a collator does that masks the pad token

    told, found = found_in((tokens, target))

    assert told == [("loss.mismatch", "preflight.no_ending")]
    assert "the pad token is the end token" in found[0].because


def test_rows_without_padding_are_not_judged():
    tokens = np.random.default_rng(0).integers(3, 40, (40, 12))

    _, found = found_in((tokens[:, :-1], tokens[:, 1:]))

    assert "token_labels" in found.skipped


def test_what_fills_up_is_the_commonest_run():
    filler, runs = filled_up(np.array([[5, 6, 0, 0], [7, 0, 0, 0], [1, 2, 3, 4], [1, 9, 9, 0]]))

    assert (filler, runs.tolist()) == (0, [2, 3, 0, 0])
    assert ending_share(np.array([[4, 2], [2, 0], [5, 7]]), np.array([[1, 1], [1, 0], [1, 1]], bool)) == pytest.approx(
        2 / 3
    )
