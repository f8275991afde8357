"""Cells of the matrix that classes alone do not know: requests of two hops, Services, pods in their nodes' networks.

`->` passes, `-x` is dropped; a `?` in it: the specification leaves it open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "http://x.example/"
OUT = "ip:192.0.2.1"
BASE = """
{apiVersion: v1, kind: Pod, metadata: {name: gw, namespace: edge, labels: {app: gw,
  gateway.networking.k8s.io/gateway-name: front}}, spec: {nodeName: n1, hostNetwork: ON_HOST},
  status: {podIP: 172.18.0.1, hostIP: 172.18.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: shop, labels: {app: cart}}, spec: {nodeName: n2},
  status: {podIP: 10.0.0.1, hostIP: 172.18.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: site, namespace: shop, labels: {app: site}}, spec: {nodeName: n2},
  status: {podIP: 10.0.0.2, hostIP: 172.18.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: edge, labels: {app: agent}},
  spec: {nodeName: n3, hostNetwork: true}, status: {podIP: 172.18.0.3, hostIP: 172.18.0.3}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {clusterIP: 10.96.0.1,
  selector: {app: cart}, ports: [{port: 80}, {port: 53, protocol: UDP, targetPort: 5353}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: site, namespace: shop}, spec: {selector: {app: site},
  ports: [{port: 80}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: front, namespace: edge}, spec:
  {gatewayClassName: any, listeners: [
  {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]}}
"""
CART, SITE = "backendRefs: [{name: cart, port: 80}]", "backendRefs: [{name: site, port: 80}]"
GET_CART, POST_SITE = f"{{matches: [{{method: GET}}], {CART}}}", f"{{matches: [{{method: POST}}], {SITE}}}"
ALL_CART, ALL_SITE = f"{{{CART}}}", f"{{{SITE}}}"


def route(*rules: str) -> str:
    return (
        "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a, namespace: shop}, spec: "
        f"{{parentRefs: [{{name: front, namespace: edge}}], hostnames: [x.example], rules: [{', '.join(rules)}]}}}}"
    )


def policy(pod: str, spec: str) -> str:
    namespace = "edge" if pod in ("gw", "agent") else "shop"
    metadata = f"{{name: {pod}, namespace: {namespace}}}"
    whole = f"{{podSelector: {{matchLabels: {{app: {pod}}}}}, {spec}}}"
    return f"{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {metadata}, spec: {whole}}}"


@pytest.fixture(scope="session")
def made() -> Callable[..., World]:
    def make(*texts: str, on_host: bool = False) -> World:
        base = yaml.load_all(BASE.replace("ON_HOST", str(on_host).lower()), yaml.CSafeLoader)
        return World(read_objects([*base, *(yaml.load(text, yaml.CSafeLoader) for text in texts)]))

    return make


EDGE = "ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: %s}}}]}]"
SHUT = "policyTypes: [Ingress]"
MAYBE_CART, MAYBE_SITE = policy("cart", EDGE % "gw"), policy("site", EDGE % "gw")
SHUT_CART, SHUT_SITE = policy("cart", SHUT), policy("site", SHUT)

# A proxy in its node's network: whether selectors mean it is left open, and Calico says no.
ON_HOST = {
    "one way, open": ([route(ALL_CART)], "->"),
    "one way, left open": ([route(ALL_CART), MAYBE_CART], "-?x"),
    "one way, closed": ([route(ALL_CART), SHUT_CART], "-x"),
    "the way of every request counts: open, whatever is left open of others": (
        [route(GET_CART, ALL_SITE), MAYBE_CART],
        "->",
    ),
    "the way of every request counts where none is open: closed": (
        [route(GET_CART, ALL_SITE), MAYBE_CART, SHUT_SITE],
        "-x",
    ),
    "the way of every request counts where none is open: left open": (
        [route(GET_CART, ALL_SITE), SHUT_CART, MAYBE_SITE],
        "-?x",
    ),
    "only some requests pass": ([route(GET_CART, ALL_SITE), SHUT_SITE], "->"),
    "two conditional ways, the first left open": ([route(GET_CART, POST_SITE), MAYBE_CART, SHUT_SITE], "-?x"),
    "two conditional ways, the second left open": ([route(GET_CART, POST_SITE), SHUT_CART, MAYBE_SITE], "-?x"),
    "two conditional ways, both closed": ([route(GET_CART, POST_SITE), SHUT_CART, SHUT_SITE], "-x"),
    "two conditional ways, one open": ([route(GET_CART, POST_SITE), MAYBE_CART], "->"),
    "policies on the proxy do nothing, which is left open": (
        [route(ALL_CART), policy("gw", "policyTypes: [Egress]")],
        "-?>",
    ),
    "policies on the proxy do nothing, and the backend is closed": (
        [route(ALL_CART), policy("gw", "policyTypes: [Egress]"), SHUT_CART],
        "-x",
    ),
}


@pytest.mark.parametrize("name", ON_HOST)
def test_requests_by_a_proxy_in_its_nodes_network(
    made: Callable[..., World], both_agree: Callable[[World, list[str]], None], name: str
) -> None:
    texts, sign = ON_HOST[name]
    both_agree(made(*texts, on_host=True), [f"{OUT} {sign} {URL}:80", f"shop/site {sign} {URL}:80"])


# A proxy like other pods, and a client in its node's network.
FIRST_HOP = {
    "the proxy is open": ([], ["edge/agent -> U", f"{OUT} -> U"]),
    "the proxy opens to the client's labels": ([policy("gw", EDGE % "agent")], ["edge/agent -?x U", f"{OUT} -x U"]),
    "the proxy opens to another's labels": ([policy("gw", EDGE % "site")], ["edge/agent -x U", "shop/site -> U"]),
    "the proxy may be open, the backend is not": (
        [policy("gw", EDGE % "agent"), SHUT_CART],
        ["edge/agent -?x U", f"{OUT} -x U"],
    ),
    "the client is let out": ([policy("agent", "policyTypes: [Egress]")], ["edge/agent -> U", f"{OUT} -> U"]),
    "the proxy is not let out": ([policy("gw", "policyTypes: [Egress]")], ["edge/agent -x U", f"{OUT} -x U"]),
}


@pytest.mark.parametrize("name", FIRST_HOP)
def test_requests_of_a_client_in_its_nodes_network(
    made: Callable[..., World], both_agree: Callable[[World, list[str]], None], name: str
) -> None:
    texts, arrows = FIRST_HOP[name]
    both_agree(made(route(ALL_CART), *texts), [arrow.replace("U", f"{URL}:80") for arrow in arrows])


def test_a_services_port_of_another_protocol(
    made: Callable[..., World], both_agree: Callable[[World, list[str]], None]
) -> None:
    world = made(policy("cart", "ingress: [{ports: [{port: 5353, protocol: UDP}]}]"))
    arrows = ["shop/site -> service:shop/cart:53/udp", "shop/site -x service:shop/cart:80"]
    both_agree(world, [*arrows, "shop/site -> ip:10.96.0.1:53/udp", "shop/site -x ip:10.96.0.1:53"])


def test_a_service_of_several_labels(both_agree: Callable[[World, list[str]], None]) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "shop"}}
    spec = {"clusterIP": "10.96.0.11", "selector": {"part": "app", "app": "db"}, "ports": [{"port": 80}]}
    objects = yaml.load_all(BASE.replace("ON_HOST", "false"), yaml.CSafeLoader)
    pods = [each for each in objects if each["kind"] == "Pod"]
    labels = {"cart": {"part": "app", "app": "web"}, "site": {"part": "app", "app": "db"}}
    for pod in pods:
        pod["metadata"]["labels"] |= labels.get(pod["metadata"]["name"], {})
    world = World(read_objects([*pods, {**service, "spec": spec}, yaml.load(policy("web", SHUT), yaml.CSafeLoader)]))
    both_agree(world, ["edge/gw -> service:shop/s:80", "edge/gw -x shop/cart:80"])


BETWEEN_HOSTS = {
    "rules that mean neither": (EDGE % "site", ["edge/gw -?> edge/agent:80", f"{OUT} -?> edge/agent:80"]),
    "rules that mean the sender's labels": (EDGE % "gw", ["edge/gw -> edge/agent:80", f"{OUT} -?> edge/agent:80"]),
    "rules that mean a pod": (EDGE % "cart", ["shop/cart -> edge/agent:80", "edge/gw -?> edge/agent:80"]),
    "rules that mean an address": (
        "ingress: [{from: [{ipBlock: {cidr: 172.18.0.1/32}}]}]",
        ["edge/gw -> edge/agent:80", "shop/cart -?> edge/agent:80"],
    ),
}


@pytest.mark.parametrize("name", BETWEEN_HOSTS)
def test_policies_on_a_pod_in_its_nodes_network(
    made: Callable[..., World], both_agree: Callable[[World, list[str]], None], name: str
) -> None:
    """They do nothing with Calico; an implementation that applies them takes both ends for pods."""
    spec, arrows = BETWEEN_HOSTS[name]
    both_agree(made(policy("agent", spec), on_host=True), arrows)


ONLY_ONE = """
{apiVersion: v1, kind: Service, metadata: {name: one, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: one-1, namespace: shop,
 labels: {kubernetes.io/service-name: one}}, addressType: IPv4, ports: [{port: 80}],
 endpoints: [{addresses: [10.0.0.2]}]}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec:
 {namespaceSelector: kubernetes.io/metadata.name == 'edge',
 types: [Egress], egress: [{action: Allow, destination: {services: {namespace: shop, name: one}}}]}}
"""


def test_one_of_pods_that_are_alike_is_behind_a_service(
    made: Callable[..., World], both_agree: Callable[[World, list[str]], None]
) -> None:
    world = made(*map(yaml.dump, yaml.load_all(ONLY_ONE, yaml.CSafeLoader)))
    both_agree(world, ["edge/gw -> shop/site:80", "edge/gw -x shop/site:81", "edge/gw -x shop/cart:80"])


def test_one_of_pods_without_addresses_is_behind_a_service(
    cast: Callable[..., World], both_agree: Callable[[World, list[str]], None]
) -> None:
    world = cast(
        "{apiVersion: v1, kind: Service, metadata: {name: i, namespace: a}, spec: {selector: {app: idle}, "
        "ports: [{port: 80}]}}",
        "gnp g {namespaceSelector: kubernetes.io/metadata.name == 'b', types: [Egress], egress: "
        "[{action: Allow, destination: {services: {namespace: a, name: i}}}]}",
    )
    both_agree(world, ["b/out -> a/idle:80", "b/out -x a/soon:80"])


def test_a_selector_with_ranges_in_one_rule(
    cast: Callable[..., World], both_agree: Callable[[World, list[str]], None]
) -> None:
    source = "{selector: app == 'web', nets: [10.0.0.0/30, 10.0.0.6/31], notNets: [10.0.0.2/32, 10.0.0.4/32]}"
    world = cast(f"np a/p {{selector: app == 'sql', ingress: [{{action: Allow, source: {source}}}]}}")
    closed = [f"{source} -x a/sql:80" for source in ("a/web2", "a/alt", "a/twin", "a/lone", OUT)]
    both_agree(world, ["a/web1 -> a/sql:80", "a/web3 -> a/sql:80", *closed])


def test_a_lenient_reader_takes_port_0(parsed: Callable[..., object]) -> None:
    """Stored objects may hold what is refused now."""
    text = "gnp a {ingress: [{action: Allow, protocol: TCP, destination: {ports: [0, '0:80']}}]}"
    (found,) = parsed(text, lenient=True).calico_policies  # type: ignore[attr-defined] # Objects
    assert [(port.low, port.high) for port in found.ingress[0].destination.ports] == [(0, 0), (0, 80)]
