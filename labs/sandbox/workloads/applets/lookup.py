"""DNS questions in plain sockets, with the search list of /etc/resolv.conf (man page resolv.conf 5)."""

from __future__ import annotations

import secrets
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}
CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


class LookupFailedError(Exception):
    """No server answered."""


@dataclass(frozen=True)
class Config:
    """What /etc/resolv.conf says."""

    servers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    ndots: int = 1


@dataclass(frozen=True)
class Record:
    """One record as text."""

    name: str
    ttl: int
    kind: str
    value: str


@dataclass
class Answer:
    """What a server said."""

    name: str
    code: str
    server: str
    answers: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)


def read_config(path: str = "/etc/resolv.conf") -> Config:
    """The configuration; its defaults where there is no file."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = 1
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return Config()
    for line in lines:
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1:
            servers.append(words[1])
        elif words[:1] == ["search"]:
            search = tuple(words[1:])
        elif words[:1] == ["options"]:
            for word in words:
                if word.startswith("ndots:") and word[6:].isdigit():
                    ndots = int(word[6:])
    return Config(tuple(servers) or Config.servers, search, ndots)


def candidates(name: str, config: Config) -> list[str]:
    """The full names to try, in order."""
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{domain.strip('.')}." for domain in config.search]
    return [f"{name}.", *searched] if name.count(".") >= config.ndots else [*searched, f"{name}."]


def reverse(address: str) -> str:
    """The name under which an address's own name is found, or nothing when this is no address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            raw = socket.inet_pton(family, address)
        except OSError:
            continue
        if family == socket.AF_INET:
            return ".".join(str(byte) for byte in reversed(raw)) + ".in-addr.arpa."
        return ".".join(reversed(raw.hex())) + ".ip6.arpa."
    return ""


def ask(server: str, name: str, kind: str, *, seconds: float = 2.0, tries: int = 2, port: int = 53) -> Answer:
    """Ask one server.

    Raises:
        LookupFailedError: it does not answer, or not as a DNS server does.
    """
    identity = secrets.randbelow(65536)
    labels = b"".join(bytes([len(part)]) + part for part in name.rstrip(".").encode().split(b".") if part)
    query = struct.pack("!6H", identity, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", TYPES[kind], 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    why = "timed out"
    for _ in range(tries):
        with socket.socket(family, socket.SOCK_DGRAM) as made:
            made.settimeout(seconds)
            try:
                made.connect((server, port))
                made.send(query)
                data = made.recv(65535)
            except OSError as problem:
                why = problem.strerror or "timed out"
                continue
        if data[:2] == query[:2] and len(data) >= 12:
            if data[2] & 2:
                data = _over_tcp(family, server, port, query, seconds)
            try:
                return _read(data, name, server)
            except (IndexError, struct.error, ValueError):
                why = "broken answer"
    raise LookupFailedError(f"connection to {server}#{port}: {why}")


def _over_tcp(family: int, server: str, port: int, query: bytes, seconds: float) -> bytes:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as made:
            made.settimeout(seconds)
            made.connect((server, port))
            made.sendall(struct.pack("!H", len(query)) + query)
            with made.makefile("rb") as stream:
                return stream.read(int.from_bytes(stream.read(2), "big"))
    except OSError as problem:
        raise LookupFailedError(f"connection to {server}#{port}: {problem.strerror or 'timed out'}") from problem


def _read(data: bytes, name: str, server: str) -> Answer:
    _, flags, questions, answers, authority, additional = struct.unpack_from("!6H", data)
    at = 12
    for _ in range(questions):
        at = _name(data, at)[1] + 4
    found = Answer(name, CODES.get(flags & 15, str(flags & 15)), server)
    for count, section in (
        (answers, found.answers),
        (authority, found.authority),
        (additional, found.additional),
    ):
        for _ in range(count):
            owner, at = _name(data, at)
            kind, _, ttl, length = struct.unpack_from("!HHIH", data, at)
            at += 10
            if kind != 41:  # EDNS is no record
                section.append(Record(owner, ttl, NAMES.get(kind, f"TYPE{kind}"), _value(data, at, length, kind)))
            at += length
    return found


def _value(data: bytes, at: int, length: int, kind: int) -> str:
    match NAMES.get(kind, ""):
        case "A":
            return socket.inet_ntop(socket.AF_INET, data[at : at + 4])
        case "AAAA":
            return socket.inet_ntop(socket.AF_INET6, data[at : at + 16])
        case "CNAME" | "PTR" | "NS":
            return _name(data, at)[0]
        case "SRV":
            return " ".join(str(one) for one in struct.unpack_from("!3H", data, at)) + f" {_name(data, at + 6)[0]}"
        case "SOA":
            primary, at = _name(data, at)
            mail, at = _name(data, at)
            return f"{primary} {mail} " + " ".join(str(one) for one in struct.unpack_from("!5I", data, at))
        case _:
            return data[at : at + length].hex()


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name and where it ends; pointers lead backwards only, so a hostile answer cannot go round in circles."""
    parts: list[str] = []
    end, limit = -1, at + 1
    while data[at]:
        length = data[at]
        if length >= 0xC0:
            end = at + 2 if end < 0 else end
            at = (length & 0x3F) << 8 | data[at + 1]
            if at >= limit - 1:
                raise ValueError("pointer forward")
            limit = at + 1
            continue
        parts.append(data[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(parts) + ".", at + 1 if end < 0 else end
