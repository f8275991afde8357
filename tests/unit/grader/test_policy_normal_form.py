"""The normal form itself: tiers, effects and first match, judged flow by flow and by sets.

Rules are written as a string a tier: `end:rules`. The end and each rule are A(llow), D(eny) or P(ass); a rule in lower
case misses the packet; `/` parts policies; a tier in brackets does not select the subject.
"""

from __future__ import annotations

import pytest

from grader.kube.parse import read_objects
from grader.policy.kubernetes import compile_policies
from grader.policy.model import EGRESS, Effect, Policy, Ports, Rule, Rulebook, Selected, Tier
from grader.reachability.matrix import Column
from grader.reachability.verdict import Flow
from grader.reachability.world import World

EFFECTS = {"A": Effect.ALLOW, "D": Effect.DENY, "P": Effect.PASS}
PODS = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n"}} for name in ("a", "b")]


def tier(text: str) -> Tier:
    namespace = "elsewhere" if text.startswith("[") else "n"
    end, _, rest = text.strip("[]").partition(":")
    policies = tuple(
        Policy("Test", "n", f"p{number}", Selected(namespace), rules(part))
        for number, part in enumerate(rest.split("/"), start=1)
    )
    return Tier(text, policies, EFFECTS[end])


def rules(letters: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(number, EFFECTS[letter.upper()], ports=(Ports("TCP", 80, 80) if letter.isupper() else Ports("UDP"),))
        for number, letter in enumerate(letters, start=1)
    )


@pytest.mark.parametrize(
    ("tiers", "allowed", "policy", "rule"),
    [
        ([], True, "", 0),
        (["D:"], False, "p1", 0),
        (["P:"], True, "", 0),
        (["D:A"], True, "p1", 1),
        (["D:a"], False, "p1", 0),
        (["P:D"], False, "p1", 1),
        (["D:aDA"], False, "p1", 2),
        (["D:aAD"], True, "p1", 2),
        (["D:a/A"], True, "p2", 1),
        (["D:D/A"], False, "p1", 1),
        (["D:P", "D:A"], True, "p1", 1),
        (["D:PA", "D:"], False, "p1", 0),
        (["D:P", "P:"], True, "", 0),
        (["D:P/A", "D:D"], False, "p1", 1),
        (["P:a", "D:A"], True, "p1", 1),
        (["[D:D]"], True, "", 0),
        (["[D:D]", "D:"], False, "p1", 0),
        (["D:A", "D:D"], True, "p1", 1),
    ],
)
def test_first_match_tier_by_tier(tiers: list[str], allowed: bool, policy: str, rule: int) -> None:
    world = World(read_objects(PODS))
    world.book = Rulebook(ingress=tuple(tier(text) for text in tiers))
    flow = Flow("n/a", "n/b", 80)
    decision = world.verdict(flow).ingress
    assert decision.allowed is allowed
    assert (decision.policy.name if decision.policy else "", decision.rule) == (policy, rule)
    assert world.matrix(["n/a"], [Column("n/b", 80)]).allowed == (int(allowed),)
    world.book = Rulebook(egress=tuple(tier(text) for text in tiers))
    assert world.verdict(flow).egress.allowed is allowed
    assert world.matrix(["n/a"], [Column("n/b", 80)]).allowed == (int(allowed),)


def test_a_network_policy_is_one_tier_of_allow_rules_that_ends_in_deny() -> None:
    spec = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{}, {"ports": [{"port": 80, "endPort": 90}, {"port": "x"}, {}]}],
    }
    manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": spec}
    book = compile_policies(read_objects([manifest]).policies)
    (only,) = book.tiers(EGRESS)
    assert (only.end, book.ingress[0].policies) == (Effect.DENY, ())
    (policy,) = only.policies
    assert [rule.number for rule in policy.rules] == [1, 2]
    assert {rule.effect for rule in policy.rules} == {Effect.ALLOW}
    assert [str(ports) for ports in policy.rules[1].ports] == ["80-90/TCP", '"x"/TCP', "every port/TCP"]
