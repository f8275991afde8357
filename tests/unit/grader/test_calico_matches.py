"""What a Calico rule matches: selectors, network sets, ranges.

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


def shop_into(rules: str) -> str:
    """A policy of namespace shop on the database's ingress."""
    return f"np shop/a {{{ON_DB}, types: [Ingress], ingress: [{rules}]}}"


def source(text: str) -> str:
    """A global policy that lets the database be reached from such a source."""
    return into(f"{{action: Allow, source: {{{text}}}}}")


SELECTORS = {
    "!= matches what lacks the label": (
        [source("selector: \"tier != 'front'\"")],
        [f"{GUEST} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "== needs the label": ([source("selector: \"tier == 'front'\"")], [f"{GUEST} -x {DB}:1", f"{WEB} -> {DB}:1"]),
    "a selector in a global policy means pods of every namespace": (
        [source("selector: \"app == 'web'\"")],
        [f"{GUEST} -> {DB}:1", f"{WEB} -> {DB}:1", f"{OUT} -x {DB}:1"],
    ),
    "a selector in a namespaced policy means its namespace": (
        [shop_into("{action: Allow, source: {selector: \"app == 'web'\"}}")],
        [f"{GUEST} -x {DB}:1", f"{WEB} -> {DB}:1"],
    ),
    "with a namespaceSelector it means those namespaces": (
        [shop_into("{action: Allow, source: {selector: \"app == 'web'\", namespaceSelector: \"team == 'red'\"}}")],
        [f"{GUEST} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "a namespaceSelector sees the namespace's name": (
        [source("namespaceSelector: \"projectcalico.org/name == 'lobby'\"")],
        [f"{GUEST} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "all() in a namespaceSelector is every namespaced endpoint": (
        [source("namespaceSelector: all()"), "gset g [a=b] {nets: [192.0.2.0/24]}"],
        [f"{GUEST} -> {DB}:1", f"{OUT} -x {DB}:1"],
    ),
    "global() is what has no namespace": (
        [source("namespaceSelector: global()"), "gset g [a=b] {nets: [192.0.2.0/24]}"],
        [f"{GUEST} -x {DB}:1", f"{OUT} -> {DB}:1", f"ip:198.51.100.1 -x {DB}:1"],
    ),
    "a negative namespaceSelector also matches what has no namespace": (
        [source("namespaceSelector: \"team != 'red'\""), "gset g [a=b] {nets: [192.0.2.0/24]}"],
        [f"{GUEST} -x {DB}:1", f"{WEB} -> {DB}:1", f"{OUT} -> {DB}:1", f"ip:198.51.100.1 -x {DB}:1"],
    ),
    "no selector at all matches any address": ([source("")], [f"{OUT} -> {DB}:1", f"{GUEST} -> {DB}:1"]),
    "a policy's own namespaceSelector and serviceAccountSelector": (
        [
            "sa lobby/default [trust=low]",
            "gnp a {namespaceSelector: \"team == 'red'\", serviceAccountSelector: \"trust == 'low'\"}",
            "gnp b {serviceAccountSelector: \"trust == 'high'\", ingress: [{action: Deny}]}",
        ],
        [f"{WEB} -x {GUEST}:1", f"{GUEST} -> {WEB}:1"],
    ),
    "service accounts: names and selector must both hold": (
        [
            "sa lobby/default [trust=low]",
            source("serviceAccounts: {names: [default, other], selector: \"trust == 'low'\"}"),
        ],
        [f"{GUEST} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "service accounts in a namespaced policy are of its namespace": (
        [shop_into("{action: Allow, source: {serviceAccounts: {names: [default]}}}")],
        [f"{GUEST} -x {DB}:1", f"{WEB} -> {DB}:1", f"{OUT} -x {DB}:1"],
    ),
    "an empty serviceAccounts says nothing": ([source("serviceAccounts: {}")], [f"{OUT} -> {DB}:1"]),
    "notSelector alone: whatever is not so labelled, outside too": (
        [source("notSelector: \"app == 'web'\"")],
        [f"{GUEST} -x {DB}:1", f"shop/new -> {DB}:1", f"{OUT} -> {DB}:1"],
    ),
    "notSelector alone in a namespaced policy: what of its namespace is not so labelled": (
        [shop_into("{action: Allow, source: {notSelector: \"app == 'web'\"}}")],
        [f"{GUEST} -x {DB}:1", f"shop/new -> {DB}:1", f"{OUT} -x {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "one endpoint or set must satisfy selector and notSelector alone": (
        [
            source("selector: has(app), notSelector: \"app == 'web'\""),
            "gset g [app=other] {nets: [10.0.2.2/32]}",
        ],
        [f"{GUEST} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "a set that is meant by notSelector alone covers the pod": (
        [source("notSelector: \"app == 'other'\""), "gset g [app=other] {nets: [10.0.2.0/24]}"],
        [f"{GUEST} -x {DB}:1", f"{WEB} -> {DB}:1"],
    ),
    "an own side of a rule limits whom it is for": (
        [
            "gnp a {types: [Ingress], ingress: [{action: Allow, destination: {selector: \"app == 'db'\"}}]}",
        ],
        [f"{GUEST} -> {DB}:1", f"{GUEST} -x {WEB}:1"],
    ),
    "an own side of an egress rule, too": (
        ["gnp a {types: [Egress], egress: [{action: Deny, source: {nets: [10.0.1.1]}}, {action: Allow}]}"],
        [f"{WEB} -x {DB}:1", f"{DB} -> {WEB}:1"],
    ),
}

SETS = {
    "a network set is a peer by its labels": (
        [source("selector: \"kind == 'partner'\""), "gset g [kind=partner] {nets: [192.0.2.0/24, 2001:db8::/32]}"],
        [f"{OUT} -> {DB}:1", f"ip:198.51.100.1 -x {DB}:1", f"ip:2001:db8::1 -> {DB}:1 @6"],
    ),
    "a namespaced set is of its namespace": (
        [
            shop_into("{action: Allow, source: {selector: \"kind == 'partner'\"}}"),
            "set shop/s [kind=partner] {nets: [192.0.2.0/24]}",
            "set lobby/s [kind=partner] {nets: [198.51.100.0/24]}",
        ],
        [f"{OUT} -> {DB}:1", f"ip:198.51.100.1 -x {DB}:1"],
    ),
    "a set covers pods that it contains": (
        [source("selector: \"kind == 'partner'\""), "gset g [kind=partner] {nets: [10.0.2.2]}"],
        [f"{GUEST} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "Kubernetes' policies know no sets": (
        [
            "knp shop/k {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}]}]}",
            "set shop/s [kind=partner] {nets: [192.0.2.0/24]}",
        ],
        [f"{OUT} -x {DB}:1", f"{WEB} -> {DB}:1"],
    ),
}

NETS = {
    "nets match pods and outside alike": (
        [source("nets: [10.0.2.0/24, 192.0.2.1/32]")],
        [f"{GUEST} -> {DB}:1", f"{OUT} -> {DB}:1", f"{WEB} -x {DB}:1"],
    ),
    "notNets exclude": (
        [source("notNets: [10.0.2.0/24]")],
        [f"{GUEST} -x {DB}:1", f"{OUT} -> {DB}:1", f"{WEB} -> {DB}:1"],
    ),
    "nets and selector must both hold": (
        [source("nets: [10.0.0.0/16], selector: has(tier)")],
        [f"{GUEST} -x {DB}:1", f"{WEB} -> {DB}:1"],
    ),
    "a rule of the other family is not there": (
        [into("{action: Deny, source: {nets: ['fd00::/16']}}, {action: Allow}")],
        [f"{GUEST} -> {DB}:1", f"{GUEST} -x {DB}:1 @6"],
    ),
    "notNets of the other family take the rule away": (
        [into("{action: Deny, source: {notNets: ['fd00::/16']}}, {action: Allow}")],
        [f"{GUEST} -> {DB}:1", f"ip:2001:db8::1 -x {DB}:1 @6"],
    ),
    "notNets of everything take the rule away": (
        [into("{action: Deny, source: {notNets: [0.0.0.0/0]}}, {action: Allow}")],
        [f"{GUEST} -> {DB}:1"],
    ),
    "ipVersion": ([into("{action: Allow, ipVersion: 6}")], [f"{GUEST} -x {DB}:1", f"{GUEST} -> {DB}:1 @6"]),
}


TABLE = SELECTORS | SETS | NETS


@pytest.mark.parametrize("name", TABLE)
def test_rule(cluster: Callable[..., World], agree: Callable[..., None], name: str) -> None:
    texts, arrows = TABLE[name]
    agree(cluster(*texts), arrows)


@pytest.mark.parametrize("name", TABLE)
def test_all_pairs_by_sets(cluster: Callable[..., World], sets_agree: Callable[..., None], name: str) -> None:
    sets_agree(cluster(*TABLE[name][0]))
