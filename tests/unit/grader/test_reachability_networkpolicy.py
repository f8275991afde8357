"""What NetworkPolicies mean, a rule and its traps a row. `->` open, `-x` dropped, `-?` left open, then Calico's way."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
import yaml

from content.errors import UsageError
from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

WEB, DB, GUEST = "shop/web", "shop/db", "lobby/guest"
DB_ONLY = "matchLabels: {app: db}"
ALL_IN = "{podSelector: {}, ingress: [{}]}"
DENY_IN = "{podSelector: {}}"
DENY_OUT = "{podSelector: {}, policyTypes: [Egress]}"


def ingress(rule: str, subject: str = "matchLabels: {app: web}") -> str:
    return f"{{podSelector: {{{subject}}}, ingress: [{rule}]}}"


def egress(rule: str, subject: str = "matchLabels: {app: web}") -> str:
    return f"{{podSelector: {{{subject}}}, policyTypes: [Egress], egress: [{rule}]}}"


TABLE = {
    "no policy: everything is open": ([], [f"{GUEST} -> {DB}:5432", f"{WEB} -> ip:192.0.2.1:443"]),
    "an empty podSelector selects every pod of its namespace, no other": (
        [DENY_IN],
        [f"{GUEST} -x {WEB}:8080", f"{WEB} -x {DB}:5432", f"{WEB} -> {GUEST}:8080"],
    ),
    "a null podSelector is an empty one": (["{podSelector: }"], [f"{GUEST} -x {WEB}:8080"]),
    "policies are additive": ([DENY_IN, ingress("{from: [{podSelector: {}}]}")], [f"{DB} -> {WEB}:8080"]),
    "ingress: [] isolates": (["{podSelector: {}, ingress: []}"], [f"{DB} -x {WEB}:8080"]),
    "an empty rule allows everything": ([ALL_IN], [f"{GUEST} -> {WEB}:8080", f"ip:192.0.2.1 -> {WEB}:1/udp"]),
    "an empty from allows every source": ([ingress("{from: []}")], [f"{GUEST} -> {WEB}:8080"]),
    "an empty ports allows every port": ([ingress("{ports: []}")], [f"{GUEST} -> {WEB}:8080", f"{GUEST} -> {WEB}:1"]),
    "without policyTypes, egress rules isolate egress and ingress too": (
        ["{podSelector: {matchLabels: {app: web}}, egress: [{to: [{podSelector: {}}]}]}"],
        [f"{WEB} -> {DB}:5432", f"{WEB} -x {GUEST}:8080", f"{DB} -x {WEB}:8080"],
    ),
    "without policyTypes, an empty egress isolates ingress only": (
        ["{podSelector: {}, egress: []}"],
        [f"{WEB} -> {GUEST}:8080", f"{GUEST} -x {WEB}:8080"],
    ),
    "policyTypes rule: egress rules of an Ingress policy do nothing": (
        ["{podSelector: {}, policyTypes: [Ingress], ingress: [{}], egress: []}"],
        [f"{WEB} -> {GUEST}:8080"],
    ),
    "policyTypes [Egress] leaves ingress open": ([DENY_OUT], [f"{GUEST} -> {WEB}:8080", f"{WEB} -x {GUEST}:8080"]),
    "both ends must allow": (
        [egress("{to: [{podSelector: {matchLabels: {app: db}}}]}"), ingress("{from: []}", "matchLabels: {app: none}")],
        [f"{WEB} -> {DB}:5432", f"{WEB} -x {GUEST}:8080"],
    ),
    "the receiving end may refuse what the sending one allows": (
        [egress("{}"), "{podSelector: {matchLabels: {app: db}}}"],
        [f"{WEB} -x {DB}:5432", f"{WEB} -> {GUEST}:8080"],
    ),
    "podSelector alone means the policy's own namespace": (
        [ingress("{from: [{podSelector: {matchLabels: {app: web}}}]}", DB_ONLY)],
        [f"{WEB} -> {DB}:5432", f"{GUEST} -x {DB}:5432"],
    ),
    "namespaceSelector alone means every pod there": (
        [ingress("{from: [{namespaceSelector: {matchLabels: {team: red}}}]}")],
        [f"{GUEST} -> {WEB}:8080", f"{DB} -x {WEB}:8080"],
    ),
    "an empty namespaceSelector means every pod, and nothing outside": (
        [ingress("{from: [{namespaceSelector: {}}]}")],
        [f"{GUEST} -> {WEB}:8080", f"{DB} -> {WEB}:8080", f"ip:192.0.2.1 -x {WEB}:8080"],
    ),
    "two selectors in one peer: both must hold": (
        [ingress("{from: [{namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {app: db}}}]}")],
        [f"{GUEST} -x {WEB}:8080", f"{DB} -x {WEB}:8080"],
    ),
    "two peers: either is enough": (
        [ingress("{from: [{namespaceSelector: {matchLabels: {team: red}}}, {podSelector: {matchLabels: {app: db}}}]}")],
        [f"{GUEST} -> {WEB}:8080", f"{DB} -> {WEB}:8080"],
    ),
    "every namespace has the label of its name": (
        [ingress("{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: lobby}}}]}")],
        [f"{GUEST} -> {WEB}:8080", f"{DB} -x {WEB}:8080"],
    ),
    "NotIn holds for an absent label": (
        [ingress("{from: [{namespaceSelector: {matchExpressions: [{key: env, operator: NotIn, values: [prod]}]}}]}")],
        [f"{GUEST} -> {WEB}:8080", f"{DB} -x {WEB}:8080"],
    ),
    "Exists and DoesNotExist": (
        [
            "{podSelector: {matchExpressions: [{key: tier, operator: Exists}]}}",
            "{podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}, ingress: [{}]}",
        ],
        [f"{DB} -x {WEB}:8080", f"{WEB} -> {DB}:5432"],
    ),
    "In takes any of its values": (
        [ingress("{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [x, db]}]}}]}")],
        [f"{DB} -> {WEB}:8080"],
    ),
    "ipBlock matches pod addresses": (
        [ingress("{from: [{ipBlock: {cidr: 10.0.2.0/24}}]}")],
        [f"{DB} -> {WEB}:8080", f"{GUEST} -> {WEB}:8080", f"ip:192.0.2.1 -x {WEB}:8080"],
    ),
    "except lies inside its block": (
        [ingress("{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.2.1/32]}}]}")],
        [f"{DB} -x {WEB}:8080", f"{GUEST} -> {WEB}:8080"],
    ),
    "another block may allow what one excepts": (
        [ingress("{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.2.1/32]}}, {ipBlock: {cidr: 10.0.2.1/32}}]}")],
        [f"{DB} -> {WEB}:8080"],
    ),
    "bits of a range after its prefix do not count": (
        [ingress("{from: [{ipBlock: {cidr: 10.0.2.99/24}}]}")],
        [f"{DB} -> {WEB}:8080"],
    ),
    "families are apart": (
        [ingress('{from: [{ipBlock: {cidr: "fd00::/16"}}]}')],
        [f"{DB} -> {WEB}:8080@6", f"{DB} -x {WEB}:8080"],
    ),
    "0.0.0.0/0 says nothing about IPv6": (
        [ingress("{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}")],
        [f"{DB} -> {WEB}:8080", f"{DB} -x {WEB}:8080@6", f"ip:2001:db8::1 -x {WEB}:8080@6"],
    ),
    "selectors match both families": ([ingress("{from: [{podSelector: {}}]}")], [f"{DB} -> {WEB}:8080@6"]),
    "a port without protocol is TCP": (
        [ingress("{ports: [{port: 53}]}")],
        [f"{DB} -> {WEB}:53", f"{DB} -x {WEB}:53/udp", f"{DB} -x {WEB}:53/sctp"],
    ),
    "a protocol without port is every port of it": (
        [ingress("{ports: [{protocol: UDP}]}")],
        [f"{DB} -> {WEB}:1/udp", f"{DB} -x {WEB}:1"],
    ),
    "SCTP is a protocol like the others": (
        [ingress("{ports: [{protocol: SCTP, port: 7}]}")],
        [f"{DB} -> {WEB}:7/sctp", f"{DB} -x {WEB}:7"],
    ),
    "endPort is included": (
        [ingress("{ports: [{port: 8000, endPort: 8080}]}")],
        [f"{DB} -> {WEB}:8000", f"{DB} -> {WEB}:8080", f"{DB} -x {WEB}:7999", f"{DB} -x {WEB}:8081"],
    ),
    "endPort holds for egress too": (
        [egress("{ports: [{port: 8000, endPort: 8080}]}")],
        [f"{WEB} -> {DB}:8080", f"{WEB} -x {DB}:8081", f"{WEB} -x {DB}:5432"],
    ),
    "a pod without an address is in no range but all": (
        [
            ingress("{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}"),
            ingress("{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}", DB_ONLY),
        ],
        [f"shop/new -x {WEB}:8080", f"shop/new -> {DB}:5432", f"shop/new -x {DB}:5432@6"],
    ),
    "a declared port is not needed": ([ingress("{ports: [{port: 1234}]}")], [f"{DB} -> {WEB}:1234"]),
    "a named port is the destination's": (
        [ingress("{ports: [{port: http}]}"), ingress("{ports: [{port: http}]}", DB_ONLY)],
        [f"{GUEST} -> {WEB}:8080", f"{GUEST} -x {WEB}:8081", f"{GUEST} -> {DB}:8081", f"{GUEST} -x {DB}:8080"],
    ),
    "a named port is resolved at each destination for egress": (
        [egress("{ports: [{port: http}]}"), egress("{ports: [{port: http}]}", DB_ONLY)],
        [f"{WEB} -> {DB}:8081", f"{WEB} -x {DB}:8080", f"{DB} -> {WEB}:8080", f"{DB} -x {GUEST}:8080"],
    ),
    "a named port has a protocol": (
        [ingress("{ports: [{port: dns}, {port: dns, protocol: UDP}]}")],
        [f"{DB} -> {WEB}:53/udp", f"{DB} -x {WEB}:53"],
    ),
    "ports of init containers have names too": ([ingress("{ports: [{port: init}]}")], [f"{DB} -> {WEB}:9000"]),
    "an unknown name matches nothing, outside neither": (
        [egress("{ports: [{port: nosuch}]}")],
        [f"{WEB} -x {DB}:5432", f"{WEB} -x ip:192.0.2.1:443"],
    ),
    "a pod reaches itself": ([DENY_IN, DENY_OUT], [f"{WEB} -> {WEB}:8080", f"{WEB} -> ip:10.0.1.1:8080"]),
    "a node reaches its own pods only": (
        [DENY_IN],
        [f"node:n1 -> {WEB}:8080", f"node:n2 -x {WEB}:8080", f"ip:172.18.0.2 -> {WEB}:8080", f"node:n1 -> {WEB}:icmp"],
    ),
    "the way to the own node is ordinary egress": (
        [DENY_OUT, egress("{to: [{ipBlock: {cidr: 172.18.0.3/32}}]}", DB_ONLY)],
        [f"{WEB} -x node:n1:10250", f"{DB} -> node:n2:10250"],
    ),
    "no policy selects a node": (["lobby | {podSelector: {}, policyTypes: [Egress]}"], ["node:n2 -> lobby/guest:8080"]),
    "an outside host with no known address is in no range but all": (
        [ingress("{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}"), ingress("{from: []}", DB_ONLY)],
        [f"host:bastion -x {WEB}:8080", f"host:bastion -> {DB}:5432"],
    ),
    "a Service is judged at the pod's port, after translation": (
        [ingress("{ports: [{port: 80}]}")],
        [f"{DB} -x service:shop/web:80", f"{DB} -x ip:10.96.0.7:80"],
    ),
    "a Service leads to its named target port": (
        [ingress("{ports: [{port: 8080}]}")],
        [f"{DB} -> service:shop/web:80", f"{DB} -> service:shop/web:90", f"{DB} -x service:shop/web:81"],
    ),
    "a Service's address is in no range of egress": (
        [egress("{to: [{ipBlock: {cidr: 10.96.0.0/12}}]}", DB_ONLY)],
        [f"{DB} -x service:shop/web:80"],
    ),
    "a headless Service is its pods": ([], [f"{WEB} -> service:shop/pods:5432"]),
    "a Service without pods leads nowhere": ([], [f"{WEB} -x service:shop/nobody:80"]),
    "a NodePort leads to its pods": (
        ["lobby | {podSelector: {}, ingress: [{ports: [{port: 8080}]}]}"],
        [f"{WEB} -> node:n2:30090", f"{WEB} -> node:n1:30090", "ip:192.0.2.1 -> ip:172.18.0.2:30090"],
    ),
    "behind a NodePort, egress sees another node and translates at its own": (
        [egress("{to: [{ipBlock: {cidr: 172.18.0.3/32}}], ports: [{port: 30090}]}")],
        [f"{WEB} -?> node:n2:30090", f"{WEB} -x node:n1:30090"],
    ),
    "behind a NodePort, ingress sees the sender where the pod runs on that node": (
        ["lobby | {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}"],
        ["ip:192.0.2.1 -> node:n2:30090", "ip:192.0.2.1 -?x node:n1:30090", "ip:198.51.100.1 -x node:n1:30090"],
    ),
    "ICMP is left open where a policy isolates": (
        [ingress("{from: [{podSelector: {}}]}")],
        [f"{DB} -?> {WEB}:icmp", f"{GUEST} -?x {WEB}:icmp", f"{WEB} -> {DB}:icmp"],
    ),
    "rules with ports stop ping on Calico": ([ingress("{ports: [{protocol: TCP}]}")], [f"{DB} -?x {WEB}:icmp"]),
    "hairpin through a Service is left open": (
        [DENY_IN],
        [f"{WEB} -?x service:shop/web:80", f"{DB} -x service:shop/web:80"],
    ),
    "policies on a pod in its node's network are left open": (
        ["lobby | {podSelector: {}}"],
        [f"{WEB} -?> lobby/agent:80", f"{WEB} -x {GUEST}:8080"],
    ),
    "whether selectors match a pod in its node's network is left open": (
        [ingress("{from: [{namespaceSelector: {matchLabels: {team: red}}}]}")],
        [f"lobby/agent -?x {WEB}:8080"],
    ),
    "what both ways decide alike is not left open": (
        [ingress("{from: [{podSelector: {}}]}"), ingress("{from: []}", DB_ONLY)],
        [f"lobby/agent -x {WEB}:8080", f"lobby/agent -> {DB}:5432"],
    ),
}


def read(arrow: str) -> tuple[Flow, str]:
    source, sign, target = arrow.split()
    family = 6 if target.endswith("@6") else 4
    name, _, port = target.removesuffix("@6").rpartition(":")
    if port == "icmp":
        return Flow(source, name, 0, "ICMP", family), sign
    number, _, protocol = port.partition("/")
    return Flow(source, name, int(number), protocol.upper() or "TCP", family), sign


@pytest.mark.parametrize("name", TABLE)
def test_rule(shop: Callable[..., World], name: str) -> None:
    specs, arrows = TABLE[name]
    world = shop(*specs)
    for arrow in arrows:
        flow, sign = read(arrow)
        verdict = world.verdict(flow)
        left_open = "?" if verdict.action is Action.OPEN else ""
        assert f"-{left_open}{'>' if verdict.allowed else 'x'}" == sign, (arrow, world.explain(flow).lines())
        assert world.allowed_as_calico(flow) is verdict.allowed


@pytest.mark.parametrize("name", TABLE)
def test_all_pairs_by_sets_agree(shop: Callable[..., World], name: str) -> None:
    world = shop(*TABLE[name][0])
    ends = [*world.endpoints.pods, "node:n1", "ip:192.0.2.1", "service:shop/both"]
    ports = [(53, "TCP"), (53, "UDP"), (80, "TCP"), (5432, "TCP"), (8080, "TCP"), (8081, "TCP"), (0, "ICMP")]
    columns = [Column(end, *port) for end in ends for port in ports]
    for family in (4, 6):
        for flow, allowed, left_open in world.matrix(ends[:-1], columns, family).cells():
            verdict = world.verdict(flow)
            assert (allowed, left_open) == (verdict.allowed, verdict.action is Action.OPEN), flow


@pytest.mark.parametrize(
    ("source", "destination", "words"),
    [
        ("shop/nobody", WEB, "there is no pod shop/nobody"),
        (WEB, "shop/dbb", "there is no pod shop/dbb"),
        (WEB, "shop/done", "pod shop/done has finished"),
        (WEB, "node:n9", "there is no node n9"),
        (WEB, "service:shop/no", "there is no Service shop/no"),
        ("ip:10.0.0", WEB, "'10.0.0' is no IP address"),
    ],
)
def test_an_unknown_endpoint_is_wrong_use(
    shop: Callable[..., World], source: str, destination: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        shop().verdict(Flow(source, destination, 80))


def test_an_outside_host_with_an_address() -> None:
    base = yaml.load("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}}", yaml.CSafeLoader)
    policy = yaml.safe_load(
        """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: {name: p, namespace: b}
        spec: {ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}
        """
    )
    hosts = {"bastion": [ip_address("192.0.2.9")], "internet": [ip_address("198.51.100.1")]}
    world = World(read_objects([base, policy]), hosts=hosts)
    assert world.verdict(Flow("host:bastion", "b/a", 80)).allowed
    assert not world.verdict(Flow("host:internet", "b/a", 80)).allowed
    assert world.packets(Flow("b/a", "ip:198.51.100.1", 80))[0].destination.ref == "host:internet"


def test_a_close_name_is_suggested(shop: Callable[..., World]) -> None:
    with pytest.raises(UsageError) as caught:
        shop().verdict(Flow(WEB, "shop/dbb", 80))
    assert "did you mean shop/db" in caught.value.remedy


def test_of_several_pods_behind_a_service_a_denied_one_is_shown(shop: Callable[..., World]) -> None:
    world = shop("{podSelector: {matchLabels: {app: web}}}")
    assert world.verdict(Flow(GUEST, "shop/db", 8081)).allowed
    assert str(world.verdict(Flow(GUEST, "service:shop/both", 80)).ingress.policy) == "NetworkPolicy shop/p1"


def test_a_decision_names_policy_rule_and_isolation(shop: Callable[..., World]) -> None:
    world = shop(DENY_IN, ingress("{from: []}, {ports: [{port: 1}]}"))
    decision = world.verdict(Flow(GUEST, WEB, 80)).ingress
    assert (str(decision.policy), decision.rule) == ("NetworkPolicy shop/p2", 1)
    assert [str(policy) for policy in decision.isolating] == ["NetworkPolicy shop/p1", "NetworkPolicy shop/p2"]
    denied = shop(DENY_IN).verdict(Flow(GUEST, WEB, 80)).ingress
    assert (denied.action, denied.rule, str(denied.policy)) == (Action.DENY, 0, "NetworkPolicy shop/p1")
