"""Text for language models under the audits: samples are texts, and the limit is judged by what it takes from them."""

import pytest

import tunesmith as ts
from tunesmith.records import Task


def chats(count=60, long=False):
    return [
        {"instruction": f"Question {n}", "output": (f"answer {n} " * (30 if long else 2)).strip()} for n in range(count)
    ]


def found(rows, recipe=None, **about):
    told = ts.audit(Task(train=rows, kind="language", **about), recipe=recipe, only=["text_lengths", "duplicates"])
    assert not told.failed
    return [(finding.fault, finding.severity) for finding in told]


@pytest.mark.parametrize("policy", ["truncate", "drop"])
def test_a_limit_that_takes_endings_is_told(policy):
    rows = chats(long=True)[:40] + chats(20)

    assert ("data.too_long", "warning") in found(rows, {"data.max_seq_len": 100, "data.too_long": policy})
    assert found(rows, {"data.max_seq_len": 100, "data.too_long": "split"}) == []


def test_samples_that_fit_are_quiet_and_copies_are_counted():
    assert found(chats()) == []
    assert ("data.duplicates", "warning") in found(chats(20) * 3) or ("data.duplicates", "note") in found(chats(20) * 3)
