"""One HTTP exchange, with the time limits and the failures that curl and wget tell apart."""

from __future__ import annotations

import http.client
import signal
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


class WebError(Exception):
    """It failed; `code` is curl's exit status for the reason."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Exchange:
    """What to ask and how, and what came back."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    total_seconds: float = 0.0
    connect_seconds: float = 0.0
    family: int = 0
    insecure: bool = False
    status: int = 0
    reason: str = ""
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    answer: bytes = b""
    remote: tuple[str, int] = ("", 0)
    local: tuple[str, int] = ("", 0)
    began: float = field(default_factory=time.monotonic)

    @property
    def milliseconds(self) -> int:
        """Since it began."""
        return round((time.monotonic() - self.began) * 1000)


class _OutOfTimeError(Exception):
    pass


def _alarm(number: int, frame: object) -> None:
    del number, frame
    raise _OutOfTimeError


def split(url: str) -> SplitResult:
    """The parts of a URL; `http://` is added where there is none.

    Raises:
        WebError: it is no URL, or of a protocol that is not spoken here.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if not parts.hostname or port == -1:
        raise WebError(3, f"URL rejected: {url}")
    if parts.scheme not in {"http", "https"}:
        raise WebError(1, f'Protocol "{parts.scheme}" not supported')
    return parts


def perform(exchange: Exchange) -> None:
    """Make the exchange, name resolution included, within its time.

    Raises:
        WebError: with curl's exit status and words.
    """
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, exchange.total_seconds)
    try:
        _perform(exchange)
    except _OutOfTimeError:
        word = "Operation" if exchange.remote[1] else "Connection"
        raise WebError(28, f"{word} timed out after {exchange.milliseconds} milliseconds") from None
    except ssl.SSLError as problem:
        raise WebError(60, f"SSL certificate problem: {problem.reason}") from problem
    except http.client.HTTPException as problem:
        empty = isinstance(problem, http.client.RemoteDisconnected)
        raise WebError(52 if empty else 1, "Empty reply from server" if empty else f"bad reply: {problem}") from problem
    except OSError as problem:
        raise WebError(56, f"Recv failure: {problem.strerror or problem}") from problem
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def follow(exchange: Exchange) -> str:
    """Where a redirect leads, or nothing when the answer is none."""
    where = next((value for name, value in exchange.answer_headers if name.lower() == "location"), "")
    return urljoin(exchange.url, where) if exchange.status in {301, 302, 303, 307, 308} and where else ""


def _perform(exchange: Exchange) -> None:
    parts = split(exchange.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    connected = _connect(exchange, host, port)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if exchange.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connected = context.wrap_socket(connected, server_hostname=host)
    connection = http.client.HTTPConnection(host, port)
    connection.sock = connected
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given = {name.lower() for name in exchange.headers}
    connection.putrequest(exchange.method, target, skip_host="host" in given, skip_accept_encoding=True)
    headers: Mapping[str, str] = {"Accept": "*/*", **exchange.headers}
    for name, value in headers.items():
        connection.putheader(name, value)
    if exchange.body is not None:
        connection.putheader("Content-Length", str(len(exchange.body)))
        if "content-type" not in given:
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.endheaders(exchange.body)
    response = connection.getresponse()
    exchange.status, exchange.reason = response.status, response.reason
    exchange.answer_headers = response.getheaders()
    exchange.answer = response.read()
    connection.close()


def _connect(exchange: Exchange, host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, exchange.family, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise WebError(6, f"Could not resolve host: {host}") from None
    last: OSError = OSError()
    for family, kind, protocol, _, address in found:
        made = socket.socket(family, kind, protocol)
        made.settimeout(exchange.connect_seconds or None)
        try:
            made.connect(address)
        except OSError as problem:
            last = problem
            made.close()
            continue
        made.settimeout(None)
        exchange.remote = (str(address[0]), port)
        exchange.local = made.getsockname()[:2]
        return made
    if isinstance(last, TimeoutError):
        raise WebError(28, f"Connection timed out after {exchange.milliseconds} milliseconds")
    why = f"Failed to connect to {host} port {port} after {exchange.milliseconds} ms"
    raise WebError(7, f"{why}: {last.strerror or 'Could not connect to server'}")
