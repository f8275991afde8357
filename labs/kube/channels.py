"""A command's streams over one WebSocket, as `kubectl exec` does it: channels by number in one connection."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from kubernetes.stream.ws_client import (
    ERROR_CHANNEL,
    STDERR_CHANNEL,
    STDIN_CHANNEL,
    STDOUT_CHANNEL,
    V5_CHANNEL_PROTOCOL,
    WSClient,
)
from websocket import WebSocketBadStatusException, WebSocketException

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube.api import Output, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT = 4 << 20
"""Bytes of a command's output that are kept; the rest is dropped, and said so."""


class Session:
    """One command; `run` blocks until it ends, `close` from another thread ends `run`."""

    def __init__(
        self,
        configuration: Any,  # noqa: ANN401 - the client's own, which has no type
        url: str,
        headers: Mapping[str, str],
        stdin: bytes,
        seconds: float,
    ) -> None:
        self._configuration = configuration
        self._url = url
        self._headers = {key.lower(): value for key, value in headers.items()}
        self._stdin = stdin
        self._seconds = seconds
        self._socket: WSClient | None = None
        self._closed = False

    def run(self) -> Output:
        """Open, feed, collect, and return.

        Raises:
            TimeoutError: it did not end in time.
            Refused: the API does not run it.
            InfrastructureError: the connection broke.
        """
        deadline = time.monotonic() + self._seconds
        url = self._url.replace("http", "ws", 1)
        try:
            self._socket = WSClient(self._configuration, url, self._headers, capture_all=False, binary=True)
        except WebSocketBadStatusException as error:
            raise _refusal(error) from error
        except WebSocketException as error:
            raise ClusterGoneError(f"a command could not be started: {error}", remedy="try again") from error
        with contextlib.closing(self._socket):
            self._feed(self._socket)
            try:
                return self._collect(self._socket, deadline)
            except WebSocketException as error:
                raise ClusterGoneError(f"a command's connection broke: {error}", remedy="try again") from error

    def close(self) -> None:
        """Let go of it; a command that still runs ends when it writes, or never."""
        self._closed = True
        if self._socket is not None and self._socket.sock is not None:
            with contextlib.suppress(OSError, WebSocketException):
                self._socket.sock.shutdown()

    def _feed(self, socket: WSClient) -> None:
        if not self._stdin:
            return
        for start in range(0, len(self._stdin), 16384):
            socket.write_channel(STDIN_CHANNEL, self._stdin[start : start + 16384])
        if socket.subprotocol == V5_CHANNEL_PROTOCOL:
            socket.close_channel(STDIN_CHANNEL)

    def _collect(self, socket: WSClient, deadline: float) -> Output:
        kept = {STDOUT_CHANNEL: bytearray(), STDERR_CHANNEL: bytearray(), ERROR_CHANNEL: bytearray()}
        cut = set()
        while True:
            is_open = socket.is_open()
            if is_open:
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    raise TimeoutError
                socket.update(timeout=left)
            for channel, text in kept.items():
                # reading an empty channel would wait for the socket once more
                chunk = socket.read_channel(channel) if channel in socket._channels else b""  # noqa: SLF001 - as above
                room = _LIMIT - len(text)
                text.extend(chunk[:room])
                if len(chunk) > room:
                    cut.add(channel)
            if not is_open:
                break
        for channel in cut:
            kept[channel] += b"\n[more was dropped]\n"
        code = _code(bytes(kept[ERROR_CHANNEL]))
        return Output(code, bytes(kept[STDOUT_CHANNEL]), bytes(kept[STDERR_CHANNEL]))


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
    return Refused(int(error.status_code), str(status.get("reason", "")), message)
