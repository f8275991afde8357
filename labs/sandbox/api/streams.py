"""exec over WebSocket (v5.channel.k8s.io) and logs.

Channels: 0 standard input, 1 output, 2 error, 3 the end as a Status, 4 the terminal's size, 255 close of a channel.
Source: k8s.io/apimachinery `pkg/util/remotecommand/constants.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING

from aiohttp import WSMessage, WSMsgType, web

from grader.errors import InfrastructureError
from labs.sandbox.api import requests, status
from labs.sandbox.api.status import ApiError, bad_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from grader.ports import Manifest
    from labs.sandbox.api.requests import Target
    from labs.sandbox.api.resources import Resources
    from labs.sandbox.runtime import ExecSession, Runtime

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_POLL = 0.2
_LISTENS = 1.0
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255


def _pod(resources: Resources, target: Target, container: str, *, doing: str) -> tuple[Manifest, str]:
    """The pod, and the container that is meant.

    Raises:
        ApiError: there is no such pod or container, or it does not run.
    """
    pod = resources.get(target.kind, target.namespace, target.name)
    name = target.name
    names = [item["name"] for item in pod["spec"]["containers"]]
    if container and container not in names:
        raise bad_request(f"container {container} is not valid for pod {name}")
    if not container and len(names) > 1 and doing == "log":
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
    return pod, container or names[0]


async def execute(request: web.Request, resources: Resources, runtime: Runtime, target: Target) -> web.StreamResponse:
    """Run a command in a pod, over a WebSocket.

    Raises:
        ApiError: the request is refused before it is one.
    """
    query = request.query
    pod, container = _pod(resources, target, query.get("container", ""), doing="exec")
    if not pod["spec"].get("nodeName"):
        raise bad_request(f"pod {target.name} does not have a host assigned")
    if pod.get("status", {}).get("phase") != "Running":
        raise bad_request(f'container not found ("{container}")')
    argv = query.getall("command", [])
    if not argv:
        raise bad_request("you must specify at least 1 command for the container")
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise bad_request("unable to upgrade: this server runs commands over WebSocket only (kubectl 1.31 and newer)")
    if not any(protocol in offered for protocol in PROTOCOLS):
        raise bad_request(f"unable to upgrade: unknown subprotocol: {offered}")
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=1 << 20, heartbeat=None, autoping=False)
    await socket.prepare(request)
    early = await _until_it_listens(socket)
    tty = query.get("tty") in {"true", "1"}
    wants_stdin = query.get("stdin") in {"true", "1"}
    try:
        session = await runtime.exec(pod["metadata"]["uid"], container, argv, tty=tty)
    except InfrastructureError as error:
        told = f"{error.message}; {error.remedy}" if error.remedy else error.message
        await _end(socket, ApiError(500, "InternalError", told).status())
        return socket
    if not wants_stdin:
        await session.write(b"")
    feeding = asyncio.ensure_future(_feed(socket, session, early, wants_stdin=wants_stdin))
    try:
        code = await _show(socket, session, tty=tty)
        await _end(socket, _ended(code))
    finally:
        session.kill()
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await feeding
    return socket


async def _until_it_listens(socket: web.WebSocketResponse) -> list[WSMessage]:
    """Wait until the client has answered pings, a second at most; gives what it sent meanwhile.

    kubectl before 1.34 reads from the connection while it still makes the streams that it reads into, and gives up when
    an answer is faster than that ("Unknown stream id"), as ours can be. A pong shows that its reader runs; the second
    gives its other half the time of one more round trip.
    Source: client-go `tools/remotecommand/websocket.go`.
    """
    early: list[WSMessage] = []
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_LISTENS):
            for _ in range(2):
                await socket.ping()
                async for message in socket:
                    if message.type == WSMsgType.PONG:
                        break
                    early.append(message)
    return early


async def _messages(socket: web.WebSocketResponse, early: Iterable[WSMessage]) -> AsyncIterator[WSMessage]:
    for message in early:
        yield message
    async for message in socket:
        yield message


async def _feed(
    socket: web.WebSocketResponse, session: ExecSession, early: Iterable[WSMessage], *, wants_stdin: bool
) -> None:
    """What the client sends: input, sizes, the end of its input; its going ends the command."""
    async for message in _messages(socket, early):
        if message.type == WSMsgType.PING:
            await socket.pong(message.data)
        if message.type != WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], bytes(message.data[1:])
        if channel == _STDIN and wants_stdin and data:
            await session.write(data)
        elif channel == _RESIZE:
            _resize(session, data)
        elif channel == _CLOSE and data[:1] == bytes([_STDIN]) and wants_stdin:
            await session.write(b"")
    session.kill()


def _resize(session: ExecSession, data: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        size = json.loads(data)
        columns, rows = int(size["Width"]), int(size["Height"])
        if 0 < columns < 10_000 and 0 < rows < 10_000:
            session.resize(columns, rows)


async def _show(socket: web.WebSocketResponse, session: ExecSession, *, tty: bool) -> int:
    async for channel, data in session.output():
        if not socket.closed:
            await socket.send_bytes(bytes([_STDOUT if tty else channel]) + data)
    return await session.wait()


async def _end(socket: web.WebSocketResponse, end: Manifest) -> None:
    if not socket.closed:
        await socket.send_bytes(bytes([_ERROR]) + json.dumps(end).encode())
        await socket.close()


def _ended(code: int) -> Manifest:
    """The exit status as a Status."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def logs(request: web.Request, resources: Resources, runtime: Runtime, target: Target) -> web.StreamResponse:
    """A container's log; `follow` stays until the pod or the client goes.

    Raises:
        ApiError: there is no such pod or container.
    """
    query = request.query
    pod, container = _pod(resources, target, query.get("container", ""), doing="log")
    uid = pod["metadata"]["uid"]
    if pod.get("status", {}).get("phase") != "Running":
        return web.Response(status=204) if not pod["spec"].get("nodeName") else web.Response(text="")
    if query.get("previous") in {"true", "1"}:
        raise bad_request(f'previous terminated container "{container}" in pod "{target.name}" not found')
    tail = requests.number(query, "tailLines") if query.get("tailLines") else None
    if tail is not None and tail < 0:
        errors = status.FieldErrors()
        errors.invalid("tailLines", tail, "must be greater than or equal to 0")
        errors.raise_for("PodLogOptions", "", target.name)
    lines = list(runtime.logs(uid, container))
    shown = lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
    stamped = query.get("timestamps") in {"true", "1"}
    text = _text(shown, stamped=stamped, limit=requests.number(query, "limitBytes"))
    if query.get("follow") not in {"true", "1"}:
        return web.Response(text=text)
    answer = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    await answer.prepare(request)
    await answer.write(text.encode())
    seen, last = len(lines), lines[-1:] or [""]
    while resources.store.get("pods", target.namespace, target.name) is not None:
        await asyncio.sleep(_POLL)
        lines = list(runtime.logs(uid, container))
        new = _news(lines, seen, last[0])
        if new:
            await answer.write(_text(new, stamped=stamped, limit=0).encode())
        seen, last = len(lines), lines[-1:] or [""]
        if request.transport is None or request.transport.is_closing():
            break
    return answer


def _news(lines: Sequence[str], seen: int, last: str) -> Sequence[str]:
    """What came after; a log that forgets its oldest lines is searched for the last one seen."""
    if len(lines) != seen or not lines or lines[-1] == last:
        return lines[seen:]
    for n in range(len(lines) - 1, -1, -1):
        if lines[n] == last:
            return lines[n + 1 :]
    return lines


_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z ")


def _text(lines: Sequence[str], *, stamped: bool, limit: int) -> str:
    """Lines as text. A line's own time stamp is shown only when the client asks for time stamps."""
    text = "".join(f"{line if stamped else _STAMP.sub('', line)}\n" for line in lines)
    return text.encode()[:limit].decode(errors="ignore") if limit > 0 else text
