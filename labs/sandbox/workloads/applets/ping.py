"""Echo requests, with the options and the output of iputils' ping."""

from __future__ import annotations

import secrets
import select
import socket
import struct
import time

from labs.sandbox.workloads.applets.options import UsageError, complain, parse, say

_FLAGS = {"-4": "ipv4", "-6": "ipv6", "-n": "numeric", "-q": "quiet"}
_VALUES = {"-c": "count", "-W": "wait", "-w": "deadline", "-i": "interval", "-s": "size"}


def run(name: str, arguments: list[str]) -> int:
    """Run it: 0 with any reply, 1 without, 2 when it cannot be tried."""
    try:
        flags, values, rest = parse(arguments, _FLAGS, _VALUES)
        count = int(values.get("count", ["0"])[-1])
        wait = float(values.get("wait", ["1"])[-1])
        interval = float(values.get("interval", ["1"])[-1])
        size = min(max(int(values.get("size", ["56"])[-1]), 8), 1400)
        deadline = time.monotonic() + float(values.get("deadline", ["inf"])[-1])
    except (UsageError, ValueError) as problem:
        complain(f"{name}: {problem}")
        return 2
    if len(rest) != 1:
        complain("usage: ping [-46nq] [-c count] [-i interval] [-W seconds] [-w seconds] host")
        return 2
    six = bool(flags.get("ipv6")) or name == "ping6"
    family = socket.AF_INET6 if six else socket.AF_INET if flags.get("ipv4") else 0
    try:
        found = socket.getaddrinfo(rest[0], None, family, socket.SOCK_RAW)[0]
    except (socket.gaierror, UnicodeError):
        complain(f"{name}: {rest[0]}: Name or service not known")
        return 2
    pinger = _Pinger(rest[0], socket.AddressFamily(found[0]), str(found[4][0]), size)
    try:
        return pinger.run(count, wait, interval, deadline, quiet=bool(flags.get("quiet")))
    except OSError as problem:
        complain(f"{name}: {problem.strerror}")
        return 2


class _Pinger:
    def __init__(self, name: str, family: socket.AddressFamily, address: str, size: int) -> None:
        self.name = name
        self.family = family
        self.address = address
        self.size = size
        # Not the process's number, which is small here and comes again: connection tracking tells pings apart by it.
        self.identity = secrets.randbelow(65536)
        self.received = 0
        self.sent = 0
        self.times: list[float] = []

    def run(self, count: int, wait: float, interval: float, deadline: float, *, quiet: bool) -> int:
        protocol = socket.IPPROTO_ICMPV6 if self.family == socket.AF_INET6 else socket.IPPROTO_ICMP
        made = socket.socket(self.family, socket.SOCK_RAW, protocol)
        made.connect((self.address, 0))
        say(f"PING {self.name} ({self.address}) {self.size} data bytes")
        began = time.monotonic()
        try:
            while (not count or self.sent < count) and time.monotonic() < deadline:
                self.sent += 1
                sent = time.monotonic()
                limit = min(deadline, sent + wait)
                text = self._once(made, limit)
                if text and not quiet:
                    say(text)
                if not count or self.sent < count:
                    time.sleep(max(0.0, min(sent + interval, deadline) - time.monotonic()))
        except KeyboardInterrupt:
            say("")
        self._summary(began)
        return 0 if self.received else 1

    def _once(self, made: socket.socket, limit: float) -> str:
        """Send one and wait for its reply; the line to print, nothing for silence."""
        sent = time.monotonic()
        try:
            made.send(self._request())
            while (left := limit - time.monotonic()) > 0:
                if not select.select([made], [], [], left)[0]:
                    break
                data = made.recv(65535)
                if self.family == socket.AF_INET:
                    ttl, data = data[8], data[(data[0] & 15) * 4 :]
                else:
                    ttl = 64
                reply = 129 if self.family == socket.AF_INET6 else 0
                if data[0] == reply and struct.unpack_from("!HH", data, 4) == (self.identity, self.sent & 0xFFFF):
                    took = (time.monotonic() - sent) * 1000
                    self.received += 1
                    self.times.append(took)
                    return f"{len(data)} bytes from {self.address}: icmp_seq={self.sent} ttl={ttl} time={took:.3f} ms"
        except OSError as problem:
            return f"From {self.address} icmp_seq={self.sent} {problem.strerror}"
        return ""

    def _request(self) -> bytes:
        kind = 128 if self.family == socket.AF_INET6 else 8
        body = struct.pack("!HH", self.identity, self.sent & 0xFFFF) + b"n" * self.size
        even = struct.pack("!BBH", kind, 0, 0) + body[: len(body) & ~1]
        total: int = sum(struct.unpack(f"!{len(even) // 2}H", even))
        total += (body[-1] << 8) if len(body) % 2 else 0
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return struct.pack("!BBH", kind, 0, ~total & 0xFFFF) + body

    def _summary(self, began: float) -> None:
        lost = 100 - 100 * self.received // max(self.sent, 1)
        took = round((time.monotonic() - began) * 1000)
        say(f"\n--- {self.name} ping statistics ---")
        say(f"{self.sent} packets transmitted, {self.received} received, {lost}% packet loss, time {took}ms")
        if self.times:
            mean = sum(self.times) / len(self.times)
            say(f"rtt min/avg/max = {min(self.times):.3f}/{mean:.3f}/{max(self.times):.3f} ms")
