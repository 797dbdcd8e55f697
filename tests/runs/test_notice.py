"""Notices are English sentences that can be had in the other language too."""

import pytest

from tunesmith.runs.notice import Notice, said_in


def test_a_notice_is_its_english_sentence() -> None:
    notice = Notice("readers.several_runs", count=3)

    assert notice == "3 runs in one log: each is looked at by itself"
    assert notice.text("zh") == "一份日志里有 3 次训练：分别查看"


@pytest.mark.parametrize(
    ("notice", "said"), [(Notice("readers.rows_counted"), "没有步数或轮次列：按行计数"), ("as it is", "as it is")]
)
def test_said_in_a_language(notice: str, said: str) -> None:
    assert said_in(notice, "zh") == said
