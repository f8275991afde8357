"""All pairs of 1,000 pods under 200 policies, from manifests in a file: `python tests/bench/bench_reach.py`."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from content.yamlio import read_manifests
from grader.kube.parse import read_objects
from grader.reachability.verdict import Flow
from grader.reachability.world import World

PODS, POLICIES, NAMESPACES = 1000, 200, 20


def cluster(rng: random.Random) -> list[dict[str, Any]]:
    homes = [f"ns{number}" for number in range(NAMESPACES)]
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": home, "labels": {"team": f"t{rng.randrange(5)}"}},
        }
        for home in homes
    ]
    for number in range(PODS):
        labels = {"app": f"a{rng.randrange(30)}", "tier": rng.choice("abc")}
        ports = [{"containerPort": 8080, "name": "http"}]
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"p{number}", "namespace": rng.choice(homes), "labels": labels},
                "spec": {"nodeName": f"n{number % 10}", "containers": [{"name": "c", "image": "x", "ports": ports}]},
                "status": {"phase": "Running", "podIP": f"10.{number // 250}.{number % 250}.7"},
            }
        )
    return objects + [policy(rng, number, rng.choice(homes)) for number in range(POLICIES)]


def policy(rng: random.Random, number: int, home: str) -> dict[str, Any]:
    port = {"port": rng.choice([8080, "http", 80])}
    spec: dict[str, Any] = {
        "podSelector": selector(rng),
        "policyTypes": rng.choice([["Ingress"], ["Ingress", "Egress"]]),
        "ingress": [{"from": [peer(rng), peer(rng)], "ports": [port]} for _ in range(2)],
    }
    if "Egress" in spec["policyTypes"]:
        spec["egress"] = [{"to": [peer(rng), {"namespaceSelector": {}}]}]
    metadata = {"name": f"np{number}", "namespace": home}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def selector(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.7:
        return {"matchLabels": {"app": f"a{rng.randrange(30)}"}}
    return {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]}


def peer(rng: random.Random) -> dict[str, Any]:
    kind = rng.random()
    if kind < 0.4:
        return {"podSelector": selector(rng)}
    if kind < 0.7:
        return {"namespaceSelector": {"matchLabels": {"team": f"t{rng.randrange(5)}"}}, "podSelector": selector(rng)}
    return {"ipBlock": {"cidr": f"10.{rng.randrange(4)}.0.0/16"}}


def main() -> None:
    objects = cluster(random.Random(1))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cluster.yaml"
        file.write_text("\n---\n".join(json.dumps(each) for each in objects))
        marks = [time.perf_counter()]
        located = read_manifests(file)
        marks.append(time.perf_counter())
        parsed = read_objects(manifest for manifest, _ in located)
        marks.append(time.perf_counter())
        world = World(parsed)
        matrix = world.matrix()
        marks.append(time.perf_counter())
        refs = list(world.endpoints.pods)[:100]
        for source in refs:
            for destination in refs[:20]:
                world.verdict(Flow(source, destination, 8080))
        marks.append(time.perf_counter())
        command = [sys.executable, "-m", "tui", "reach", "matrix", str(file), "--output", "json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        marks.append(time.perf_counter())
    read, parse, pairs, single, process = (after - before for before, after in itertools.pairwise(marks))
    cells = len(matrix.sources) * len(matrix.columns)
    print(f"{PODS} pods, {POLICIES} policies, {cells} cells, {sum(bits.bit_count() for bits in matrix.allowed)} open")
    print(f"read {read:.3f} s, parse {parse:.3f} s, all pairs {pairs:.3f} s, one verdict {single / 2000 * 1e6:.0f} µs")
    print(f"netdojo reach matrix, whole process: {process:.3f} s")


if __name__ == "__main__":
    main()
