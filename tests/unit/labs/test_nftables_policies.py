"""Each feature of NetworkPolicy as a table of open and dropped packets, on the real kernel, in both families.

Every case has a namespace of its own with the pods web (on node-1), friend (on node-1) and stranger (on node-2). A case
says which flows to web, and from web, its policies leave open; every other one of the same list must be dropped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from grader.ports import Outcome, Probe
from labs.sandbox.kernel import KernelRuntime
from labs.sandbox.runtime import ContainerSpec, HostSpec, NodeSpec, PodSpec, ServedPort

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.ports import Manifest

pytestmark = pytest.mark.netns

TO_WEB = [
    "friend>web:80",
    "friend>web:8080",
    "friend>web:53",
    "friend>web:53/UDP",
    "friend>web:7000/SCTP",
    "friend>web:0/ICMP",
    "stranger>web:80",
    "stranger>web:8080",
    "far>web:80",
    "far>web:0/ICMP",
    "node-1>web:80",
    "node-2>web:80",
    "bastion>web:80",
]
FROM_WEB = [
    "web>friend:80",
    "web>friend:8080",
    "web>friend:53/UDP",
    "web>friend:7000/SCTP",
    "web>friend:0/ICMP",
    "web>stranger:80",
    "web>far:80",
    "web>far:8080",
    "web>bastion:80",
    "web>node-1:0/ICMP",
    "web>node-2:0/ICMP",
    "web>web:80",
]
ALWAYS = {"node-1>web:80", "web>web:80"}
"""A node reaches its own pods, and a pod itself."""

PORTS = (
    ServedPort(80, "TCP", "http"),
    ServedPort(8080, "TCP", "alt"),
    ServedPort(53, "UDP", "dns"),
    ServedPort(53, "TCP", "dns-tcp"),
    ServedPort(7000, "SCTP", "sig"),
)
WEB = {"podSelector": {"matchLabels": {"app": "web"}}}
FRIEND = {"podSelector": {"matchLabels": {"app": "friend"}}}
STRANGER = {"podSelector": {"matchLabels": {"app": "stranger"}}}
BLUE = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}
EVERYBODY = [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]


def ingress(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {**WEB, "policyTypes": ["Ingress"], "ingress": list(rules), **more}


def egress(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {**WEB, "policyTypes": ["Egress"], "egress": list(rules), **more}


def block(name: str, *, but: str = "") -> list[dict[str, Any]]:
    """Peers for the addresses of a pod of the case; `but`: for every address except that pod's."""
    return [{"ipBlock": {"pod": name, "except": but, "version": version}} for version in (4, 6)]


@dataclass(frozen=True)
class Case:
    policies: tuple[dict[str, Any], ...]
    to_web: str | None = None
    from_web: str | None = None


