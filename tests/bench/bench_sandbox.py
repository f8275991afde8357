"""Speed and size of the sandbox, printed; run by hand: `python tests/bench/bench_sandbox.py [ROUNDS]`.

Twenty pods on two nodes, dual-stack, real packets; kubectl is the real one. Every figure is the median of the rounds.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from content.model import Topology
from grader.ports import Outcome, Probe
from labs import kubectl
from labs.base import Request
from labs.sandbox.backend import SandboxBackend

if TYPE_CHECKING:
    from grader.ports import Cluster, Manifest
    from labs.base import Running

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
LIMITS = {
    "start to ready, 20 pods on 2 nodes": (1.0, "s"),
    "380 probes, half of them denied": (0.6, "s"),
    "apply a policy to enforced (control)": (0.1, "s"),
    "kubectl apply to enforced": (0.1, "s"),
    "of that, a kubectl that changes nothing": (0.0, "s"),
    "memory": (120, "MB"),
    "netdojo --help": (0.15, "s"),
}


def deployment(name: str) -> Manifest:
    container = {"name": "c", "image": "agnhost", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def service(name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
    }


def deny(name: str, *apps: str) -> Manifest:
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": list(apps)}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": selector},
    }


APPS = ("a", "b", "c", "d", "e")
OBJECTS = [*map(deployment, APPS), *map(service, APPS)]


def megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found.group(1)) / 1024 if found else 0.0


async def pods_of(cluster: Cluster) -> list[tuple[str, str]]:
    return [
        (f"default/{item['metadata']['name']}", item["metadata"]["labels"]["app"])
        for item in await cluster.snapshot()
        if item["kind"] == "Pod" and item["metadata"]["namespace"] == "default"
    ]


async def enforce_by_kubectl(running: Running, cluster: Cluster, probe: Probe, folder: Path) -> tuple[float, float]:
    """Seconds from kubectl's start to the first dropped packet, and how long a kubectl takes that changes nothing."""
    assert running.kubeconfig
    variables = kubectl.environment(running.kubeconfig, "bench")
    file = folder / "deny.json"
    import json

    file.write_text(json.dumps(deny("timed", "e")), encoding="utf-8")
    await kubectl.run(["apply", "-f", str(file)], variables)  # discovery is cached from here on
    began = time.perf_counter()
    await kubectl.run(["apply", "-f", str(file)], variables)
    nothing = time.perf_counter() - began
    await kubectl.run(["delete", "-f", str(file)], variables)
    began = time.perf_counter()
    done = await kubectl.run(["apply", "-f", str(file)], variables)
    seconds = time.perf_counter() - began
    assert done.code == 0, done.stderr
    (seen,) = await cluster.probe([probe])
    assert seen.outcome is Outcome.DROPPED, "kubectl returned before the policy was enforced"
    return seconds, nothing


async def one_round(folder: Path, figures: dict[str, list[float]]) -> None:
    backend = SandboxBackend("nftables")
    request = Request("bench", Topology(nodes=2, families=("ipv4", "ipv6")), OBJECTS)
    began = time.perf_counter()
    running = await backend.start(request, folder / "bench", lambda _: None)
    figures["start to ready, 20 pods on 2 nodes"].append(time.perf_counter() - began)
    try:
        cluster = await backend.connect(running)
        await cluster.prove_enforcement()
        pods = await pods_of(cluster)
        probes = [Probe(source, to, 80) for source, _ in pods for to, _ in pods if source != to]
        denied = {"a", "b"}
        one_more = next(ref for ref, app in pods if app == "c")
        await cluster.apply([deny("most", *denied)])
        # 8 of 20 pods closed is 152 cells; two more would be half: close the third app for half of the others.
        await cluster.apply([deny("half", "c")])
        half = [p for p in probes if dict(pods)[p.destination] in {"a", "b", "c"}][: len(probes) // 2]
        rest = [p for p in probes if dict(pods)[p.destination] in {"d", "e"}]
        mix = [*half, *(rest * 2)[: len(probes) - len(half)]]
        began = time.perf_counter()
        seen = await cluster.probe(mix)
        figures["380 probes, half of them denied"].append(time.perf_counter() - began)
        dropped = sum(each.outcome is Outcome.DROPPED for each in seen)
        assert (len(seen), dropped) == (380, 190), (len(seen), dropped)
        flow = Probe(one_more, next(ref for ref, app in pods if app == "e"), 80)
        began = time.perf_counter()
        await cluster.apply([deny("by-control", "d")])
        figures["apply a policy to enforced (control)"].append(time.perf_counter() - began)
        whole, nothing = await enforce_by_kubectl(running, cluster, flow, folder)
        figures["kubectl apply to enforced"].append(whole)
        figures["of that, a kubectl that changes nothing"].append(nothing)
        figures["memory"].append(megabytes(running.pid))
    finally:
        await backend.stop("bench", folder / "bench")


def main() -> None:
    figures: dict[str, list[float]] = {name: [] for name in LIMITS}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(ROUNDS):
            asyncio.run(one_round(Path(name), figures))
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "tui", "--help"], capture_output=True, check=True)
            figures["netdojo --help"].append(time.perf_counter() - began)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {ROUNDS} rounds")
    for name, (limit, unit) in LIMITS.items():
        median, worst = statistics.median(figures[name]), max(figures[name])
        wanted = f"(limit {limit:g})" if limit else ""
        print(f"{name:42} {median:8.3f} {unit:2}  worst {worst:8.3f}  {wanted}")


if __name__ == "__main__":
    main()
