"""A command's streams over one WebSocket, as `kubectl exec` does it: channels by number in one connection.

The client's own class for it has no time-out for a server that does not answer, and polls; so frames are read here.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from websocket import (
    ABNF,
    WebSocket,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    WebSocketException,
    WebSocketTimeoutException,
)

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube.api import Output, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from labs.kube.access import Access

_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255
"""Channels, by the first byte of each frame (k8s.io/streaming, v4 and v5)."""
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
"""As they are offered: the first can tell the other side that there is no more input."""
_OPEN_SECONDS = 20.0
_CHUNK = 16384
_LIMIT = 4 << 20
"""Bytes of a command's output that are kept; the rest is dropped, and said so."""


class Session:
    """One command; `run` blocks until it ends, `close` from another thread ends `run` (see there)."""

    def __init__(self, access: Access, path: str, stdin: bytes, seconds: float) -> None:
        self._proxied: Mapping[str, Any] = access.proxied
        self._url = (access.server + path).replace("http", "ws", 1)
        self._headers = [f"{key}: {value}" for key, value in access.headers().items()]
        self._stdin = stdin
        self._seconds = seconds
        self._socket = WebSocket(sslopt=dict(access.tls), skip_utf8_validation=True)
        self._closed = False
        self._lock = threading.Lock()

    def run(self) -> Output:
        """Open, feed, collect, and return.

        Raises:
            TimeoutError: it did not end in time.
            Refused: the API does not run it.
            ClusterGoneError: the connection broke, was not made, or was closed.
        """
        try:
            self.open()
            return self._talk()
        finally:
            self.drop()

    def drop(self) -> None:
        """Let go of the connection; only for the thread that reads it, or when none does."""
        with self._lock, contextlib.suppress(OSError):
            self._socket.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """End `run`: at once, or when the step is done that it is at to make its connection (`_OPEN_SECONDS` at most).

        A command that still runs in the pod ends when it writes, or never.
        """
        with self._lock:
            self._closed = True
            connection = self._socket.sock
            if connection is not None:
                # No more than this: `run` may be reading, and would go on with whatever has the descriptor's number
                # next; and a TLS connection's own `shutdown` takes the TLS from under it.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def open(self) -> None:
        """Make the connection: the command runs then.

        Raises:
            Refused: the API does not run it.
            ClusterGoneError: the connection was not made, or was closed meanwhile.
        """
        options = {"header": self._headers, "subprotocols": list(_PROTOCOLS), "timeout": _OPEN_SECONDS}
        try:
            if not self._closed:
                self._socket.connect(self._url, **options, **self._proxied)  # type: ignore[no-untyped-call]
        except WebSocketBadStatusException as error:
            raise _refusal(error) from error
        except (WebSocketException, OSError) as error:
            raise ClusterGoneError(f"a command could not be started: {error}", remedy="try again") from error
        if self._closed:
            raise ClusterGoneError("a command was closed before it was started")

    def _talk(self) -> Output:
        deadline = time.monotonic() + self._seconds
        try:
            self._feed()
            return self._collect(deadline)
        except WebSocketTimeoutException:
            raise TimeoutError from None
        except (WebSocketException, OSError) as error:
            raise ClusterGoneError(f"a command's connection broke: {error}", remedy="try again") from error

    def _feed(self) -> None:
        self.send(self._stdin)
        if self._stdin and self._socket.subprotocol == _PROTOCOLS[0]:
            self._socket.send_binary(bytes([_CLOSE, _STDIN]))

    def frames(self, deadline: float) -> Iterator[tuple[int, bytes]]:
        """What comes, each with its channel, until the other side closes; without a status, where it just goes.

        Raises:
            TimeoutError: the deadline has passed.
        """
        with contextlib.suppress(WebSocketConnectionClosedException):
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                kind, frame = self._socket.recv_data_frame(control_frame=True)
                if kind == ABNF.OPCODE_CLOSE:
                    return
                if kind == ABNF.OPCODE_BINARY and frame.data:
                    yield frame.data[0], frame.data[1:]
            raise TimeoutError

    def send(self, data: bytes) -> None:
        """Write to the command's input."""
        for start in range(0, len(data), _CHUNK):
            self._socket.send_binary(bytes([_STDIN]) + data[start : start + _CHUNK])

    def _collect(self, deadline: float) -> Output:
        kept = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
        cut = set()
        for channel, data in self.frames(deadline):
            text = kept.get(channel)
            if text is not None:
                room = _LIMIT - len(text)
                text += data[:room]
                if len(data) > room:
                    cut.add(channel)
        for channel in cut:
            kept[channel] += b"\n[more was dropped]\n"
        return Output(_code(bytes(kept[_STATUS])), bytes(kept[_STDOUT]), bytes(kept[_STDERR]))


