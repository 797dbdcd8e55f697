"""One look for all who watch; what each is told, and that a slow one holds nobody up."""

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.reports.live.conftest import filled, going_on, more
from tunesmith.reports.live.hub import Crowded, Hub, Watcher, Wish, wishes_of
from tunesmith.runs.following import Place as Row


def test_wishes_are_read_or_refused() -> None:
    found = wishes_of('{"a": {"row": [7, 1], "signals": [["loss", ""]], "events": true}, "b": {}}')

    assert found == {"a": Wish(Row(7, 1), frozenset({("loss", "")}), True), "b": Wish(Row(0, 0))}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"a": 1}',
        '{"a": {"row": [1]}}',
        '{"a": {"row": ["1", 2]}}',
        '{"a": {"signals": [["loss"]]}}',
        '{"a": {"row": [1e999, 1]}}',
    ],
)
def test_wishes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|char|delimiter"):
        wishes_of(text)


def test_too_many_wishes_are_refused() -> None:
    signals = json.dumps([["loss", str(number)] for number in range(401)])

    with pytest.raises(ValueError, match="at most 400"):
        wishes_of('{"a": {"signals": ' + signals + "}}")


def test_a_watcher_that_does_not_keep_up_is_told_to_begin_anew() -> None:
    async def full() -> list[Any]:
        watcher = Watcher({})
        for number in range(100):
            watcher.tell([{"number": number}])
        return [watcher.queue.get_nowait() for _ in range(watcher.queue.qsize())]

    told = asyncio.run(full())

    assert len(told) <= 16
    assert told[0] == [{"kind": "anew"}]


def test_there_are_no_more_watchers_than_there_may_be(folder: Path) -> None:
    async def crowd() -> int:
        hub = Hub(folder, watchers=2)
        first = hub.join({})
        hub.join({})
        with pytest.raises(Crowded):
            hub.join({})
        hub.leave(first)
        hub.join({})
        count = len(hub.watchers)
        hub.close()
        return count

    assert asyncio.run(crowd()) == 2


def test_every_point_reaches_every_watcher_once_whatever_is_asked_between(folder: Path) -> None:
    run = filled(folder / "third")
    stack = ExitStack()
    writer = stack.enter_context(going_on(run))

    async def watched() -> list[list[int]]:
        hub = Hub(folder, look_seconds=0.02)
        hub.listing()
        place = hub.followed("third")
        assert place is not None
        wishes = {"third": Wish(Row(*place.details()["row"]), frozenset({("loss", "")}), True)}
        watchers = [hub.join(wishes) for _ in range(3)]
        looks: list[list[Any]] = [[] for _ in watchers]
        for start in range(101, 401, 10):
            more(writer, start, start + 10)
            hub.listing()
            hub.followed("third")
            await asyncio.sleep(0.01 if start < 391 else 0.3)
            for watcher, look in zip(watchers, looks, strict=True):
                look += [watcher.queue.get_nowait() for _ in range(watcher.queue.qsize())]
        caught = [await hub.catch_up(watcher) for watcher in watchers]
        assert [one[0]["curves"][0]["steps"][-1] for one in caught] == [400] * 3
        news = [[one for look in told for one in look if one["kind"] == "news"] for told in looks]
        seen = [[step for one in told for curve in one["curves"] for step in curve["steps"]] for told in news]
        hub.close()
        return seen

    with stack:
        seen = asyncio.run(watched())

    assert seen == [list(range(101, 401))] * 3


def test_the_run_of_a_trial_is_followed_and_nothing_beside_it(folder: Path) -> None:
    filled(folder / "study" / "trials" / "000001" / "run")
    hub = Hub(folder)

    found = hub.followed("study/trials/1")

    assert found is not None
    assert found.summary["step"] == 100
    strange = [
        "study/trials/2",
        "study/trials/01",
        "study/trials/../1",
        "study/trials/1/../1",
        "../all/first",
        "/first",
        "first/trials/1",
        "study/trials/²",
    ]
    assert [hub.followed(id) for id in strange] == [None] * len(strange)
