"""A finding as plain data, and the catalogue of codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.reachability.verdict import PolicyRef


class Level(StrEnum):
    """How bad it is; the words are those of SARIF."""

    ERROR = "error"
    """It does not do what it says."""
    WARNING = "warning"
    """It most likely does not do what its author meant."""
    NOTE = "note"
    """It does nothing, or depends on what the specification leaves open."""


@dataclass(frozen=True, slots=True)
class Code:
    """One lint: its short name, its level, and why it matters."""

    name: str
    level: Level
    reason: str


CODES: Mapping[str, Code] = {
    "ND001": Code("selects-nothing", Level.WARNING, "A policy that selects no endpoint isolates and allows nothing."),
    "ND002": Code(
        "selects-host-network",
        Level.ERROR,
        "Pods in their node's network are the node: Calico does not apply policies to them, others may.",
    ),
    "ND003": Code("peer-matches-nothing", Level.WARNING, "A peer that means no endpoint opens or closes nothing."),
    "ND004": Code(
        "unresolved-port",
        Level.ERROR,
        "A named port is looked up on the destination pod; an unknown one never matches.",
    ),
    "ND005": Code("shadowed-rule", Level.WARNING, "Rules before it decide everything that it would match."),
    "ND006": Code("duplicate", Level.NOTE, "It repeats what is said elsewhere; a change to one is easily forgotten."),
    "ND007": Code(
        "egress-without-dns",
        Level.WARNING,
        "Pods that are isolated for egress look up no names unless a rule lets them reach the cluster's DNS.",
    ),
    "ND008": Code(
        "service-address",
        Level.ERROR,
        "Policies are judged after a Service's address was translated: they see the pod's address and port.",
    ),
    "ND009": Code(
        "range-splits-workload",
        Level.WARNING,
        "Pod addresses change: a range that covers some pods of a workload covers others tomorrow.",
    ),
    "ND010": Code(
        "direction-not-enforced",
        Level.ERROR,
        "Rules of a direction that is not among a policy's types are not asked.",
    ),
    "ND011": Code("not-enforced", Level.ERROR, "This cluster enforces no policies of this API."),
    "ND012": Code("selector-typo", Level.ERROR, "Nothing has this label; something has nearly the same."),
    "ND013": Code(
        "order-undefined",
        Level.WARNING,
        "Which of two policies of equal order comes first, the implementation decides.",
    ),
}
"""Every lint by its code. Codes keep their meaning for ever; new ones get new numbers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about one policy.

    Attributes:
        code: a key of `CODES`.
        policy: where.
        direction: "ingress" or "egress"; empty for the policy as a whole.
        rule: which of its rules, from 1; 0 for the policy as a whole.
        message: what is the matter here, in one sentence.
        fix: what to do.
    """

    code: str
    policy: PolicyRef
    message: str
    fix: str
    direction: str = ""
    rule: int = 0

    @property
    def level(self) -> Level:
        """How bad it is."""
        return CODES[self.code].level

    @property
    def place(self) -> tuple[object, ...]:
        """What findings are sorted by."""
        policy = self.policy
        names = (policy.file, policy.line, policy.kind, policy.namespace, policy.name)
        return (*names, self.direction, self.rule, self.code, self.message)

    def __str__(self) -> str:
        rule = f" {self.direction} rule {self.rule}" if self.rule else ""
        return f"{self.policy}{rule}: {self.message}"
