"""One look a second at everything that is followed, for all who watch; and what each of them is told.

However many watch, a run is read once. A watcher has a short queue: one that does not keep up is told to begin anew, and nobody waits
for it. While nobody watches, nothing is looked at.
"""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tunesmith.records import TunesmithError
from tunesmith.reports.live.curves import fresh_of
from tunesmith.reports.live.places import Place, is_inside, places, trial_place
from tunesmith.reports.live.runs import FollowedRun, event_of
from tunesmith.reports.live.studies import FollowedStudy, opened
from tunesmith.runs.following import News, news
from tunesmith.runs.following import Place as Row
from tunesmith.runs.log import Key

WATCHERS = 32  # at once; assumption: a class room
QUEUE = 16  # looks of which the messages wait for one watcher
LOOK_SECONDS, SCAN_SECONDS = 1.0, 5.0
CATCH_UP = 1 << 16  # points between what a page has read and the first look for it
SIGNALS = 400  # signals that one watcher may follow
TRIALS = 64  # runs of trials that are followed at once, the last that were asked for

UNREADABLE = (
    TunesmithError,
    OSError,
    sqlite3.Error,
    LookupError,
    TypeError,
    ValueError,
)  # just being made, gone, or damaged

Message: TypeAlias = dict[str, Any]
Followed: TypeAlias = FollowedRun | FollowedStudy


@dataclass(frozen=True, slots=True)
class Wish:
    """What a watcher wants of one place: from a row on, with which signals."""

    row: Row
    signals: frozenset[Key] = frozenset()
    events: bool = False


@dataclass(eq=False)
class Watcher:
    """Somebody who watches, and what waits for him."""

    wishes: Mapping[str, Wish]
    queue: "asyncio.Queue[list[Message] | None]" = field(default_factory=lambda: asyncio.Queue(QUEUE))

    def tell(self, messages: list[Message]) -> None:
        """Adds what a look found; where the queue is full, the word to begin anew stands for all of it."""
        try:
            self.queue.put_nowait(messages)
        except asyncio.QueueFull:
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait([{"kind": "anew"}])


class Crowded(Exception):
    """There are as many watchers as there may be."""


