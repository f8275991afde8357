"""From one snapshot to the next: what did not change is the same object; what is said is what a fresh world says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.reachability.matrix import Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.policy.model import Policy, Rulebook
    from grader.reachability.world import World

TEXTS = [
    "knp shop/k {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}",
    "gnp g {order: 1, types: [Ingress, Egress], ingress: [{action: Allow}], egress: [{action: Allow}]}",
    (
        "cnp c {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, "
        "from: [{namespaces: {}}]}], egress: [{action: Accept, to: [{namespaces: {}}]}]}"
    ),
    (
        "gnp u {selector: has(host), doNotTrack: true, applyOnForward: true, types: [Ingress, Egress], ingress: "
        "[{action: Allow}], egress: [{action: Allow}]}"
    ),
    "gnp d {selector: has(host), preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [{action: Allow}]}",
    (
        "gnp f {selector: has(host), applyOnForward: true, types: [Ingress, Egress], ingress: [{action: Allow}], "
        "egress: [{action: Allow}]}"
    ),
    "hep h [host=yes] {node: n1, expectedIPs: [172.18.0.2], interfaceName: '*'}",
]


def policies(book: Rulebook) -> dict[tuple[str, ...], Policy]:
    """Every policy of a rulebook, by where it stands."""
    chains = {"ingress": book.ingress, "egress": book.egress}
    for direction, host in (("ingress", book.host_ingress), ("egress", book.host_egress)):
        chains |= {f"{direction} untracked": host.untracked, f"{direction} before_nat": host.before_nat}
        chains[f"{direction} forwarded"] = host.forwarded
    return {
        (chain, tier.name, policy.kind, policy.name): policy
        for chain, tiers in chains.items()
        for tier in tiers
        for policy in tier.policies
    }


def test_policies_that_did_not_change_are_the_very_same(cluster: Callable[..., World]) -> None:
    before, fresh = cluster(*TEXTS), cluster(*TEXTS)
    old, new = policies(before.book), policies(before.changed(fresh.objects).book)
    assert {place[0] for place in old} >= {
        *("ingress", "egress", "ingress untracked", "egress untracked", "ingress before_nat"),
        *("ingress forwarded", "egress forwarded"),
    }
    assert old.keys() == new.keys()
    assert all(old[place] is new[place] for place in old)


@pytest.mark.parametrize("number", range(len(TEXTS) - 1))
def test_a_policy_that_changed_is_the_new_one_and_the_others_are_the_old(
    cluster: Callable[..., World], number: int
) -> None:
    changed = list(TEXTS)
    changed[number] = changed[number].replace("action: Allow", "action: Deny").replace("ingress: [{}]", "ingress: []")
    changed[number] = changed[number].replace("action: Accept", "action: Deny")
    before, fresh = cluster(*TEXTS), cluster(*changed)
    after = before.changed(fresh.objects)
    old, new, expected = policies(before.book), policies(after.book), policies(fresh.book)
    assert new == expected != old
    assert all((new[place] is old[place]) is (expected[place] == old[place]) for place in new)


SHUT = "knp shop/k {podSelector: {}, ingress: []}"
GLOBAL = (
    "gnp g {selector: \"projectcalico.org/namespace == 'shop'\", ingress: [{action: Allow, source: {selector: all()}}]}"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [([SHUT], [SHUT, GLOBAL]), ([SHUT, GLOBAL], [SHUT]), ([], [GLOBAL]), ([GLOBAL], []), (TEXTS, TEXTS[:4])],
)
def test_a_changed_world_says_what_a_fresh_one_says(
    cluster: Callable[..., World], before: list[str], after: list[str]
) -> None:
    fresh, old = cluster(*after), cluster(*before)
    ends = ["shop/web", "shop/db", "lobby/guest", "lobby/agent", "node:n1", "ip:192.0.2.1"]
    columns = [Column(end, 80) for end in ends]
    old.matrix(ends, columns)
    assert list(old.changed(fresh.objects).matrix(ends, columns).cells()) == list(fresh.matrix(ends, columns).cells())
