"""What the grader needs from outside, as protocols with plain data.

Endpoints are strings everywhere a probe is described:

    shop/customer-5d9f-abcde     a pod: namespace/name
    service:shop/customer        a Service (destination only)
    node:node-1                  a node of the cluster
    host:bastion                 an outside host of the lab
    ip:203.0.113.9               an address
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Manifest = dict[str, Any]
"""A Kubernetes object as JSON gives it."""


class Outcome(StrEnum):
    """What became of a probe."""

    OPEN = "open"
    """The right server answered with the probe's nonce."""
    DROPPED = "dropped"
    """Silence until the time-out, and once more on a second try."""
    REFUSED = "refused"
    """The destination answered that nobody listens (or a policy rejects)."""
    UNREACHABLE = "unreachable"
    """The network answered that there is no way."""
    ERROR = "error"
    """The probe could not be made: this is never counted as open or closed."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One attempt: who talks to whom, how. `port` is 0 for ICMP (an echo request)."""

    source: str
    destination: str
    port: int
    protocol: str = "TCP"
    family: int = 4
    via: str = "pod"


@dataclass(frozen=True, slots=True)
class Observation:
    """What one probe saw.

    Attributes:
        probe: the attempt.
        outcome: see `Outcome`.
        answered_by: the pod that answered (namespace/name), empty when none did.
        seen_as: the client's address as the server saw it, empty when not known.
        milliseconds: from the first packet to the outcome.
        detail: the system's own words, for `error` above all.
    """

    probe: Probe
    outcome: Outcome
    answered_by: str = ""
    seen_as: str = ""
    milliseconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a cluster can do.

    Attributes:
        backend: its name on the command line.
        dataplane: "nftables", "model", "iptables", "ebpf".
        simulated: True when probes are computed, not sent: every report says so.
        families: IP families that pods have.
        protocols: those that can be probed.
        has: the needs of labs that it meets (see `content.model.Need`).
        hosts: the addresses of outside hosts, by the name that arrows use; of a running cluster.
    """

    backend: str
    dataplane: str
    simulated: bool
    families: tuple[int, ...] = (4,)
    protocols: tuple[str, ...] = ("TCP", "UDP", "ICMP")
    has: frozenset[str] = frozenset()
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Execution:
    """What a command inside a pod printed. `code` is its exit status."""

    code: int
    stdout: str
    stderr: str


class Cluster(Protocol):
    """A running cluster. Every method raises `grader.errors.InfrastructureError` (or a subclass) when it cannot run.

    One whose nodes can be looked into is a `grader.dataplane.ShowsDataplane` too.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this cluster can do."""
        ...

    async def snapshot(self) -> tuple[Manifest, ...]:
        """Every object of the kinds that decide traffic, as they are now, system namespaces included."""
        ...

    async def version(self) -> str:
        """A word that changes whenever an object changes; cheap enough to ask twice a second."""
        ...

    async def probe(self, probes: Sequence[Probe]) -> tuple[Observation, ...]:
        """Make all probes, and answer in their order."""
        ...

    async def prove_enforcement(self) -> None:
        """Show that a policy stops a packet here, and that an open way is open.

        Raises:
            NotEnforcedError: the canary's denied packet got through, or its allowed one did not.
        """
        ...

    async def apply(self, objects: Iterable[Manifest]) -> None:
        """Create or update (as `kubectl apply` does) and return when the dataplane enforces it.

        Raises:
            content.errors.BrokenContentError: the API refused an object; the API's own words are the cause.
        """
        ...

    async def delete(self, objects: Iterable[Manifest]) -> None:
        """Delete; what is not there is fine. Returns when the dataplane no longer enforces it."""
        ...

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        """Run a command inside a pod (namespace/name)."""
        ...
