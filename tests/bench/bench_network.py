"""How long the network takes: `python tests/bench/bench_network.py`. Prints medians of some rounds, in milliseconds.

Limits: 2 nodes and 20 dual-stack pods in 250 ms; 20 pods under 10 policies compiled and programmed in 40 ms.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from labs.sandbox import isolation
from labs.sandbox.kernel import KernelRuntime
from labs.sandbox.network import netns
from labs.sandbox.runtime import ContainerSpec, NodeSpec, PodSpec, ServedPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.ports import Manifest

ROUNDS = 15
PODS = 20


def placed(number: int) -> tuple[str, tuple[str, str]]:
    node = number % 2 + 1
    return f"node-{node}", (f"10.244.{node}.{number + 1}", f"fd00:10:244::{node}:{number + 1:x}")


def manifest(number: int) -> Manifest:
    node, ips = placed(number)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": f"p{number}", "labels": {"app": f"a{number % 4}"}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]},
        "status": {"phase": "Running", "podIPs": [{"ip": ip} for ip in ips]},
    }


def policy(number: int) -> Manifest:
    peers = [
        {"podSelector": {"matchLabels": {"app": "a1"}}},
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
    ]
    ports = [{"port": "http"}, {"port": 1000 + number, "endPort": 2000}, {"port": 53, "protocol": "UDP"}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": f"n{number}"},
        "spec": {
            "podSelector": {"matchLabels": {"app": f"a{number % 4}"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": peers, "ports": ports}],
            "egress": [{"to": peers, "ports": ports}],
        },
    }


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    before = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - before) * 1000


def build(runtime: KernelRuntime) -> None:
    for number in (1, 2):
        runtime.add_node(NodeSpec(f"node-{number}", (f"172.18.0.{number + 1}", f"fd00:172:18::{number + 1}")))
    container = ContainerSpec("c", "nginx", (ServedPort(80),))
    for number in range(PODS):
        node, ips = placed(number)
        runtime.start_pod(PodSpec(str(number), "shop", f"p{number}", node, ips, (container,)))


async def measure() -> None:
    pods = [manifest(number) for number in range(PODS)]
    policies = [policy(number) for number in range(10)]
    figures: dict[str, list[float]] = {}

    def note(what: str, milliseconds: float) -> None:
        figures.setdefault(what, []).append(milliseconds)

    runtime = KernelRuntime(asyncio.get_running_loop())
    for _ in range(ROUNDS):
        runtime.close()
        # The next underlay has the same name: it goes into a namespace of its own.
        netns.unshare(netns.CLONE_NEWNET)
        runtime = KernelRuntime(asyncio.get_running_loop())
        note(f"2 nodes and {PODS} pods", timed(build, runtime))
    for _ in range(ROUNDS):
        note("first policy", timed(runtime.program, [*pods, policies[0]]))
        note("10 policies", timed(runtime.program, [*pods, *policies]))
        note("nothing new", timed(runtime.program, [*pods, *policies]))
        note("no policy", timed(runtime.program, pods))
    note("one pod stopped", timed(runtime.stop_pod, "0"))
    for what, values in figures.items():
        print(f"{what:24}{statistics.median(values):8.1f} ms   worst {max(values):.1f}")


def main() -> int:
    isolation.enter()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    asyncio.run(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
