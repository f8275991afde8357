"""Calico's manifests: what the API refuses and why, both API versions, values that YAML bends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from content.errors import BrokenContentError, UsageError
from grader.calico.labels import of_accounts, of_namespaces
from grader.calico.selectors import SelectorError, parse_selector
from grader.calico.staged import enforce_staged
from grader.kube.parse import read_objects
from grader.policy.compile import compile_rulebook, unenforced
from grader.policy.model import INGRESS

if TYPE_CHECKING:
    from collections.abc import Callable


def rule(text: str, kind: str = "gnp") -> str:
    name = "shop/a" if kind == "np" else "a"
    return f"{kind} {name} {{ingress: [{{action: Allow, {text}}}]}}"


REFUSED = [
    ("gnp a {ingress: [{action: Accept}]}", r'spec.ingress\[0\].action: Unsupported value: "Accept"'),
    ("gnp a {ingress: [{}]}", r"spec.ingress\[0\].action: Unsupported value"),
    ("gnp a {selector: \"a = 'b'\"}", r"spec.selector: .*unexpected '=' at position 3"),
    ("gnp a {selector: a == b}", r"spec.selector: .*expected a string in quotes, found 'b' at position 6"),
    ("gnp a {selector: global()}", "spec.selector: Forbidden: global"),
    ("np shop/a {namespaceSelector: all()}", 'unknown field "spec.namespaceSelector"'),
    ("np shop/a {preDNAT: true}", 'unknown field "spec.preDNAT"'),
    ("gnp a {order: high}", "spec.order: Invalid value"),
    ("gnp a {order: true}", "spec.order: Invalid value"),
    ("gnp a {types: [Both]}", r"spec.types\[0\]: Unsupported value"),
    ("gnp a {preDNAT: true, doNotTrack: true, applyOnForward: true}", "cannot both be true"),
    ("gnp a {preDNAT: true, types: [Ingress]}", "spec.applyOnForward"),
    ("gnp a {doNotTrack: true}", "must be true where doNotTrack is"),
    ("gnp a {preDNAT: true, applyOnForward: true, egress: [{action: Deny}]}", "cannot have any egress rules"),
    (
        "gnp a {types: [Egress], egress: [{action: Allow, source: {services: {name: s, namespace: n}}}]}",
        "egress rule source",
    ),
    (rule("destination: {services: {name: s, namespace: n}}"), "ingress rule destination"),
    (rule("source: {services: {name: s}}"), "services.namespace: Required"),
    (rule("source: {services: {namespace: n}}"), "services.name: Required"),
    (rule("source: {services: {name: s, namespace: n}, selector: all()}"), "cannot specify selector and services"),
    (rule("source: {services: {name: s, namespace: n}, nets: [1.2.3.4]}"), "cannot specify nets and services"),
    (rule("source: {selector: global()}"), "source.selector: Forbidden: global"),
    (rule("source: {namespaceSelector: global() || all()}"), "global\\(\\) must stand alone"),
    (rule("source: {nets: [10.0.0.0/40]}"), r"source.nets\[0\]: Invalid value"),
    (rule("source: {nets: [1.2.3.4]}, destination: {notNets: ['fd00::/8']}"), "mixes IPv4 and IPv6"),
    (rule("ipVersion: 6, source: {nets: [1.2.3.4]}"), "mixes IPv4 and IPv6"),
    (rule("ipVersion: 5"), "ipVersion: Unsupported"),
    (rule("destination: {ports: [80]}"), "must set protocol to TCP, UDP or SCTP"),
    (rule("protocol: ICMP, destination: {ports: [http]}"), "must set protocol to TCP, UDP or SCTP"),
    (rule("protocol: TCP, destination: {ports: ['9:8']}"), "minimum port number must not exceed"),
    (rule("protocol: TCP, destination: {ports: [70000]}"), "port numbers are from 1 to 65535"),
    (rule("protocol: TCP, destination: {ports: [1.5]}"), "a range in quotes"),
    (rule("protocol: TCP, destination: {ports: ['1:b']}"), "a range is two numbers"),
    (rule(f"protocol: TCP, destination: {{ports: ['{'9' * 5000}']}}"), "port numbers are from 1 to 65535"),
    (rule("protocol: TPC"), "protocol: Invalid value"),
    (rule("protocol: 256"), "a number from 1 to 255"),
    (rule("icmp: {type: 8}"), "must be ICMP or ICMPv6"),
    (rule("protocol: ICMP, icmp: {code: 1}"), "ICMP code specified without an ICMP type"),
    (rule("protocol: ICMP, icmp: {type: 255}"), "from 0 to 254"),
    (rule("protocol: UDP, http: {methods: [GET]}"), "must have protocol TCP"),
    ("gnp a {ingress: [{action: Deny, http: {methods: [GET]}}]}", "only ingress rules that allow"),
    (rule("http: {paths: [{exact: /a, prefix: /b}]}"), "exactly one of exact and prefix"),
    (rule("sourc: {}"), 'unknown field "spec.ingress'),
    (rule("source: {selektor: all()}"), 'unknown field "spec.ingress'),
    ("sgnp a {stagedAction: Now}", "spec.stagedAction: Unsupported"),
    ("tier t {defaultAction: Allow}", "spec.defaultAction: Unsupported"),
    (rule("destination: {ports: [http]}"), "rules that specify ports must set protocol"),
    (rule("source: {notPorts: [http]}"), "rules that specify ports must set protocol"),
    ("sgnp a {stagedAction: Delete, selector: all()}", "spec.selector: Forbidden: .*if stagedAction is Delete"),
    ("snp shop/a {stagedAction: Delete, ingress: [{action: Allow}]}", "spec.ingress: Forbidden"),
    ("sknp shop/a {stagedAction: Delete, podSelector: {matchLabels: {a: b}}}", "spec.podSelector: Forbidden"),
    ("tier default {order: 5}", "default tier order must be 1000000"),
    ("tier default {order: 1000000, defaultAction: Pass}", "must have default action 'Deny'"),
    ("tier kube-admin {order: 1000}", "The 'kube-admin' tier must have default action 'Pass'"),
    ("tier kube-baseline {defaultAction: Pass}", "kube-baseline tier order must be 10000000"),
    ("hep h {node: n1, interfaceName: eth0, ports: [{name: p, port: 1, protocol: ICMP}]}", "protocol: Unsupported"),
    ("hep h {node: n1, interfaceName: eth0, ports: [{name: p, port: 1}]}", "protocol: Unsupported"),
    ("gset g {nets: [x]}", r"spec.nets\[0\]: Invalid value"),
    ("hep h {interfaceName: eth0}", "spec.node: Required"),
    ("hep h {node: n1}", "no interface or expected IPs"),
    ("hep h {node: n1, expectedIPs: [x]}", r"spec.expectedIPs\[0\]"),
    ("pool p {cidr: x}", "spec.cidr"),
    ("gnp A {}", "metadata.name"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_refused(parsed: Callable[..., Any], text: str, words: str) -> None:
    with pytest.raises(BrokenContentError, match=words):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        rule("source: {services: {name: s}}", "np"),
        rule("protocol: TCP, destination: {ports: ['80', '1:2', http, 1, '00065535']}"),
        rule("protocol: TCP, source: {services: {name: s, namespace: n}, ports: [1], notPorts: [2]}"),
        rule("source: {services: {name: s, namespace: n}, nets: [], selector: ''}"),
        rule("ipVersion: 4, protocol: ICMP, notProtocol: ICMP"),
        rule("ipVersion: 6, notProtocol: ICMPv6"),
        rule("protocol: '000000006', destination: {ports: [80]}"),
        rule("protocol: ICMP, notICMP: {type: 3, code: 1}"),
        rule("protocol: TCP, http: {methods: [GET], paths: [{exact: /a}, {prefix: /b}]}"),
        rule("metadata: {annotations: {a: b}}"),
        rule("source: {notNets: [0.0.0.0/0]}"),
        "gnp a {performanceHints: [AssumeNeededOnEveryNode]}",
        "profile p {types: [Ingress]}",
        "sgnp a {stagedAction: Delete, tier: default}",
        "sknp shop/a {stagedAction: Delete, podSelector: {}}",
        "tier kube-baseline {order: 10000000, defaultAction: Pass}",
        "tier default {order: 1000000}",
        "tier t {order: 1, defaultAction: Deny}",
        "hep h {node: n1, interfaceName: '*', ports: [{name: p, port: 1, protocol: TCP}]}",
    ],
)
def test_taken(parsed: Callable[..., Any], text: str) -> None:
    assert parsed(text)


def test_lenient_takes_what_is_clear(parsed: Callable[..., Any]) -> None:
    parsed(rule("destination: {ports: [http]}"), lenient=True)
    parsed("tier default {order: 5}", lenient=True)
    parsed("gnp A_b {ingress: [{action: Allow, source: {namespaceSelector: global() || all()}}]}", lenient=True)


def test_a_number_that_yaml_made_of_a_range_is_one_port(parsed: Callable[..., Any]) -> None:
    (policy,) = parsed(rule("protocol: TCP, destination: {ports: [20:21, '20:21']}")).calico_policies
    assert [(port.low, port.high) for port in policy.ingress[0].destination.ports] == [(1221, 1221), (20, 21)]


STORED = """
apiVersion: crd.projectcalico.org/v1
kind: NetworkPolicy
metadata: {name: default.a, namespace: shop, labels: {projectcalico.org/tier: default}}
spec: {ingress: [{action: Allow}]}
---
apiVersion: crd.projectcalico.org/v1
kind: GlobalNetworkPolicy
metadata: {name: sec.a, labels: {projectcalico.org/tier: sec}}
spec: {order: 1}
---
apiVersion: crd.projectcalico.org/v1
kind: GlobalNetworkSet
metadata: {name: g, annotations: {projectcalico.org/metadata: '{"labels": {"kind": "partner"}}'}}
spec: {nets: [192.0.2.0/24]}
"""


def test_objects_as_the_cluster_stores_them(parsed: Callable[..., Any]) -> None:
    objects = read_objects(list(yaml.load_all(STORED, yaml.CSafeLoader)))
    as_written = parsed("np shop/a {ingress: [{action: Allow}]}", "gnp sec.a {order: 1, tier: sec}")
    assert objects.calico_policies == as_written.calico_policies
    assert objects.network_sets[0].labels == {"kind": "partner"}


def test_an_object_in_both_versions_is_one() -> None:
    stored = next(yaml.load_all(STORED, yaml.CSafeLoader))
    written = {**stored, "apiVersion": "projectcalico.org/v3", "metadata": {**stored["metadata"], "name": "a"}}
    assert len(read_objects([written, stored]).calico_policies) == 1


def test_a_policy_without_its_tier_is_told(parsed: Callable[..., Any]) -> None:
    objects = parsed("tier sec {order: 1}", "gnp a {tier: sec}", "gnp b {tier: gone}", "sgnp c {tier: gone}")
    assert [policy.name for policy in unenforced(objects)] == ["b"]


@pytest.mark.parametrize(
    ("texts", "names", "policies"),
    [
        (["sgnp a {}"], None, ["GlobalNetworkPolicy a"]),
        (["sgnp a {stagedAction: Ignore}"], None, []),
        (["sgnp a {stagedAction: Ignore}"], ["a"], ["GlobalNetworkPolicy a"]),
        (["sgnp a {order: 1}", "gnp a {order: 2}"], ["a"], ["GlobalNetworkPolicy a"]),
        (["sgnp a {stagedAction: Delete}", "gnp a {}", "gnp b {}"], ["a"], ["GlobalNetworkPolicy b"]),
        (["snp shop/a {}", "snp lobby/a {}"], ["shop/a"], ["NetworkPolicy a"]),
        (["sknp shop/a {podSelector: {}}", "gnp b {}"], ["a"], ["GlobalNetworkPolicy b", "NetworkPolicy a"]),
    ],
)
def test_staged_policies_in_force(
    parsed: Callable[..., Any], texts: list[str], names: list[str] | None, policies: list[str]
) -> None:
    book = compile_rulebook(enforce_staged(parsed(*texts), names))
    assert sorted(f"{p.kind} {p.name}" for tier in book.tiers(INGRESS) for p in tier.policies) == policies


def test_an_enforced_policy_replaces_the_old_one(parsed: Callable[..., Any]) -> None:
    (policy,) = enforce_staged(parsed("sgnp a {order: 1}", "gnp a {order: 2}"), ["a"]).calico_policies
    assert (policy.order, policy.staged) == (1, False)


def test_no_such_staged_policy(parsed: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="there is no staged policy b"):
        enforce_staged(parsed("sgnp a {}"), ["b"])


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a == b", 6),
        ("a === 'b'", 5),
        ("a in ('b')", 6),
        ("has(a", 4),
        ("a == 'b' c", 10),
        ("a == 'b", 6),
        ("(a == 'b'", 10),
        ("a\n== 'b'", 2),
        ("in == in", 7),
        ("all() &", 7),
        ("(" * 300, 202),
    ],
)
def test_a_selector_error_has_its_position(text: str, position: int) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("in-scope == 'x'", {"in-scope": "x"}, True),
        ("a in {}", {"a": ""}, False),
        ("a not in {}", {}, True),
        ("a notin {'x'}", {"a": "x"}, False),
        ("!a == 'x' && b == 'y'", {"b": "y"}, True),
        ("a == 'x' || b == 'y' && c == 'z'", {"a": "x"}, True),
        ("(a == 'x' || b == 'y') && c == 'z'", {"a": "x"}, False),
        ("a contains ''", {}, False),
        ("a contains ''", {"a": "x"}, True),
        ("!!has(a)", {"a": ""}, True),
        ("\t all()\t", {}, True),
    ],
)
def test_selectors(text: str, labels: dict[str, str], holds: bool) -> None:
    assert parse_selector(text).matches(labels) is holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("all()", "has(projectcalico.org/namespace)"),
        ("global()", "!has(projectcalico.org/namespace)"),
        ("a == 'b' && !has(c)", '(pcns.a == "b" && !has(pcns.c))'),
    ],
)
def test_a_namespace_selector_as_a_selector_of_endpoints(text: str, words: str) -> None:
    assert str(of_namespaces(parse_selector(text))) == words
    assert str(of_accounts(parse_selector("a in {'b'} || all()"))) == '(pcsa.a in {"b"} || all())'
