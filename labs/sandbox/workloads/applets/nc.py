"""Open or listen on a TCP or UDP port, and pass on what comes: netcat, OpenBSD's options."""

from __future__ import annotations

import os
import select
import socket

from labs.sandbox.workloads.applets.options import UsageError, complain, parse

_FLAGS = {
    "-z": "scan",
    "-v": "verbose",
    "-u": "udp",
    "-l": "listen",
    "-n": "numeric",
    "-k": "keep",
    "-4": "ipv4",
    "-6": "ipv6",
    "-N": "shutdown",
}
_VALUES = {"-w": "wait", "-p": "port", "-q": "quit", "-s": "source"}


def run(name: str, arguments: list[str]) -> int:
    """Run it: 0 when it connected (with `-z`: to every port), else 1."""
    del name
    try:
        flags, values, rest = parse(arguments, _FLAGS, _VALUES)
        seconds = float(values["wait"][-1]) if "wait" in values else None
        if flags.get("listen"):
            return _listen(flags, values.get("port", rest[-1:])[-1:], seconds)
        ports = _ports(rest[1]) if len(rest) == 2 else range(0)
    except (UsageError, ValueError) as problem:
        complain(f"nc: {problem}")
        return 1
    if not ports:
        complain("usage: nc [-46uvz] [-w seconds] host port | nc -l [-p] port")
        return 1
    codes = [_connect(rest[0], port, flags, seconds) for port in ports]
    return max(codes)


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    ports = range(int(first), int(last if dash else first) + 1)
    if not ports or ports[0] < 1 or ports[-1] > 65535:
        raise UsageError(f"port number invalid: {text}")
    return ports


def _family(flags: dict[str, int]) -> int:
    return socket.AF_INET if flags.get("ipv4") else socket.AF_INET6 if flags.get("ipv6") else 0


def _connect(host: str, port: int, flags: dict[str, int], seconds: float | None) -> int:
    kind = socket.SOCK_DGRAM if flags.get("udp") else socket.SOCK_STREAM
    word = "udp" if flags.get("udp") else "tcp"
    try:
        found = socket.getaddrinfo(host, port, _family(flags), kind)
    except (socket.gaierror, UnicodeError) as problem:
        complain(f"nc: getaddrinfo for host {host!r} port {port}: {getattr(problem, 'strerror', problem)}")
        return 1
    for family, _, protocol, _, address in found:
        made = socket.socket(family, kind, protocol)
        made.settimeout(seconds)
        try:
            made.connect(address)
            if flags.get("udp") and flags.get("scan"):
                _poke(made)
        except TimeoutError:
            complain(f"nc: connect to {host} ({address[0]}) port {port} ({word}) timed out: Operation now in progress")
            continue
        except OSError as problem:
            complain(f"nc: connect to {host} ({address[0]}) port {port} ({word}) failed: {problem.strerror}")
            continue
        if flags.get("verbose"):
            complain(f"Connection to {host} ({address[0]}) {port} port [{word}/*] succeeded!")
        return 0 if flags.get("scan") else _relay(made, seconds)
    return 1


def _poke(made: socket.socket) -> None:
    """UDP has no connection: send something, and see whether the other side says that nobody listens.

    Raises:
        OSError: it says so.
    """
    for _ in range(2):
        made.send(b"X")
        if select.select([made], [], [], 0.5)[0]:
            made.recv(1)


def _listen(flags: dict[str, int], ports: list[str], seconds: float | None) -> int:
    if not ports:
        raise UsageError("which port to listen on?")
    port = _ports(ports[0])[0]
    kind = socket.SOCK_DGRAM if flags.get("udp") else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET if flags.get("ipv4") else socket.AF_INET6, kind)
    try:
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(flags.get("ipv6"))))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("", port))
        if flags.get("udp"):
            data, sender = made.recvfrom(65535)
            made.connect(sender)
            os.write(1, data)
            return _relay(made, seconds, ends=False)
        made.listen()
        while True:
            if flags.get("verbose"):
                complain(f"Listening on :: {port}")
            connection, sender = made.accept()
            if flags.get("verbose"):
                complain(f"Connection received on {sender[0]} {sender[1]}")
            code = _relay(connection, seconds, ends=bool(flags.get("shutdown")))
            if not flags.get("keep"):
                return code
    except OSError as problem:
        complain(f"nc: {problem.strerror}")
        return 1


def _relay(made: socket.socket, seconds: float | None, *, ends: bool = True) -> int:
    """Standard input to the network and back, until the far side ends or is silent for `seconds`.

    `ends` tells whether the input's end is passed on: a listener without input would send its clients away.
    """
    made.settimeout(None)
    watched: list[socket.socket | int] = [made, 0]
    while True:
        ready = select.select(watched, [], [], seconds)[0]
        if not ready:
            return 0
        try:
            if made in ready:
                data = made.recv(65536)
                if not data and made.type == socket.SOCK_STREAM:
                    return 0
                os.write(1, data)
            if 0 in ready:
                data = os.read(0, 65536)
                if data:
                    made.sendall(data)
                else:
                    watched.remove(0)
                    if ends and made.type == socket.SOCK_STREAM:
                        made.shutdown(socket.SHUT_WR)
        except OSError as problem:
            complain(f"nc: {problem.strerror}")
            return 1