class Conversation:
    """One command that runs on and is spoken to, line by line. `ask` blocks; `close` from another thread ends it."""

    def __init__(self, access: Access, path: str) -> None:
        self._session = Session(access, path, b"", 0.0)
        self._is_open = self._is_asked = self._is_over = False
        self._lock = threading.Lock()

    def ask(self, line: str, until: str, seconds: float) -> tuple[str, ...]:
        """See `labs.kube.api.Talk`."""
        with self._lock:
            if self._is_over:  # somebody may still be reading its last words: a connection's TLS is for one thread
                raise ClusterGoneError("a command was closed, and is asked no more")
            self._is_asked = True
        try:
            return self._ask(line, until, time.monotonic() + seconds)
        finally:
            self._done()

    def _done(self) -> None:
        with self._lock:
            self._is_asked = False
            if self._is_over:
                self._session.drop()

    def _ask(self, line: str, until: str, deadline: float) -> tuple[str, ...]:
        if not self._is_open:
            self._session.open()
            self._is_open = True
        kept = {_STDOUT: bytearray(), _STDERR: bytearray()}
        try:
            self._session.send(line.encode() + b"\n")
            for channel, data in self._session.frames(deadline):
                if channel == _STATUS:
                    break
                if channel in kept and len(kept[channel]) < _LIMIT:
                    kept[channel] += data
                *lines, _rest = kept[_STDOUT].decode(errors="replace").split("\n")
                if until in lines:
                    return tuple(lines[: lines.index(until)])
        except WebSocketTimeoutException:
            raise TimeoutError from None
        except (WebSocketException, OSError) as error:
            raise ClusterGoneError(f"a command's connection broke: {error}", remedy="try again") from error
        words = bytes(kept[_STDERR] or kept[_STDOUT]).decode(errors="replace").strip()
        raise InfrastructureError(f"a command ended: {words or 'it said nothing'}", remedy="look at its pod")

    def close(self) -> None:
        """End the connection, and with it the command's input."""
        with self._lock:
            self._is_over = True
            self._session.close()
            if not self._is_asked:
                self._session.drop()


def _code(text: bytes) -> int:
    """The exit status in the Status that ends a command.

    Raises:
        InfrastructureError: there is none, or it says that the command could not be run at all.
    """
    try:
        status = json.loads(text)
        if status["status"] == "Success":
            return 0
        causes = {cause.get("reason"): cause["message"] for cause in status.get("details", {}).get("causes") or ()}
        if "ExitCode" in causes:
            return int(causes["ExitCode"])
        message = str(status.get("message", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterGoneError(
            "a command ended without a word about how", remedy="its pod may have ended; look with kubectl get pods"
        ) from error
    if "executable file not found" in message or "no such file or directory" in message:
        return 127
    raise InfrastructureError(f"a command could not be run: {message}", remedy="look at the pod: kubectl describe pod")


def _refusal(error: WebSocketBadStatusException) -> Exception:
    try:
        status = json.loads(error.resp_body or b"")
    except ValueError:
        status = {}
    message = str(status.get("message") or error) if isinstance(status, dict) else str(error)
    reason = str(status.get("reason", "")) if isinstance(status, dict) else ""
    return Refused(int(error.status_code), reason, message)
