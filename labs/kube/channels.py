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
    from collections.abc import Mapping

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
            self._open()
            return self._talk()
        finally:
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

    def _open(self) -> None:
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
        for start in range(0, len(self._stdin), _CHUNK):
            self._socket.send_binary(bytes([_STDIN]) + self._stdin[start : start + _CHUNK])
        if self._stdin and self._socket.subprotocol == _PROTOCOLS[0]:
            self._socket.send_binary(bytes([_CLOSE, _STDIN]))

    def _collect(self, deadline: float) -> Output:
        kept = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
        cut = set()
        with contextlib.suppress(WebSocketConnectionClosedException):  # then there is no status, which is said below
            while (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                kind, frame = self._socket.recv_data_frame(control_frame=True)
                if kind == ABNF.OPCODE_CLOSE:
                    break
                text = kept.get(frame.data[0]) if kind == ABNF.OPCODE_BINARY and frame.data else None
                if text is not None:
                    room = _LIMIT - len(text)
                    text += frame.data[1 : room + 1]
                    if len(frame.data) - 1 > room:
                        cut.add(frame.data[0])
            else:
                raise TimeoutError
        for channel in cut:
            kept[channel] += b"\n[more was dropped]\n"
        return Output(_code(bytes(kept[_STATUS])), bytes(kept[_STDOUT]), bytes(kept[_STDERR]))


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