class Hub:
    """Follows all places of a folder."""

    def __init__(self, root: Path, *, watchers: int = WATCHERS, look_seconds: float = LOOK_SECONDS) -> None:
        self.root, self.most, self.look_seconds = root, watchers, look_seconds
        self.watchers: set[Watcher] = set()
        self._followed: dict[str, Followed] = {}
        self._trials: dict[str, Followed] = {}
        self._told: dict[str, str] = {}  # the summary that all were told last, by place
        self._scanned = -SCAN_SECONDS
        self._guard = threading.RLock()
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    # What is read, in whatever thread

    def listing(self) -> list[dict[str, Any]]:
        """The summary of every place, the newest first; not older than a look."""
        with self._guard:
            if not self.watchers or not self._followed:
                self._look()
            return [one.summary for one in self._followed.values() if one.summary]

    def followed(self, id: str) -> Followed | None:
        """What has this id; None for none, also where it no longer lies in the folder.

        Looked at now, unless somebody watches: what a look finds new is for those who watch, and found once.
        """
        with self._guard:
            found = self._followed.get(id) or self._trials.get(id)
            if found is None:
                self._scan()
                found = self._followed.get(id) or self._trial(id)
            if found is None or not is_inside(found.place, self.root):
                return None
            try:
                if not self.watchers or not found.summary:
                    _looked(found)
            except UNREADABLE:
                return None
            return found

    def _trial(self, id: str) -> Followed | None:
        study, _, number = id.rpartition("/trials/")
        owner = self._followed.get(study)
        if not isinstance(owner, FollowedStudy) or not (number.isascii() and number.isdigit() and len(number) < 10):
            return None
        place = trial_place(owner.place, int(number))
        if place is None or place.id != id:
            return None
        while len(self._trials) >= TRIALS:
            self._trials.pop(next(iter(self._trials)))
        self._trials[id] = FollowedRun(place)
        return self._trials[id]

    def _scan(self) -> None:
        """Finds places that are new, and lets go of those that are gone."""
        self._scanned = time.monotonic()
        found = places(self.root)
        kept = {id: self._followed.get(id) or _begun(place) for id, place in found.items()}
        self._followed = {id: one for id, one in kept.items() if one is not None}

    def _look(self) -> tuple[dict[str, News], set[str]]:
        """Looks at all: what is new of runs, and which searches changed."""
        if time.monotonic() - self._scanned >= SCAN_SECONDS:
            self._scan()
        fresh: dict[str, News] = {}
        changed: set[str] = set()
        for id, one in [*self._followed.items(), *self._trials.items()]:
            try:
                found = _looked(one)
            except UNREADABLE:
                continue
            if isinstance(found, News):
                fresh[id] = found
            elif found:
                changed.add(id)
        return fresh, changed

    # Who watches, in the thread of the server

    def join(self, wishes: Mapping[str, Wish]) -> Watcher:
        """Begins to tell somebody. Raises `Crowded` where there is no room."""
        if len(self.watchers) >= self.most or self.closed:
            raise Crowded
        watcher = Watcher(wishes)
        self.watchers.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._tell_all())
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Ends that."""
        self.watchers.discard(watcher)

    def close(self) -> None:
        """Ends all streams."""
        self.closed = True
        for watcher in list(self.watchers):
            while not watcher.queue.empty():
                watcher.queue.get_nowait()
            watcher.queue.put_nowait(None)

    async def _tell_all(self) -> None:
        """Looks and tells for as long as somebody watches."""
        while self.watchers and not self.closed:
            began = time.monotonic()
            for messages, watcher in await asyncio.to_thread(self._news_for, list(self.watchers)):
                if messages and watcher in self.watchers:
                    watcher.tell(messages)
            took = time.monotonic() - began
            await asyncio.sleep(max(self.look_seconds - took, self.look_seconds / 4))

    def _news_for(self, watchers: Iterable[Watcher]) -> list[tuple[list[Message], Watcher]]:
        watchers = list(watchers)
        with self._guard:
            fresh, changed = self._look()
            items = self._changed_items()
            studies = {
                id: {"kind": "study", "id": id, **one.details()}
                for id in changed & {id for watcher in watchers for id in watcher.wishes}
                if isinstance(one := self._followed.get(id), FollowedStudy)
            }
        told: dict[tuple[str, Key], dict[str, Any]] = {}  # thinned once for all
        return [(self._for_one(watcher, items, fresh, studies, told), watcher) for watcher in watchers]

    def _changed_items(self) -> list[Message]:
        """One message with the summaries that are not as they were told, and the places there are, in order."""
        now = {id: json.dumps(one.summary) for id, one in self._followed.items() if one.summary}
        changed = [self._followed[id].summary for id, text in now.items() if self._told.get(id) != text]
        moved = list(now) != list(self._told)
        self._told = now
        return [{"kind": "items", "items": changed, "order": list(now)}] if changed or moved else []

    def _for_one(
        self,
        watcher: Watcher,
        items: list[Message],
        fresh: Mapping[str, News],
        studies: Mapping[str, Message],
        told: dict[tuple[str, Key], dict[str, Any]],
    ) -> list[Message]:
        messages = list(items)
        for id, wish in watcher.wishes.items():
            if id in studies:
                messages.append(studies[id])
            if id in fresh:
                messages += news_message(id, wish, fresh[id], told)
            if id in self._trials:
                messages.append({"kind": "items", "items": [self._trials[id].summary]})
        return messages

    async def catch_up(self, watcher: Watcher) -> list[Message]:
        """What was written between what the page has read and the first look for it. What comes twice, the page knows by its step."""
        return await asyncio.to_thread(self._caught_up, watcher)

    def _caught_up(self, watcher: Watcher) -> list[Message]:
        messages: list[Message] = []
        for id, wish in watcher.wishes.items():
            one = self.followed(id)
            if isinstance(one, FollowedStudy):
                messages.append({"kind": "study", "id": id, **one.details()})
            elif one is not None:
                try:
                    messages += news_message(id, wish, news(one.run, wish.row, CATCH_UP), {})
                except UNREADABLE:
                    continue
        return messages


def news_message(id: str, wish: Wish, found: News, told: dict[tuple[str, Key], dict[str, Any]]) -> list[Message]:
    """What is new of a run, as far as it is wished for; none for nothing."""
    if not found.whole:
        return [{"kind": "anew", "id": id}]
    curves = []
    for key in sorted(wish.signals & found.points.keys()):
        if (id, key) not in told:
            told[id, key] = fresh_of(*key, *found.points[key])
        curves.append(told[id, key])
    events = [event_of(*event) for event in found.events] if wish.events else []
    names = [list(key) for key in found.points] if wish.events else []
    if not curves and not events and not names:
        return []
    return [{"kind": "news", "id": id, "row": list(found.place), "curves": curves, "events": events, "names": names}]


def _begun(place: Place) -> Followed | None:
    try:
        return FollowedRun(place) if place.kind == "run" else opened(place)
    except UNREADABLE:
        return None


def _looked(one: Followed) -> News | bool | None:
    return one.look(time.time()) if isinstance(one, FollowedRun) else one.look()


def wishes_of(text: str) -> dict[str, Wish]:
    """The wishes of a page: `{id: {"row": [row, attempt], "signals": [[name, where]], "events": true}}`. Raises `ValueError`."""
    read = json.loads(text)
    if not isinstance(read, dict) or not all(isinstance(one, dict) for one in read.values()):
        raise ValueError("expected an object of objects")
    count, wishes = 0, {}
    for id, one in read.items():
        row = one.get("row", [0, 0])
        signals = one.get("signals", [])
        if not _whole_numbers(row, 2) or not isinstance(signals, list) or not all(map(_is_key, signals)):
            raise ValueError("expected row: [number, number] and signals: [[name, where], …]")
        count += len(signals)
        wishes[id] = Wish(Row(*row), frozenset((name, where) for name, where in signals), bool(one.get("events")))
    if count > SIGNALS or len(wishes) > SIGNALS:
        raise ValueError(f"at most {SIGNALS} signals are followed at once")
    return wishes


def _whole_numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(one, int) and not isinstance(one, bool) and abs(one) < 1 << 62 for one in value)
    )


def _is_key(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)
