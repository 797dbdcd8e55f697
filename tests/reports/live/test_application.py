"""The pages: what they give, whom they refuse, and that nothing is written but a request to stop."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra `ui` is not installed")
from starlette.testclient import TestClient

from tests.reports.live.conftest import filled, going_on, more
from tunesmith.reports.live.application import STATIC, application
from tunesmith.reports.live.door import Door
from tunesmith.reports.live.hub import Hub
from tunesmith.runs import Run
from tunesmith.runs.lock import FolderLock
from tunesmith.runs.stopping import asked_to_stop

HERE = "http://127.0.0.1:8765"


def client(folder: Path, **door: Any) -> TestClient:
    return TestClient(application(Hub(folder), Door(**door)), base_url=HERE, follow_redirects=False)


def listed(folder: Path) -> set[tuple[str, int]]:
    return {
        (str(file), file.stat().st_mtime_ns)
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".sqlite-shm"
    }


def test_the_page_and_its_files_come_with_a_policy(folder: Path) -> None:
    page = client(folder)

    answers = [page.get("/"), *(page.get(f"/static/{name}") for name in STATIC)]

    assert [one.status_code for one in answers] == [200] * len(answers)
    assert "<noscript>" in answers[0].text
    policy = answers[0].headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert all("default-src 'none'" in one.headers["content-security-policy"] for one in answers)
    assert all(one.headers["x-content-type-options"] == "nosniff" for one in answers)
    assert "<script>" not in answers[0].text
    assert " style=" not in answers[0].text
    assert "http" not in answers[0].text.replace("http-equiv", "")  # no network but its own


def test_the_listing_and_a_place(folder: Path) -> None:
    page = client(folder)

    listing, run, study = (
        page.get("/api/items").json(),
        page.get("/api/place?id=first").json(),
        page.get("/api/place?id=study").json(),
    )

    assert {one["id"] for one in listing["items"]} == {"first", "group/second", "study"}
    assert (listing["folder"], listing["control"]) == ("all", False)
    assert run["signals"] == [["grad_norm", "layer.0"], ["loss", ""]]
    assert [one["fault"] for one in run["findings"]] == ["loss.spike"]
    assert [one["score"] for one in run["evaluations"]] == [0.8, 0.7]
    assert run["decisions"][0]["change"] == {"optim.lr": "0.1"}
    assert study["summary"]["trials"] == 4


def test_curves_come_by_name_and_window(folder: Path) -> None:
    query = [("id", "first"), ("signal", '["loss",""]'), ("signal", '["no",""]'), ("first", "10"), ("last", "12")]

    told = client(folder).get("/api/curves", params=query).json()

    assert told["curves"][0] == {
        "name": "loss",
        "where": "",
        "exact": True,
        "steps": [10, 11, 12],
        "mean": [1 / 10, 1 / 11, 1 / 12],
    }
    assert told["curves"][1]["steps"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/place?id=nothing", 404),
        ("/api/place?id=../all/first", 404),
        ("/api/place?id=/etc", 404),
        ("/api/curves?id=study", 404),
        ("/api/curves?id=first&points=0x10", 400),
        ("/api/curves?id=first&points=100000", 400),
        ("/api/curves?id=first&points=-1", 400),
        ("/api/curves?id=first&signal=loss", 400),
        ("/api/curves?id=first&signal=[1,2]", 400),
        ("/api/stream?wishes=x", 400),
        ("/static/../application.py", 404),
        ("/static/%2e%2e/application.py", 404),
        ("/static/..%2Fapplication.py", 404),
        ("/static/index.html", 404),
        ("/nothing", 404),
        ("/api/stop", 405),
    ],
)
def test_what_is_not_there_is_refused(folder: Path, path: str, status: int) -> None:
    assert client(folder).get(path).status_code == status


def test_another_name_for_this_address_is_refused(folder: Path) -> None:
    page = client(folder)

    answers = [page.get(path, headers={"host": "evil.example:8765"}) for path in ("/", "/api/items", "/static/live.js")]

    assert [one.status_code for one in answers] == [421] * 3
    assert "tunesmith live" in answers[1].json()["error"]


def test_a_token_is_demanded_and_kept_in_a_cookie(folder: Path) -> None:
    page = client(folder, host="0.0.0.0", token="a-long-token")

    bare, wrong, right = page.get("/"), page.get("/?token=a-long-tokem"), page.get("/?token=a-long-token")
    again, other = page.get("/api/items"), client(folder, host="0.0.0.0", token="a-long-token").get("/api/items")
    header = client(folder, host="0.0.0.0", token="a-long-token").get(
        "/api/items", headers={"authorization": "Bearer a-long-token"}
    )

    assert (bare.status_code, wrong.status_code, other.status_code) == (401, 401, 401)
    assert "asks for a token" in bare.text
    assert (right.status_code, right.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict"} <= set(right.headers["set-cookie"].split("; "))
    assert (again.status_code, header.status_code) == (200, 200)


@pytest.fixture
def running(folder: Path) -> Any:
    """A run that trains, and listens."""
    run = Run(folder / "first")
    with going_on(run) as writer:
        writer.set_status(obeys=["stop", "save"])
        more(writer, 101, 103)
        yield run
        writer.set_status("interrupted")


def pressed(page: TestClient, body: Any = None, **headers: str) -> Any:
    given = {"origin": HERE, "content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return page.post("/api/stop", content=json.dumps(body or {"id": "first", "how": "save"}), headers=given)


def test_a_button_leaves_the_request_and_nothing_else(folder: Path, running: Run) -> None:
    page = client(folder, control=True)
    page.get("/api/items")
    page.get("/api/place?id=first")
    before = listed(folder)

    answer = pressed(page)

    assert (answer.status_code, answer.json()) == (200, {"id": "first", "asked": "save"})
    assert asked_to_stop(running.folder) == "save"
    assert {name for name, _ in listed(folder) ^ before} == {str(running.folder / "stop")}


def test_a_page_that_only_looks_writes_nothing(folder: Path, running: Run) -> None:
    page = client(folder)
    for path in (
        "/",
        "/api/items",
        "/api/place?id=first",
        "/api/place?id=study",
        '/api/curves?id=first&signal=["loss",""]',
    ):
        page.get(path)
    before = listed(folder)
    for path in (
        "/",
        "/api/items",
        "/api/place?id=first",
        "/api/place?id=study",
        '/api/curves?id=first&signal=["loss",""]',
    ):
        page.get(path)

    answer = pressed(page)

    assert answer.status_code == 403
    assert "--control" in answer.json()["error"]
    assert listed(folder) == before


def test_a_search_that_runs_is_asked_in_its_own_folder(folder: Path) -> None:
    page, lock = client(folder, control=True), FolderLock(folder / "study")
    try:
        summary = page.get("/api/place?id=study").json()["summary"]

        answer = pressed(page, {"id": "study", "how": "save"})
    finally:
        lock.release()

    assert (summary["status"], summary["obeys"], answer.status_code) == ("running", True, 200)
    assert asked_to_stop(folder / "study") == "save"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"content_type": "text/plain"}, 415),
        ({"host": "evil.example"}, 421),
    ],
)
def test_a_button_elsewhere_does_nothing(folder: Path, running: Run, headers: dict[str, str], status: int) -> None:
    assert pressed(client(folder, control=True), **headers).status_code == status
    assert asked_to_stop(running.folder) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "first", "how": "kill"}, 400),
        ({"id": "first"}, 400),
        ([1], 400),
        ({"id": "nothing", "how": "save"}, 404),
        ({"id": "../all/first", "how": "save"}, 404),
        ({"id": "group/second", "how": "save"}, 409),  # it has ended
        ({"id": "study", "how": "save"}, 409),
        ({"id": "x" * 5000, "how": "save"}, 413),
    ],
)
def test_a_request_that_cannot_be_obeyed_is_refused(folder: Path, running: Run, body: Any, status: int) -> None:
    assert pressed(client(folder, control=True), body).status_code == status
    assert asked_to_stop(running.folder) is None


def test_a_run_moved_out_behind_a_link_is_no_longer_served(folder: Path, tmp_path: Path) -> None:
    page = client(folder, control=True)
    page.get("/api/items")
    (folder / "first").rename(tmp_path / "elsewhere")
    (folder / "first").symlink_to(tmp_path / "elsewhere")

    assert page.get("/api/place?id=first").status_code == 404
    assert pressed(page).status_code == 404


def test_a_damaged_run_is_left_out_and_the_others_are_shown(folder: Path) -> None:
    filled(folder / "bad")
    (folder / "bad" / "log.sqlite").write_bytes(b"no database" * 1000)
    for file in (folder / "bad").glob("log.sqlite-*"):
        file.unlink()
    page = client(folder)

    items = page.get("/api/items").json()["items"]

    assert {one["id"] for one in items} == {"first", "group/second", "study"}
    assert page.get("/api/place?id=bad").status_code in (404, 409)
