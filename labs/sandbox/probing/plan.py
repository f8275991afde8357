"""From names to attempts that can be made, and from an attempt's result to an outcome."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from content.errors import NetdojoError
from grader.ports import Outcome
from labs.sandbox.probing.association import InitAttempt
from labs.sandbox.probing.attempt import Attempt, DatagramAttempt, Result, StreamAttempt, address_of
from labs.sandbox.probing.icmp import EchoAttempt
from labs.sandbox.workloads import sctp

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.ports import Probe
    from labs.sandbox.network.netns import NetworkNamespace

PATIENCE_SECONDS = 2.0
"""How long a server may take to answer once it has accepted the connection."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a source or destination of a probe is.

    Attributes:
        namespace: where a source's sockets are made; None for what can only be a destination (a Service).
        addresses: of both families, in order of preference. For a Service its cluster IPs.
    """

    namespace: NetworkNamespace | None
    addresses: tuple[str, ...]


@dataclass(slots=True)
class Task:
    """A probe on its way."""

    index: int
    probe: Probe
    namespace: NetworkNamespace
    address: str
    tries: int = 0
    began: float = 0.0
    deadline: float = 0.0
    patience: float = PATIENCE_SECONDS
    attempt: Attempt | None = None


def _association(address: str, port: int, secret: str) -> Attempt:
    if sctp.in_kernel():
        return StreamAttempt(address, port, secret, sctp.IPPROTO_SCTP)
    return InitAttempt(address, port, secret)


ATTEMPTS: dict[str, Callable[[str, int, str], Attempt]] = {
    "TCP": StreamAttempt,
    "UDP": DatagramAttempt,
    "ICMP": EchoAttempt,
    "SCTP": _association,
}


def has_name(probe: Probe) -> bool:
    """True when the destination is one endpoint that servers call by the same name (a pod or an outside host)."""
    return not probe.destination.startswith(("service:", "node:", "ip:"))


def judge(probe: Probe, result: Result) -> tuple[Outcome, str]:
    """The outcome that a result means for this probe, with its detail.

    A sealed answer means open, whichever pod of the lab gave it: `answered_by` tells, and the grader compares. An
    answer that no server of the lab sealed is an error at a netdojo endpoint, where it proves neither an open way nor a
    closed one; at a plain address (`ip:`) anybody may answer.
    """
    if result.outcome is not Outcome.OPEN:
        return result.outcome, result.detail
    if not result.verified:
        if probe.destination.startswith("ip:"):
            return Outcome.OPEN, result.detail
        return Outcome.ERROR, f"somebody else answered ({result.detail})"
    return Outcome.OPEN, result.detail


class Names:
    """Names to tasks, each name resolved once."""

    def __init__(self, resolve: Callable[[str], Endpoint]) -> None:
        self._resolve = resolve
        self._known: dict[str, Endpoint | str] = {}

    def _find(self, name: str) -> Endpoint | str:
        """Where it is, or why it is not known."""
        if name not in self._known:
            try:
                if name.startswith("ip:"):
                    self._known[name] = Endpoint(None, (str(ipaddress.ip_address(name[3:])),))
                else:
                    self._known[name] = self._resolve(name)
            except LookupError:
                self._known[name] = f"unknown endpoint {name}: nothing of that name runs here"
            except (NetdojoError, ValueError) as problem:
                self._known[name] = f"unknown endpoint {name}: {problem}"
        return self._known[name]

    def plan(self, index: int, probe: Probe) -> tuple[str, Task | None]:
        """The task, or why there is none."""
        source, destination = self._find(probe.source), self._find(probe.destination)
        if isinstance(source, str):
            return source, None
        if isinstance(destination, str):
            return destination, None
        problem = _refusal(probe, source, destination)
        if problem or source.namespace is None:
            return problem or f"{probe.source} cannot be a source: it has no network namespace", None
        address = address_of(destination.addresses, probe.family)
        return "", Task(index, probe, source.namespace, address)


def _refusal(probe: Probe, source: Endpoint, destination: Endpoint) -> str:
    """Why this probe cannot be made, or nothing."""
    if probe.protocol not in ATTEMPTS:
        return f"protocol {probe.protocol} cannot be probed (one of {', '.join(ATTEMPTS)})"
    if probe.protocol != "ICMP" and not 0 < probe.port < 65536:
        return f"{probe.port} is no port"
    ends = {probe.destination: destination, probe.source: source}
    for name, end in ends.items():
        if end.addresses and not address_of(end.addresses, probe.family):
            return f"{name} has no IPv{probe.family} address"
    return "" if destination.addresses else f"{probe.destination} has no address"
