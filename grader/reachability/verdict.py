"""Questions and answers of the evaluator, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """One question. `source` and `destination` are endpoint strings as in `grader.ports`.

    Attributes:
        protocol: its name (TCP, UDP, SCTP, ICMP, …) or its number in digits.
        source_port: of the sender; None is any that the system gives to clients.
        icmp: type and code; None is an echo request.
    """

    source: str
    destination: str
    port: int
    protocol: str = "TCP"
    family: int = 4
    source_port: int | None = None
    icmp: tuple[int, int] | None = None

    def __str__(self) -> str:
        """As people write it: the address of a request has its port in it."""
        port = "icmp" if self.protocol == "ICMP" else f"{self.port}/{self.protocol}"
        request = self.destination.startswith(("http://", "https://"))
        return f"{self.source} -> {self.destination}" + ("" if request else f":{port}")


class Action(StrEnum):
    """What a direction decides."""

    ALLOW = "allow"
    DENY = "deny"
    OPEN = "implementation-defined"
    """The specification leaves it open (hairpin through a Service, ICMP, host-network pods)."""


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy as people name it. `file` and `line` are empty for a live cluster.

    `group` is the API group where it is Calico's: its NetworkPolicy is another kind than Kubernetes'.
    """

    kind: str
    namespace: str
    name: str
    file: str = ""
    line: int = 0
    group: str = ""

    def __str__(self) -> str:
        kind = f"Calico {self.kind}" if self.group and self.kind == "NetworkPolicy" else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


RuleLine = Callable[[PolicyRef, str, int], int]
"""The line of a policy's rule of a direction, by number; that of the policy itself where it is not known."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one direction decides, and by what.

    Attributes:
        direction: "egress" (judged at the source) or "ingress" (at the destination).
        action: see `Action`.
        policy: the policy that decided; None when none applies to the endpoint.
        rule: which of its rules, from 1; 0 when no rule matched (isolated, nothing allows).
        isolating: every policy that isolates the endpoint in this direction.
        reason: one sentence for people.
        measured: where `action` is left open, what Calico does with real packets; netdojo's own dataplanes follow it.
        tier: the tier that decided; empty where there are no tiers to speak of.
        condition: what must hold beyond the packet for it to pass: HTTP methods and paths.
        passed: the rules that passed it on to a later tier, in words.
    """

    direction: str
    action: Action
    policy: PolicyRef | None = None
    rule: int = 0
    isolating: tuple[PolicyRef, ...] = ()
    reason: str = ""
    measured: Action | None = None
    tier: str = ""
    condition: str = ""
    passed: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """True when the direction lets the packet pass; what is left open, as Calico does."""
        return (self.measured or self.action) is Action.ALLOW


@dataclass(frozen=True, slots=True)
class Verdict:
    """Both directions; allowed only when both allow."""

    flow: Flow
    egress: Decision
    ingress: Decision

    @property
    def action(self) -> Action:
        """Deny wins; then what is left open by the specification; else allow."""
        actions = {self.egress.action, self.ingress.action}
        if Action.DENY in actions:
            return Action.DENY
        return Action.OPEN if Action.OPEN in actions else Action.ALLOW

    @property
    def allowed(self) -> bool:
        """True when the packet arrives; what the specification leaves open, as Calico and netdojo's dataplanes do."""
        return self.egress.allowed and self.ingress.allowed

    @property
    def condition(self) -> str:
        """What must hold beyond packets for an allowed flow: HTTP methods and paths; empty for nothing."""
        return self.ingress.condition or self.egress.condition


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A rule that would have matched but for one thing."""

    policy: PolicyRef
    direction: str
    rule: int
    missed: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a verdict is what it is. `lines()` is the text that every front end shows."""

    verdict: Verdict
    hops: tuple[str, ...]
    near_misses: tuple[NearMiss, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """Short sentences, at most about 100 characters each; the first is the verdict."""
        word = {"allow": "open", "deny": "dropped"}.get(self.verdict.action, str(self.verdict.action))
        head = f"{self.verdict.flow}  {word}"
        misses = tuple(f"near miss: {m.policy} {m.direction} rule {m.rule}: {m.missed}" for m in self.near_misses)
        return (head, *self.hops, *misses)
