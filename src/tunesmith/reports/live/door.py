"""Who may come in: the names under which the page may be asked for, the token, and from where a button may be pressed.

A page on another site can send a browser here, under a name of its own that leads to this address (DNS rebinding), or with a form. The
first is known by the Host header, the second by Origin.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the address may hold the token
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Door:
    """`token` None: whoever reaches the address may look, which is this machine alone."""

    host: str = "127.0.0.1"
    token: str | None = None
    control: bool = False
    names: frozenset[str] = field(
        default_factory=frozenset
    )  # under which it may be asked for, beside those of the machine

    def knows(self, host: str | None) -> bool:
        """Whether a Host header names this server."""
        name = name_of(host or "")
        if name in LOOPBACK or name in self.names:
            return True
        if self.token is None:
            return False
        if is_address(name):  # a number is no name that somebody else could have led here
            return True
        own = socket.gethostname().lower()
        return name in (self.host.lower(), own, f"{own}.local", socket.getfqdn().lower())

    def opens(self, headers: Mapping[str, str], port: int, given: str = "") -> bool:
        """Whether the token came: in the header, in the cookie, or as `given`, in the address."""
        if self.token is None:
            return True
        bearer = headers.get("authorization", "")
        came = [given, bearer[7:] if bearer.lower().startswith("bearer ") else "", cookie_in(headers, port)]
        return sum(same(one, self.token) for one in came) > 0  # all are compared, whichever it is


def same(came: str, token: str) -> bool:
    """Compared in a time that tells nothing of how much was right."""
    return hmac.compare_digest(came.encode("utf-8", "surrogateescape"), token.encode("utf-8", "surrogateescape"))


def new_token() -> str:
    """192 bits in letters that an address may hold."""
    return secrets.token_urlsafe(24)


def cookie_name(port: int) -> str:
    """Cookies do not know ports: two pages on one machine need two."""
    return f"tunesmith-live-{port}"


def cookie_in(headers: Mapping[str, str], port: int) -> str:
    """The token in the cookies of a request; "" for none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(cookie_name(port))
    except CookieError:
        return ""
    return "" if found is None else found.value


def from_here(headers: Mapping[str, str]) -> bool:
    """Whether a button was pressed on a page of this server: its Origin has the name and port that were asked for.

    >>> from_here({"host": "127.0.0.1:80", "origin": "http://evil.example"}), from_here({"host": "127.0.0.1:80"})
    (False, False)
    """
    fetched = headers.get("sec-fetch-site")
    if fetched is not None and fetched != "same-origin":
        return False
    origin = headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def name_of(host: str) -> str:
    """The name in a Host header, without the port.

    >>> name_of("LOCALHOST:80"), name_of("[::1]:80"), name_of("a.example")
    ('localhost', '::1', 'a.example')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")


def is_address(name: str) -> bool:
    """Whether it is a number and no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return host.lower() == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
