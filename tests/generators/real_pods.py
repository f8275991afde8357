"""Pods of a real cluster for comparisons: agnhost serves every port that they declare, on TCP and UDP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from random_calico import ACCOUNTS
from random_kubernetes import NAMES, NAMESPACES

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from grader.ports import Manifest

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
SERVERS: tuple[tuple[int, int], ...] = ((80, 80), (8080, 53), (8081, 0))
"""TCP and UDP port of one netexec; 0 for none."""


def real_pods(rng: random.Random, prefix: str, nodes: Sequence[str], count: int) -> list[Manifest]:
    """Pods spread over the nodes, each with one to three servers; a port's name may mean another number elsewhere."""
    return [_pod(rng, f"{prefix}-{number}", nodes[number % len(nodes)]) for number in range(count)]


def _pod(rng: random.Random, name: str, node: str) -> Manifest:
    free = list(NAMES)
    rng.shuffle(free)
    containers = []
    for index, (tcp, udp) in enumerate(rng.sample(SERVERS, rng.choice([1, 1, 2, 3]))):
        ports: list[dict[str, Any]] = [{"containerPort": tcp, "protocol": "TCP"}]
        if udp:
            ports.append({"containerPort": udp, "protocol": "UDP"})
        for port in ports:
            if free and rng.random() < 0.5:
                port["name"] = free.pop()
        containers.append(
            {
                "name": f"c{index}",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "args": ["netexec", f"--http-port={tcp}", f"--udp-port={udp or -1}"],
                "ports": ports,
            }
        )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": rng.choice(NAMESPACES), "name": name, "labels": {"own": name}},
        "spec": {
            "nodeName": node,
            "serviceAccountName": rng.choice(ACCOUNTS),
            "terminationGracePeriodSeconds": 0,
            "containers": containers,
        },
    }
