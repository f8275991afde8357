"""The normal form of every policy API: tiers → policies → rules, for each direction, first match wins.

A direction is judged at one endpoint, the subject: the source for egress, the destination for ingress. The tiers are
asked in order. A tier in which no policy selects the subject is skipped. In the others the rules of the selecting
policies are asked in order; the first that matches decides: ALLOW and DENY are final, PASS goes on with the next tier.
When none matches, the tier's `end` decides in the same way. After the last tier traffic is allowed.

Everything here is data and hashable, so that an evaluator may work pair by pair or over whole sets of endpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from grader.kube.model import Origin
from grader.policy.matches import AllOf, AnyOf, Block, Endpoint, Hosts, Labelled, Match, Named, Nodes, Not, Selected

__all__ = [
    "BOTH_FAMILIES",
    "EGRESS",
    "EPHEMERAL",
    "INGRESS",
    "AllOf",
    "AnyOf",
    "Block",
    "Effect",
    "Endpoint",
    "HostRules",
    "Hosts",
    "Labelled",
    "Match",
    "Named",
    "Nodes",
    "Not",
    "Policy",
    "Ports",
    "Rule",
    "Rulebook",
    "Selected",
    "Tier",
]

INGRESS = "ingress"
EGRESS = "egress"


class Effect(StrEnum):
    """What a rule, or the end of a tier, does with a packet."""

    ALLOW = "allow"
    DENY = "deny"
    PASS = "pass"  # noqa: S105 - a verb of policies, no secret


_NOWHERE = Origin()


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one protocol: an interval, or (with `name`) what the destination calls so.

    Attributes:
        protocol: TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or a number in digits.
        name: a named port; then `low` and `high` say nothing.
        only: the name counts on such endpoints only.
        icmp: type and code of ICMP; a code of None is any.
    """

    protocol: str
    low: int = 0
    high: int = 65535
    name: str = ""
    only: Match | None = None
    icmp: tuple[int, int | None] | None = None

    def matches(self, destination: Endpoint, port: int, protocol: str, icmp: tuple[int, int] | None = None) -> bool:
        """Tell whether a packet to this destination port is meant. A name that is not resolved matches nothing."""
        if protocol != self.protocol:
            return False
        if self.name:
            return port in destination.ports.get((self.name, protocol), ()) and (
                self.only is None or self.only.matches(destination, 4)
            )
        if self.icmp is not None:
            kind, code = self.icmp
            return icmp is not None and kind == icmp[0] and code in (None, icmp[1])
        return self.low <= port <= self.high

    def __str__(self) -> str:
        suffix = f"/{self.protocol}"
        if self.name:
            return f'"{self.name}"{suffix}'
        if self.icmp is not None:
            code = "" if self.icmp[1] is None else f" code {self.icmp[1]}"
            return f"{self.protocol} type {self.icmp[0]}{code}"
        if (self.low, self.high) == (0, 65535):
            return f"every port{suffix}"
        return f"{self.low}{suffix}" if self.low == self.high else f"{self.low}-{self.high}{suffix}"


