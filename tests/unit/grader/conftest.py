"""A small cluster, written as briefly as a table of policies needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.matrix import Column
from grader.reachability.verdict import Action, Flow
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

SHOP = """
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: blue, env: prod}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: lobby, labels: {team: red}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.18.0.2},
  {type: InternalIP, address: "fd00:18::2"}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 172.18.0.3}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web, tier: front, part: app}}
spec:
  nodeName: n1
  initContainers: [{name: i, ports: [{containerPort: 9000, name: init}]}]
  containers: [{name: c, ports: [{containerPort: 8080, name: http}, {containerPort: 53, name: dns, protocol: UDP}]}]
status: {phase: Running, hostIP: 172.18.0.2, podIPs: [{ip: 10.0.1.1}, {ip: "fd00::1:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db, part: app}}
spec:
  nodeName: n2
  containers: [{name: c, ports: [{containerPort: 5432, name: sql}, {containerPort: 8081, name: http}]}]
status: {phase: Running, hostIP: 172.18.0.3, podIPs: [{ip: 10.0.2.1}, {ip: "fd00::2:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: guest, namespace: lobby, labels: {app: web}}
spec: {nodeName: n2, containers: [{name: c, ports: [{containerPort: 8080}]}]}
status: {phase: Running, hostIP: 172.18.0.3, podIPs: [{ip: 10.0.2.2}, {ip: "fd00::2:2"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: lobby, labels: {app: agent}}
spec: {nodeName: n2, hostNetwork: true}
status: {phase: Running, hostIP: 172.18.0.3, podIP: 172.18.0.3}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: shop, labels: {app: web}}
status: {phase: Succeeded, podIP: 10.0.9.9}
---
{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: shop, labels: {app: new}}, status: {phase: Pending}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.7, selector: {app: web}, ports: [{port: 80, targetPort: http}, {port: 90, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: both, namespace: shop}
spec:
  type: NodePort
  clusterIP: 10.96.0.9
  selector: {part: app}
  ports: [{port: 80, targetPort: http, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: door, namespace: lobby}
spec: {type: NodePort, clusterIP: 10.96.0.10, selector: {app: web}, ports: [{port: 8080, nodePort: 30090}]}
---
apiVersion: v1
kind: Service
metadata: {name: pods, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {clusterIP: 10.96.0.8, selector: {app: none}, ports: [{port: 80}]}
"""


def policies(*specs: str) -> list[dict[str, Any]]:
    """NetworkPolicies p1, p2, … of namespace shop; a spec may begin with another namespace and `|`."""
    found = []
    for number, text in enumerate(specs, start=1):
        namespace, _, spec = text.rpartition("|")
        metadata = {"name": f"p{number}", "namespace": namespace.strip() or "shop"}
        manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        found.append({**manifest, "metadata": metadata, "spec": yaml.load(spec, yaml.CSafeLoader)})
    return found


@pytest.fixture(scope="session")
def shop() -> Callable[..., World]:
    """A World of the small cluster with these policies."""
    base = list(yaml.load_all(SHOP, yaml.CSafeLoader))
    return lambda *specs: World(read_objects([*base, *policies(*specs)]))


KINDS = {
    "np": ("projectcalico.org/v3", "NetworkPolicy"),
    "gnp": ("projectcalico.org/v3", "GlobalNetworkPolicy"),
    "snp": ("projectcalico.org/v3", "StagedNetworkPolicy"),
    "sgnp": ("projectcalico.org/v3", "StagedGlobalNetworkPolicy"),
    "sknp": ("projectcalico.org/v3", "StagedKubernetesNetworkPolicy"),
    "tier": ("projectcalico.org/v3", "Tier"),
    "set": ("projectcalico.org/v3", "NetworkSet"),
    "gset": ("projectcalico.org/v3", "GlobalNetworkSet"),
    "hep": ("projectcalico.org/v3", "HostEndpoint"),
    "profile": ("projectcalico.org/v3", "Profile"),
    "felix": ("projectcalico.org/v3", "FelixConfiguration"),
    "pool": ("projectcalico.org/v3", "IPPool"),
    "knp": ("networking.k8s.io/v1", "NetworkPolicy"),
    "cnp": ("policy.networking.k8s.io/v1beta1", "ClusterNetworkPolicy"),
    "anp": ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"),
    "banp": ("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy"),
    "sa": ("v1", "ServiceAccount"),
}


def brief(text: str) -> dict[str, Any]:
    """An object from `KIND [NAMESPACE/]NAME {spec}`; labels may stand in brackets before the spec: `[a=b,c=d]`."""
    kind, name, rest = (text.strip() + " {}").split(maxsplit=2)
    version, full = KINDS[kind]
    namespace, _, bare = name.rpartition("/")
    metadata: dict[str, Any] = {"name": bare}
    if namespace:
        metadata["namespace"] = namespace
    if rest.startswith("["):
        listed, _, rest = rest[1:].partition("]")
        metadata["labels"] = dict(pair.split("=") for pair in listed.split(","))
    spec = yaml.load(rest.removesuffix(" {}") or "{}", yaml.CSafeLoader)
    return {"apiVersion": version, "kind": full, "metadata": metadata, "spec": spec}


@pytest.fixture(scope="session")
def briefly() -> Callable[..., list[dict[str, Any]]]:
    """Objects from brief ones."""
    return lambda *texts: [brief(text) for text in texts]


@pytest.fixture(scope="session")
def parsed() -> Callable[..., Any]:
    """The parsed objects of these brief ones alone."""
    return lambda *texts, **options: read_objects([brief(text) for text in texts], **options)


@pytest.fixture(scope="session")
def cluster() -> Callable[..., World]:
    """A World of the small cluster with these objects, written briefly."""
    base = list(yaml.load_all(SHOP, yaml.CSafeLoader))
    return lambda *texts, **options: World(read_objects([*base, *map(brief, texts)], **options))


CAST = Path(__file__).with_name("cast.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def cast() -> Callable[..., World]:
    """A World of the endpoints of `cast.yaml` with these objects, written briefly or in braces."""
    base = list(yaml.load_all(CAST, yaml.CSafeLoader))

    def make(*texts: str, **options: Any) -> World:
        more = (yaml.load(text, yaml.CSafeLoader) if text.startswith("{") else brief(text) for text in texts)
        return World(read_objects([*base, *more]), **options)

    return make


def read_arrow(arrow: str) -> tuple[Flow, str]:
    """`A -> B:80/udp`, with `sent=PORT`, `icmp=TYPE.CODE` and `@6` (IPv6) behind it."""
    start, sign, target, *more = arrow.split()
    options = dict(option.split("=") for option in more if "=" in option)
    family = 6 if "@6" in more else 4
    name, _, port = target.rpartition(":")
    kind, _, code = options.get("icmp", "").partition(".")
    number, _, protocol = ("0", "", "icmp") if port == "icmp" else port.partition("/")
    sent = int(options["sent"]) if "sent" in options else None
    icmp = (int(kind), int(code)) if kind else None
    return Flow(start, name, int(number), protocol.upper() or "TCP", family, source_port=sent, icmp=icmp), sign


@pytest.fixture(scope="session")
def agree() -> Callable[[World, list[str]], None]:
    """Hold arrows against verdicts of a world: `->` passes, `-x` is dropped, a `?` in it is left open."""

    def check(world: World, arrows: list[str]) -> None:
        for arrow in arrows:
            flow, sign = read_arrow(arrow)
            verdict = world.verdict(flow)
            left_open = "?" if verdict.action is Action.OPEN else ""
            assert f"-{left_open}{'>' if verdict.allowed else 'x'}" == sign, (arrow, world.explain(flow).lines())

    return check


@pytest.fixture(scope="session")
def both_agree(agree: Callable[[World, list[str]], None]) -> Callable[[World, list[str]], None]:
    """Hold arrows against verdicts, and every pair of their ends against the matrix, each source in two rows."""

    def check(world: World, arrows: list[str]) -> None:
        agree(world, arrows)
        flows = [read_arrow(arrow)[0] for arrow in arrows]
        for family in {flow.family for flow in flows}:
            asked = [flow for flow in flows if flow.family == family]
            sources = list(dict.fromkeys(flow.source for flow in asked))
            columns = dict.fromkeys(Column(flow.destination, flow.port, flow.protocol) for flow in asked)
            for flow, allowed, left_open in world.matrix(sources + sources, columns, family).cells():
                verdict = world.verdict(flow)
                assert (allowed, left_open) == (verdict.allowed, verdict.action is Action.OPEN), flow

    return check


@pytest.fixture(scope="session")
def sets_agree() -> Callable[[World], None]:
    """Hold the set-wise matrix of a small cluster against its verdicts."""

    def check(world: World) -> None:
        services = [f"service:shop/{name}" for name in ("both", "web", "pods", "nobody")]
        ends = [*world.endpoints.pods, "node:n1", "ip:192.0.2.1", *services, "service:lobby/door"]
        ports = [(1, "TCP"), (80, "TCP"), (80, "UDP"), (8080, "TCP"), (8081, "TCP"), (30080, "TCP"), (0, "ICMP")]
        columns = [Column(end, *port) for end in ends for port in ports]
        for family in (4, 6):
            for flow, allowed, left_open in world.matrix(
                [*ends[:-5], "ip:10.0.1.77", "host:out"], columns, family
            ).cells():
                verdict = world.verdict(flow)
                assert (allowed, left_open) == (verdict.allowed, verdict.action is Action.OPEN), flow

    return check
