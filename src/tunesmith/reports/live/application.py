"""The pages and what they ask for, by Starlette. It reads, and writes nothing but a request to stop."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tunesmith.records import MissingExtra, TunesmithError
from tunesmith.reports.live.curves import MOST, POINTS, curve_of
from tunesmith.reports.live.door import HEADERS, Door, cookie_name, from_here
from tunesmith.reports.live.hub import SIGNALS, Crowded, Hub, Watcher, wishes_of
from tunesmith.reports.live.runs import FollowedRun
from tunesmith.runs.following import place_of
from tunesmith.runs.stopping import HOWS, ask_to_stop

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

STATIC = {  # the only files that are served: name, place below `reports`, kind
    "live.js": ("live/static/live.js", "text/javascript"),
    "charts.js": ("live/static/charts.js", "text/javascript"),
    "live.css": ("live/static/live.css", "text/css"),
    "page.css": ("page.css", "text/css"),  # of the report
    "uplot.js": ("live/static/uplot/uPlot.iife.min.js", "text/javascript"),
    "uplot.css": ("live/static/uplot/uPlot.min.css", "text/css"),
    "icon.svg": ("live/static/icon.svg", "image/svg+xml"),
}
HEARTBEAT_SECONDS = 15.0
LONGEST = 1 << 16  # bytes of what is asked for
LARGEST = 1 << 12  # bytes of what is sent


class Refused(Exception):
    """A sentence and the status that belongs to it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def application(hub: Hub, door: Door) -> "Starlette":
    """The application. Raises `MissingExtra` without Starlette."""
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.routing import Route
    except ImportError as error:
        raise missing() from error
    pages = Pages(hub, door)
    routes = [
        Route("/", pages.index),
        Route("/static/{name}", pages.static),
        Route("/api/items", pages.items),
        Route("/api/place", pages.place),
        Route("/api/curves", pages.curves),
        Route("/api/stream", pages.stream),
        Route("/api/stop", pages.stop, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guarded, door=door)],
        exception_handlers={Refused: refused, TunesmithError: told_error, sqlite3.Error: told_error},
    )


def missing() -> MissingExtra:
    """What is said where the extra is not installed."""
    return MissingExtra("the live page needs Starlette and uvicorn, which are not here; pip install 'tunesmith[ui]'")


class Guarded:
    """Asks the door before anything else."""

    def __init__(self, app: "ASGIApp", door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        from starlette.requests import Request

        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *((name, held) for name, held in more if name not in there)]
            await send(message)

        answer = self._turned_away(Request(scope))
        await (self.app if answer is None else answer)(scope, receive, sent)

    def _turned_away(self, request: "Request") -> "Response | None":
        """The answer to somebody who may not come in, or who has just shown the token; None for all others."""
        from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

        door, port = self.door, port_of(request)
        if not door.knows(request.headers.get("host")):
            sentence = "this page is not served under that name; open it by the address that `tunesmith live` printed"
            return JSONResponse({"error": sentence}, 421)
        if len(request.url.query) > LONGEST:
            return JSONResponse({"error": f"more was asked for than {LONGEST} letters"}, 414)
        given = request.query_params.get("token", "")
        if request.url.path.startswith("/static/"):  # part of the program: the page that asks for the token needs it
            return None
        if not door.opens(request.headers, port, given):
            return HTMLResponse(resource("live/static/token.html"), 401, {"www-authenticate": "Bearer"})
        if given and request.method == "GET" and request.url.path == "/" and door.token is not None:
            answer = RedirectResponse("/", 303)
            answer.set_cookie(cookie_name(port), door.token, httponly=True, samesite="strict", path="/")
            return answer
        return None


