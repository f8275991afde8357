"""The end of a command's connection, which may come from another thread at any moment: over real TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme
import urllib3

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube import channels
from labs.kube.access import Access
from labs.kube.client import KubernetesApi, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
PODS = Resource("", "v1", "pods", "Pod", namespaced=True)


class Server:
    """Upgrades commands to WebSockets and lets them run for ever; every other request is answered with a list.

    Attributes:
        may_greet: cleared, TLS is not begun.
        may_upgrade: cleared, a command's connection is held before it is upgraded.
        reached: set when a client waits for one of these, or has its WebSocket.
        opened: the WebSockets' connections.
        answers: what is sent after each line that a command is given: frames with their channel's byte.
    """

    def __init__(self, authority: trustme.CA) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.may_greet, self.may_upgrade, self.reached = threading.Event(), threading.Event(), threading.Event()
        self.may_greet.set()
        self.may_upgrade.set()
        self.opened: list[ssl.SSLSocket] = []
        self.answers: list[list[bytes]] = []
        self.asked: list[bytes] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.may_greet.set()
        self.may_upgrade.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self.opened:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if not self.may_greet.is_set():
            self.reached.set()
            self.may_greet.wait()
        with contextlib.suppress(OSError, ValueError):  # what is read while a test ends is closed, in one way or other
            connection = self._tls.wrap_socket(client, server_side=True)
            text = b""
            while b"\r\n\r\n" not in text:
                text += connection.recv(4096)
            if b"Upgrade" in text:
                self._upgrade(connection, text)
            else:
                self._answer(connection)

    def _upgrade(self, connection: ssl.SSLSocket, text: bytes) -> None:
        self.opened.append(connection)
        if not self.may_upgrade.is_set():
            self.reached.set()
            self.may_upgrade.wait()
        key = next(
            line.split(b": ")[1] for line in text.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        accepted = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accepted + b"\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
        )
        self.reached.set()
        for frames in self.answers:
            self.asked.append(_frame(connection))
            for frame in frames:
                connection.sendall(b"\x82" + bytes([len(frame)]) + frame)

    def _answer(self, connection: ssl.SSLSocket) -> None:
        """A list, late; meanwhile the commands that still run print something."""
        for each in self.opened:
            with contextlib.suppress(OSError):
                each.sendall(b"\x82\x04\x01abc")
        time.sleep(0.2)
        body = b'{"metadata": {"resourceVersion": "7"}, "items": []}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def _frame(connection: ssl.SSLSocket) -> bytes:
    """A client's frame: short, and masked (RFC 6455, section 5.2)."""
    head = connection.recv(2)
    if not head:
        raise ConnectionResetError
    body = connection.recv(4 + (head[1] & 127))
    return bytes(byte ^ body[at % 4] for at, byte in enumerate(body[4:]))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Server]:
    made = Server(authority)
    yield made
    made.close()


@pytest.fixture
def way(authority: trustme.CA, server: Server) -> Access:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(tls)
    return Access(f"https://127.0.0.1:{server.port}", urllib3.PoolManager(ssl_context=tls), {"context": tls}, {}, dict)


async def reads(server: Server) -> None:
    """Return when the command's thread waits for the server's next bytes."""
    await asyncio.to_thread(server.reached.wait, 10)
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("held", ["may_greet", "may_upgrade", ""])
async def test_closing_a_command_ends_its_run_whatever_it_is_at(server: Server, way: Access, held: str) -> None:
    if held:
        getattr(server, held).clear()
    session = channels.Session(way, "/api/v1/namespaces/a/pods/b/exec", b"", 20)
    running = asyncio.ensure_future(asyncio.to_thread(session.run))
    await reads(server)
    session.close()
    server.may_greet.set()  # else TLS is not there to be ended
    with pytest.raises(ClusterGoneError):
        await asyncio.wait_for(running, 5)


def test_a_command_that_was_closed_before_it_ran_is_not_run(server: Server, way: Access) -> None:
    session = channels.Session(way, "/api/v1/namespaces/a/pods/b/exec", b"", 20)
    session.close()
    with pytest.raises(ClusterGoneError, match="closed"):
        session.run()
    assert server.opened == []


async def test_a_cancelled_command_leaves_other_requests_alone(server: Server, way: Access) -> None:
    """What the next connection gets is the old one's descriptor, once that is closed."""
    api = KubernetesApi(way)
    command = asyncio.ensure_future(api.exec("a/b", ["sleep"], b"", 20))
    await reads(server)
    command.cancel()
    await asyncio.gather(command, return_exceptions=True)
    assert (await asyncio.wait_for(api.list(PODS), 10)).resource_version == "7"


async def test_a_command_that_runs_on_is_asked_line_by_line(server: Server, way: Access) -> None:
    server.answers = [[b"\x01ye", b"\x02a warning", b"\x01s a\nno b\n.", b"\x01\n"], [b"\x01.\n"]]
    talk = KubernetesApi(way).talk("a/b", ["sh"])
    assert await talk.ask("first", ".", 10) == ("yes a", "no b")
    assert await talk.ask("second", ".", 10) == ()
    assert server.asked == [b"\x00first\n", b"\x00second\n"]
    assert len(server.opened) == 1
    talk.close()
    assert await asyncio.to_thread(server.opened[0].recv, 9) == b""


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([b"\x02sh: not found\n", b"\x03{}"], "a command ended: sh: not found"),
        ([b"\x01half an answer\n", b"\x03{}"], "a command ended: half an answer"),
        ([b"\x03{}"], "a command ended: it said nothing"),
    ],
)
async def test_a_command_that_ends_is_no_answer(server: Server, way: Access, frames: list[bytes], said: str) -> None:
    server.answers = [frames]
    with pytest.raises(InfrastructureError, match=said):
        await KubernetesApi(way).talk("a/b", ["sh"]).ask("look", ".", 10)


async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(server: Server, way: Access) -> None:
    server.answers = [[b"\x01something\n"], []]
    with pytest.raises(TimeoutError):
        await KubernetesApi(way).talk("a/b", ["sh"]).ask("look", ".", 0.2)


async def test_who_stops_waiting_for_an_answer_ends_the_command(server: Server, way: Access) -> None:
    server.answers = [[], []]
    talk = KubernetesApi(way).talk("a/b", ["sh"])
    asking = asyncio.ensure_future(talk.ask("look", ".", 20))
    await reads(server)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    with pytest.raises(ClusterGoneError):
        await asyncio.wait_for(talk.ask("again", ".", 20), 5)
