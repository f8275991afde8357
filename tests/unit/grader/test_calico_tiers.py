"""Calico's tiers, orders, ends and profiles.

A rule and its traps a row; `->` passes, `-x` is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

WEB, DB, GUEST, OUT = "shop/web", "shop/db", "lobby/guest", "ip:192.0.2.1"
ON_DB = "selector: \"app == 'db'\""


def into(rules: str, more: str = "") -> str:
    """A global policy on the database's ingress."""
    return f"gnp a {{{ON_DB}, types: [Ingress], ingress: [{rules}]{more}}}"


def source(text: str) -> str:
    """A global policy that lets the database be reached from such a source."""
    return into(f"{{action: Allow, source: {{{text}}}}}")


SPACE = {
    "an unselected pod is open both ways": (["gnp a {selector: \"app == 'none'\"}"], [f"{GUEST} -> {DB}:1"]),
    "a selected pod is closed": (["gnp a {}"], [f"{GUEST} -x {DB}:1", f"{DB} -> {OUT}:1"]),
    "types missing, no rules: ingress": (["np shop/a {}"], [f"{GUEST} -x {WEB}:1", f"{WEB} -> {GUEST}:1"]),
    "types missing, only egress rules: egress alone": (
        ["np shop/a {egress: [{action: Allow, protocol: UDP}]}"],
        [f"{GUEST} -> {WEB}:1", f"{WEB} -x {GUEST}:1", f"{WEB} -> {GUEST}:1/udp"],
    ),
    "types missing, both: both": (
        ["np shop/a {ingress: [{action: Allow}], egress: [{action: Deny}]}"],
        [f"{GUEST} -> {WEB}:1", f"{WEB} -x {GUEST}:1"],
    ),
    "rules of a direction that types leaves out do nothing": (
        ["np shop/a {types: [Ingress], ingress: [{action: Allow}], egress: [{action: Deny}]}"],
        [f"{WEB} -> {GUEST}:1"],
    ),
    "Allow and Deny are final, the first that matches decides": (
        [into("{action: Deny, protocol: UDP}, {action: Allow}, {action: Deny}")],
        [f"{GUEST} -x {DB}:1/udp", f"{GUEST} -> {DB}:1"],
    ),
    "Log goes on to the next rule": ([into("{action: Log}, {action: Allow}")], [f"{GUEST} -> {DB}:1"]),
    "Pass goes to the next tier": (
        [
            "tier sec {order: 1}",
            "tier mid {order: 2}",
            "gnp sec.a {tier: sec, ingress: [{action: Pass}]}",
            "gnp mid.a {tier: mid, ingress: [{action: Allow, protocol: TCP}]}",
        ],
        [f"{GUEST} -> {DB}:1", f"{GUEST} -x {DB}:1/udp"],
    ),
    "Pass beyond the last tier goes to the profile": ([into("{action: Pass}")], [f"{GUEST} -> {DB}:1"]),
    "Pass skips the later policies of its tier": (
        [into("{action: Pass}", ", order: 1"), "gnp b {order: 2, ingress: [{action: Deny}]}"],
        [f"{GUEST} -> {DB}:1", f"{GUEST} -x {WEB}:1"],
    ),
}

ORDER = {
    "a lower order comes first": (
        [into("{action: Deny}", ", order: 2"), f"gnp b {{{ON_DB}, order: 1.5, ingress: [{{action: Allow}}]}}"],
        [f"{GUEST} -> {DB}:1"],
    ),
    "no order is last": (
        [into("{action: Allow}"), f"gnp b {{{ON_DB}, order: 99999, ingress: [{{action: Deny}}]}}"],
        [f"{GUEST} -x {DB}:1"],
    ),
    "ties by name, namespace and kind as one text: duel-x before duel": (
        [
            f"np shop/duel {{{ON_DB}, ingress: [{{action: Deny}}]}}",
            f"np shop/duel-x {{{ON_DB}, ingress: [{{action: Allow}}]}}",
        ],
        [f"{GUEST} -> {DB}:1"],
    ),
    "Kubernetes' policies have order 1000": (
        ["knp shop/k {podSelector: {}, ingress: [{}]}", into("{action: Deny}", ", order: 999")],
        [f"{GUEST} -x {DB}:1", f"{GUEST} -> {WEB}:1"],
    ),
    "Kubernetes' policies come before order 1001": (
        ["knp shop/k {podSelector: {}, ingress: [{}]}", into("{action: Deny}", ", order: 1001")],
        [f"{GUEST} -> {DB}:1"],
    ),
    "a tie with Kubernetes' is by name: a before k": (
        ["knp shop/k {podSelector: {}, ingress: [{}]}", into("{action: Deny}", ", order: 1000")],
        [f"{GUEST} -x {DB}:1"],
    ),
    "tiers by order, not by name": (
        [
            "tier b {order: 1}",
            "tier a {order: 2}",
            "gnp b.x {tier: b, ingress: [{action: Allow}]}",
            "gnp a.x {tier: a, ingress: [{action: Deny}]}",
        ],
        [f"{GUEST} -> {DB}:1"],
    ),
    "tiers of one order by name": (
        [
            "tier b {order: 1}",
            "tier a {order: 1}",
            "gnp b.x {tier: b, ingress: [{action: Allow}]}",
            "gnp a.x {tier: a, ingress: [{action: Deny}]}",
        ],
        [f"{GUEST} -x {DB}:1"],
    ),
    "a tier without an order comes after default": (
        [
            "tier z {}",
            "gnp z.x {tier: z, ingress: [{action: Allow}]}",
            into("{action: Deny}"),
        ],
        [f"{GUEST} -x {DB}:1", f"{GUEST} -> {WEB}:1"],
    ),
    "a policy of a tier that does not exist does nothing": (
        ["gnp gone.x {tier: gone, ingress: [{action: Deny}]}"],
        [f"{GUEST} -> {DB}:1"],
    ),
}

