"""Random small clusters with random NetworkPolicies: what implementations of the same rules are compared on.

Everything comes from a `random.Random`, so a seed says it all. Found by tests through pytest's `pythonpath`.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from grader.ports import Probe

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from grader.ports import Manifest

NAMESPACES = ("red", "blue", "green")
PORTS: tuple[tuple[str, int], ...] = (("TCP", 80), ("TCP", 8080), ("TCP", 8081), ("UDP", 53), ("UDP", 80), ("SCTP", 80))
NAMES = ("http", "alt", "dns")
LABELS = {"app": ("a", "b", "c"), "tier": ("front", "back")}
HOME_LABELS = {"env": ("prod", "test"), "team": ("x", "y")}


def pick_labels(rng: random.Random, known: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {key: rng.choice(values) for key, values in known.items() if rng.random() < 0.7}


def random_homes(rng: random.Random) -> list[Manifest]:
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": pick_labels(rng, HOME_LABELS)}}
        for name in NAMESPACES
    ]


def random_pods(rng: random.Random, round_: int) -> list[Manifest]:
    """Some pods with some of the ports, in two containers at times; a name may mean another number elsewhere."""
    pods = []
    for number in range(rng.randint(4, 6)):
        served = rng.sample(PORTS, rng.randint(1, len(PORTS)))
        ports: list[dict[str, Any]] = [{"containerPort": port, "protocol": protocol} for protocol, port in served]
        for entry in ports:
            if rng.random() < 0.5:
                free = [name for name in NAMES if all(name != other.get("name") for other in ports)]
                if free:
                    entry["name"] = rng.choice(free)
        middle = rng.randint(0, len(ports)) if rng.random() < 0.3 else len(ports)
        containers = [
            {"name": f"c{index}", "image": "registry.example/any:1", "ports": part}
            for index, part in enumerate((ports[:middle], ports[middle:]))
            if part
        ]
        pods.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"namespace": rng.choice(NAMESPACES), "name": f"p{round_}-{number}", "labels": {}},
                "spec": {"containers": containers},
            }
        )
    return pods


def with_labels(rng: random.Random, pods: Iterable[Manifest]) -> list[Manifest]:
    """The same pods with labels of this round, and a Service that selects each alone."""
    labelled: list[Manifest] = []
    for pod in pods:
        metadata = pod["metadata"]
        labels = {**pick_labels(rng, LABELS), "own": metadata["name"]}
        labelled.append({**pod, "metadata": {**metadata, "labels": labels}})
    return labelled


def services_of(rng: random.Random, pods: Iterable[Manifest]) -> list[Manifest]:
    """Services with one pod behind them each: with several, the answer would be the balancer's."""
    made = []
    for pod in pods:
        ports = [port for container in pod["spec"]["containers"] for port in container["ports"]]
        target = rng.choice(ports)
        made.append(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"namespace": pod["metadata"]["namespace"], "name": f"s-{pod['metadata']['name']}"},
                "spec": {
                    "selector": {"own": pod["metadata"]["name"]},
                    "ipFamilyPolicy": "PreferDualStack",
                    "ports": [
                        {
                            "port": 8000,
                            "protocol": target["protocol"],
                            "targetPort": target.get("name") or target["containerPort"],
                        }
                    ],
                },
            }
        )
    return made


