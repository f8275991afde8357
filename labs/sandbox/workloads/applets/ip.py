"""Links, addresses and routes of the pod, read over netlink, with the output of iproute2 (reading only)."""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from typing import TYPE_CHECKING

from labs.sandbox.workloads.applets.options import complain, say

if TYPE_CHECKING:
    from collections.abc import Iterator

_GETLINK, _GETADDR, _GETROUTE, _GETNEIGH = 18, 22, 26, 30
_DUMP = 0x301  # a request for everything (linux/netlink.h)
_DONE, _ERROR = 3, 2
_SCOPES = {0: "global", 253: "link", 254: "host"}
_PROTOCOLS = {2: "kernel", 3: "boot", 4: "static"}
_STATES = {
    1: "INCOMPLETE",
    2: "REACHABLE",
    4: "STALE",
    8: "DELAY",
    16: "PROBE",
    32: "FAILED",
    64: "NOARP",
    128: "PERMANENT",
}
_FLAGS = {1: "UP", 2: "BROADCAST", 8: "LOOPBACK", 16: "POINTOPOINT", 4096: "MULTICAST", 65536: "LOWER_UP"}
_MAIN_TABLE = 254


def run(name: str, arguments: list[str]) -> int:
    """Show; 1 for what this applet cannot do."""
    del name
    family, words = 0, []
    for word in arguments:
        if word in {"-4", "-6"}:
            family = socket.AF_INET if word == "-4" else socket.AF_INET6
        elif not word.startswith("-"):
            words.append(word)
    what, rest = (words or [""])[0], words[1:]
    device = rest[rest.index("dev") + 1] if "dev" in rest[:-1] else ""
    if rest and rest[0] not in {"show", "list", "ls", "s", "dev"}:
        complain("ip: only 'show' works here: a pod may not change its own network")
        return 2
    shows = {"link": _links, "address": _addresses, "route": _routes, "neighbor": _neighbours, "neighbour": _neighbours}
    for full, show in shows.items():
        if what and full.startswith(what if what != "neigh" else "neighb"):
            show(family, device)
            return 0
    complain("usage: ip [-4|-6] link|addr|route|neigh [show [dev NAME]]")
    return 1


def _dump(kind: int, family: int, head: int) -> Iterator[tuple[bytes, dict[int, bytes]]]:
    """Messages as their fixed head (`head` bytes) and their attributes."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as made:
        body = struct.pack("B", family) + b"\0" * (head - 1)
        made.send(struct.pack("IHHII", 16 + len(body), kind, _DUMP, 1, 0) + body)
        while True:
            data = made.recv(1 << 18)
            while len(data) >= 16:
                length, answered = struct.unpack_from("IH", data)
                if answered in {_DONE, _ERROR} or length < 16:
                    return
                yield data[16 : 16 + head], _attributes(data[16 + head : length])
                data = data[length + -length % 4 :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[length + -length % 4 :]
    return found


def _address(raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _names() -> dict[int, str]:
    return dict(socket.if_nameindex())


def _link_lines() -> Iterator[tuple[int, str, str]]:
    for head, found in _dump(_GETLINK, 0, 16):
        index, flags = struct.unpack_from("iI", head, 4)
        name = found[3].rstrip(b"\0").decode()
        words = ",".join(word for bit, word in _FLAGS.items() if flags & bit)
        mtu = struct.unpack("I", found[4])[0]
        state = {6: "UP", 2: "DOWN"}.get(found.get(16, b"\0")[0], "UNKNOWN")
        mac = ":".join(f"{byte:02x}" for byte in found.get(1, b""))
        kind = "loopback" if flags & 8 else "ether"
        yield index, name, f"{index}: {name}: <{words}> mtu {mtu} state {state}\n    link/{kind} {mac}"


def _links(family: int, device: str) -> None:
    del family
    for _, name, line in _link_lines():
        if device in {"", name}:
            say(line)


def _addresses(family: int, device: str) -> None:
    lines: dict[int, list[str]] = defaultdict(list)
    for head, found in _dump(_GETADDR, family, 8):
        kind, length, _, scope, index = struct.unpack("BBBBI", head)
        word = "inet" if kind == socket.AF_INET else "inet6"
        raw = found.get(2) or found[1]
        lines[index].append(f"    {word} {_address(raw)}/{length} scope {_SCOPES.get(scope, scope)}")
    for index, name, line in _link_lines():
        if device in {"", name}:
            say("\n".join([line, *lines[index]]))


def _routes(family: int, device: str) -> None:
    names = _names()
    for head, found in _dump(_GETROUTE, family or socket.AF_INET, 12):
        length, table, protocol, scope = head[1], head[4], head[5], head[6]
        name = names.get(struct.unpack("I", found[4])[0], "") if 4 in found else ""
        if table != _MAIN_TABLE or (device and name != device):
            continue
        line = "default" if length == 0 else f"{_address(found[1])}/{length}" if 1 in found else "?"
        line = line.removesuffix("/32").removesuffix("/128")
        line += f" via {_address(found[5])}" if 5 in found else ""
        line += f" dev {name}" if name else ""
        line += f" proto {_PROTOCOLS[protocol]}" if protocol in _PROTOCOLS else ""
        line += f" scope {_SCOPES[scope]}" if scope in _SCOPES and scope else ""
        line += f" src {_address(found[7])}" if 7 in found else ""
        say(line)


def _neighbours(family: int, device: str) -> None:
    names = _names()
    for head, found in _dump(_GETNEIGH, family, 12):
        index, state = struct.unpack_from("iH", head, 4)
        name = names.get(index, "")
        if 1 in found and device in {"", name} and name != "lo":
            mac = ":".join(f"{byte:02x}" for byte in found.get(2, b""))
            line = f"{_address(found[1])} dev {name}" + (f" lladdr {mac}" if mac else "")
            say(f"{line} {_STATES.get(state, '')}")
