"""A command's streams over one WebSocket, as `kubectl exec` does it: channels by number in one connection.

The client's own class for it has no time-out for a server that does not answer, and polls; so frames are read here.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

from kubernetes.stream.ws_client import V4_CHANNEL_PROTOCOL, V5_CHANNEL_PROTOCOL, websocket_proxycare
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

_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255
"""Channels, by the first byte of each frame (k8s.io/streaming, v4 and v5)."""
_OPEN_SECONDS = 20.0
_CHUNK = 16384
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
        self._url = url.replace("http", "ws", 1)
        self._headers = [f"{key}: {value}" for key, value in headers.items()]
        self._stdin = stdin
        self._seconds = seconds
        self._socket = WebSocket(sslopt=_tls(configuration), skip_utf8_validation=True)

    def run(self) -> Output:
        """Open, feed, collect, and return.

        Raises:
            TimeoutError: it did not end in time.
            Refused: the API does not run it.
            ClusterGoneError: the connection broke, or was not made.
        """
        try:
            self._open()
        except WebSocketBadStatusException as error:
            raise _refusal(error) from error
        except (WebSocketException, OSError) as error:
            raise ClusterGoneError(f"a command could not be started: {error}", remedy="try again") from error
        deadline = time.monotonic() + self._seconds
        try:
            self._feed()
            return self._collect(deadline)
        except WebSocketTimeoutException:
            raise TimeoutError from None
        except (WebSocketException, OSError) as error:
            raise ClusterGoneError(f"a command's connection broke: {error}", remedy="try again") from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of it; a command that still runs ends when it writes, or never."""
        with contextlib.suppress(OSError, WebSocketException):
            self._socket.shutdown()  # type: ignore[no-untyped-call]

    def _open(self) -> None:
        offered = [V5_CHANNEL_PROTOCOL, V4_CHANNEL_PROTOCOL]
        options: dict[str, Any] = {"header": self._headers, "subprotocols": offered, "timeout": _OPEN_SECONDS}
        if self._configuration.proxy or self._configuration.proxy_headers:
            options = websocket_proxycare(options, self._configuration, self._url, {})
        self._socket.connect(self._url, **options)  # type: ignore[no-untyped-call]

    def _feed(self) -> None:
        for start in range(0, len(self._stdin), _CHUNK):
            self._socket.send_binary(bytes([_STDIN]) + self._stdin[start : start + _CHUNK])
        if self._stdin and self._socket.subprotocol == V5_CHANNEL_PROTOCOL:
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


def _tls(configuration: Any) -> dict[str, Any]:  # noqa: ANN401 - the client's own, which has no type
    if not configuration.verify_ssl:
        options: dict[str, Any] = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    else:
        options = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": configuration.ssl_ca_cert}
    named = {"certfile": "cert_file", "keyfile": "key_file", "server_hostname": "tls_server_name"}
    found = {option: getattr(configuration, name, None) for option, name in named.items()}
    return {key: value for key, value in (options | found).items() if value is not None}


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