class Pages:
    """What can be asked for."""

    def __init__(self, hub: Hub, door: Door) -> None:
        self.hub, self.door = hub, door

    async def index(self, request: "Request") -> "Response":
        from starlette.responses import HTMLResponse

        return HTMLResponse(resource("live/static/index.html"))

    async def static(self, request: "Request") -> "Response":
        from starlette.responses import Response

        name = request.path_params["name"]
        if name not in STATIC:
            raise Refused(404, "there is no such file")
        place, kind = STATIC[name]
        return Response(resource(place), media_type=kind, headers={"cache-control": "no-cache"})

    async def items(self, request: "Request") -> "Response":
        """All runs and searches, and what the page may do."""
        items = await asyncio.to_thread(self.hub.listing)
        name = self.hub.root.resolve().name
        return answered({"folder": name, "control": self.door.control, "items": items})

    async def place(self, request: "Request") -> "Response":
        """One run or search: what its page begins with."""
        return answered(await asyncio.to_thread(self._place, request.query_params.get("id", "")))

    def _place(self, id: str) -> dict[str, Any]:
        found = self.hub.followed(id)
        if found is None:
            raise Refused(404, "there is no such run or search in this folder any more")
        return {"summary": found.summary, **found.details()}

    async def curves(self, request: "Request") -> "Response":
        """Curves of a run, `signal=["loss",""]` for each, of a window where `first` and `last` say one."""
        return answered(await asyncio.to_thread(self._curves, request))

    def _curves(self, request: "Request") -> dict[str, Any]:
        asked = request.query_params
        found = self.hub.followed(asked.get("id", ""))
        if not isinstance(found, FollowedRun):
            raise Refused(404, "there is no such run in this folder any more")
        points = whole(asked.get("points"), POINTS) or POINTS
        if not 0 < points <= MOST:
            raise Refused(400, f"points is {points}; expected 1 to {MOST}")
        first, last = whole(asked.get("first"), None), whole(asked.get("last"), None)
        keys = [key_of(text) for text in asked.getlist("signal")]
        if len(keys) > SIGNALS:
            raise Refused(400, f"at most {SIGNALS} signals at once, not {len(keys)}")
        row = place_of(found.run)
        curves = [curve_of(found.run, name, where, points, first, last) for name, where in keys]
        return {"row": list(row), "curves": curves}

    async def stream(self, request: "Request") -> "Response":
        """News, as server-sent events; `wishes` as in `hub.wishes_of`."""
        from starlette.responses import StreamingResponse

        try:
            wishes = wishes_of(request.query_params.get("wishes", "{}"))
        except (ValueError, TypeError, RecursionError) as error:
            raise Refused(400, f"the wishes cannot be read: {error}") from None
        try:
            watcher = self.hub.join(wishes)
        except Crowded:
            raise Refused(503, f"{self.hub.most} pages watch already; close one of them") from None
        return StreamingResponse(self._told(watcher), media_type="text/event-stream")

    async def _told(self, watcher: Watcher) -> AsyncIterator[bytes]:
        try:
            yield b": hello\n\nretry: 2000\n\n"
            for message in await self.hub.catch_up(watcher):
                yield event(message)
            while True:
                try:
                    told = await asyncio.wait_for(watcher.queue.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if told is None:
                    return
                for message in told:
                    yield event(message)
        finally:
            self.hub.leave(watcher)

    async def stop(self, request: "Request") -> "Response":
        """Leaves a request to stop in a folder: the one thing that is ever written."""
        if not self.door.control:
            raise Refused(403, "this page only looks; `tunesmith live --control` lets it stop what runs")
        if not from_here(request.headers):
            raise Refused(403, "only a button of this page may stop what runs")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise Refused(415, 'expected JSON: {"id": …, "how": "save" or "stop"}')
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST:
                raise Refused(413, f"more was sent than {LARGEST} bytes")
        return answered(await asyncio.to_thread(self._stop, body))

    def _stop(self, body: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(body)
            id, how = str(asked["id"]), asked["how"]
        except (ValueError, TypeError, KeyError):
            raise Refused(400, 'expected {"id": …, "how": "save" or "stop"}') from None
        if how not in HOWS:
            raise Refused(400, f"how is {how!r:.40}; expected save or stop")
        found = self.hub.followed(id)
        if found is None:
            raise Refused(404, "there is no such run or search in this folder any more")
        if not found.summary.get("obeys"):
            raise Refused(409, "it does not run, or whoever trains it does not look for requests to stop")
        ask_to_stop(found.place.folder, how)
        return {"id": id, "asked": how}


def answered(told: dict[str, Any]) -> "Response":
    from starlette.responses import Response

    text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json")


def event(message: dict[str, Any]) -> bytes:
    """A message of a stream: one line, for JSON has no others."""
    return b"data: " + json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n\n"


async def refused(request: "Request", error: Exception) -> "Response":
    from starlette.responses import JSONResponse

    assert isinstance(error, Refused)
    return JSONResponse({"error": str(error)}, error.status)


async def told_error(request: "Request", error: Exception) -> "Response":
    """What a folder that cannot be read says of itself."""
    from starlette.responses import JSONResponse

    return JSONResponse({"error": str(error)}, 409)


def resource(name: str) -> str:
    return files("tunesmith.reports").joinpath(*name.split("/")).read_text(encoding="utf-8")


def port_of(request: "Request") -> int:
    """The port that the server listens on."""
    server = request.scope.get("server")
    return int(server[1]) if server and server[1] is not None else 0


def whole(text: str | None, default: int | None) -> int | None:
    """A whole number that was asked for. Raises `Refused` for anything else."""
    if text is None:
        return default
    try:
        value = int(text[:24])
    except ValueError:
        raise Refused(400, f"{text[:24]!r} is no whole number") from None
    return max(-(1 << 62), min(value, 1 << 62))


def key_of(text: str) -> tuple[str, str]:
    """A signal and its place, of `["loss",""]`. Raises `Refused`."""
    try:
        name, where = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise Refused(400, 'signal: expected ["name","where"]') from None
    if not isinstance(name, str) or not isinstance(where, str):
        raise Refused(400, 'signal: expected ["name","where"]')
    return name, where
