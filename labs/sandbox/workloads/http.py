"""HTTP/1.1 for the workloads: requests off a byte stream, answers back, with limits on size and time.

Source: RFC 9112. What is not needed by a lab is refused in words: upgrades, trailers, bodies over a mebibyte.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEAD_LIMIT = 16 * 1024
BODY_LIMIT = 1024 * 1024
REQUEST_SECONDS = 15.0
IDLE_SECONDS = 60.0
WRITE_LIMIT = 256 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are in lower case; `client` and `server` are (address, port)."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    client: tuple[str, int]
    server: tuple[str, int]

    @property
    def path(self) -> str:
        """The path, decoded, without the query."""
        path = self.target.partition("?")[0]
        if "://" in path:  # absolute form, as to a proxy
            path = "/" + path.split("://", 1)[1].partition("/")[2]
        return unquote(path)

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the first."""
        return {key: values[0] for key, values in parse_qs(self.target.partition("?")[2]).items()}


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Length, date and connection headers are added when it is sent."""

    status: int = 200
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class _BadRequestError(Exception):
    """The stream cannot be read on; the answer says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class _Head:
    """A request whose body is still coming. `length` None means chunked."""

    method: str
    target: str
    version: str
    headers: dict[str, str]
    length: int | None


class HttpConnection(asyncio.Protocol):
    """One client's connection.

    Args:
        respond: makes the answer; must not block.
        client: address and port as people write them.
        server: the local address and port.
        log: takes one access-log line a request, in nginx's common form.
    """

    def __init__(
        self,
        respond: Callable[[Request], Response],
        client: tuple[str, int],
        server: tuple[str, int],
        log: Callable[[str], None],
    ) -> None:
        self._respond = respond
        self._client = client
        self._server = server
        self._log = log
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type that asyncio leaves open
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._wait(REQUEST_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """A client that does not read gets no more answers until it does."""
        self._paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._paused = False
        self._transport.resume_reading()
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self._buffer += data
        self._advance()

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._head is not None or self._buffer:
            self._send(Response(408, b"Request Timeout\n"), keep=False, head_only=False)
        else:
            self._transport.close()

    def _advance(self) -> None:
        try:
            while not self._paused and not self._transport.is_closing() and self._step():
                pass
        except _BadRequestError as problem:
            body = f"{problem.status} {HTTPStatus(problem.status).phrase}: {problem}\n".encode()
            self._log_line("-", problem.status, len(body), "-")
            self._send(Response(problem.status, body), keep=False, head_only=False)

    def _step(self) -> bool:
        """Take one head or one whole request off the buffer; False when more bytes are needed."""
        if self._head is None:
            while self._buffer[:2] == b"\r\n":  # RFC 9112 section 2.2: an empty line before a request is ignored
                del self._buffer[:2]
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_LIMIT:
                    raise _BadRequestError(431, "the header is longer than 16 KiB")
                if len(self._buffer) > 2 and not self._buffer[:1].isalpha():
                    raise _BadRequestError(400, "this is not HTTP (TLS on a plain port?)")
                return False
            if end > HEAD_LIMIT:
                raise _BadRequestError(431, "the header is longer than 16 KiB")
            self._head = _read_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if self._head.headers.get("expect", "").lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = self._head
        body = _take_chunks(self._buffer) if head.length is None else _take(self._buffer, head.length)
        if body is None:
            return False
        self._head = None
        self._answer(head, body)
        return True

    def _answer(self, head: _Head, body: bytes) -> None:
        request = Request(head.method, head.target, head.headers, body, self._client, self._server)
        response = self._respond(request)
        connection = head.headers.get("connection", "").lower()
        keep = "close" not in connection if head.version == "HTTP/1.1" else "keep-alive" in connection
        agent = head.headers.get("user-agent", "-")
        self._log_line(f"{head.method} {head.target} {head.version}", response.status, len(response.body), agent)
        self._send(response, keep=keep, head_only=head.method == "HEAD")

    def _log_line(self, request: str, status: int, size: int, agent: str) -> None:
        when = formatdate(usegmt=True)
        self._log(f'{self._client[0]} - - [{when}] "{_quoted(request)}" {status} {size} "-" "{_quoted(agent)}"')

    def _send(self, response: Response, *, keep: bool, head_only: bool) -> None:
        lines = [
            f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {response.kind}",
            f"Content-Length: {len(response.body)}",
            f"Connection: {'keep-alive' if keep else 'close'}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        self._transport.write(head if head_only else head + response.body)
        if keep:
            self._wait(IDLE_SECONDS)
        else:
            self._transport.close()


def _quoted(text: str) -> str:
    """Text from a stranger, fit for one line of a log."""
    return "".join(c if c.isprintable() and c != '"' else "?" for c in text[:1000])


def _read_head(raw: bytes) -> _Head:
    first, *rest = raw.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[0].isalpha() or not words[1]:
        raise _BadRequestError(400, "the request line is not 'METHOD target HTTP/1.1'")
    method, target, version = words
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        raise _BadRequestError(
            505 if version.startswith("HTTP/") else 400, "only HTTP/1.0 and HTTP/1.1 are spoken here"
        )
    headers: dict[str, str] = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _BadRequestError(400, "a header line is not 'Name: value'")
        name = name.lower()
        if name in {"content-length", "host"} and name in headers:
            raise _BadRequestError(400, f"two {name} headers")
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    if version == "HTTP/1.1" and "host" not in headers:
        raise _BadRequestError(400, "no Host header")
    return _Head(method, target, version, headers, _body_length(headers))


def _body_length(headers: Mapping[str, str]) -> int | None:
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
            raise _BadRequestError(400, "of the transfer codings only 'chunked' is read, and not with a Content-Length")
        return None
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise _BadRequestError(400, "Content-Length is not a number")
    if len(text) > 12 or int(text) > BODY_LIMIT:
        raise _BadRequestError(413, "the body is longer than 1 MiB")
    return int(text)


def _take(buffer: bytearray, length: int) -> bytes | None:
    if len(buffer) < length:
        return None
    body = bytes(buffer[:length])
    del buffer[:length]
    return body


def _chunk_size(line: bytes) -> int:
    text = line.partition(b";")[0].strip()
    if not 0 < len(text) <= 8 or text.strip(b"0123456789abcdefABCDEF"):
        raise _BadRequestError(400, "a chunk has no size")
    return int(text, 16)


def _take_chunks(buffer: bytearray) -> bytes | None:
    """The whole chunked body, or None while it is incomplete."""
    body, at = bytearray(), 0
    while True:
        end = buffer.find(b"\r\n", at)
        if end < 0:
            break
        size = _chunk_size(bytes(buffer[at:end]))
        if size + len(body) > BODY_LIMIT:
            raise _BadRequestError(413, "the body is longer than 1 MiB")
        if size == 0:
            if buffer[end + 2 : end + 4] == b"\r\n":
                del buffer[: end + 4]
                return bytes(body)
            if len(buffer) >= end + 4:
                raise _BadRequestError(400, "trailers are not read")
            break
        if len(buffer) < end + 4 + size:
            break
        body += buffer[end + 2 : end + 2 + size]
        if buffer[end + 2 + size : end + 4 + size] != b"\r\n":
            raise _BadRequestError(400, "a chunk is longer than it says")
        at = end + 4 + size
    if len(buffer) > 2 * BODY_LIMIT + HEAD_LIMIT:
        raise _BadRequestError(413, "the body is longer than 1 MiB")
    return None
