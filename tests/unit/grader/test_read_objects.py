"""Objects with every field given, and with none: what is read of them, value by value."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from grader.calico.model import (
    Accounts,
    CalicoPolicy,
    CalicoRule,
    CalicoTier,
    Entity,
    FailSafe,
    FelixConfiguration,
    HostEndpoint,
    IPPool,
    NetworkSet,
    PortMatch,
    Profile,
    ServiceMatch,
)
from grader.calico.selectors import Compare, Everything, Junction, Negation
from grader.kube.cluster_model import ClusterPeer, ClusterPolicy, ClusterPort, ClusterRule, PodSet
from grader.kube.model import ContainerPort, IPBlock, LabelSelector, NetworkPolicy, Peer, PolicyPort, PolicyRule
from grader.kube.model import Origin, Requirement
from grader.kube.parse import read_objects

if TYPE_CHECKING:
    from collections.abc import Callable

RULE = """{action: Allow, ipVersion: 4, protocol: TCP, notProtocol: 17, metadata: {annotations: {a: b}},
  http: {methods: [GET, HEAD], paths: [{exact: /a}, {prefix: /b}]},
  source: {nets: [10.0.0.0/8, 192.0.2.7], notNets: [10.1.0.0/16], selector: has(a), notSelector: has(b),
    namespaceSelector: global(), serviceAccounts: {names: [robot, other], selector: has(c)}, ports: [1, '2:3'],
    notPorts: [4]},
  destination: {nets: [10.2.0.0/16], notNets: [10.3.0.0/16, 10.4.0.0/16], selector: has(d), notSelector: has(e),
    namespaceSelector: all(), serviceAccounts: {selector: has(f)}, ports: [http, '5'], notPorts: ['6:7', sql]}}"""
HAS = {key: Compare(key, "has") for key in "abcdef"}
READ_RULE = CalicoRule(
    "Allow",
    Entity(
        nets=(ip_network("10.0.0.0/8"), ip_network("192.0.2.7/32")),
        not_nets=(ip_network("10.1.0.0/16"),),
        selector=HAS["a"],
        not_selector=HAS["b"],
        namespace_selector=Everything("global()"),
        accounts=Accounts(("robot", "other"), HAS["c"]),
        ports=(PortMatch(1, 1), PortMatch(2, 3)),
        not_ports=(PortMatch(4, 4),),
    ),
    Entity(
        nets=(ip_network("10.2.0.0/16"),),
        not_nets=(ip_network("10.3.0.0/16"), ip_network("10.4.0.0/16")),
        selector=HAS["d"],
        not_selector=HAS["e"],
        namespace_selector=Everything(),
        accounts=Accounts((), HAS["f"]),
        ports=(PortMatch(name="http"), PortMatch(5, 5)),
        not_ports=(PortMatch(6, 7), PortMatch(name="sql")),
    ),
    protocol="TCP",
    not_protocol="UDP",
    ip_version=4,
    http="HTTP GET or HEAD /a or /b*",
)
NOWHERE = Origin("objects")

CALICO: dict[str, tuple[str, str, Any]] = {
    "a rule in every field": (f"gnp g {{ingress: [{RULE}]}}", "calico_policies.ingress", (READ_RULE,)),
    "a rule of nothing but its action": (
        "gnp g {egress: [{action: Log}]}",
        "calico_policies.egress",
        (CalicoRule("Log"),),
    ),
    "ICMP": (
        "gnp g {egress: [{action: Pass, protocol: ICMP, icmp: {type: 3, code: 4}, notICMP: {type: 0}, ipVersion: 6}]}",
        "calico_policies.egress",
        (CalicoRule("Pass", protocol="ICMP", icmp=(3, 4), not_icmp=(0, None), ip_version=6),),
    ),
    "the last type and code of ICMP": (
        "gnp g {egress: [{action: Deny, protocol: 58, icmp: {type: 254, code: 255}, notICMP: {type: 0, code: 0}}]}",
        "calico_policies.egress",
        (CalicoRule("Deny", protocol="ICMPv6", icmp=(254, 255), not_icmp=(0, 0)),),
    ),
    "the first and last numbers of protocols": (
        "gnp g {egress: [{action: Deny, protocol: 1, notProtocol: 255}, {action: Deny, protocol: '006'}]}",
        "calico_policies.egress",
        (CalicoRule("Deny", protocol="ICMP", not_protocol="255"), CalicoRule("Deny", protocol="TCP")),
    ),
    "the first and last ports": (
        "gnp g {egress: [{action: Deny, protocol: TCP, source: {ports: [0, 65535, '0:65535', '7:7', 0a, 123456]}}]}",
        "calico_policies.egress",
        None,
    ),
    "services": (
        "np shop/p {ingress: [{action: Allow, source: {services: {name: s}}}], "
        "egress: [{action: Allow, destination: {services: {name: t, namespace: n}}}]}",
        "calico_policies",
        (
            CalicoPolicy(
                "NetworkPolicy",
                "shop",
                "p",
                ingress=(CalicoRule("Allow", source=Entity(service=ServiceMatch("s"))),),
                egress=(CalicoRule("Allow", destination=Entity(service=ServiceMatch("t", "n"))),),
                applies_egress=True,
                origin=NOWHERE,
            ),
        ),
    ),
    "a global policy in every field": (
        "gnp g {tier: sec, order: 1.5, selector: has(a), namespaceSelector: has(b), serviceAccountSelector: has(c), "
        "types: [Egress], doNotTrack: true, applyOnForward: true, performanceHints: [x], ingress: [{action: Log}], "
        "egress: [{action: Deny}]}",
        "calico_policies",
        (
            CalicoPolicy(
                "GlobalNetworkPolicy",
                "",
                "g",
                "sec",
                1.5,
                HAS["a"],
                HAS["b"],
                HAS["c"],
                (CalicoRule("Log"),),
                (CalicoRule("Deny"),),
                applies_ingress=False,
                applies_egress=True,
                do_not_track=True,
                apply_on_forward=True,
                origin=NOWHERE,
            ),
        ),
    ),
    "a global policy before translation": (
        "gnp g {types: [Ingress], preDNAT: true, applyOnForward: true}",
        "calico_policies",
        (CalicoPolicy("GlobalNetworkPolicy", "", "g", pre_dnat=True, apply_on_forward=True, origin=NOWHERE),),
    ),
    "a policy of nothing": (
        "np shop/p {}",
        "calico_policies",
        (CalicoPolicy("NetworkPolicy", "shop", "p", origin=NOWHERE),),
    ),
    "only egress rules": (
        "np shop/p {selector: ' ', egress: [{action: Deny}]}",
        "calico_policies",
        (
            CalicoPolicy(
                "NetworkPolicy",
                "shop",
                "p",
                egress=(CalicoRule("Deny"),),
                applies_ingress=False,
                applies_egress=True,
                origin=NOWHERE,
            ),
        ),
    ),
    "a staged policy": (
        "sgnp g {stagedAction: Learn, order: 0}",
        "calico_policies",
        (
            CalicoPolicy(
                "StagedGlobalNetworkPolicy", "", "g", order=0, staged=True, staged_action="Learn", origin=NOWHERE
            ),
        ),
    ),
    "a staged policy of a namespace": (
        "snp shop/p {}",
        "calico_policies",
        (CalicoPolicy("StagedNetworkPolicy", "shop", "p", staged=True, staged_action="Set", origin=NOWHERE),),
    ),
    "a staged Kubernetes policy": (
        "sknp shop/p {stagedAction: Ignore, podSelector: {}, policyTypes: [Egress]}",
        "calico_policies",
        (
            CalicoPolicy(
                "StagedKubernetesNetworkPolicy",
                "shop",
                "p",
                order=1000,
                applies_ingress=False,
                applies_egress=True,
                staged=True,
                staged_action="Ignore",
                kubernetes=NetworkPolicy(
                    "shop", "p", LabelSelector(), isolates_ingress=False, isolates_egress=True, origin=NOWHERE
                ),
                origin=NOWHERE,
            ),
        ),
    ),
    "a tier": ("tier t {order: 3, defaultAction: Pass}", "tiers", (CalicoTier("t", 3, passes=True, origin=NOWHERE),)),
    "a tier that denies": ("tier t {defaultAction: Deny}", "tiers", (CalicoTier("t", origin=NOWHERE),)),
    "a tier of nothing": ("tier t {}", "tiers", (CalicoTier("t", origin=NOWHERE),)),
    "a network set": (
        "set shop/s [a=b] {nets: [10.0.0.1, 'fd00::/8']}",
        "network_sets",
        (NetworkSet("shop", "s", {"a": "b"}, (ip_network("10.0.0.1/32"), ip_network("fd00::/8")), NOWHERE),),
    ),
    "a global network set": ("gset s {}", "network_sets", (NetworkSet("", "s", {}, (), NOWHERE),)),
    "a host endpoint": (
        "hep h [a=b] {node: n, interfaceName: eth0, expectedIPs: [10.0.0.1, 'fd00::1'], profiles: [p, q], "
        "ports: [{name: web, port: 80, protocol: TCP}, {port: 53, protocol: 17}]}",
        "host_endpoints",
        (
            HostEndpoint(
                "h",
                {"a": "b"},
                "n",
                "eth0",
                (ip_address("10.0.0.1"), ip_address("fd00::1")),
                ("p", "q"),
                (ContainerPort(80, "TCP", "web"), ContainerPort(53, "UDP")),
                NOWHERE,
            ),
        ),
    ),
    "a host endpoint by its addresses": (
        "hep h {node: n, expectedIPs: [10.0.0.1]}",
        "host_endpoints",
        (HostEndpoint("h", {}, "n", "", (ip_address("10.0.0.1"),), origin=NOWHERE),),
    ),
    "a profile": (
        "profile p {labelsToApply: {a: b}, ingress: [{action: Allow}], egress: [{action: Deny}]}",
        "profiles",
        (Profile("p", {"a": "b"}, (CalicoRule("Allow"),), (CalicoRule("Deny"),), NOWHERE),),
    ),
    "a pool": ("pool p {cidr: 10.0.0.0/16}", "pools", (IPPool("p", ip_network("10.0.0.0/16"), origin=NOWHERE),)),
    "a pool that is not used": (
        "pool p {cidr: 10.0.0.0/16, disabled: true, natOutgoing: true}",
        "pools",
        (IPPool("p", ip_network("10.0.0.0/16"), disabled=True, origin=NOWHERE),),
    ),
}


def test_ports_at_their_limits(parsed: Callable[..., Any]) -> None:
    (policy,) = parsed(CALICO["the first and last ports"][0]).calico_policies
    assert policy.egress[0].source.ports == (
        PortMatch(0, 0),
        PortMatch(65535, 65535),
        PortMatch(0, 65535),
        PortMatch(7, 7),
        PortMatch(name="0a"),
        PortMatch(123456, 123456),
    )
