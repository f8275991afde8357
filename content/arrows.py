"""The traffic notation of labs: `summary -> database:2379`.

    arrow       = names "->" names [":" ports] ["via" path] ["seen as" name]
    names       = "*" | name {"," name}
    name        = workload ["." namespace]           (a Deployment, StatefulSet, DaemonSet or Pod; or an outside host)
    ports       = port {"," port}
    port        = number ["/" protocol] | "icmp"     (tcp when no protocol is given)
    path        = "service" | "nodeport"             (straight to the pod's address when left out)

Without ports an arrow covers every port that the destination serves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from content.errors import NetdojoError

if TYPE_CHECKING:
    from typing import NoReturn


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """A workload or an outside host; `namespace` is empty where the arrow gives none."""

    workload: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.workload}.{self.namespace}" if self.namespace else self.workload


ANY = Name("*")
"""The `*` of an arrow: every endpoint of the lab's matrix."""


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A destination port; ICMP has number 0."""

    number: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        if self.protocol == "ICMP":
            return "icmp"
        return str(self.number) if self.protocol == "TCP" else f"{self.number}/{self.protocol.lower()}"


@dataclass(frozen=True, slots=True)
class Arrow:
    """A parsed arrow. `ports` is empty for "every port that the destination serves". `str()` gives it back."""

    sources: tuple[Name, ...]
    destinations: tuple[Name, ...]
    ports: tuple[Port, ...] = ()
    via: str = "pod"
    seen_as: Name | None = None

    def __str__(self) -> str:
        sources, destinations = (",".join(map(str, names)) for names in (self.sources, self.destinations))
        ports = ":" + ",".join(map(str, self.ports)) if self.ports else ""
        via = "" if self.via == "pod" else f" via {self.via}"
        seen = f" seen as {self.seen_as}" if self.seen_as else ""
        return f"{sources} -> {destinations}{ports}{via}{seen}"


class ArrowError(NetdojoError):
    """Text that is no arrow; `column` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


LONGEST = 500
"""Characters of an arrow; more is no arrow that a person reads."""
PATHS = ("service", "nodeport")
PROTOCOLS = ("tcp", "udp", "sctp")
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
TOKEN = re.compile(r"\s*(->|[*,:./]|[A-Za-z0-9_-]+?(?=->)|[A-Za-z0-9_-]+|\S)")
DNS_LABEL = re.compile(LABEL)
END = "the end of the arrow"


def parse(text: str) -> Arrow:
    """Read one arrow.

    Raises:
        ArrowError: with the column and what was expected there.
    """
    if len(text) > LONGEST:
        raise ArrowError(f"an arrow of {len(text)} characters: at most {LONGEST} are read", LONGEST)
    return _Parser(text).arrow()


class _Parser:
    """Recursive descent over the tokens of one arrow."""

    def __init__(self, text: str) -> None:
        found = [(match.group(1), match.start(1) + 1) for match in TOKEN.finditer(text.rstrip())]
        self._tokens = [*found, ("", len(text.rstrip()) + 1)]
        self._at = 0

    @property
    def _token(self) -> str:
        return self._tokens[self._at][0]

    def arrow(self) -> Arrow:
        sources = self._names("a workload's name or *")
        self._take("->", "-> or a comma")
        destinations = self._names("a workload's name or *")
        ports = self._ports() if self._accept(":") else ()
        via = self._path() if self._accept("via") else "pod"
        seen_as = None
        if self._accept("seen"):
            self._take("as", '"as"')
            seen_as = self._name("the name of the endpoint that the server should see")
        if self._token:
            self._fail('":" and ports, "via service", "via nodeport", "seen as", or ' + END if not ports else END)
        return Arrow(sources, destinations, ports, via, seen_as)

    def _names(self, expected: str) -> tuple[Name, ...]:
        if self._accept("*"):
            return (ANY,)
        names = [self._name(expected)]
        while self._accept(","):
            names.append(self._name("a workload's name"))
        return tuple(names)

    def _name(self, expected: str) -> Name:
        workload = self._label(expected)
        return Name(workload, self._label("a namespace") if self._accept(".") else "")

    def _label(self, expected: str) -> str:
        token = self._token
        if not DNS_LABEL.fullmatch(token):
            if token and token not in {"->", "*", ",", ":", ".", "/"}:
                expected += " (lower-case letters, digits and -)"
            self._fail(expected)
        self._at += 1
        return token

    def _ports(self) -> tuple[Port, ...]:
        ports = [self._port()]
        while self._accept(","):
            ports.append(self._port())
        return tuple(ports)

    def _port(self) -> Port:
        if self._accept("icmp"):
            return Port(0, "ICMP")
        token = self._token
        if not (token.isascii() and token.isdigit() and len(token) <= 5 and 1 <= int(token) <= 65535):
            self._fail("a port from 1 to 65535, or icmp")
        self._at += 1
        if not self._accept("/"):
            return Port(int(token))
        protocol = self._token
        if protocol not in PROTOCOLS:
            self._fail("tcp, udp or sctp")
        self._at += 1
        return Port(int(token), protocol.upper())

    def _path(self) -> str:
        path = self._token
        if path not in PATHS:
            self._fail("service or nodeport")
        self._at += 1
        return path

    def _accept(self, token: str) -> bool:
        if self._token != token:
            return False
        self._at += 1
        return True

    def _take(self, token: str, expected: str) -> None:
        if not self._accept(token):
            self._fail(expected)

    def _fail(self, expected: str) -> NoReturn:
        token, column = self._tokens[self._at]
        found = repr(token) if token else END
        raise ArrowError(f"column {column}: expected {expected}, found {found}", column)