ENDS = {
    "a custom tier ends in deny": (
        ["tier t {order: 1}", f"gnp t.a {{tier: t, {ON_DB}}}"],
        [f"{GUEST} -x {DB}:1", f"{GUEST} -> {WEB}:1"],
    ),
    "a tier that passes ends in nothing": (
        ["tier t {order: 1, defaultAction: Pass}", f"gnp t.a {{tier: t, {ON_DB}}}"],
        [f"{GUEST} -> {DB}:1"],
    ),
    "a tier counts only in directions where a policy applies": (
        ["tier t {order: 1}", f"gnp t.a {{tier: t, {ON_DB}, types: [Egress]}}"],
        [f"{GUEST} -> {DB}:1", f"{DB} -x {GUEST}:1"],
    ),
    "a tier with only staged policies drops nothing": (
        ["tier t {order: 1}", f"sgnp t.a {{tier: t, {ON_DB}, ingress: [{{action: Deny}}]}}"],
        [f"{GUEST} -> {DB}:1"],
    ),
    "a staged policy beside another does nothing": (
        [into("{action: Allow}", ", order: 2"), f"snp shop/s {{{ON_DB}, order: 1, ingress: [{{action: Deny}}]}}"],
        [f"{GUEST} -> {DB}:1"],
    ),
    "a staged Kubernetes policy does nothing": (["sknp shop/s {podSelector: {}}"], [f"{GUEST} -> {DB}:1"]),
    "kube-admin passes, default denies, kube-baseline passes": (
        [
            (
                "cnp a {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: "
                "[{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 9}}}]}]}"
            ),
            (
                "cnp b {tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: "
                "[{action: Deny, from: [{namespaces: {}}]}]}"
            ),
            "knp shop/k {podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 1}, {port: 9}]}]}",
            "pool p {cidr: 10.0.0.0/8}",
        ],
        [f"{GUEST} -x {DB}:9", f"{GUEST} -> {DB}:1", f"{GUEST} -x {DB}:2", f"{GUEST} -x {WEB}:1"],
    ),
    "a tier before kube-admin is asked before it": (
        [
            "tier first {order: 1}",
            "gnp first.a {tier: first, ingress: [{action: Allow}]}",
            (
                "cnp a {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: "
                "[{action: Deny, from: [{namespaces: {}}]}]}"
            ),
        ],
        [f"{GUEST} -> {DB}:1"],
    ),
}

PROFILES = {
    "a namespace's profile, where given, replaces the one that allows all": (
        ["profile kns.shop {ingress: [{action: Allow, protocol: TCP}], egress: [{action: Allow}]}"],
        [f"{GUEST} -> {DB}:1", f"{GUEST} -x {DB}:1/udp", f"{DB} -> {GUEST}:1/udp"],
    ),
    "a service account's profile comes after it": (
        ["profile kns.shop {}", "profile ksa.shop.default {ingress: [{action: Allow}]}"],
        [f"{GUEST} -> {DB}:1", f"{DB} -x {GUEST}:1"],
    ),
    "a profile's selectors mean pods of every namespace": (
        ["profile kns.shop {ingress: [{action: Allow, source: {selector: \"app == 'web'\"}}]}"],
        [f"{GUEST} -> {DB}:1", f"{OUT} -x {DB}:1"],
    ),
    "Pass in a profile means deny": (
        ["profile kns.shop {ingress: [{action: Pass}, {action: Allow}]}"],
        [f"{GUEST} -x {DB}:1"],
    ),
    "labels of a profile are inherited, the pod's own win": (
        [
            (
                "profile kns.lobby {ingress: [{action: Allow}], egress: [{action: Allow}], "
                "labelsToApply: {zone: out, app: x}}"
            ),
            source("selector: \"zone == 'out' && app == 'web'\""),
        ],
        [f"{GUEST} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
}


TABLE = SPACE | ORDER | ENDS | PROFILES


@pytest.mark.parametrize("name", TABLE)
def test_rule(cluster: Callable[..., World], agree: Callable[..., None], name: str) -> None:
    texts, arrows = TABLE[name]
    agree(cluster(*texts), arrows)


@pytest.mark.parametrize("name", TABLE)
def test_all_pairs_by_sets(cluster: Callable[..., World], sets_agree: Callable[..., None], name: str) -> None:
    sets_agree(cluster(*TABLE[name][0]))
