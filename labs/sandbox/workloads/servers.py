"""A pod's listening sockets, made in its network namespace and closed together."""

from __future__ import annotations

import errno
import functools
import socket
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.sandbox.workloads import identity
from labs.sandbox.workloads.behaviours import behaviour_of, reference, served_ports
from labs.sandbox.workloads.stream import StreamServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Protocol

    from labs.sandbox.network.netns import NetworkNamespace
    from labs.sandbox.runtime import ContainerSpec, PodSpec, ServedPort

    class Closable(Protocol):
        """Anything that a pod's servers hold open."""

        def close(self) -> None:
            """Let go of it."""


BACKLOG = 4096


class Servers:
    """Everything that answers in one pod."""

    def __init__(self) -> None:
        self._open: list[Closable] = []

    def add(self, server: Closable) -> None:
        """Take over a server."""
        self._open.append(server)

    def close(self) -> None:
        """Stop answering and drop all connections. Twice is once."""
        while self._open:
            self._open.pop().close()


class DatagramServer:
    """A bound UDP socket; `reply` gets each datagram with its sender and makes the answer (empty: none)."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        bound: socket.socket,
        reply: Callable[[bytes, str, int], bytes],
    ) -> None:
        self._loop = loop
        self._socket = bound
        self._reply = reply
        loop.add_reader(bound.fileno(), self._ready)

    def close(self) -> None:
        """Stop answering."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _ready(self) -> None:
        for _ in range(128):
            try:
                data, sender = self._socket.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:  # an earlier answer found its client gone
                continue
            answer = self._reply(data, identity.plain_address(sender[0]), sender[1])
            if answer:
                try:
                    self._socket.sendto(answer, sender)
                except OSError:  # the way back is closed: for a datagram that is silence
                    continue


def start(
    namespace: NetworkNamespace,
    pod: PodSpec,
    loop: asyncio.AbstractEventLoop,
    nonce_secret: str,
    log: Callable[[str], None],
) -> Servers:
    """Answer on every port that the pod's containers serve, on all addresses of both families.

    Two containers that serve the same port: the first has it, and `log` gets the second one's complaint, as in a real pod.

    Raises:
        grader.errors.InfrastructureError: no socket could be made.
    """
    servers = Servers()
    try:
        for container in pod.containers:
            for port in served_ports(container):
                _listen(servers, namespace, pod, container, port, loop, nonce_secret, log)
    except OSError as problem:
        servers.close()
        raise InfrastructureError(f"cannot listen in pod {reference(pod)}: {problem.strerror}") from problem
    return servers


def _listen(
    servers: Servers,
    namespace: NetworkNamespace,
    pod: PodSpec,
    container: ContainerSpec,
    port: ServedPort,
    loop: asyncio.AbstractEventLoop,
    secret: str,
    log: Callable[[str], None],
) -> None:
    who = reference(pod)
    behaviour = behaviour_of(container.image)
    kind = socket.SOCK_DGRAM if port.protocol == "UDP" else socket.SOCK_STREAM
    try:
        bound = bind(namespace, kind, port.number)
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise
        log(f"bind() to 0.0.0.0:{port.number} failed (98: Address already in use)")
        return
    if port.protocol == "UDP":
        servers.add(DatagramServer(loop, bound, functools.partial(_datagram, pod, secret)))
        return
    bound.listen(BACKLOG)
    servers.add(
        StreamServer(
            loop,
            bound,
            who=who,
            secret=secret,
            respond=functools.partial(behaviour.respond, pod),
            web=behaviour.web,
            banner=behaviour.banner,
            log=log,
        )
    )


def bind(namespace: NetworkNamespace, kind: int, port: int, protocol: int = 0) -> socket.socket:
    """A socket bound to a port on all addresses of both families, or of IPv4 where the kernel has no IPv6.

    Raises:
        OSError: as the kernel says.
    """
    try:
        made = namespace.socket(socket.AF_INET6, kind, protocol)
    except OSError as problem:
        if problem.errno != errno.EAFNOSUPPORT:
            raise
        made = namespace.socket(socket.AF_INET, kind, protocol)
    try:
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
        made.bind(("", port))
    except OSError:
        made.close()
        raise
    return made


def _datagram(pod: PodSpec, secret: str, data: bytes, address: str, port: int) -> bytes:
    """Answer a probe, netexec's commands, or send the bytes back with the pod's name."""
    who = reference(pod)
    fresh = identity.read_question(data)
    if fresh:
        return identity.answer(secret, fresh, who, address)
    match data.strip().split(b" ", 1):
        case [b"hostname" | b"hostName"]:
            return pod.name.encode()
        case [b"clientip"]:
            return (f"[{address}]:{port}" if ":" in address else f"{address}:{port}").encode()
        case [b"echo", text]:
            return text
        case _:
            return f"{who} ".encode() + data
