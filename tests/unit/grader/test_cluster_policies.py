"""ClusterNetworkPolicy and what it superseded, where no Calico object says who enforces.

A rule and its traps a row; `->` passes, `-x` is dropped, `?` is left open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from content.errors import BrokenContentError
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

WEB, DB, GUEST, OUT = "shop/web", "shop/db", "lobby/guest", "ip:192.0.2.1"
ALL = "{namespaces: {}}"
DENY_ALL = f"{{action: Deny, from: [{ALL}]}}"
SHOP = "{namespaces: {matchLabels: {team: blue}}}"
OLD_PORTS = "[{portNumber: {port: 80}}, {portRange: {start: 90, end: 99, protocol: UDP}}, {namedPort: sql}]"
DB_PODS = "{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}}"


def cnp(
    name: str, rules: str, *, tier: str = "Admin", priority: int = 5, subject: str = ALL, side: str = "ingress"
) -> str:
    return f"cnp {name} {{tier: {tier}, priority: {priority}, subject: {subject}, {side}: [{rules}]}}"


def range_of(start: int, end: int) -> str:
    return f"{{destinationPort: {{range: {{start: {start}, end: {end}}}}}}}"


def port(number: int) -> str:
    return f"protocols: [{{tcp: {{destinationPort: {{number: {number}}}}}}}]"


TABLE = {
    "an unmatched packet goes on": (
        [cnp("a", DENY_ALL, subject=DB_PODS)],
        [f"{GUEST} -x {DB}:1", f"{GUEST} -> {WEB}:1"],
    ),
    "only pods are meant by namespaces": ([cnp("a", DENY_ALL)], [f"{OUT} -> {DB}:1", f"{GUEST} -x {DB}:1"]),
    "a lower priority is asked first": (
        [cnp("a", DENY_ALL, priority=6), cnp("b", f"{{action: Accept, from: [{ALL}]}}", priority=5)],
        [f"{GUEST} -> {DB}:1"],
    ),
    "equal priorities by name, as Calico does": (
        [cnp("b", f"{{action: Accept, from: [{ALL}]}}"), cnp("a", DENY_ALL)],
        [f"{GUEST} -x {DB}:1"],
    ),
    "Admin's Accept is before a NetworkPolicy's isolation": (
        [cnp("a", f"{{action: Accept, from: [{ALL}], {port(80)}}}"), "knp shop/k {podSelector: {}}"],
        [f"{GUEST} -> {DB}:80", f"{GUEST} -x {DB}:81"],
    ),
    "Admin's Deny is before a NetworkPolicy's allow": (
        [cnp("a", DENY_ALL), "knp shop/k {podSelector: {}, ingress: [{}]}"],
        [f"{GUEST} -x {DB}:80"],
    ),
    "Pass leaves the tier": (
        [
            cnp("a", f"{{action: Pass, from: [{ALL}]}}", priority=1),
            cnp("b", DENY_ALL, priority=2),
            "knp shop/k {podSelector: {matchLabels: {app: db}}, ingress: [{}]}",
        ],
        [f"{GUEST} -> {DB}:80", f"{GUEST} -> {WEB}:80"],
    ),
    "Baseline is skipped where a NetworkPolicy selects the pod": (
        [cnp("a", DENY_ALL, tier="Baseline"), "knp shop/k {podSelector: {matchLabels: {app: db}}, ingress: [{}]}"],
        [f"{GUEST} -> {DB}:80", f"{GUEST} -x {WEB}:80"],
    ),
    "but only in that direction": (
        [
            cnp("a", f"{{action: Deny, to: [{ALL}]}}", tier="Baseline", side="egress"),
            "knp shop/k {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}",
        ],
        [f"{WEB} -x {DB}:80"],
    ),
    "a pod reaches itself": ([cnp("a", DENY_ALL)], [f"{DB} -> {DB}:1"]),
    "subjects and peers by namespace and pod": (
        [cnp("a", f"{{action: Deny, from: [{DB_PODS}]}}", subject=SHOP)],
        [f"{DB} -x {WEB}:1", f"{GUEST} -> {WEB}:1", f"{DB} -> {GUEST}:1"],
    ),
    "networks match pods and outside": (
        [cnp("a", "{action: Deny, to: [{networks: [10.0.2.0/24, 192.0.2.0/24]}]}", side="egress")],
        [f"{WEB} -x {DB}:1", f"{WEB} -x {OUT}:1", f"{DB} -> {WEB}:1"],
    ),
    "nodes by labels, with the pods in their network": (
        [cnp("a", "{action: Deny, to: [{nodes: {}}]}", side="egress")],
        [f"{WEB} -x node:n1:1", f"{WEB} -x node:n2:1", f"{WEB} -x lobby/agent:1", f"{WEB} -> {DB}:1"],
    ),
    "domain names are outside hosts of that name": (
        [
            cnp(
                "a",
                "{action: Accept, to: [{domainNames: [example.com]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}",
                side="egress",
            )
        ],
        [f"{WEB} -> host:example.com:443", f"{WEB} -x host:example.org:443"],
    ),
    "ports: numbers, ranges, a whole protocol": (
        [
            cnp(
                "a",
                f"{{action: Deny, from: [{ALL}], protocols: [{{tcp: {range_of(5, 7)}}}, {{udp: {{}}}}]}}",
            )
        ],
        [
            f"{GUEST} -x {DB}:5",
            f"{GUEST} -x {DB}:7",
            f"{GUEST} -> {DB}:8",
            f"{GUEST} -x {DB}:9/udp",
            f"{GUEST} -> {DB}:9/sctp",
        ],
    ),
    "a named port has its container port's protocol": (
        [cnp("a", f"{{action: Deny, from: [{ALL}], protocols: [{{destinationNamedPort: dns}}]}}")],
        [f"{GUEST} -x {WEB}:53/udp", f"{GUEST} -> {WEB}:53", f"{GUEST} -> {DB}:53/udp"],
    ),
    "host-network pods are no subjects and no peers": (
        [cnp("a", f"{{action: Deny, from: [{ALL}]}}")],
        [f"{GUEST} -> lobby/agent:80", f"lobby/agent -> {WEB}:80"],
    ),
    "AdminNetworkPolicy is evaluated too": (
        [f"anp a {{priority: 1, subject: {ALL}, ingress: [{{action: Deny, from: [{ALL}], ports: {OLD_PORTS}}}]}}"],
        [f"{GUEST} -x {DB}:80", f"{GUEST} -> {DB}:81", f"{GUEST} -x {DB}:95/udp", f"{GUEST} -x {DB}:5432"],
    ),
    "BaselineAdminNetworkPolicy as well": (
        [f"banp default {{subject: {ALL}, ingress: [{{action: Allow, from: [{SHOP}]}}, {DENY_ALL}]}}"],
        [f"{GUEST} -x {DB}:80", f"{WEB} -> {DB}:80"],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_rule(cluster: Callable[..., World], agree: Callable[..., None], name: str) -> None:
    texts, arrows = TABLE[name]
    agree(cluster(*texts), arrows)


@pytest.mark.parametrize("name", TABLE)
def test_all_pairs_by_sets(cluster: Callable[..., World], sets_agree: Callable[..., None], name: str) -> None:
    sets_agree(cluster(*TABLE[name][0]))


def test_a_superseded_api_is_said(cluster: Callable[..., World]) -> None:
    world = cluster(f"anp a {{priority: 1, subject: {ALL}, ingress: [{DENY_ALL}]}}")
    assert "superseded by ClusterNetworkPolicy" in world.verdict(Flow(GUEST, DB, 1)).ingress.reason


def test_the_tier_and_what_was_passed_on_are_said(cluster: Callable[..., World]) -> None:
    world = cluster(cnp("a", f"{{action: Pass, from: [{ALL}]}}"), cnp("z", DENY_ALL, tier="Baseline"))
    explanation = world.explain(Flow(GUEST, DB, 1))
    assert explanation.verdict.ingress.tier == "Baseline"
    assert any("ClusterNetworkPolicy a rule 1 passes it on from tier Admin" in line for line in explanation.lines())
    assert any("rule 1: from all pods of every namespace" in line for line in explanation.lines())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"cnp a {{priority: 1, subject: {ALL}}}", 'spec.tier: Unsupported value: ""'),
        (f"cnp a {{tier: Admin, subject: {ALL}}}", "spec.priority: Required"),
        (f"cnp a {{tier: Admin, priority: 1001, subject: {ALL}}}", "spec.priority: Invalid value: 1001"),
        ("cnp a {tier: Admin, priority: 1, subject: {}}", "spec.subject: .*exactly one of namespaces and pods"),
        (cnp("a", f"{{action: Allow, from: [{ALL}]}}"), r'spec.ingress\[0\].action: Unsupported value: "Allow"'),
        (cnp("a", "{action: Deny}"), r"spec.ingress\[0\].from: Required"),
        (
            cnp("a", "{action: Deny, from: [{networks: [10.0.0.0/8]}]}"),
            r'unknown field "spec.ingress\[0\].from\[0\].networks"',
        ),
        (
            cnp("a", "{action: Deny, to: [{networks: [x]}]}", side="egress"),
            r"networks\[0\]: Invalid value: \"x\": Invalid CIDR",
        ),
        (cnp("a", "{action: Deny, to: [{nodes: {}, namespaces: {}}]}", side="egress"), "exactly one kind of peer"),
        (cnp("a", f"{{action: Deny, from: [{ALL}], protocols: [{{}}]}}"), "exactly one protocol"),
        (
            cnp("a", f"{{action: Deny, from: [{ALL}], protocols: [{{tcp: {{destinationPort: {{number: 0}}}}}}]}}"),
            "must be between 1 and 65535",
        ),
        (
            cnp(
                "a",
                f"{{action: Deny, from: [{ALL}], protocols: [{{tcp: {range_of(9, 2)}}}]}}",
            ),
            "Start port must be less than End port",
        ),
        (cnp("a", ", ".join([DENY_ALL] * 26)), "must have at most 25 items"),
        (f"banp other {{subject: {ALL}}}", "metadata.name"),
        (f"banp default {{subject: {ALL}, ingress: [{{action: Pass, from: [{ALL}]}}]}}", 'Unsupported value: "Pass"'),
        (f"anp a {{priority: 1, tier: Admin, subject: {ALL}}}", 'unknown field "spec.tier"'),
        (
            f"anp a {{priority: 1, subject: {ALL}, ingress: [{{action: Deny, from: [{ALL}], ports: [{{}}]}}]}}",
            "one kind of port",
        ),
    ],
)
def test_what_the_api_refuses(parsed: Callable[..., Any], text: str, words: str) -> None:
    with pytest.raises(BrokenContentError, match=words):
        parsed(text)
