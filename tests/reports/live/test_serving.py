"""The server itself: its address, its streams, its end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.reports.live.conftest import LEAP, filled, going_on, more, searched, serving
from tunesmith.cli import run as tunesmith
from tunesmith.records import MissingExtra, RunError
from tunesmith.reports.live import serving as module

pytest.importorskip("starlette", reason="the extra `ui` is not installed")


def test_points_and_findings_are_streamed_as_they_come(folder: Path) -> None:
    run = filled(folder / "third")
    with going_on(run) as writer, serving(folder) as asked:
        _, told = asked("/api/place?id=third")
        wishes = {"third": {"row": told["row"], "signals": [["loss", ""]], "events": True}}
        with asked.stream(wishes) as stream:
            more(writer, 101, 111)
            points = stream.until(lambda one: one["kind"] == "news" and bool(one["curves"]))
            writer.finding(LEAP, 110)
            finding = stream.until(lambda one: one["kind"] == "news" and bool(one["events"]))
            state = stream.until(
                lambda one: (
                    one["kind"] == "items"
                    and any(item["found"]["warning"] == 2 for item in one["items"] if "found" in item)
                )
            )
            writer.begin_attempt(50, told["row"][0])
            anew = stream.until(lambda one: one["kind"] == "anew")

    assert points["curves"][0]["steps"] == list(range(101, 111))
    assert points["id"] == "third"
    assert [event["fault"] for event in finding["events"]] == ["loss.spike"]
    assert [item["status"] for item in state["items"] if item["id"] == "third"] == ["running"]
    assert anew["id"] == "third"


def test_what_was_written_before_the_stream_began_is_not_lost(folder: Path) -> None:
    run = filled(folder / "third")
    with going_on(run) as writer, serving(folder) as asked:
        _, told = asked("/api/place?id=third")
        more(writer, 101, 111)
        asked("/api/items")  # somebody else looks in between
        with asked.stream({"third": {"row": told["row"], "signals": [["loss", ""]]}}) as stream:
            points = stream.until(lambda one: one["kind"] == "news")

    assert points["curves"][0]["steps"] == list(range(101, 111))


def test_a_new_run_appears(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.reports.live.hub.SCAN_SECONDS", 0.2)
    with serving(folder) as asked, asked.stream({}) as stream:
        stream.until(lambda one: "study" in one.get("order", []))
        filled(folder / "newest")
        searched(folder / "other")

        told = stream.until(lambda one: {"newest", "other"} <= set(one.get("order", [])))

    assert {"first", "study"} <= set(told["order"])


def test_one_more_than_may_watch_is_told_so(folder: Path) -> None:
    with serving(folder) as asked:
        asked.server.hub.most = 1
        with asked.stream({}), pytest.raises(urllib.error.HTTPError) as refused:
            asked.stream({})

    with refused.value as error:
        assert error.code == 503
        assert "1 pages watch already" in json.loads(error.read())["error"]


def test_another_host_makes_a_token_and_a_wrong_one_is_refused(folder: Path) -> None:
    with serving(folder, host="0.0.0.0") as asked:
        url = asked.server.url
        right = asked("/api/items", {"authorization": f"Bearer {asked.server.door.token}"})[0]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked.url + "/?token=wrong-token")

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", url)
    assert right == 200
    with refused.value as error:
        assert error.code == 401


def test_bad_addresses_and_tokens_are_told(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=rf"port {port} of 127.0.0.1 is in use; try --port 0"):
            module.server(folder, port=port)
    with pytest.raises(RunError, match="port 70000: expected 0"):
        module.server(folder, port=70000)
    with pytest.raises(RunError, match=r"is no address of this machine|cannot be listened on"):
        module.server(folder, host="no-such-host.invalid")
    with pytest.raises(RunError, match="too short"):
        module.server(folder, token="short")
    with pytest.raises(RunError, match="other signs"):
        module.server(folder, token="with blanks; and more")


def test_without_the_extra_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)

    with pytest.raises(MissingExtra, match=r"pip install 'tunesmith\[ui\]'"):
        module.server(folder)


def test_the_command_says_what_is_wrong_with_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = tunesmith(["live", str(tmp_path), "--json"])

    told = capsys.readouterr()
    assert code == 2
    assert json.loads(told.out)["kind"] == "RunError"
    assert told.err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_and_ends_at_a_signal(folder: Path, number: int) -> None:
    words = [sys.executable, "-W", "error", "-m", "tunesmith.cli", "live", str(folder), "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        with urllib.request.urlopen(told["url"] + "api/items", timeout=20) as answer:
            items = json.loads(answer.read())["items"]
        with urllib.request.urlopen(told["url"] + "api/stream", timeout=20) as stream:
            first = stream.readline()
            process.send_signal(number)
            rest, errors = process.communicate(timeout=20)

    assert len(items) == 3
    assert first.startswith(b":")
    assert (process.returncode in (0, -number), rest, errors) == (True, "", "")
