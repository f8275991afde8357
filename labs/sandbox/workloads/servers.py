"""A pod's listening sockets, made in its network namespace and closed together."""

from __future__ import annotations

import errno
import functools
import socket
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.sandbox.workloads import identity, sctp
from labs.sandbox.workloads.behaviours import Behaviour, behaviour_of, reference, served_ports
from labs.sandbox.workloads.datagram import DatagramServer
from labs.sandbox.workloads.dns import DnsConnection, Resolver
from labs.sandbox.workloads.http import HttpConnection
from labs.sandbox.workloads.plain import PlainConnection
from labs.sandbox.workloads.stream import StreamServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Protocol

    from labs.sandbox.network.netns import NetworkNamespace
    from labs.sandbox.runtime import ContainerSpec, PodSpec, ServedPort
    from labs.sandbox.workloads.records import Records

    class Closable(Protocol):
        """Anything that a pod's servers hold open."""

        def close(self) -> None:
            """Let go of it."""


BACKLOG = 4096
_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")


class Servers:
    """Everything that answers in one pod.

    Attributes:
        serves_dns: True for a pod of the cluster's DNS; only there `publish` matters.
    """

    def __init__(self, namespace: NetworkNamespace, pod: PodSpec, loop: asyncio.AbstractEventLoop, secret: str) -> None:
        self.serves_dns = False
        self._namespace = namespace
        self._pod = pod
        self._who = reference(pod)
        self._loop = loop
        self._secret = secret
        self._resolver = Resolver()
        self._open: list[Closable] = []

    def publish(self, records: Records) -> None:
        """Give the names of the cluster to this pod's DNS server; nothing happens in other pods."""
        self._resolver.records = records

    def close(self) -> None:
        """Stop answering and drop all connections. Twice is once."""
        while self._open:
            self._open.pop().close()

    def listen(self, container: ContainerSpec, port: ServedPort, log: Callable[[str], None]) -> None:
        """Answer on one TCP or UDP port (or SCTP, where the kernel has it).

        Raises:
            OSError: no socket could be made.
        """
        behaviour = behaviour_of(container.image)
        dns = behaviour.dns and port.number == 53
        self.serves_dns |= dns
        kind = socket.SOCK_DGRAM if port.protocol == "UDP" else socket.SOCK_STREAM
        protocol = sctp.IPPROTO_SCTP if port.protocol == "SCTP" else 0
        try:
            bound = bind(self._namespace, kind, port.number, protocol)
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise
            log(f"bind() to 0.0.0.0:{port.number} failed (98: Address already in use)")
            return
        if port.protocol == "UDP":
            other = self._query if dns else functools.partial(_words, self._pod)
            reply = functools.partial(_datagram, who=self._who, secret=self._secret, other=other)
            self._open.append(DatagramServer(self._loop, bound, reply))
            return
        bound.listen(BACKLOG)
        talk: Callable[..., asyncio.Protocol] = functools.partial(_talk, behaviour=behaviour, pod=self._pod, log=log)
        if dns:
            talk = self._dns_connection
        self._open.append(StreamServer(self._loop, bound, who=self._who, secret=self._secret, talk=talk))

    def answer_inits(self, ports: frozenset[int]) -> None:
        """Answer on SCTP ports by raw packets.

        Raises:
            OSError: no socket could be made.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                raw = self._namespace.socket(family, socket.SOCK_RAW, sctp.IPPROTO_SCTP)
            except OSError as problem:
                if problem.errno == errno.EAFNOSUPPORT:
                    continue
                raise
            # A node's namespace may hold several pods: none of them may refuse what another one serves.
            refuse = not self._pod.host_network
            self._open.append(sctp.Responder(self._loop, raw, ports, self._who, self._secret, refuse=refuse))

    def _query(self, data: bytes, address: str, port: int) -> bytes:
        del address, port
        return self._resolver.over_udp(data)

    def _dns_connection(self, first: bytes, client: tuple[str, int], server: tuple[str, int]) -> DnsConnection:
        del first, client, server
        return DnsConnection(self._resolver.over_tcp)


def start(
    namespace: NetworkNamespace,
    pod: PodSpec,
    loop: asyncio.AbstractEventLoop,
    nonce_secret: str,
    log: Callable[[str], None],
) -> Servers:
    """Answer on every port that the pod's containers serve, on all addresses of both families.

    Two containers that serve the same port: the first has it, and `log` gets the second one's complaint, as in a real
    pod. A pod of the cluster's DNS answers SERVFAIL until its names are published.

    Raises:
        grader.errors.InfrastructureError: no socket could be made.
    """
    servers = Servers(namespace, pod, loop, nonce_secret)
    inits = set()
    try:
        for container in pod.containers:
            for port in served_ports(container):
                if port.protocol == "SCTP" and not sctp.in_kernel():
                    inits.add(port.number)
                else:
                    servers.listen(container, port, log)
        # Without an SCTP stack the pods refuse other ports by themselves; the kernel's own word for it (protocol
        # unreachable) is not said while a probe's raw socket is open there.
        if inits or not (pod.host_network or sctp.in_kernel()):
            servers.answer_inits(frozenset(inits))
    except OSError as problem:
        servers.close()
        raise InfrastructureError(f"cannot listen in pod {reference(pod)}: {problem.strerror}") from problem
    return servers


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


def _talk(
    first: bytes,
    client: tuple[str, int],
    server: tuple[str, int],
    *,
    behaviour: Behaviour,
    pod: PodSpec,
    log: Callable[[str], None],
) -> asyncio.Protocol:
    if behaviour.web or first.startswith(_METHODS):
        return HttpConnection(functools.partial(behaviour.respond, pod), client, server, log)
    log(f"{client[0]}:{client[1]} connected")
    return PlainConnection(f"{reference(pod)}\n".encode(), behaviour.banner)


def _datagram(
    data: bytes, address: str, port: int, *, who: str, secret: str, other: Callable[[bytes, str, int], bytes]
) -> bytes:
    fresh = identity.read_question(data)
    return identity.answer(secret, fresh, who, address) if fresh else other(data, address, port)


def _words(pod: PodSpec, data: bytes, address: str, port: int) -> bytes:
    """Netexec's commands over UDP; anything else comes back with the pod's name."""
    match data.strip().split(b" ", 1):
        case [b"hostname" | b"hostName"]:
            return pod.name.encode()
        case [b"clientip"]:
            return (f"[{address}]:{port}" if ":" in address else f"{address}:{port}").encode()
        case [b"echo", text]:
            return text
        case _:
            return f"{reference(pod)} ".encode() + data[:1024]
