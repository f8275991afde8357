"""What a verdict says for itself: the whole sentence, the policy, the rule, what it was passed on by."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from content.errors import UsageError
from grader.calico.selectors import parse_selector
from grader.kube.model import LabelSelector, Requirement
from grader.policy.model import AllOf, AnyOf, Block, Hosts, Labelled, Named, Nodes, Not, Ports, Selected
from grader.reachability.names import parse_target, resolve
from grader.reachability.verdict import Flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.reachability.world import World

WEB, DB, GUEST, AGENT = "shop/web", "shop/db", "lobby/guest", "lobby/agent"
ALL = "{namespaces: {}}"
HTTP = "protocol: TCP, http: {methods: [GET]}"
HOST = "hep h [host=yes] {node: n2, interfaceName: eth0}"

INGRESS: dict[str, tuple[list[str], Flow, str]] = {
    "nothing selects": ([], Flow(GUEST, WEB, 80), "no policy selects it"),
    "itself": (["knp shop/k {podSelector: {}}"], Flow(WEB, WEB, 80), "shop/web always reaches itself"),
    "no pod": (["knp shop/k {podSelector: {}}"], Flow(WEB, "node:n2", 80), "it is no pod, so no policy selects it"),
    "its own node": (
        ["knp shop/k {podSelector: {}}"],
        Flow("node:n1", WEB, 80),
        "a node always reaches its own pods, and shop/web runs on it",
    ),
    "isolated by one": (
        ["knp shop/k {podSelector: {}}"],
        Flow(GUEST, WEB, 80),
        "isolated by NetworkPolicy shop/k, and no rule allows it",
    ),
    "isolated by many": (
        [f"knp shop/{name} {{podSelector: {{}}}}" for name in "abcde"],
        Flow(GUEST, WEB, 80),
        (
            "isolated by NetworkPolicy shop/a, NetworkPolicy shop/b, NetworkPolicy shop/c and 2 more, and no rule "
            "allows it"
        ),
    ),
    "isolated by three": (
        [f"knp shop/{name} {{podSelector: {{}}}}" for name in "abc"],
        Flow(GUEST, WEB, 80),
        "isolated by NetworkPolicy shop/a, NetworkPolicy shop/b, NetworkPolicy shop/c, and no rule allows it",
    ),
    "allowed by a rule": (
        ["knp shop/k {podSelector: {}, ingress: [{ports: [{port: 1}]}, {}]}"],
        Flow(GUEST, WEB, 80),
        "NetworkPolicy shop/k rule 2 allows it",
    ),
    "denied by a rule of a tier": (
        [f"cnp c {{tier: Admin, priority: 1, subject: {ALL}, ingress: [{{action: Deny, from: [{ALL}]}}]}}"],
        Flow(GUEST, WEB, 80),
        "ClusterNetworkPolicy c rule 1 denies it (tier Admin)",
    ),
    "every tier passes": (
        [f"cnp c {{tier: Admin, priority: 1, subject: {ALL}, ingress: [{{action: Pass, from: [{ALL}]}}]}}"],
        Flow(GUEST, WEB, 80),
        "every tier passes it on",
    ),
    "a superseded API": (
        [f"anp c {{priority: 1, subject: {ALL}, ingress: [{{action: Allow, from: [{ALL}]}}]}}"],
        Flow(GUEST, WEB, 80),
        (
            "AdminNetworkPolicy c rule 1 allows it (tier Admin); AdminNetworkPolicy is superseded by "
            "ClusterNetworkPolicy, and current Calico ignores it"
        ),
    ),
    "a condition": (
        [f"gnp g {{ingress: [{{action: Allow, {HTTP}}}]}}"],
        Flow(GUEST, WEB, 80),
        "GlobalNetworkPolicy g rule 1 allows it (tier default), if it is HTTP GET",
    ),
    "the end of a tier of Calico": (
        ["gnp g {types: [Ingress]}"],
        Flow(GUEST, WEB, 80),
        "isolated by GlobalNetworkPolicy g, and no rule allows it: tier default ends in deny",
    ),
    "a host endpoint forwards it": (
        [HOST, "gnp g {selector: has(host), applyOnForward: true, ingress: [{action: Deny}]}"],
        Flow("ip:192.0.2.1", DB, 80),
        "host endpoint h forwards it: GlobalNetworkPolicy g rule 1 denies it (tier default)",
    ),
    "not through the interface": (
        [HOST, "gnp g {selector: has(host), ingress: [{action: Deny}]}"],
        Flow(DB, "node:n2", 80),
        "it does not cross the interface of host endpoint h",
    ),
    "a fail-safe port": (
        [HOST, "gnp g {selector: has(host), ingress: [{action: Deny}]}"],
        Flow("ip:192.0.2.1", "node:n2", 22),
        "FelixConfiguration fail-safe ports rule 1 allows it (tier fail-safe ports)",
    ),
    "ICMP is left open": (
        ["knp shop/k {podSelector: {}, ingress: [{}]}"],
        Flow(GUEST, WEB, 0, "ICMP"),
        "NetworkPolicy says nothing about ICMP; Calico lets it pass",
    ),
    "ICMP is left open, and dropped": (
        ["knp shop/k {podSelector: {}}"],
        Flow(GUEST, WEB, 0, "ICMP"),
        "NetworkPolicy says nothing about ICMP; Calico drops it",
    ),
    "hairpin": (
        ["knp shop/k {podSelector: {}}"],
        Flow(WEB, "service:shop/web", 80),
        "a pod that reaches itself through a Service is left open; Calico drops it",
    ),
    "a peer in its node's network": (
        ["knp shop/k {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"],
        Flow(AGENT, WEB, 80),
        "whether selectors match lobby/agent, which uses its node's network, is left open; Calico drops it",
    ),
    "a subject in its node's network": (
        ["knp lobby/k {podSelector: {}}"],
        Flow(WEB, AGENT, 80),
        "policies on such a pod are left open; Calico lets it pass",
    ),
    "a subject in its node's network that is let in": (
        ["knp lobby/k {podSelector: {}, ingress: [{}]}"],
        Flow(WEB, AGENT, 80),
        "lobby/agent uses its node's network: policies on it do nothing",
    ),
    "a node's port": (
        ["knp shop/k {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"],
        Flow("ip:192.0.2.1", "node:n2", 30080),
        "whether policies see node:n2 or the other side of its NodePort is left open; Calico drops it",
    ),
    "a Service without endpoints": (
        [],
        Flow(WEB, "service:shop/nobody", 80),
        "Service shop/nobody has no endpoints for port 80/TCP",
    ),
    "a port that the Service has not": (
        [],
        Flow(WEB, "service:shop/web", 81, "UDP"),
        "Service shop/web has no port 81/UDP",
    ),
}


@pytest.mark.parametrize("name", INGRESS)
def test_why_it_is_let_in_or_not(cluster: Callable[..., World], name: str) -> None:
    texts, flow, reason = INGRESS[name]
    assert cluster(*texts).verdict(flow).ingress.reason == reason


def test_a_decision_in_full(cluster: Callable[..., World]) -> None:
    passing = f"cnp c {{tier: Admin, priority: 1, subject: {ALL}, ingress: [{{action: Pass, from: [{ALL}]}}]}}"
    decision = cluster(passing, "knp shop/k {podSelector: {}}").verdict(Flow(GUEST, WEB, 80)).ingress
    assert (str(decision.policy), decision.rule, decision.tier) == ("NetworkPolicy shop/k", 0, "NetworkPolicy")
    assert [str(each) for each in decision.isolating] == ["NetworkPolicy shop/k"]
    assert decision.passed == ("ClusterNetworkPolicy c rule 1 passes it on from tier Admin",)
    assert (decision.direction, decision.action, decision.condition) == ("ingress", "deny", "")


def test_conditions_are_joined(cluster: Callable[..., World]) -> None:
    two = f"gnp g {{ingress: [{{action: Allow, {HTTP}}}, {{action: Allow, {HTTP.replace('GET', 'PUT')}}}]}}"
    assert cluster(two).verdict(Flow(GUEST, WEB, 80)).condition == "HTTP GET or HTTP PUT"
    opened = two.replace("]}", "]}", 1).removesuffix("]}") + ", {action: Allow}]}"
    assert cluster(opened).verdict(Flow(GUEST, WEB, 80)).condition == ""


REFUSED = [
    ("ip:nowhere", "'nowhere' is no IP address", ""),
    ("shop/done", "pod shop/done has finished: it has no traffic", ""),
    ("shop/wep", "there is no pod shop/wep", "did you mean shop/web, shop/new, shop/db?"),
    ("shop/quite-another", "there is no pod shop/quite-another", ""),
    ("node:n9", "there is no node n9", "did you mean node:n2, node:n1?"),
    ("service:shop/none", "there is no Service shop/none", ""),
]


@pytest.mark.parametrize(("ref", "message", "remedy"), REFUSED)
def test_no_such_endpoint(cluster: Callable[..., World], ref: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        cluster().verdict(Flow(WEB, ref, 80))
    assert (caught.value.message, caught.value.remedy) == (message, remedy)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("wep", "there is no pod, workload or Service wep", "did you mean web?"),
        (
            "zzz",
            "there is no pod, workload or Service zzz",
            "names are as in: web, web.shop, shop/web, ip:10.0.0.1",
        ),
        ("lobby/guesd", "there is no pod, workload or Service lobby/guesd", "did you mean lobby/guest or lobby/agent?"),
    ],
)
def test_no_such_name(shop: Callable[..., World], text: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(shop(), text)
    assert (caught.value.message, caught.value.remedy) == (message, remedy)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("a:0", "0 is no port", "a port is a number from 1 to 65535, or icmp"),
        ("a:65536", "65536 is no port", "a port is a number from 1 to 65535, or icmp"),
        ("a:1/tpc", "tpc is no protocol", "use tcp, udp or sctp; :icmp has no number"),
    ],
)
def test_no_such_target(text: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert (caught.value.message, caught.value.remedy) == (message, remedy)


BLUE = LabelSelector((Requirement("team", "In", ("blue",)),))
NET, OTHER = ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16")
WORDS: list[tuple[Any, str]] = [
    (Selected(), "all pods of every namespace"),
    (Selected("shop"), "all pods of namespace shop"),
    (Selected("shop", None, BLUE), "pods team=blue of namespace shop"),
    (Selected(namespaces=BLUE), "all pods of namespaces team=blue"),
    (Selected(namespaces=LabelSelector(), pods=BLUE), "pods team=blue of every namespace"),
    (Block(NET), "10.0.0.0/8"),
    (Block(NET, (OTHER, ip_network("10.2.0.0/16"))), "10.0.0.0/8 except 10.1.0.0/16, 10.2.0.0/16"),
    (Labelled(parse_selector("all()")), "all endpoints"),
    (Labelled(parse_selector("has(a)")), "endpoints has(a)"),
    (Nodes(LabelSelector()), "all nodes"),
    (Nodes(BLUE), "nodes team=blue"),
    (Hosts(), "all host endpoints"),
    (Hosts(("a", "b")), "host endpoints a, b"),
    (Named(("host:a", "host:b")), "host:a, host:b"),
    (Named(("host:a",), (ip_address("10.0.0.1"),), "domains a"), "domains a"),
    (AnyOf((Block(NET), Block(OTHER))), "10.0.0.0/8 or 10.1.0.0/16"),
    (AllOf((Block(NET), Not(Block(OTHER)))), "10.0.0.0/8 and not (10.1.0.0/16)"),
    (AllOf(()), "anywhere"),
    (Ports("TCP", 80, 80), "80/TCP"),
    (Ports("UDP", 1, 2), "1-2/UDP"),
    (Ports("SCTP"), "every port/SCTP"),
    (Ports("TCP", 0, 1), "0-1/TCP"),
    (Ports("TCP", 1), "1-65535/TCP"),
    (Ports("TCP", name="http"), '"http"/TCP'),
    (Ports("ICMP", icmp=(8, None)), "ICMP type 8"),
    (Ports("ICMPv6", icmp=(1, 4)), "ICMPv6 type 1 code 4"),
]


@pytest.mark.parametrize(("match", "words"), WORDS, ids=[words for _, words in WORDS])
def test_words_of_a_match(match: object, words: str) -> None:
    assert str(match) == words
