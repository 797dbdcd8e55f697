"""The server: an address, and the page behind it until Ctrl-C."""

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tunesmith.records import RunError
from tunesmith.reports.live.application import application, missing
from tunesmith.reports.live.door import Door, is_loopback, new_token
from tunesmith.reports.live.hub import Hub
from tunesmith.reports.live.places import checked

HOST, PORT = "127.0.0.1", 8765
TAKEN = (errno.EADDRINUSE, errno.EACCES)
NICE = 5  # of ten steps down; assumption: a page that looks must not slow down what it looks at
PATIENCE_SECONDS = 2  # for streams to end


@dataclass
class Server:
    """A page that has its address, and is not served yet."""

    root: Path
    door: Door
    listener: socket.socket
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(self.root)
        self.app = application(self.hub, self.door)
        self.ended = False

    @property
    def url(self) -> str:
        """Where it is, with the token where one is needed. An address of all interfaces is shown as this machine."""
        port = self.listener.getsockname()[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.door.host, self.door.host)
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}/" + (f"?token={self.door.token}" if self.door.token else "")

    def serve(self) -> None:
        """Serves until Ctrl-C, SIGTERM, or `end` from another thread."""
        import uvicorn

        made = self

        class Uvicorn(uvicorn.Server):
            async def on_tick(self, counter: int) -> bool:
                return made.ended or await super().on_tick(counter)

            async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                made.hub.close()  # streams have no end of their own
                await super().shutdown(sockets)

        with suppress(OSError, AttributeError):
            os.nice(NICE)
        config = uvicorn.Config(
            self.app,
            log_config=None,
            access_log=False,  # an address may hold the token
            log_level="critical",
            server_header=False,
            timeout_graceful_shutdown=PATIENCE_SECONDS,
            proxy_headers=False,
        )
        try:
            with suppress(KeyboardInterrupt):
                Uvicorn(config).run(sockets=[self.listener])
        finally:
            self.listener.close()

    def end(self) -> None:
        """Ends it within a moment."""
        self.ended = True


def server(
    folder: str | Path,
    *,
    host: str = HOST,
    port: int = PORT,
    control: bool = False,
    token: str | None = None,
    names: tuple[str, ...] = (),
) -> Server:
    """A server with its address taken. Raises `RunError` for a folder with nothing in it and an address that is not to be had, `MissingExtra`."""
    root = checked(Path(folder))
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        raise missing()
    if token is not None and not (
        len(token) >= 8 and token.isascii() and all(one.isalnum() or one in "-_." for one in token)
    ):
        raise RunError(
            "the token is too short or has other signs than letters, digits, - _ .; give 8 or more, or leave it out"
        )
    if token is None and not is_loopback(host):
        token = new_token()
    door = Door(host, token, control, frozenset(name.lower() for name in names))
    return Server(root, door, listening(host, port))


def listening(host: str, port: int) -> socket.socket:
    """The address, taken. Raises `RunError` where that cannot be."""
    if not 0 <= port <= 65535:
        raise RunError(f"port {port}: expected 0 (any that is free) to 65535")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise RunError(
            f"host {host!r} is no address of this machine ({error.strerror}); leave --host out for this machine alone"
        ) from error
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    if os.name == "posix":
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno in TAKEN:
            why = "in use" if error.errno == errno.EADDRINUSE else "not for us to take"
            raise RunError(f"port {port} of {host} is {why}; try --port 0, which takes one that is free") from error
        raise RunError(
            f"{host}:{port} cannot be listened on ({error.strerror}); leave --host out for this machine alone"
        ) from error
    made.setblocking(False)
    return made


def told(made: Server) -> dict[str, Any]:
    """What `--json` says."""
    return {"url": made.url, "folder": str(made.root), "control": made.door.control}