def random_selector(rng: random.Random, known: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    kind = rng.random()
    if kind < 0.2:
        return {}
    key = rng.choice(list(known))
    if kind < 0.6:
        return {"matchLabels": {key: rng.choice(known[key])}}
    operator = rng.choice(["In", "NotIn", "Exists", "DoesNotExist"])
    expression: dict[str, Any] = {"key": key, "operator": operator}
    if operator in {"In", "NotIn"}:
        expression["values"] = rng.sample(known[key], rng.randint(1, len(known[key])))
    selector: dict[str, Any] = {"matchExpressions": [expression]}
    if rng.random() < 0.2:
        other = rng.choice(list(known))
        selector["matchLabels"] = {other: rng.choice(known[other])}
    return selector


def random_block(rng: random.Random, addresses: list[str]) -> dict[str, Any]:
    """A range around a pod's (or node's) address, with exceptions inside it at times."""
    address = ip_address(rng.choice(addresses))
    bits = address.max_prefixlen
    length = rng.choice([0, bits - 16, bits - 8, bits - 3, bits - 1, bits])
    block = ip_network(f"{address}/{length}", strict=False)
    found: dict[str, Any] = {"cidr": str(block)}
    inside = [a for a in addresses if ip_address(a).version == address.version and ip_address(a) in block]
    if length < bits - 2 and rng.random() < 0.5:
        found["except"] = sorted(
            {
                str(ip_network(f"{each}/{bits - rng.randint(0, 2)}", strict=False))
                for each in rng.sample(inside, min(len(inside), rng.randint(1, 2)))
            }
        )
    return found


def random_peer(rng: random.Random, addresses: list[str]) -> dict[str, Any]:
    kind = rng.random()
    if kind < 0.25:
        return {"ipBlock": random_block(rng, addresses)}
    peer: dict[str, Any] = {}
    if kind < 0.7:
        peer["podSelector"] = random_selector(rng, LABELS)
    if kind > 0.5:
        by_name = {"kubernetes.io/metadata.name": NAMESPACES}
        peer["namespaceSelector"] = random_selector(rng, by_name if rng.random() < 0.3 else HOME_LABELS)
    return peer


def random_port(rng: random.Random) -> dict[str, Any]:
    protocol, number = rng.choice(PORTS)
    entry: dict[str, Any] = {} if protocol == "TCP" and rng.random() < 0.5 else {"protocol": protocol}
    kind = rng.random()
    if kind < 0.4:
        entry["port"] = number
    elif kind < 0.65:
        entry["port"] = rng.choice([*NAMES, "no-such"])
    elif kind < 0.85:
        entry["port"] = max(1, number - rng.randint(0, 60))
        entry["endPort"] = entry["port"] + rng.randint(0, 100)
    return entry


def random_rules(rng: random.Random, side: str, addresses: list[str]) -> list[dict[str, Any]]:
    rules = []
    for _ in range(rng.choice([0, 1, 1, 2])):
        rule: dict[str, Any] = {}
        if rng.random() < 0.8:
            rule[side] = [random_peer(rng, addresses) for _ in range(rng.randint(0, 2))]
        if rng.random() < 0.6:
            rule["ports"] = [random_port(rng) for _ in range(rng.randint(0, 2))]
        rules.append(rule)
    return rules


def random_policies(rng: random.Random, addresses: list[str]) -> list[Manifest]:
    policies = []
    for number in range(rng.randint(1, 5)):
        types = rng.choice([None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]])
        spec: dict[str, Any] = {"podSelector": random_selector(rng, LABELS)}
        if types:
            spec["policyTypes"] = types
        if rng.random() < 0.75:
            spec["ingress"] = random_rules(rng, "from", addresses)
        if rng.random() < 0.6:
            spec["egress"] = random_rules(rng, "to", addresses)
        policies.append(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"namespace": rng.choice(NAMESPACES), "name": f"policy-{number}"},
                "spec": spec,
            }
        )
    return policies


def addresses_in(snapshot: Iterable[Manifest]) -> list[str]:
    """The addresses of this test's pods and of the nodes, both families."""
    found = []
    for item in snapshot:
        if item["kind"] == "Pod" and item["metadata"]["namespace"] in NAMESPACES:
            found += [entry["ip"] for entry in item["status"]["podIPs"]]
        elif item["kind"] == "Node":
            found += [entry["address"] for entry in item["status"]["addresses"] if entry["type"] == "InternalIP"]
    return found


def random_probes(rng: random.Random, pods: list[Manifest], count: int) -> list[Probe]:
    refs = [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods]
    cells = []
    for source in (*refs, "node:node-1", "node:node-2"):
        for pod, ref in zip(pods, refs, strict=True):
            declared = [port for container in pod["spec"]["containers"] for port in container["ports"]]
            cells += [(source, ref, port["containerPort"], port["protocol"]) for port in declared]
            cells += [(source, ref, 0, "ICMP"), (source, ref, 9999, "TCP")]
            if not source.startswith("node:"):
                service = f"service:{pod['metadata']['namespace']}/s-{pod['metadata']['name']}"
                cells.append((source, service, 8000, "service"))
    return [
        Probe(source, ref, port, protocol, rng.choice([4, 6]))
        for source, ref, port, protocol in rng.sample(cells, min(count, len(cells)))
    ]


def with_service_protocols(probes: Iterable[Probe], services: Iterable[Manifest]) -> list[Probe]:
    """Service probes with the protocol that the Service speaks."""
    protocols = {
        f"service:{s['metadata']['namespace']}/{s['metadata']['name']}": s["spec"]["ports"][0]["protocol"]
        for s in services
    }
    return [Probe(p.source, p.destination, p.port, protocols.get(p.destination, p.protocol), p.family) for p in probes]
