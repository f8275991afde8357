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
from grader.calico.selectors import Compare, Everything
from grader.kube.cluster_model import ClusterPeer, ClusterPolicy, ClusterPort, ClusterRule, PodSet
from grader.kube.model import (
    ContainerPort,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    Origin,
    Peer,
    PolicyPort,
    PolicyRule,
    Requirement,
)

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
NOWHERE = Origin("a.yaml", 3)

CALICO: dict[str, tuple[str, str, Any]] = {
    "a rule in every field": (f"gnp g {{ingress: [{RULE}]}}", "calico_policies.ingress", (READ_RULE,)),
    "a rule of nothing but its action": (
        "gnp g {egress: [{action: Log}]}",
        "calico_policies.egress",
        (CalicoRule("Log"),),
    ),
    "ICMP": (
        "gnp g {egress: [{action: Log, protocol: ICMPv6, icmp: {type: 3, code: 4}, notICMP: {type: 0}, ipVersion: 6}]}",
        "calico_policies.egress",
        (CalicoRule("Log", protocol="ICMPv6", icmp=(3, 4), not_icmp=(0, None), ip_version=6),),
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
        "gnp g {egress: [{action: Deny, protocol: TCP, source: {ports: [1, 65535, '1:65535', '7:7', 0a, '000080']}}]}",
        "calico_policies.egress",
        (
            CalicoRule(
                "Deny",
                Entity(
                    ports=(
                        PortMatch(1, 1),
                        PortMatch(65535, 65535),
                        PortMatch(1, 65535),
                        PortMatch(7, 7),
                        PortMatch(name="0a"),
                        PortMatch(80, 80),
                    )
                ),
                protocol="TCP",
            ),
        ),
    ),
    "services": (
        (
            "np shop/p {ingress: [{action: Allow, source: {services: {name: s}}}], "
            "egress: [{action: Allow, destination: {services: {name: t, namespace: n}}}]}"
        ),
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
        (
            "gnp g {tier: sec, order: 1.5, selector: has(a), namespaceSelector: has(b), "
            "serviceAccountSelector: has(c), "
            "types: [Egress], doNotTrack: true, applyOnForward: true, performanceHints: [x], ingress: "
            "[{action: Log}], "
            "egress: [{action: Deny}]}"
        ),
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
        (
            "hep h [a=b] {node: n, interfaceName: eth0, expectedIPs: [10.0.0.1, 'fd00::1'], profiles: [p, q], "
            "ports: [{name: web, port: 80, protocol: TCP}, {port: 53, protocol: 17}]}"
        ),
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
    "a pool": ("pool p {cidr: 10.0.0.0/16}", "ip_pools", (IPPool("p", ip_network("10.0.0.0/16"), origin=NOWHERE),)),
    "a pool that is not used": (
        "pool p {cidr: 10.0.0.0/16, disabled: true, natOutgoing: true}",
        "ip_pools",
        (IPPool("p", ip_network("10.0.0.0/16"), disabled=True, origin=NOWHERE),),
    ),
    "Felix": (
        (
            "felix default {failsafeInboundHostPorts: [{protocol: udp, port: 68, net: 10.0.0.0/8}, "
            "{port: 22}], "
            "failsafeOutboundHostPorts: []}"
        ),
        "felix",
        (FelixConfiguration("default", (FailSafe("UDP", 68, ip_network("10.0.0.0/8")), FailSafe("TCP", 22)), ()),),
    ),
    "Felix of nothing": ("felix default {}", "felix", (FelixConfiguration("default"),)),
}


def select(*requirements: tuple[str, str, *tuple[str, ...]]) -> LabelSelector:
    return LabelSelector(tuple(Requirement(key, operator, tuple(values)) for key, operator, *values in requirements))


BLUE = select(("team", "In", "blue"))
ANYBODY = LabelSelector()
PEERS = (
    "[{namespaces: {matchLabels: {team: blue}}}, {pods: {namespaceSelector: {}, podSelector: {matchLabels: "
    "{team: blue}}}}"
)
READ_PEERS = (ClusterPeer(PodSet(BLUE)), ClusterPeer(PodSet(ANYBODY, BLUE)))

CLUSTER: dict[str, tuple[str, str, Any]] = {
    "a rule for what comes in": (
        (
            f"cnp a {{tier: Admin, priority: 0, subject: {{namespaces: {{}}}}, ingress: [{{action: "
            f"Accept, name: n, "
            f"from: {PEERS}]}}]}}"
        ),
        "cluster_policies",
        (
            ClusterPolicy(
                "ClusterNetworkPolicy",
                "a",
                "Admin",
                0,
                PodSet(ANYBODY),
                (ClusterRule("Accept", "n", READ_PEERS),),
                origin=NOWHERE,
            ),
        ),
    ),
    "a rule for what goes out": (
        (
            "cnp a {tier: Baseline, priority: 1000, subject: {pods: {namespaceSelector: {matchLabels: "
            "{team: blue}}}}, "
            f"egress: [{{action: Pass, to: {PEERS}, {{nodes: {{matchLabels: {{team: blue}}}}}}, "
            "{networks: [10.0.0.7/8, 'fd00::/8']}, {domainNames: [a.b, '*.c']}]}]}"
        ),
        "cluster_policies",
        (
            ClusterPolicy(
                "ClusterNetworkPolicy",
                "a",
                "Baseline",
                1000,
                PodSet(BLUE, ANYBODY),
                egress=(
                    ClusterRule(
                        "Pass",
                        peers=(
                            *READ_PEERS,
                            ClusterPeer(nodes=BLUE),
                            ClusterPeer(networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8"))),
                            ClusterPeer(domains=("a.b", "*.c")),
                        ),
                    ),
                ),
                origin=NOWHERE,
            ),
        ),
    ),
    "protocols": (
        (
            "cnp a {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, "
            "from: [{namespaces: {}}],"
            " protocols: [{tcp: {destinationPort: {number: 1}}}, {udp: {destinationPort: {range: "
            "{start: 2, end: 3}}}}, "
            "{sctp: {}}, {destinationNamedPort: http}, {tcp: {destinationPort: {range: {start: 1, end: "
            "65535}}}}]}]}"
        ),
        "cluster_policies.ingress.ports",
        (
            ClusterPort("TCP", 1, 1),
            ClusterPort("UDP", 2, 3),
            ClusterPort("SCTP"),
            ClusterPort(name="http"),
            ClusterPort("TCP", 1, 65535),
        ),
    ),
    "an AdminNetworkPolicy": (
        (
            "anp a {priority: 7, subject: {namespaces: {}}, egress: [{action: Allow, to: [{namespaces: "
            "{}}], ports: "
            "[{portNumber: {port: 1, protocol: SCTP}}, {portRange: {start: 2, end: 3}}, {namedPort: http}, "
            "{portNumber: {port: 65535}}]}]}"
        ),
        "cluster_policies",
        (
            ClusterPolicy(
                "AdminNetworkPolicy",
                "a",
                "Admin",
                7,
                PodSet(ANYBODY),
                egress=(
                    ClusterRule(
                        "Accept",
                        "",
                        (ClusterPeer(PodSet(ANYBODY)),),
                        (
                            ClusterPort("SCTP", 1, 1),
                            ClusterPort("TCP", 2, 3),
                            ClusterPort(name="http"),
                            ClusterPort("TCP", 65535, 65535),
                        ),
                    ),
                ),
                origin=NOWHERE,
            ),
        ),
    ),
    "a BaselineAdminNetworkPolicy": (
        "banp default {subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
        "cluster_policies",
        (
            ClusterPolicy(
                "BaselineAdminNetworkPolicy",
                "default",
                "Baseline",
                0,
                PodSet(ANYBODY),
                (ClusterRule("Deny", "", (ClusterPeer(PodSet(ANYBODY)),)),),
                origin=NOWHERE,
            ),
        ),
    ),
    "as many rules as there may be": (
        "cnp a {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: ["
        + ", ".join(["{action: Deny, from: [{namespaces: {}}]}"] * 25)
        + "]}",
        "cluster_policies.ingress.name",
        "",
    ),
}

KUBERNETES: dict[str, tuple[str, str, Any]] = {
    "a policy in every field": (
        (
            "knp shop/p {podSelector: {matchLabels: {b: c, a: ''}, matchExpressions: [{key: d, "
            "operator: NotIn, values: "
            "[e, f]}, {key: x.y/g, operator: Exists}, {key: h, operator: DoesNotExist}, {key: i, "
            "operator: In, values: "
            "[j]}]}, policyTypes: [Egress, Ingress], ingress: [{from: [{podSelector: {}}, {namespaceSelector: "
            "{matchLabels: {team: blue}}, podSelector: }, {ipBlock: {cidr: 10.0.0.7/8, except: "
            "[10.1.0.0/16, 10.2.0.0/16]}}], "
            "ports: [{port: 1}, {port: http, protocol: UDP}, {port: 2, endPort: 2}, {protocol: SCTP}]}], "
            "egress: [{to: [{ipBlock: {cidr: 'fd00::/8'}}]}, {ports: [{port: 65535, endPort: 65535}, "
            "{port: 1, endPort: 1}]}]}"
        ),
        "policies",
        (
            NetworkPolicy(
                "shop",
                "p",
                select(
                    ("a", "In", ""),
                    ("b", "In", "c"),
                    ("d", "NotIn", "e", "f"),
                    ("x.y/g", "Exists"),
                    ("h", "DoesNotExist"),
                    ("i", "In", "j"),
                ),
                (
                    PolicyRule(
                        (
                            Peer(pods=ANYBODY),
                            Peer(ANYBODY, BLUE),
                            Peer(
                                block=IPBlock(
                                    ip_network("10.0.0.0/8"), (ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
                                )
                            ),
                        ),
                        (
                            PolicyPort("TCP", 1),
                            PolicyPort("UDP", "http"),
                            PolicyPort("TCP", 2, 2),
                            PolicyPort("SCTP"),
                        ),
                    ),
                ),
                (
                    PolicyRule((Peer(block=IPBlock(ip_network("fd00::/8"))),)),
                    PolicyRule((), (PolicyPort("TCP", 65535, 65535), PolicyPort("TCP", 1, 1))),
                ),
                isolates_ingress=True,
                isolates_egress=True,
                origin=NOWHERE,
            ),
        ),
    ),
    "a policy of nothing": ("knp shop/p {}", "policies", (NetworkPolicy("shop", "p", origin=NOWHERE),)),
}
ALL = CALICO | CLUSTER | {f"Kubernetes: {name}": row for name, row in KUBERNETES.items()}


@pytest.mark.parametrize("name", ALL)
def test_what_is_read(parsed: Callable[..., Any], name: str) -> None:
    text, field, expected = ALL[name]
    found: Any = parsed(text, origins=[NOWHERE])
    first, *more = field.split(".")
    found = getattr(found, first)
    for part in more:
        found = getattr(found[0], part)
    assert found == expected