FRIENDS = "friend>web:80 friend>web:8080 friend>web:53 friend>web:53/UDP friend>web:7000/SCTP friend>web:0/ICMP"
TO_FRIEND = "web>friend:80 web>friend:8080 web>friend:53/UDP web>friend:7000/SCTP web>friend:0/ICMP"
CASES = {
    "no policy": Case(()),
    "a policy for nobody": Case(({"podSelector": {"matchLabels": {"app": "none"}}, "ingress": []},)),
    "no ingress": Case((ingress(),), to_web=""),
    "no egress": Case((egress(),), from_web=""),
    "neither": Case(({**WEB, "policyTypes": ["Ingress", "Egress"]},), to_web="", from_web=""),
    "types left out: ingress is isolated": Case(({**WEB},), to_web=""),
    "types left out: egress too where it has rules": Case(
        ({**WEB, "egress": [{"to": [FRIEND]}]},), to_web="", from_web=TO_FRIEND
    ),
    "everything in by an empty rule": Case((ingress({}),), to_web=" ".join(TO_WEB)),
    "everything out by an empty rule": Case((egress({}),), from_web=" ".join(FROM_WEB)),
    "empty from, one port": Case(
        (ingress({"from": [], "ports": [{"port": 80}]}),),
        to_web="friend>web:80 stranger>web:80 far>web:80 node-2>web:80 bastion>web:80",
    ),
    "pods of the namespace": Case((ingress({"from": [FRIEND]}),), to_web=FRIENDS),
    "all pods of the namespace": Case(
        (ingress({"from": [{"podSelector": {}}]}),), to_web=f"{FRIENDS} stranger>web:80 stranger>web:8080"
    ),
    "expressions": Case(
        (
            ingress(
                {
                    "from": [
                        {
                            "podSelector": {
                                "matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["friend"]}]
                            }
                        }
                    ]
                }
            ),
        ),
        to_web="stranger>web:80 stranger>web:8080",
    ),
    "a namespace": Case((ingress({"from": [BLUE]}),), to_web="far>web:80 far>web:0/ICMP"),
    "pods of a namespace": Case((ingress({"from": [{**BLUE, **STRANGER}]}),), to_web=""),
    "pods of a namespace that has them": Case(
        (ingress({"from": [{**BLUE, "podSelector": {"matchLabels": {"app": "far"}}}]}),),
        to_web="far>web:80 far>web:0/ICMP",
    ),
    "two peers are either": Case((ingress({"from": [BLUE, FRIEND]}),), to_web=f"{FRIENDS} far>web:80 far>web:0/ICMP"),
    "a peer that selects nobody": Case((ingress({"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}),), to_web=""),
    "peer and port": Case((ingress({"from": [FRIEND], "ports": [{"port": 80}]}),), to_web="friend>web:80"),
    "two ports": Case(
        (ingress({"from": [FRIEND], "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}),),
        to_web="friend>web:80 friend>web:53/UDP",
    ),
    "ports far apart": Case(
        (ingress({"from": [FRIEND], "ports": [{"port": 80}, {"port": 8080}, {"port": 9, "endPort": 11}]}),),
        to_web="friend>web:80 friend>web:8080",
    ),
    "a range of ports": Case(
        (ingress({"from": [FRIEND], "ports": [{"port": 8000, "endPort": 8080}]}),), to_web="friend>web:8080"
    ),
    "the port of another protocol": Case((ingress({"ports": [{"port": 80, "protocol": "UDP"}]}),), to_web=""),
    "a protocol": Case((ingress({"ports": [{"protocol": "UDP"}]}),), to_web="friend>web:53/UDP"),
    "SCTP": Case((ingress({"ports": [{"port": 7000, "protocol": "SCTP"}]}),), to_web="friend>web:7000/SCTP"),
    "a named port": Case(
        (ingress({"from": [FRIEND, STRANGER], "ports": [{"port": "alt"}]}),), to_web="friend>web:8080 stranger>web:8080"
    ),
    "a named port, from everywhere": Case(
        (ingress({"ports": [{"port": "dns", "protocol": "UDP"}]}),), to_web="friend>web:53/UDP"
    ),
    "a name of another protocol": Case((ingress({"ports": [{"port": "dns"}]}),), to_web=""),
    "a name that no container has": Case((ingress({"ports": [{"port": "none"}]}),), to_web=""),
    "names and numbers": Case(
        (ingress({"from": [FRIEND], "ports": [{"port": "http"}, {"port": 8080}]}),),
        to_web="friend>web:80 friend>web:8080",
    ),
    "an address": Case((ingress({"from": block("friend")}),), to_web=FRIENDS),
    "all addresses but one": Case(
        (ingress({"from": block("", but="friend")}),),
        to_web="stranger>web:80 stranger>web:8080 far>web:80 far>web:0/ICMP node-2>web:80 bastion>web:80",
    ),
    "what is excepted may be allowed by another peer": Case(
        (ingress({"from": [*block("", but="friend"), FRIEND]}),), to_web=" ".join(TO_WEB)
    ),
    "an address and a pod": Case(
        (ingress({"from": [*block("stranger"), FRIEND], "ports": [{"port": 80}]}),),
        to_web="friend>web:80 stranger>web:80",
    ),
    "two policies add up": Case(
        (ingress({"from": [FRIEND], "ports": [{"port": 80}]}), ingress({"from": [BLUE]})),
        to_web="friend>web:80 far>web:80 far>web:0/ICMP",
    ),
    "out to pods": Case((egress({"to": [FRIEND]}),), from_web=TO_FRIEND),
    "out to a port": Case(
        (egress({"ports": [{"port": 80}]}),), from_web="web>friend:80 web>stranger:80 web>far:80 web>bastion:80"
    ),
    "out to a pod's port": Case((egress({"to": [BLUE], "ports": [{"port": 80}]}),), from_web="web>far:80"),
    "out to a named port": Case((egress({"to": [FRIEND], "ports": [{"port": "alt"}]}),), from_web="web>friend:8080"),
    "out to a named port anywhere": Case(
        (egress({"ports": [{"port": "alt"}]}),), from_web="web>friend:8080 web>far:8080"
    ),
    "out to a named port by address": Case(
        (egress({"to": EVERYBODY, "ports": [{"port": "http"}]}),), from_web="web>friend:80 web>stranger:80 web>far:80"
    ),
    "out to all addresses but one": Case(
        (egress({"to": block("", but="friend")}),),
        from_web="web>stranger:80 web>far:80 web>far:8080 web>bastion:80 web>node-1:0/ICMP web>node-2:0/ICMP",
    ),
    "out to ICMP's own node by address only": Case(
        (egress({"to": [{"podSelector": {}}]}),), from_web=f"{TO_FRIEND} web>stranger:80"
    ),
    "both ends must allow": Case(
        (egress({"to": [FRIEND, STRANGER]}), {**FRIEND, "ingress": [{"ports": [{"port": 80}]}]}),
        from_web="web>friend:80 web>stranger:80",
    ),
    "replies pass where nothing else does": Case((egress(), {**FRIEND, "policyTypes": ["Ingress"]}), from_web=""),
}
NAMES = list(CASES)
PEOPLE = {"web": "node-1", "friend": "node-1", "stranger": "node-2"}


def addresses(number: int, node: str) -> tuple[str, str]:
    block_of_node = (0 if node == "node-1" else 128) + number % 64 + (number // 64) * 256 * 2
    return f"10.244.{block_of_node // 256}.{block_of_node % 256}", f"fd00:10:244::{block_of_node:x}"


class Cluster:
    """All cases in one cluster, so that everything is probed at once."""

    def __init__(self) -> None:
        self.runtime = KernelRuntime(asyncio.get_running_loop())
        self.objects: list[Manifest] = []
        self.numbers = {"node-1": 0, "node-2": 0}
        self.where: dict[str, tuple[str, str]] = {}
        for number, name in enumerate(self.numbers, start=2):
            self.runtime.add_node(NodeSpec(name, (f"172.18.0.{number}", f"fd00:172:18::{number}")))
        self.runtime.add_host(HostSpec("bastion", ("203.0.113.9", "2001:db8::9")))

    def namespace(self, name: str, **labels: str) -> None:
        labels = {"kubernetes.io/metadata.name": name, **labels}
        self.objects.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def pod(self, namespace: str, name: str, node: str) -> None:
        self.numbers[node] += 1
        ips = self.where[f"{namespace}/{name}"] = addresses(self.numbers[node], node)
        ports = [{"containerPort": p.number, "protocol": p.protocol, "name": p.name} for p in PORTS]
        self.objects.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
                "spec": {"nodeName": node, "containers": [{"name": "c", "image": "any", "ports": ports}]},
                "status": {"phase": "Running", "podIPs": [{"ip": ip} for ip in ips]},
            }
        )
        container = ContainerSpec("c", "any", PORTS)
        self.runtime.start_pod(PodSpec(f"{namespace}/{name}", namespace, name, node, ips, (container,), {"app": name}))

    def policy(self, namespace: str, name: str, spec: dict[str, Any]) -> None:
        self.objects.append(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"namespace": namespace, "name": name},
                "spec": self.filled_in(namespace, spec),
            }
        )

    def filled_in(self, namespace: str, value: Any) -> Any:
        """Addresses of pods for their names."""
        match value:
            case {"pod": str(pod), "except": str(but), "version": int(version)}:
                bits = {4: 32, 6: 128}[version]
                everything = {4: "0.0.0.0/0", 6: "::/0"}[version]

                def of(name: str) -> str:
                    return f"{self.where[f'{namespace}/{name}'][0 if version == 4 else 1]}/{bits}"

                return {"cidr": of(pod) if pod else everything} | ({"except": [of(but)]} if but else {})
            case dict():
                return {k: self.filled_in(namespace, v) for k, v in value.items()}
            case list():
                return [self.filled_in(namespace, v) for v in value]
            case _:
                return value


def to_probe(namespace: str, flow: str, family: int) -> Probe:
    source, _, rest = flow.partition(">")
    destination, _, what = rest.partition(":")
    port, _, protocol = what.partition("/")

    def full(name: str) -> str:
        kinds = {"node-1": "node:", "node-2": "node:", "bastion": "host:", "far": "blue/"}
        return f"{kinds.get(name, f'{namespace}/')}{name}"

    return Probe(full(source), full(destination), int(port), protocol or "TCP", family)


async def probe_all_cases() -> dict[tuple[str, int, str], tuple[str, str]]:
    cluster = Cluster()
    cluster.namespace("blue", team="blue")
    cluster.pod("blue", "far", "node-2")
    for index, case in enumerate(CASES.values()):
        namespace = f"case-{index}"
        cluster.namespace(namespace)
        for name, node in PEOPLE.items():
            cluster.pod(namespace, name, node)
        for number, spec in enumerate(case.policies):
            cluster.policy(namespace, f"policy-{number}", spec)
    cluster.runtime.program(cluster.objects)
    wanted = {
        (name, family, flow): to_probe(f"case-{index}", flow, family)
        for index, name in enumerate(NAMES)
        for family in (4, 6)
        for flow in (*TO_WEB, *FROM_WEB)
    }
    seen = await cluster.runtime.probe(list(wanted.values()))
    cluster.runtime.close()
    return {key: (str(one.outcome), one.detail) for key, one in zip(wanted, seen, strict=True)}


@pytest.fixture(scope="module", params=["as we are", "plain user"])
def seen(request: pytest.FixtureRequest) -> dict[tuple[str, int, str], tuple[str, str]]:
    run = request.getfixturevalue("isolate")
    answer: dict[tuple[str, int, str], tuple[str, str]] = run(probe_all_cases, plain=request.param == "plain user")
    return answer


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_policy_leaves_open(seen: dict[tuple[str, int, str], tuple[str, str]], name: str, family: int) -> None:
    case = CASES[name]
    expected = {}
    for flows, left_open in ((TO_WEB, case.to_web), (FROM_WEB, case.from_web)):
        openings = set(flows) if left_open is None else set(left_open.split()) | ALWAYS
        assert openings <= {*TO_WEB, *FROM_WEB}, "a case names a flow that is not probed"
        expected |= {flow: Outcome.OPEN if flow in openings else Outcome.DROPPED for flow in flows}
    got = {flow: seen[name, family, flow] for flow in expected}
    assert {f: got[f] for f in expected if got[f][0] != expected[f]} == {}