BOTH_FAMILIES = (4, 6)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: it matches what satisfies every field. An empty field says nothing.

    Attributes:
        number: from 1, as people count the entries of `ingress` or `egress`; one entry may become several rules.
        effect: what becomes of a packet that matches.
        peers: the other end is one of these.
        ports: the destination's port is one of these; without them every protocol matches, ICMP too.
        not_ports: the destination's port is none of these.
        subjects: the end at which the direction is judged is one of these, too.
        source_ports: the sender's port is one of these.
        not_source_ports: the sender's port is none of these.
        families: of the packets.
        condition: what else must hold that no packet shows, in words: HTTP methods and paths.
    """

    number: int
    effect: Effect = Effect.ALLOW
    peers: tuple[Match, ...] = ()
    ports: tuple[Ports, ...] = ()
    not_ports: tuple[Ports, ...] = ()
    subjects: tuple[Match, ...] = ()
    source_ports: tuple[Ports, ...] = ()
    not_source_ports: tuple[Ports, ...] = ()
    families: tuple[int, ...] = BOTH_FAMILIES
    condition: str = ""

    def matches_peer(self, peer: Endpoint, family: int) -> bool:
        """Tell whether the other end is meant."""
        return family in self.families and (not self.peers or any(match.matches(peer, family) for match in self.peers))

    def matches_subject(self, subject: Endpoint, family: int) -> bool:
        """Tell whether the end that the policy selects is meant by this rule too."""
        return not self.subjects or any(match.matches(subject, family) for match in self.subjects)

    def matches_port(
        self, destination: Endpoint, port: int, protocol: str, icmp: tuple[int, int] | None = None
    ) -> bool:
        """Tell whether the destination's port is meant."""
        if self.ports and not any(ports.matches(destination, port, protocol, icmp) for ports in self.ports):
            return False
        return not any(ports.matches(destination, port, protocol, icmp) for ports in self.not_ports)

    def matches_source_port(self, source: Endpoint, port: int | None, protocol: str) -> bool:
        """Tell whether the sender's port is meant. A port that is not known is any of `EPHEMERAL`.

        Then the rule matches only where it would for each of them.
        """
        if not (self.source_ports or self.not_source_ports):
            return True
        if port is not None:
            return (
                not self.source_ports or any(ports.matches(source, port, protocol) for ports in self.source_ports)
            ) and not any(ports.matches(source, port, protocol) for ports in self.not_source_ports)
        low, high = EPHEMERAL
        return (
            not self.source_ports
            or any(p.protocol == protocol and not p.name and p.low <= low and high <= p.high for p in self.source_ports)
        ) and not any(
            p.protocol == protocol and not p.name and p.low <= high and low <= p.high for p in self.not_source_ports
        )


EPHEMERAL = (32768, 60999)
"""The ports that Linux gives to clients (`net.ipv4.ip_local_port_range`)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One direction of a policy as somebody wrote it."""

    kind: str
    namespace: str
    name: str
    subject: Match
    rules: tuple[Rule, ...] = ()
    origin: Origin = _NOWHERE
    superseded: bool = False
    """An API that implementations have given up: still evaluated, and said."""
    group: str = ""
    """The API group where it is Calico's."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Policies in their order, and what becomes of a packet that none of the selecting ones matched: DENY or PASS."""

    name: str
    policies: tuple[Policy, ...]
    end: Effect = Effect.DENY


@dataclass(frozen=True, slots=True)
class HostRules:
    """What host endpoints add in one direction: chains of their own, asked before the ordinary tiers.

    Attributes:
        untracked: `doNotTrack` policies, on all traffic of the interface.
        before_nat: `preDNAT` policies, with ports as they are before a node's port is translated (ingress only).
        forwarded: `applyOnForward` policies, on traffic that goes through the host.
    """

    untracked: tuple[Tier, ...] = ()
    before_nat: tuple[Tier, ...] = ()
    forwarded: tuple[Tier, ...] = ()


_NO_HOST_RULES = HostRules()


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Every tier of a cluster, in order, for each direction.

    `settled`: the implementation is known to be Calico, so nothing is left open.
    """

    ingress: tuple[Tier, ...] = ()
    egress: tuple[Tier, ...] = ()
    host_ingress: HostRules = _NO_HOST_RULES
    host_egress: HostRules = _NO_HOST_RULES
    settled: bool = False

    def host(self, direction: str) -> HostRules:
        """Return the host endpoints' own chains of a direction."""
        return self.host_ingress if direction == INGRESS else self.host_egress

    def tiers(self, direction: str) -> tuple[Tier, ...]:
        """Return the tiers of `INGRESS` or `EGRESS`."""
        return self.ingress if direction == INGRESS else self.egress
