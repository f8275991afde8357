"""The two implementations of NetworkPolicy check each other: packets through the kernel against computed verdicts.

Random small clusters with random policies are applied, one after the other, to one running sandbox, and every cell of a
sample of the matrix is probed and judged. The two share parsed objects and label selectors only.

`NETDOJO_ROUNDS=200 NETDOJO_SEED=7 pytest tests/e2e/test_kernel_against_evaluator.py` runs 200 clusters from seed 7. A
failure names its round's seed: `NETDOJO_ROUNDS=1 NETDOJO_SEED=<that>` plays it alone.
"""

from __future__ import annotations

import os
import random
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from content.model import Topology
from grader.kube.parse import read_objects
from grader.ports import Outcome, Probe
from grader.reachability.verdict import Flow
from grader.reachability.world import World
from labs.base import Request
from labs.sandbox.backend import SandboxBackend
from labs.store import cluster_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from grader.ports import Cluster, Manifest, Observation

ROUNDS = int(os.environ.get("NETDOJO_ROUNDS", "40"))
SEED = int(os.environ.get("NETDOJO_SEED", "1"))
PROBES = 150
"""Cells a round; half of them or so are denied, and a denial costs 400 ms of silence that all of them share."""

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


def random_probes(rng: random.Random, pods: list[Manifest]) -> list[Probe]:
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
        for source, ref, port, protocol in rng.sample(cells, min(PROBES, len(cells)))
    ]


def with_service_protocols(probes: Iterable[Probe], services: Iterable[Manifest]) -> list[Probe]:
    """Service probes with the protocol that the Service speaks."""
    protocols = {
        f"service:{s['metadata']['namespace']}/{s['metadata']['name']}": s["spec"]["ports"][0]["protocol"]
        for s in services
    }
    return [Probe(p.source, p.destination, p.port, protocols.get(p.destination, p.protocol), p.family) for p in probes]


def differences(world: World, seen: Iterable[Observation]) -> list[str]:
    """The cells in which packets went otherwise than the verdict says."""
    served = {pod.ref: {(port.protocol, port.number) for port in pod.ports} for pod in world.objects.pods}
    wrong = []
    for observation in seen:
        probe = observation.probe
        flow = Flow(probe.source, probe.destination, probe.port, probe.protocol, probe.family)
        packet = world.packets(flow)[0]
        listening = probe.protocol == "ICMP" or (probe.protocol, packet.port) in served[packet.destination.ref]
        if not world.allowed_as_calico(flow):
            expected = Outcome.DROPPED
        else:
            expected = Outcome.OPEN if listening else Outcome.REFUSED
        right_server = observation.answered_by in {"", packet.destination.ref}
        if observation.outcome is not expected or not right_server:
            verdict = world.verdict(flow)
            wrong.append(
                f"{flow}: seen {observation.outcome} ({observation.answered_by} {observation.detail}), "
                f"judged {expected}: "
                f"egress {verdict.egress.action} {verdict.egress.reason}; ingress {verdict.ingress.action} "
                f"{verdict.ingress.reason}"
            )
    return wrong


def story(seed: int, wrong: list[str], objects: Iterable[Manifest]) -> str:
    shown = "\n".join(str(item) for item in objects if item["kind"] != "Service")
    return f"NETDOJO_ROUNDS=1 NETDOJO_SEED={seed}: {len(wrong)} cells differ\n" + "\n".join(wrong) + f"\n{shown}"


async def play(cluster: Cluster, seed: int) -> tuple[list[str], int, int, list[Manifest]]:
    """One cluster: made, probed under two sets of labels and policies, judged, and taken away again."""
    rng = random.Random(seed)
    homes, pods = random_homes(rng), random_pods(rng, seed)
    services = services_of(rng, pods)
    await cluster.apply([*homes, *pods, *services])
    wrong: list[str] = []
    denied = total = 0
    policies: list[Manifest] = []
    labelled = pods
    for _ in range(2):
        old = policies
        labelled = with_labels(rng, pods)
        policies = random_policies(rng, addresses_in(await cluster.snapshot()))
        kept = {(p["metadata"]["namespace"], p["metadata"]["name"]) for p in policies}
        await cluster.delete([p for p in old if (p["metadata"]["namespace"], p["metadata"]["name"]) not in kept])
        await cluster.apply([*random_homes(rng), *labelled, *policies])
        probes = with_service_protocols(random_probes(rng, labelled), services)
        seen = await cluster.probe(probes)
        wrong = differences(World(read_objects(await cluster.snapshot())), seen)
        total += len(seen)
        denied += sum(observation.outcome is Outcome.DROPPED for observation in seen)
        if wrong:
            break
    await cluster.delete([*policies, *services, *pods])
    return wrong, total, denied, [*labelled, *policies]


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.timeout(60 + 5 * ROUNDS)
async def test_packets_go_as_verdicts_say(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del home
    backend = SandboxBackend("nftables")
    folder = cluster_folder("comparison")
    topology = Topology(nodes=2, families=("ipv4", "ipv6"))
    running = await backend.start(Request("comparison", topology), folder, lambda _: None)
    try:
        cluster = await backend.connect(running)
        await cluster.prove_enforcement()
        total = denied = 0
        for round_ in range(ROUNDS):
            seed = SEED + round_
            wrong, probed, dropped, objects = await play(cluster, seed)
            assert not wrong, story(seed, wrong, objects)
            total += probed
            denied += dropped
        assert 0.1 < denied / total < 0.9, "the clusters are too open or too closed to compare anything"
        with capsys.disabled():
            print(f"\n{ROUNDS} clusters, {2 * ROUNDS} sets of policies: {total} cells, {denied} denied, 0 differ")
    finally:
        await backend.stop("comparison", folder)


def test_the_comparison_would_see_a_difference() -> None:
    """A verdict that is turned is reported: the judge of this comparison can fail."""
    from grader.ports import Observation

    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "red", "name": "a"},
        "spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]},
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
    }
    other = {**pod, "metadata": {"namespace": "red", "name": "b"}, "status": {"podIPs": [{"ip": "10.0.0.2"}]}}
    world = World(read_objects([pod, other]))
    probe = Probe("red/a", "red/b", 80)
    assert differences(world, [Observation(probe, Outcome.OPEN, "red/b")]) == []
    assert len(differences(world, [Observation(probe, Outcome.DROPPED)])) == 1
    assert len(differences(world, [Observation(probe, Outcome.ERROR)])) == 1
    assert len(differences(world, [Observation(probe, Outcome.OPEN, "red/c")])) == 1
