"""What is said to a server so that it tells who it is, and what its answer proves.

The labs' workloads are agnhost's netexec, which tells its host name, the client's address and gives a nonce back
(source: kubernetes/kubernetes test/images/agnhost/netexec). A DNS server gives back the question, whose name carries
the nonce.
Of any other server only this can be said: it accepted the connection, or it answered.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NONCE_LENGTH = 24
_HOSTNAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")
_LONGEST_BODY = 1024


class Speech(StrEnum):
    """What a server is known to speak."""

    NETEXEC = "netexec"
    DNS = "dns"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer proves.

    Attributes:
        verified: it gave this probe's nonce back.
        hostname: what the server calls itself, empty when it does not say.
        client: the client's address as it saw it, likewise.
    """

    verified: bool
    hostname: str = ""
    client: str = ""


NOTHING = Told(verified=False)


def nonce() -> str:
    """A fresh nonce: lower-case hexadecimal digits, which netexec gives back as they are."""
    return secrets.token_hex(NONCE_LENGTH // 2)


def questions(protocol: str, speech: Speech, fresh: str) -> tuple[bytes, ...]:
    """What to send: for a stream one text, for datagrams one after the other, each when the one before is answered."""
    match protocol, speech:
        case "ICMP", _:
            return (fresh.encode(),)
        case "UDP", Speech.DNS:
            return (_query(fresh),)
        case "TCP", Speech.DNS:
            query = _query(fresh)
            return (struct.pack("!H", len(query)) + query,)
        case "TCP", _:
            return (b"".join(_get(path) for path in ("/hostname", "/clientip", f"/echo?msg={fresh}")),)
        case "SCTP", _:
            return (f"echo {fresh}".encode(),)  # netexec takes one question an association
        case _:
            return (f"echo {fresh}".encode(), b"hostname", b"clientip")


def _get(path: str) -> bytes:
    """One of several requests on a connection; the last of them ends it."""
    end = "Connection: close\r\n" if path.startswith("/echo") else ""
    return f"GET {path} HTTP/1.1\r\nHost: netdojo\r\n{end}\r\n".encode()


def _query(fresh: str) -> bytes:
    """A question (RFC 1035) for a name that no cluster has, inside the zone that its DNS answers by itself."""
    labels = (fresh, "default", "svc", "cluster", "local")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return struct.pack("!6H", int(fresh[:4], 16), 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)


def read(protocol: str, speech: Speech, fresh: str, answers: Sequence[bytes]) -> Told:
    """What these answers prove; anything odd proves nothing."""
    if not answers:
        return NOTHING
    first = answers[0]
    if protocol == "ICMP":
        return Told(verified=True)  # the agent has compared identifier and text
    if speech is Speech.DNS:
        return Told(verified=fresh.encode() in first)
    if protocol == "TCP":
        return _read_http(fresh, first)
    if first.strip() != fresh.encode():
        return NOTHING
    more = [one.decode("ascii", "replace") for one in answers[1:3]] + ["", ""]
    return Told(True, _hostname(more[0]), address_in(more[1]))


def _read_http(fresh: str, data: bytes) -> Told:
    bodies = []
    for _ in range(3):
        status, body, data = _response(data)
        if status != 200:
            return NOTHING
        bodies.append(body.decode("ascii", "replace"))
    return Told(True, _hostname(bodies[0]), address_in(bodies[1])) if bodies[2] == fresh else NOTHING


def _response(data: bytes) -> tuple[int, bytes, bytes]:
    """Status, body and the rest; status 0 for what is no complete response with a length."""
    head, end, rest = data.partition(b"\r\n\r\n")
    first = re.match(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]", head + b"\r")
    length = re.search(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})[ \t]*(?:\r|$)", head, re.IGNORECASE)
    if not (end and first and length) or int(length[1]) > _LONGEST_BODY or len(rest) < int(length[1]):
        return 0, b"", b""
    return int(first[1]), rest[: int(length[1])], rest[int(length[1]) :]


def _hostname(text: str) -> str:
    return text.strip() if _HOSTNAME.fullmatch(text.strip()) else ""


def address_in(text: str) -> str:
    """The address of `ADDRESS:PORT` or `[ADDRESS]:PORT`, as people write it, or an empty string."""
    found = re.fullmatch(r"\[?([0-9A-Fa-f.:]{2,45}?)(?:%[\w.-]{1,16})?\]?:[0-9]{1,5}", text.strip())
    try:
        address = ipaddress.ip_address(found[1]) if found else None
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return "" if address is None else str(address)
